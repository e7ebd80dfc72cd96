"""A wire between clients and PostgreSQL that adds time to each round trip and counts the round trips.

    python benchmarks/wire.py --to FOLDER_OF_THE_SOCKET [--delay 1]

prints the port on which it listens. For each line on its standard input it prints the round trips since the
line before as JSON: a list of them, each with the connection's number and the statements that went with it.
It ends when its input does. A round trip begins with what a client sends after the database has spoken; all
that a client sends before the database speaks again belongs to it. What goes to the database arrives
``--delay`` milliseconds later, so that a pipeline pays once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import queue
import socket
import struct
import sys
import threading
import time
from typing import Any

CHUNK = 1 << 16
UNTYPED_CODES = {80877103, 80877104, 80877102}  # TLS, GSS and cancel requests, before a session begins
SQL_CHARS = 2000


class Wire:
    """All connections through one listener."""

    def __init__(self, to: str, delay: float) -> None:
        self._to, self._delay = to, delay
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._trips: list[dict[str, Any]] = []
        self._count = 0

    def accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._to)
            self._count += 1
            _Connection(self, self._count, client, server, self._delay).start()

    def begin_trip(self, connection: int) -> list[str]:
        """Count a round trip, and return the list that its statements go into."""
        statements: list[str] = []
        with self._lock:
            self._trips.append({"connection": connection, "statements": statements})
        return statements

    def take(self) -> list[dict[str, Any]]:
        with self._lock:
            taken, self._trips = self._trips, []
        return taken


class _Connection:
    """Two directions: what goes to the database is read, kept for the delay, and written."""

    def __init__(
        self, wire: Wire, number: int, client: socket.socket, server: socket.socket, delay: float
    ) -> None:
        self._wire, self._number, self._client, self._server = wire, number, client, server
        self._delay = delay
        self._waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        self._has_server_spoken = True
        self._statements: list[str] = []
        self._messages = Messages()

    def start(self) -> None:
        for work in (self._read_client, self._write_server, self._read_server):
            threading.Thread(target=work, daemon=True).start()

    def _read_client(self) -> None:
        while data := _receive(self._client):
            if self._has_server_spoken:
                self._has_server_spoken = False
                self._statements = self._wire.begin_trip(self._number)
            self._statements.extend(self._messages.read(data))
            self._waiting.put((time.perf_counter() + self._delay, data))
        self._waiting.put((0.0, b""))

    def _write_server(self) -> None:
        while True:
            due, data = self._waiting.get()
            if (left := due - time.perf_counter()) > 0:
                time.sleep(left)
            if not data:
                _shut(self._server)
                return
            try:
                self._server.sendall(data)
            except OSError:
                return

    def _read_server(self) -> None:
        while data := _receive(self._server):
            self._has_server_spoken = True
            try:
                self._client.sendall(data)
            except OSError:
                break
        _shut(self._client)
        self._client.close()
        self._server.close()


class Messages:
    """Reads a client's messages as they come, in pieces of any size, and names the statements in them."""

    def __init__(self) -> None:
        self._rest = b""
        self._has_begun = False
        self._names: dict[bytes, str] = {}

    def read(self, data: bytes) -> list[str]:
        """Return the statements that this piece has completed."""
        self._rest += data
        found: list[str] = []
        while (message := self._next()) is not None:
            kind, body = message
            if kind == b"Q":
                found.append(_shorten(body.rstrip(b"\0")))
            elif kind == b"P":
                name, sql, _ = body.split(b"\0", 2)
                self._names[name] = _shorten(sql)
            elif kind == b"B":
                _, name, _ = body.split(b"\0", 2)
                found.append(self._names.get(name, "?"))
        return found

    def _next(self) -> tuple[bytes, bytes] | None:
        head = 1 if self._has_begun else 0
        if len(self._rest) < head + 4:
            return None
        (length,) = struct.unpack_from(">i", self._rest, head)
        if len(self._rest) < head + length:
            return None
        kind, body = self._rest[:head], self._rest[head + 4 : head + length]
        self._rest = self._rest[head + length :]
        if not self._has_begun:
            self._has_begun = struct.unpack_from(">i", body)[0] not in UNTYPED_CODES
        return kind, body


def _shorten(sql: bytes) -> str:
    return " ".join(sql.decode(errors="replace").split())[:SQL_CHARS]


def _receive(end: socket.socket) -> bytes:
    try:
        return end.recv(CHUNK)
    except OSError:
        return b""


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--to", required=True, help="the database's socket, a file")
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds added to a round trip")
    chosen = parser.parse_args()
    wire = Wire(chosen.to, chosen.delay / 1000)
    threading.Thread(target=wire.accept, daemon=True).start()
    print(wire.port, flush=True)
    for _ in sys.stdin:
        print(json.dumps(wire.take()), flush=True)


if __name__ == "__main__":
    main()
