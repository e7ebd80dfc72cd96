"""The command by which a host without HTTP reaches a server with a URL: bridge."""

from __future__ import annotations

import click

from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import command, pass_invocation


@command(
    "bridge",
    "sediment-mcp bridge https://memory.example.com/mcp",
    prints_json=False,
    uses_config=False,
)
@click.argument("url", metavar="URL", help="of the server, such as https://memory.example.com/mcp")
@click.option(
    "--token-env", metavar="NAME", help="the variable that holds the token; MEMORY_TOKEN by default"
)
@click.option("--host", metavar="HOST", default="", help="the host that starts it")
@pass_invocation
def bridge(invocation: Invocation, url: str, token_env: str | None, host: str) -> int:
    """Pass MCP on between standard input and output and a server with a URL.

    This is what `install --url` writes for a host that can only start commands.
    """
    import sys

    from sediment_mcp.config import environment
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts.remote_server import TOKEN, RemoteServer, build_headers, check_server
    from sediment_mcp.server.bridge import Bridge

    variable = token_env or TOKEN
    token = environment().get(variable, "").strip()
    if token_env and not token:
        raise BadArgument(f"{token_env} is not set here: set it to the token where the host is started.")
    server = check_server(RemoteServer(url, token, project=invocation.project or ""))
    for stream in (sys.stdin, sys.stdout):
        stream.reconfigure(encoding="utf-8", newline="\n")  # pyright: ignore[reportAttributeAccessIssue]
    Bridge(server.url, build_headers(server, host), sys.stdout).run(sys.stdin)
    return 0
