"""An MCP server with one tool that does nothing: what the protocol alone costs, by the SDK's own server."""

from __future__ import annotations

from mcp.server import MCPServer

app = MCPServer("bare", version="1")
app.add_tool(lambda: "", name="nothing", description="Does nothing.")
app.run("stdio")
