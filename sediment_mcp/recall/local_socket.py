"""The local socket by which a hook asks a server that is running anyway.

A server has its model and its indexes in memory and answers in milliseconds, while a hook's own process would
have to load them first. The socket lies in the data directory, which belongs to the user alone, and has the
mode 0600. Where the system has no such sockets, or the directory's path is too long for one, nobody listens,
and each hook searches by itself.

A message is one line of JSON each way, and then the connection ends.
"""

from __future__ import annotations

import json
import socket
import stat
import sys
import time
from pathlib import Path
from typing import Any

from sediment_mcp.system.data_directory import SOCKET, find_fault
from sediment_mcp.system.files import PRIVATE_FILE

MAX_PATH_BYTES = 103  # of a socket's path; macOS holds 104 with the zero at its end, Linux 108
MAX_MESSAGE_BYTES = 256 * 1024
MAX_WAITING = 16  # hooks that the system keeps waiting while another is answered
BLOCK = 64 * 1024  # bytes received at once


def can_listen(directory: Path) -> bool:
    """Return whether a socket can lie in a data directory."""
    return sys.platform != "win32" and len(bytes(_locate(directory))) <= MAX_PATH_BYTES


def _locate(directory: Path) -> Path:
    return directory.absolute() / SOCKET


def listen(directory: Path) -> socket.socket:
    """Listen in the place of whoever listened there before; the caller holds the lock.

    Raises:
        OSError: the socket cannot be made.
    """
    path = _locate(directory)
    path.unlink(missing_ok=True)  # left behind by a process that ended
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(PRIVATE_FILE)
        listener.listen(MAX_WAITING)
    except BaseException:
        listener.close()
        raise
    return listener


def remove_socket(directory: Path) -> None:
    """Remove the socket; only who listens may, while it holds the lock."""
    _locate(directory).unlink(missing_ok=True)


def ask(directory: Path, message: dict[str, Any], seconds: float) -> dict[str, Any] | None:
    """Send a message to the server that listens; return its answer, or None.

    None means that nobody listens, that another user may have put the socket there, or that no whole answer
    has come within ``seconds``.
    """
    if not can_listen(directory):
        return None
    end = time.monotonic() + seconds
    path = _locate(directory)
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode) or find_fault(directory):
            return None
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(str(path))
            send(connection, message, end)
            return receive(connection, end)
    except (OSError, ValueError):
        return None


def send(connection: socket.socket, message: dict[str, Any], end: float) -> None:
    """Send one message by the time ``end`` of the monotonic clock.

    Raises:
        OSError: it could not be sent in time.
    """
    _limit(connection, end)
    connection.sendall(json.dumps(message).encode() + b"\n")


def receive(connection: socket.socket, end: float) -> dict[str, Any]:
    """Return one message that has come by the time ``end`` of the monotonic clock.

    Raises:
        OSError: it has not come in time.
        ValueError: what came is no message.
    """
    data = bytearray()
    while not data.endswith(b"\n"):
        _limit(connection, end)
        block = connection.recv(BLOCK)
        data += block
        if not block or len(data) > MAX_MESSAGE_BYTES:
            raise ValueError("The message has no end.")
    try:
        message: Any = json.loads(data)
    except RecursionError as error:
        raise ValueError("The message is nested too deeply.") from error
    if not isinstance(message, dict):
        raise ValueError("The message is no object.")
    return message  # pyright: ignore[reportUnknownVariableType]


def _limit(connection: socket.socket, end: float) -> None:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)
