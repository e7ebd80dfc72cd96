"""The command that hosts start: serve."""

from __future__ import annotations

from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.launcher import start_server
from sediment_mcp.cli.options import command, pass_invocation


@command(
    "serve",
    "sediment-mcp",
    "sediment-mcp serve --project ~/code/shop",
    prints_json=False,
    uses_config=False,
)
@pass_invocation
def serve(invocation: Invocation) -> int:
    """Serve MCP over stdin and stdout (the default)."""
    return start_server(invocation.flags)
