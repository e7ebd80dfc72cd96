"""The server process over HTTP: its socket, its signals, and its end.

After SIGTERM or Ctrl-C it goes on listening, refuses new calls, and ends when the running ones have ended.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import uvicorn

from sediment_mcp.access.authenticator import Access
from sediment_mcp.config import Config, unknown_variables
from sediment_mcp.errors import BadArgument
from sediment_mcp.server.http.access_log import log_as_json
from sediment_mcp.server.http.app import HttpParts, build_http_parts
from sediment_mcp.server.http.settings import DRAIN_SECONDS, HttpSettings, bracket, check_exposure
from sediment_mcp.server.stdio import exit_within

MAX_CONNECTIONS = 2_000  # beyond which requests are answered with 503
KEEP_ALIVE_SECONDS = 75  # longer than the proxies' own minute, so that they and not we close first
STREAM_SECONDS = 2  # that open streams have to close, once all calls have ended
CLOSE_SECONDS = 1.0  # that cancelled calls have to end before their tenants are closed

log = logging.getLogger(__name__)


def serve_http(
    config: Config,
    settings: HttpSettings,
    announce: Callable[[str], None],
) -> NoReturn:
    """Serve until a signal arrives and the running calls have ended, then end the process.

    ``announce`` is told the address.

    Callers are asked for a token if there is any, or an identity provider is configured.

    Raises:
        BadArgument: the address cannot be used, or it is reached from elsewhere and nobody is asked who they
            are.
    """
    log_as_json(config.log_level)
    for warning in unknown_variables():
        log.warning(warning)
    access = Access(config, public_url=settings.public_url)
    with contextlib.closing(access), contextlib.ExitStack() as closing:
        has_callers = access.has_callers()
        check_exposure(settings, has_authentication=has_callers)
        parts = build_http_parts(config, settings, access if has_callers else None, access.issuer)
        listener = closing.enter_context(_listen(settings))
        if settings.metrics is not None:
            server, thread = parts.metrics.serve(settings.metrics)
            closing.callback(thread.join)
            closing.callback(server.shutdown)
        parts.tenants.start_model()
        host, port = listener.getsockname()[:2]
        announce(f"http://{bracket(host)}:{port}")
        try:
            _HttpServer(parts).run([listener])
        finally:
            parts.tenants.close(CLOSE_SECONDS)
    sys.stderr.flush()
    os._exit(0)  # the interpreter's own end would wait for calls that hang


class _HttpServer(uvicorn.Server):
    """A server that ends when its calls have ended."""

    def __init__(self, parts: HttpParts) -> None:
        super().__init__(
            uvicorn.Config(
                parts.app,  # pyright: ignore[reportArgumentType] - its types name each message of ASGI
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=STREAM_SECONDS,
            )
        )
        self._parts = parts
        self._deadline = 0.0
        self._is_end_bound = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; at the second signal end at once."""
        if self._parts.drain.has_begun:
            self.should_exit = self.force_exit = True
        self._deadline = time.monotonic() + DRAIN_SECONDS
        self._parts.drain.begin()

    async def on_tick(self, counter: int) -> bool:
        """Return whether to end now; asked ten times a second."""
        if self._parts.drain.has_begun:
            self._bound_end()
            is_late = time.monotonic() > self._deadline
            self.should_exit = self.should_exit or is_late or not self._parts.drain.running
        return await super().on_tick(counter)

    def _bound_end(self) -> None:
        """End the process at a time whatever hangs: a call's thread cannot be interrupted."""
        if not self._is_end_bound:
            self._is_end_bound = True
            exit_within(DRAIN_SECONDS + STREAM_SECONDS + CLOSE_SECONDS)


def _listen(settings: HttpSettings) -> socket.socket:
    """Return the listening socket; port 0 takes a free one.

    Raises:
        BadArgument: the address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise BadArgument(
            f"--host {settings.host} cannot be used ({error.strerror}): name another."
        ) from None
    if sys.platform != "win32":  # on Windows it would let two servers listen on the same port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise BadArgument(
            f"{settings.host}:{settings.port} cannot be used ({error.strerror}): choose another with --port "
            "or --host."
        ) from None
    return listener
