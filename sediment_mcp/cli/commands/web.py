"""The command that opens the web UI: ui."""

from __future__ import annotations

import sys

import click

from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import MAX_PORT, WholeNumber, command, pass_invocation


@command("ui", "sediment-mcp ui", "sediment-mcp ui --port 8765 --no-browser")
@click.option(
    "--port",
    metavar="N",
    type=WholeNumber(0, MAX_PORT),
    default=0,
    help="where on this machine; a free port by default",
)
@click.option("--no-browser", is_flag=True, help="only print the address, open no browser")
@pass_invocation
def ui(invocation: Invocation, port: int, no_browser: bool) -> int:
    """Open the web UI: search, read, correct and sort memories."""
    from dataclasses import replace

    from sediment_mcp.app import Application
    from sediment_mcp.web.request import RequestContext
    from sediment_mcp.web.server import open_browser, open_socket, run_server

    listener = open_socket(port)
    # The page runs as long as a server: it has a background worker, and does not wait for the model. It
    # searches while somebody types, so a question that finds nothing may be incomplete and is not kept.
    app = Application(replace(invocation.config, questions="forget"), model_timeout=0)

    def announce(address: str) -> None:
        invocation.print_result({"address": address}, lambda: _show(address))
        sys.stdout.flush()

    try:
        open_page = None if no_browser else open_browser
        run_server(RequestContext(app, invocation.project), listener, announce, open_page)
    finally:
        app.close()
    return 0


def _show(address: str) -> None:
    from sediment_mcp.cli.terminal import open_console, put, style_words

    out = open_console()
    put(out, style_words(("Your memories:", "bold"), (address, "cyan")))
    put(out, style_words(("The address works once. Ctrl-C ends the page.", "dim")))
