"""Web server for this machine only: its socket, its one-time address, and when it ends."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from sediment_mcp.errors import BadArgument
from sediment_mcp.web.app import build_app
from sediment_mcp.web.auth import AuthMiddleware, make_mount_path
from sediment_mcp.web.request import RequestContext

if TYPE_CHECKING:
    import uvicorn

LOOPBACK = "127.0.0.1"
IDLE_SECONDS = 4 * 3600.0  # without a request, after which the server ends
IDLE_CHECK_SECONDS = 30.0  # between two checks of this time
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
    *,
    idle_timeout: float = IDLE_SECONDS,
) -> None:
    """Answer until Ctrl-C, SIGTERM, or ``idle_timeout`` seconds without a request.

    Args:
        context: What requests are answered from.
        listener: The socket, which is closed at the end.
        announce: Is called with the one-time address.
        idle_timeout: Seconds.
    """
    auth = protect_app(context, listener)
    server = build_server(auth)
    context.app.model.start()
    with listener, _end_when_idle(server, auth, idle_timeout), _end_on_signals():
        announce(auth.address)
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
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
    )


def open_browser(address: str) -> None:
    """Open the address in a thread, because some browsers block their caller."""
    threading.Thread(target=webbrowser.open, args=(address,), name="open browser", daemon=True).start()


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
