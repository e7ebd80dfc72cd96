"""The server process, which serves one client over stdio.

It ends when the client leaves or a signal arrives.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn

from sediment_mcp.config import Config, unknown_variables
from sediment_mcp.server.connection import Connection
from sediment_mcp.server.jsonrpc import Message
from sediment_mcp.server.parts import LateParts
from sediment_mcp.server.requests import Requests
from sediment_mcp.server.stdio import StdioTransport, exit_within, protect_stdout
from sediment_mcp.system.logging_setup import log_to_stderr

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

LOG_FORMAT = "sediment-mcp %(levelname)s: %(message)s"
MAX_CALLS = 40  # that run at the same time; more wait for their turn

log = logging.getLogger(__name__)


def serve(config: Config) -> NoReturn:
    """Serve MCP until the client leaves or a signal arrives, then end the process."""
    pipes = protect_stdout()
    log_to_stderr(config.log_level, LOG_FORMAT)
    for warning in unknown_variables():
        log.warning(warning)
    _Server(config, StdioTransport(pipes)).run()
    sys.stderr.flush()
    os._exit(0)  # the interpreter's own end would wait for calls that hang, and for imports under way


class _Server:
    """The transport, the connection and the parts that answer, put together."""

    def __init__(self, config: Config, transport: StdioTransport) -> None:
        self._transport = transport
        self._parts = LateParts(config)
        self._under_way: set[Future[None]] = set()
        self._connection = Connection(Requests(config, self._parts), self._send, self._start_call)

    def run(self) -> None:
        """Serve until the end, and close the application."""
        self._transport.start(self._connection.receive)
        self._transport.wait_for_end()
        exit_within(self._transport.time_left())
        self._wait_for_calls(self._transport.time_left() / 4)
        try:
            self._parts.close()
        except Exception:
            log.exception("the application cannot be closed")
        self._transport.flush()

    def _send(self, message: Message) -> None:
        self._transport.send(message)
        self._parts.import_soon()

    def _start_call(self, call: Callable[[], None]) -> None:
        future = self._calls.submit(call)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)

    def _wait_for_calls(self, timeout: float) -> None:
        """Let calls complete whose answers nobody waits for, because they were cancelled."""
        if self._under_way:
            from concurrent.futures import wait

            wait(list(self._under_way), timeout)

    @cached_property
    def _calls(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(MAX_CALLS, thread_name_prefix="call")
