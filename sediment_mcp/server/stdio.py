"""The stdio transport: one JSON-RPC message a line on standard input and output.

It knows nothing of MCP beyond the one notification that cancels a request, and passes on plain
dictionaries, each in the thread that reads. It keeps three rules:

- Standard output belongs to the protocol. `protect_stdout` moves the real descriptors out of reach before
  anything else is imported; whatever prints afterwards, in Python, in C or in a child, reaches stderr.
- Every request is answered exactly once, unless it is cancelled. So the process ends only when the calls in
  flight are answered, or a time limit has passed. And the client's ids are replaced by numbers of our own,
  because the late answer to a cancelled request would be taken for the answer to a new request of the same
  id, and 1, True and "1" are three ids.
- Nothing the client does or omits may keep the process alive: reading and writing have threads of their
  own that die with the process.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sediment_mcp.server.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    Id,
    InvalidMessage,
    LineSplitter,
    Message,
    build_error,
    decode,
    encode,
    is_request,
    is_response,
)
from sediment_mcp.server.protocol import CANCELLED
from sediment_mcp.system.text import format_value

SHUTTING_DOWN = -32000
"""The error code of a call that was still running when the time to answer had passed."""

GRACE_AT_EOF = 1.3  # seconds
GRACE_AT_SIGNAL = 1.0  # seconds
CLOSING_TIME = 0.4  # seconds
"""Hosts kill a server two seconds after they have closed its input, so the calls in flight get the grace,
and closing the application and flushing the output share what is left."""

_PARENT_CHECK_INTERVAL = 1.0  # seconds
_READ_BYTES = 64 * 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClientPipes:
    """Private descriptors of the protocol's input and output.

    ``parent`` is the id of the process that started this one.
    """

    input: int
    output: int
    parent: int


@functools.cache
def protect_stdout() -> ClientPipes:
    """Move the protocol's descriptors to private numbers, for the life of the process.

    Descriptor 0 becomes the null device, 1 a copy of 2. The private copies are above 2 and not inherited.
    Until the transport listens nothing has been read, so SIGTERM and SIGINT simply end the process.
    """
    parent = os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    _open_missing_descriptors()
    inbound, outbound = _duplicate(0), _duplicate(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    sys.stdout = sys.stderr  # otherwise prints wait in a buffer of their own, and are lost at `os._exit`
    return ClientPipes(inbound, outbound, parent)


def _open_missing_descriptors() -> None:
    """Open the null device for each of the descriptors 0, 1 and 2 that is closed.

    Otherwise `os.open` would use the free number for another file.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def _duplicate(descriptor: int) -> int:
    copy = os.dup(descriptor)  # not inherited, see PEP 446
    assert copy > 2, "0, 1 and 2 are all open"
    return copy


def _exit(*_: object) -> None:
    os._exit(0)


def exit_within(seconds: float) -> None:
    """End the process after so many seconds, whatever still runs.

    A tool's thread cannot be interrupted, and the interpreter would wait for it: a call that hangs would
    keep the process alive for ever. Nothing is lost, since only a commit makes a memory durable.
    """
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _make_key(id: Id) -> tuple[str, Id]:
    """Return a key that tells the ids 1, True and "1" apart, though 1 equals True in Python."""
    return type(id).__name__, id


class StdioTransport:
    """The messages of one client, from `start` until `wait_for_end`.

    Two threads read and write. Every method may be called from any thread, except `start` and `wait_for_end`,
    which are for the main thread.
    """

    def __init__(self, pipes: ClientPipes) -> None:
        self._pipes = pipes
        self._receive: Callable[[Message], None] = _ignore
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._ends: queue.SimpleQueue[float] = queue.SimpleQueue()
        """The grace of each reason to end; this is the one kind of queue that a signal handler may use."""
        self._changing = threading.Condition()  # guards what follows
        self._in_flight: dict[tuple[str, Id], int] = {}
        self._ids: dict[int, Id] = {}
        self._own_requests: set[Id] = set()
        self._is_ending = False
        self._numbers = itertools.count(1)
        self._writer = threading.Thread(target=self._write, name="stdout", daemon=True)
        self._deadline = time.monotonic() + CLOSING_TIME

    def start(self, receive: Callable[[Message], None]) -> None:
        """Begin to read, and call ``receive`` with each message, one after the other.

        From now on a signal or the end of the parent process ends the session.
        """
        self._receive = receive
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle_signal)
        self._writer.start()
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def finish(self) -> None:
        """End as after a signal."""
        self._ends.put(GRACE_AT_SIGNAL)

    def send(self, message: Message) -> None:
        """Queue a message; drop an answer to a request that is no longer in flight."""
        with self._changing:  # so that no cancellation and no later answer comes in between
            if is_response(message):
                id = self._remove_request(message["id"])
                if id is None:
                    return
                message = message | {"id": id}
            elif is_request(message):
                self._own_requests.add(message["id"])
            self._put(message)
        if is_request(message):
            self._cancel_own_requests()

    def wait_for_end(self) -> None:
        """Wait for the end, then for the calls in flight, but not longer than the grace."""
        grace = self._wait_for_reason()
        self._deadline = time.monotonic() + grace + CLOSING_TIME
        with self._changing:
            self._is_ending = True
        self._cancel_own_requests()
        with self._changing:
            self._changing.wait_for(lambda: not self._ids, grace)
            late = list(self._ids)
        for number in late:
            sentence = "The server is ending before this call has finished; it may still take effect."
            self.send(build_error(number, SHUTTING_DOWN, sentence))

    def time_left(self) -> float:
        """Return the seconds until the process has to be gone, never less than zero."""
        return max(0.0, self._deadline - time.monotonic())

    def flush(self) -> None:
        """Wait until all messages have been written, or the time that is left has passed."""
        self._outbox.put(None)
        self._writer.join(self.time_left())

    # --- the end ----------------------------------------------------------------------------------

    def _handle_signal(self, *_: object) -> None:
        self.finish()

    def _wait_for_reason(self) -> float:
        """Wait for a reason to end; return how many seconds the calls in flight have then.

        An orphan ends as after a signal, because a pipe that somebody else has inherited may stay open.
        """
        while True:
            try:
                return self._ends.get(timeout=_PARENT_CHECK_INTERVAL)
            except queue.Empty:
                if os.getppid() != self._pipes.parent:
                    return GRACE_AT_SIGNAL

    def _cancel_own_requests(self) -> None:
        """Answer the server's own requests with an error once the client has left.

        The client will not answer them any more, and the calls that wait for them must not wait in vain.
        """
        with self._changing:
            cancelled = list(self._own_requests) if self._is_ending else []
            self._own_requests.difference_update(cancelled)
        for id in cancelled:
            self._receive(build_error(id, SHUTTING_DOWN, "The client has left."))

    # --- messages of the client -------------------------------------------------------------------

    def _receive_message(self, message: Message) -> None:
        if self._is_ending:
            return
        if is_request(message):
            self._accept_request(message)
        elif is_response(message):
            with self._changing:
                self._own_requests.discard(message["id"])
            self._receive(message)
        elif message["method"] == CANCELLED:
            self._cancel(message.get("params", {}))
        else:
            self._receive(message)

    def _accept_request(self, message: Message) -> None:
        """Pass on a request under a number of our own in the place of its id."""
        id = message["id"]
        key = _make_key(id)
        if key in self._in_flight:
            # With the id, this refusal would be taken for the answer to the first request.
            sentence = f"A request with the id {format_value(id)} is still being worked on: use a new id."
            self._put(build_error(None, INVALID_REQUEST, sentence))
            return
        number = next(self._numbers)
        with self._changing:
            self._in_flight[key] = number
            self._ids[number] = id
        self._receive(message | {"id": number})

    def _cancel(self, params: dict[str, Any]) -> None:
        """Pass on a cancellation of a request that is in flight, and remove the request."""
        id: object = params.get("requestId")
        number = self._in_flight.get(_make_key(id)) if isinstance(id, str | int) else None
        if number is not None and self._remove_request(number) is not None:
            self._receive({"jsonrpc": "2.0", "method": CANCELLED, "params": {"requestId": number}})

    def _remove_request(self, number: Any) -> Id | None:
        """Remove a request; return the client's id of it, None if it is not in flight."""
        with self._changing:
            id = self._ids.pop(number, None)
            if id is not None:
                del self._in_flight[_make_key(id)]
                self._changing.notify_all()
            return id

    # --- bytes ------------------------------------------------------------------------------------

    def _put(self, message: Message) -> None:
        try:
            line = encode(message)
        except (ValueError, TypeError, RecursionError):
            log.exception("a message cannot be written as JSON")
            if not is_response(message):
                return
            line = encode(build_error(message["id"], INTERNAL_ERROR, "The answer cannot be written as JSON."))
        self._outbox.put(line)

    def _read(self) -> None:
        """Read bytes from the client and pass on the messages in them.

        `os.read` is used instead of a buffered file, because a thread that waits in it holds no lock that the
        interpreter needs when it exits.
        """
        lines = LineSplitter()
        try:
            while data := os.read(self._pipes.input, _READ_BYTES):
                for line in lines.feed(data):
                    self._deliver(line)
            for line in lines.finish():
                self._deliver(line)
        except OSError as error:
            log.debug("standard input cannot be read any more: %s", error)
        finally:
            self._ends.put(GRACE_AT_EOF)

    def _deliver(self, line: bytes | InvalidMessage) -> None:
        try:
            if isinstance(line, InvalidMessage):
                raise line
            message = decode(line)
            if message is not None:
                self._receive_message(message)
        except InvalidMessage as error:
            self._put(error.answer)

    def _write(self) -> None:
        """Write the queued lines; a client that has closed its pipe has left."""
        try:
            while (line := self._outbox.get()) is not None:
                view = memoryview(line)
                while view:
                    view = view[os.write(self._pipes.output, view) :]
        except OSError:
            self.finish()


def _ignore(_: Message) -> None:
    pass
