"""Start the server without importing the commands.

Every host waits for the start, and the server needs none of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from sediment_mcp.cli.confirm import report_error, say


def start_server(flags: Mapping[str, str | None]) -> int:
    """Serve MCP over stdin and stdout until the host ends it; return the exit status."""
    is_typed = os.isatty(0)  # else a host has started it, from wherever it stands
    if is_typed:
        say("Serving MCP on stdin and stdout, for a host to talk to. Ctrl-C ends it, --help shows more.")
    from sediment_mcp.server.stdio import protect_stdout

    protect_stdout()  # before any other import, because a module may print when it is imported
    from sediment_mcp.config import environment, load_config
    from sediment_mcp.errors import SedimentError

    try:
        config = load_config(environment(), flags, are_flags_typed=is_typed)
        from sediment_mcp.system.garbage_collection import loading, postpone_full_collections

        postpone_full_collections()
        with loading():
            from sediment_mcp.server.run import serve

        serve(config)
    except SedimentError as error:
        return report_error(error)
