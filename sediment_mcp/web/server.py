"""Web server for this machine only: its socket, its one-time address, and when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import webbrowser
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sediment_mcp.errors import BadArgument
from sediment_mcp.system.files import PRIVATE_FILE
from sediment_mcp.web.app import build_app
from sediment_mcp.web.auth import BROWSER_SECONDS, AuthMiddleware, make_mount_path
from sediment_mcp.web.request import RequestContext

if TYPE_CHECKING:
    import uvicorn

LOOPBACK = "127.0.0.1"
IDLE_SECONDS = 4 * 3600.0  # without a request, after which the server ends
IDLE_CHECK_SECONDS = 30.0  # between two checks of this time
REQUEST_SECONDS = 10.0  # that a connection has to send a whole request
MAX_WAITING = 64  # connections without a whole request; browsers hold six
REDIRECT = '<meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0;url={address}">'
SHUTDOWN_SECONDS = 2  # for requests that still run when the server ends


def open_socket(port: int) -> socket.socket:
    """Return a listening socket that only this machine reaches; port 0 takes a free one.

    Raises:
        BadArgument: The port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":  # on Windows it would let two servers listen on the same port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise BadArgument(
            f"Port {port} cannot be used ({error.strerror}): choose another, or leave --port out."
        ) from None
    return listener


def run_server(
    context: RequestContext,
    listener: socket.socket,
    announce: Callable[[str], None],
    open_page: Callable[[AuthMiddleware], None] | None = None,
    *,
    idle_timeout: float = IDLE_SECONDS,
) -> None:
    """Answer until Ctrl-C, SIGTERM, or ``idle_timeout`` seconds without a request.

    Args:
        context: What requests are answered from.
        listener: The socket, which is closed at the end.
        announce: Is called with the one-time address.
        open_page: Opens the page in a browser, if given.
        idle_timeout: Seconds.
    """
    auth = protect_app(context, listener)
    server = build_server(auth)
    context.app.model.start()
    with listener, _end_when_idle(server, auth, idle_timeout), _end_on_signals():
        announce(auth.address)
        if open_page is not None:
            open_page(auth)
        server.run(sockets=[listener])


def protect_app(context: RequestContext, listener: socket.socket) -> AuthMiddleware:
    """Return the application with authentication for the port of the socket."""
    mount_path = make_mount_path()
    return AuthMiddleware(build_app(context, mount_path), mount_path, listener.getsockname()[1])


def build_server(auth: AuthMiddleware) -> uvicorn.Server:
    """Return a server that logs errors only, and ignores the headers of proxies."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            auth,  # pyright: ignore[reportArgumentType] - its types name each message of ASGI
            http=_build_protocol(),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
    )


def open_browser(auth: AuthMiddleware) -> None:
    """Open the page in a browser, in a thread, because some browsers block their caller.

    The browser is given a file that leads on to the one-time address: every user of the machine can read the
    arguments of a process, and only this user the file, which is removed when the address has been used.
    """
    threading.Thread(target=_open_file, args=(auth,), name="open browser", daemon=True).start()


def _open_file(auth: AuthMiddleware) -> None:
    with tempfile.TemporaryDirectory(prefix="sediment-") as folder:  # 0700
        file = Path(folder) / "open.html"
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "w") as out:
            out.write(REDIRECT.format(address=auth.browser_address))
        if webbrowser.open(file.as_uri()):
            auth.entered.wait(BROWSER_SECONDS)


def _build_protocol() -> type[asyncio.Protocol]:
    """Return uvicorn's protocol with bounds for connections that wait for a request.

    Any user of the machine can connect. A connection without a whole request is closed after
    `REQUEST_SECONDS`, and the oldest of them as soon as there are more than `MAX_WAITING`.
    """
    from uvicorn.protocols.http.h11_impl import H11Protocol

    waiting: dict[H11Protocol, asyncio.TimerHandle] = {}

    class BoundedProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.wait_for_request()

        def connection_lost(self, exc: Exception | None) -> None:
            self.stop_waiting()
            super().connection_lost(exc)

        def handle_events(self) -> None:
            super().handle_events()
            if self.is_answering:
                self.stop_waiting()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if not self.transport.is_closing() and not self.is_answering:
                self.wait_for_request()

        @property
        def is_answering(self) -> bool:
            cycle: Any = self.cycle  # None before the first request
            return cycle is not None and not cycle.response_complete

        def wait_for_request(self) -> None:
            self.stop_waiting()
            waiting[self] = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)
            if len(waiting) > MAX_WAITING:
                next(iter(waiting)).transport.abort()

        def stop_waiting(self) -> None:
            if (timer := waiting.pop(self, None)) is not None:
                timer.cancel()

    return BoundedProtocol


@contextlib.contextmanager
def _end_on_signals() -> Generator[None]:
    """Let Ctrl-C and SIGTERM end the server; uvicorn raises them again when it is done."""
    with contextlib.suppress(ValueError):  # only the main thread may set signal handlers; tests use another
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        yield


@contextlib.contextmanager
def _end_when_idle(server: uvicorn.Server, auth: AuthMiddleware, idle_timeout: float) -> Generator[None]:
    """End the server when there was no request for ``idle_timeout`` seconds."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(min(IDLE_CHECK_SECONDS, idle_timeout)):
            if time.monotonic() - auth.last_request_at > idle_timeout:
                server.should_exit = True
                return

    threading.Thread(target=watch, name="end when idle", daemon=True).start()
    try:
        yield
    finally:
        done.set()
