"""sediment-mcp: a memory for desktop agents, local, shared by all hosts, found by meaning and by words."""

__version__ = "0.1.0"
