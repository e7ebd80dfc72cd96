"""The wire to PostgreSQL counts what clients wait for, and delays it once a round trip."""

from __future__ import annotations

import socket
import struct
import threading
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from wire import Messages, Wire

ASKED, ANSWERED = b"?", b"!"


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">i", len(body) + 4) + body


def session() -> bytes:
    """What a client sends: a request for TLS, its start, a simple query, and a statement used twice."""
    start = struct.pack(">ii", 8, 80877103) + message(b"", struct.pack(">i", 196608) + b"user\0ann\0\0")
    bind = message(b"B", b"\0one\0" + bytes(6))
    parse = message(b"P", b"one\0SELECT  $1,\n now()\0" + bytes(2))
    return start + message(b"Q", b"BEGIN\0") + parse + bind + message(b"S", b"") + bind + message(b"S", b"")


@given(st.lists(st.integers(0, len(session())), max_size=20))
def test_statements_are_read_however_the_bytes_come(cuts: list[int]) -> None:
    places = sorted({0, len(session()), *cuts})
    messages = Messages()
    pieces = [session()[start:end] for start, end in pairwise(places)]
    found = [statement for piece in pieces for statement in messages.read(piece)]
    assert found == ["BEGIN", "SELECT $1, now()", "SELECT $1, now()"]


def test_all_that_is_sent_before_the_answer_is_one_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        wire = Wire(str(path), delay=0.0)
        threading.Thread(target=wire.accept, daemon=True).start()
        with socket.create_connection(("127.0.0.1", wire.port), timeout=20) as client:
            server, _ = listener.accept()
            with server:
                for pieces in (1, 3):
                    for _ in range(pieces):
                        client.sendall(ASKED)
                        assert server.recv(1) == ASKED  # so that pieces come one by one
                    server.sendall(ANSWERED)
                    assert client.recv(1) == ANSWERED
    assert [trip["connection"] for trip in wire.take()] == [1, 1]
    assert wire.take() == []
