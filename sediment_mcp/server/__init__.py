"""Serve MCP over stdio: the protocol's side of the four tools, resources and prompts."""
