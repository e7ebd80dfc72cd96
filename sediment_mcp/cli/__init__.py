"""The command line."""

PROGRAM = "sediment-mcp"
HOOK = "hook"
"""The command that hosts run at certain moments, and that must start quickly."""
COMPLETION_VARIABLE = "_SEDIMENT_MCP_COMPLETE"
"""A shell asks for completions through this variable; the name is the one that click derives."""
