"""The command that opens the page."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sediment_mcp.cli.confirm import answer, project

if TYPE_CHECKING:
    from sediment_mcp.app import Library
    from sediment_mcp.cli.options import Chosen

MOST_PORTS = 65_535


def ui(chosen: Chosen, library: Library) -> int:
    """Serve the page until the user ends it."""
    from dataclasses import replace

    from sediment_mcp.app import Library
    from sediment_mcp.web.request import Desk
    from sediment_mcp.web.server import listening, open_browser, serve

    place = listening(_port(chosen.port))
    # Unlike a command, the page stays: it tends what it has stored, and waits for no model. It searches
    # while somebody types, and half a question that finds nothing is none to keep.
    library = Library(replace(library.config, questions="forget"), patience=0)

    def announce(address: str) -> None:
        answer(chosen, {"address": address}, lambda: _show(address))
        sys.stdout.flush()
        if chosen.browser:
            open_browser(address)

    try:
        serve(Desk(library, project(library.config)), place, announce)
    finally:
        library.close()
    return 0


def _show(address: str) -> None:
    from sediment_mcp.cli.terminal import console, put, styled

    out = console()
    put(out, styled(("Your memories:", "bold"), (address, "cyan")))
    put(out, styled(("The address works once. Ctrl-C ends the page.", "dim")))


def _port(text: str | None) -> int:
    from sediment_mcp.errors import BadArgument

    if text is None:
        return 0
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
    if not 0 <= number <= MOST_PORTS:
        raise BadArgument(f"--port is {text!r}: give a number from 1 to {MOST_PORTS}, or leave it out.")
    return number
