"""The command line."""

PROGRAM = "sediment-mcp"
COMPLETION_VARIABLE = "_SEDIMENT_MCP_COMPLETE"
"""A shell asks for completions through this variable; the name is the one that click derives."""
