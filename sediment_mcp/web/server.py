"""The page's server on this machine alone: its socket, its one-time address, its end."""

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
from sediment_mcp.web.app import site
from sediment_mcp.web.auth import Gate, new_place
from sediment_mcp.web.request import Desk

if TYPE_CHECKING:
    import uvicorn

HERE = "127.0.0.1"
IDLE = 4 * 3600.0  # seconds without a request, after which nobody is looking any more
LOOKS = 30.0  # seconds between two looks whether that is so
GRACE = 2  # seconds that requests under way get when it ends


def listening(port: int) -> socket.socket:
    """A socket that only this machine reaches; port 0 takes a free one.

    Raises:
        BadArgument: the port is taken.
    """
    place = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":  # where it means something else: that two may listen
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        place.bind((HERE, port))
        place.listen()
    except OSError as error:
        place.close()
        raise BadArgument(
            f"Port {port} cannot be used ({error.strerror}): choose another, or leave --port out."
        ) from None
    return place


def serve(desk: Desk, place: socket.socket, announce: Callable[[str], None], *, idle: float = IDLE) -> None:
    """Answer until Ctrl-C, SIGTERM, or ``idle`` seconds without a request; ``announce`` gets the address."""
    gate = gate_to(desk, place)
    server = server_behind(gate)
    desk.library.start_model()
    with place, _watched(server, gate, idle), _ending_tidily():
        announce(gate.address)
        server.run(sockets=[place])


def gate_to(desk: Desk, place: socket.socket) -> Gate:
    path = new_place()
    return Gate(site(desk, path), path, place.getsockname()[1])


def server_behind(gate: Gate) -> uvicorn.Server:
    """It writes nothing but errors, and believes no header that a proxy might have sent."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            gate,  # pyright: ignore[reportArgumentType] - its types name each message of ASGI
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
    )


def open_browser(address: str) -> None:
    """In a thread of its own: some browsers keep their caller waiting."""
    threading.Thread(target=webbrowser.open, args=(address,), name="open browser", daemon=True).start()


@contextlib.contextmanager
def _ending_tidily() -> Generator[None]:
    """Ctrl-C and SIGTERM are how this ends, not how it fails; uvicorn raises them again when it is done."""
    with contextlib.suppress(ValueError):  # a test's thread may set no signals
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        yield


@contextlib.contextmanager
def _watched(server: uvicorn.Server, gate: Gate, idle: float) -> Generator[None]:
    """End the server when nobody has asked anything for ``idle`` seconds."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(min(LOOKS, idle)):
            if time.monotonic() - gate.last_asked > idle:
                server.should_exit = True
                return

    threading.Thread(target=watch, name="watch", daemon=True).start()
    try:
        yield
    finally:
        done.set()
