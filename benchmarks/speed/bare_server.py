"""An MCP server with one tool that does nothing: what the protocol alone costs, by the SDK's own server."""

from __future__ import annotations

from mcp.server import MCPServer


def main() -> None:
    server = MCPServer("bare", version="1")
    server.add_tool(lambda: "", name="nothing", description="Does nothing.")
    server.run("stdio")


if __name__ == "__main__":
    main()
