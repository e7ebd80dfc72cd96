"""The server process, which serves one client over stdio.

It ends when the client leaves or a signal arrives.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

from sediment_mcp.app import Application
from sediment_mcp.config import Config, unknown_variables
from sediment_mcp.server.app import build_server
from sediment_mcp.server.sdk_streams import IncomingMessages, OutgoingMessages
from sediment_mcp.server.stdio import ClientPipes, StdioTransport, exit_within, protect_stdout
from sediment_mcp.system.logging_setup import log_to_stderr

LOG_FORMAT = "sediment-mcp %(levelname)s: %(message)s"

log = logging.getLogger(__name__)


def serve(config: Config) -> int:
    """Serve MCP until the client leaves or a signal arrives; return the exit status."""
    pipes = protect_stdout()
    log_to_stderr(config.log_level, LOG_FORMAT)
    for warning in unknown_variables():
        log.warning(warning)
    return asyncio.run(_serve(config, pipes))


async def _serve(config: Config, pipes: ClientPipes) -> int:
    app = Application(config)
    server = build_server(config, app)
    transport = StdioTransport(pipes)
    options = server.create_initialization_options()
    session = asyncio.create_task(
        server.run(IncomingMessages(transport), OutgoingMessages(transport), options)
    )
    session.add_done_callback(lambda _: transport.finish())
    transport.start()
    await transport.wait_for_end()
    exit_within(transport.time_left())
    await asyncio.wait({session}, timeout=transport.time_left() / 4)  # a call that hangs keeps it from ending
    app.close()
    transport.flush()
    return _get_exit_status(session)


def _get_exit_status(session: asyncio.Task[Any]) -> int:
    if not session.done():
        os._exit(0)  # a thread cannot be stopped, and `asyncio.run` would wait for it
    if error := session.exception():
        log.error("the session has failed", exc_info=error)
        return 1
    return 0
