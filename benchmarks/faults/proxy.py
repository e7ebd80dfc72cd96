"""A proxy between servers and PostgreSQL that understands its messages, and fails where it is told to.

It listens on 127.0.0.1. It fails in the moments in which a client cannot know what has happened: before a
COMMIT has left, while it is under way, before its answer has come, and in the middle of rows.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

BEFORE_COMMIT, IN_COMMIT, AFTER_COMMIT, IN_ROWS, HOLD_COMMIT = (
    "before COMMIT", "in COMMIT", "after COMMIT", "in rows", "COMMIT is held back",
)  # fmt: skip
ENCRYPTION = (80877103, 80877104)  # codes of a client's question for TLS or GSSAPI, which is answered with no
CANCEL = 80877102
WRITING = (b"INSERT", b"UPDATE", b"DELETE")
Address = tuple[str, int] | Path


class Failure:
    """One failure that was ordered: ``done`` is set when it has happened, ``released`` ends a hold."""

    def __init__(self) -> None:
        self.done, self.released = threading.Event(), threading.Event()


class Proxy:
    """Forwards each connection to ``target``, an address or the path of a socket."""

    def __init__(self, target: Address) -> None:
        self.target = target
        self.dropped = 0  # notifications
        self._goes = threading.Event()
        self._goes.set()
        self._is_refusing = self._is_muted = False
        self._armed: dict[str, Failure] = {}
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    # --- faults -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def armed(self, point: str) -> Iterator[Failure]:
        """Fail at this point once."""
        failure = Failure()
        with self._lock:
            self._armed[point] = failure
        try:
            yield failure
        finally:
            with self._lock:
                self._armed.pop(point, None)
            failure.released.set()

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Forward nothing and close nothing; afterwards go on where it stopped."""
        self._goes.clear()
        try:
            yield
        finally:
            self._goes.set()

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Close all connections and accept none."""
        self._is_refusing = True
        self.cut_all()
        try:
            yield
        finally:
            self._is_refusing = False

    @contextlib.contextmanager
    def muted(self) -> Iterator[None]:
        """Let no notification through."""
        self._is_muted = True
        try:
            yield
        finally:
            self._is_muted = False

    def cut_all(self) -> None:
        for link in list(self._links):
            link.cut()

    def close(self) -> None:
        self._listener.close()
        self._goes.set()
        self.cut_all()

    # --- for the links ------------------------------------------------------------------------

    def fires(self, point: str) -> Failure | None:
        """The failure that was ordered for this point, if any; it happens once."""
        with self._lock:
            return self._armed.pop(point, None)

    def may_go(self) -> None:
        """Wait while nothing is forwarded."""
        self._goes.wait()

    def swallows(self) -> bool:
        """Whether a notification is lost."""
        self.dropped += self._is_muted
        return self._is_muted

    def remove(self, link: _Link) -> None:
        self._links.discard(link)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_refusing:
                _close(client)
                continue
            threading.Thread(target=self._link, args=(client,), daemon=True).start()

    def _link(self, client: socket.socket) -> None:
        self.may_go()
        try:
            server = _connect(self.target)
        except OSError:
            _close(client)
            return
        link = _Link(self, client, server)
        self._links.add(link)
        link.run()


class _Link:
    """One connection: a thread for what the client says, one for what the server answers."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._statements: dict[bytes, bytes] = {}  # prepared ones, by name
        self._is_writing = False
        self._ends_when_sent: Failure | None = None
        self._ends_when_answered: Failure | None = None

    def run(self) -> None:
        answers = threading.Thread(target=self._guard, args=(self._forward_answers,), daemon=True)
        try:
            if self._start():
                answers.start()
                self._guard(self._forward_questions)
        finally:
            self.cut()
            self._proxy.remove(self)

    def cut(self) -> None:
        for end in (self._client, self._server):
            _close(end)

    def _guard(self, forward: object) -> None:
        assert callable(forward)
        try:
            forward()
        except (OSError, EOFError, ValueError):  # ValueError: closed meanwhile
            self.cut()

    def _start(self) -> bool:
        """Forward what comes before the first message with a type; whether there will be more."""
        try:
            while True:
                head = _read_socket(self._client, 8)
                length, code = struct.unpack("!II", head)
                if code in ENCRYPTION:
                    self._client.sendall(b"N")
                    continue
                self._server.sendall(head + _read_socket(self._client, length - 8))
                return code != CANCEL
        except (OSError, EOFError):
            return False

    # --- what the client says -----------------------------------------------------------------

    def _forward_questions(self) -> None:
        stream = self._client.makefile("rb")
        while True:
            kind, body = _message(stream)
            self._proxy.may_go()
            self._fail_at(self._statement(kind, body))
            self._server.sendall(_whole(kind, body))
            if self._ends_when_sent and kind in (b"Q", b"S"):  # S, Sync: until then nothing is committed
                self._end(self._ends_when_sent)

    def _statement(self, kind: bytes, body: bytes) -> bytes:
        """The statement that this message sends or repeats; nothing for all other messages."""
        if kind == b"Q":
            return body.rstrip(b"\0")
        if kind == b"P":
            name, text, _ = body.split(b"\0", 2)
            self._statements[name] = text
            return text if not name else b""  # a named one runs when it is bound
        if kind == b"B":
            name = body.split(b"\0", 2)[1]
            return self._statements.get(name, b"") if name else b""
        return b""

    def _fail_at(self, statement: bytes) -> None:
        """Fail, or prepare to, if this is the end of a transaction that writes."""
        words = statement.lstrip().upper()
        if any(word in words for word in WRITING):
            self._is_writing = True
        if not words.startswith((b"COMMIT", b"ROLLBACK")) or not self._is_writing:
            return
        self._is_writing = False
        if words.startswith(b"ROLLBACK"):
            return
        if failure := self._proxy.fires(BEFORE_COMMIT):
            self._end(failure)
        if failure := self._proxy.fires(HOLD_COMMIT):
            failure.done.set()
            failure.released.wait()
        self._ends_when_sent = self._proxy.fires(IN_COMMIT)
        self._ends_when_answered = self._proxy.fires(AFTER_COMMIT)

    def _end(self, failure: Failure) -> NoReturn:
        self.cut()
        failure.done.set()
        raise EOFError

    # --- what the server answers --------------------------------------------------------------

    def _forward_answers(self) -> None:
        stream = self._server.makefile("rb")
        while True:
            kind, body = _message(stream)
            self._proxy.may_go()
            if kind == b"A" and self._proxy.swallows():
                continue
            if kind == b"C" and body.startswith(b"COMMIT") and self._ends_when_answered:
                self._end(self._ends_when_answered)
            whole = _whole(kind, body)
            if kind == b"D" and (failure := self._proxy.fires(IN_ROWS)):
                self._client.sendall(whole[: len(whole) // 2])
                self._end(failure)
            self._client.sendall(whole)


def _message(stream: BinaryIO) -> tuple[bytes, bytes]:
    head = _read(stream, 5)
    return head[:1], _read(stream, struct.unpack("!I", head[1:])[0] - 4)


def _whole(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _read(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data


def _read_socket(end: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = end.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _connect(target: Address) -> socket.socket:
    if isinstance(target, Path):
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(target))
        return server
    return socket.create_connection(target)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        end.close()
