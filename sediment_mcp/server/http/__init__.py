"""Serve MCP over HTTP to several users: the SDK's transport over the same functions."""
