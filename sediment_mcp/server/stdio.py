"""The stdio transport: one JSON-RPC message a line on standard input and output.

It knows nothing of MCP beyond the one notification that cancels a request, and passes on plain
dictionaries. It keeps three rules:

- Standard output belongs to the protocol. `protect_stdout` moves the real descriptors out of reach before
  anything else is imported; whatever prints afterwards, in Python, in C or in a child, reaches stderr.
- Every request is answered exactly once, unless it is cancelled. So the session is told of the end of
  input only when the calls in flight are answered, or a time limit has passed. And the client's ids are
  replaced by numbers of our own, because the SDK takes 5 and "5" for the same id, and the late answer to a
  cancelled request would be taken for the answer to a new request of the same id.
- Nothing the client does or omits may keep the process alive: reading and writing have threads of their
  own that die with the process.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import os
import queue
import signal
import sys
import threading
import time
from contextlib import suppress
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
from sediment_mcp.system.text import format_value

SHUTTING_DOWN = -32000
"""The error code of a call that was still running when the time to answer had passed."""

GRACE_AT_EOF = 1.3  # seconds
GRACE_AT_SIGNAL = 1.0  # seconds
CLOSING_TIME = 0.4  # seconds
"""Hosts kill a server two seconds after they have closed its input, so the calls in flight get the grace,
and closing the application and flushing the output share what is left."""

CANCELLED = "notifications/cancelled"

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

    Its two threads read and write; everything else runs in the loop.
    """

    def __init__(self, pipes: ClientPipes) -> None:
        self._pipes = pipes
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._in_flight: dict[tuple[str, Id], int] = {}
        self._ids: dict[int, Id] = {}
        self._numbers = itertools.count(1)
        self._own_requests: set[Id] = set()
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self._end: asyncio.Future[float] = self._loop.create_future()
        self._writer = threading.Thread(target=self._write, name="stdout", daemon=True)
        self._deadline = time.monotonic() + CLOSING_TIME

    def start(self) -> None:
        """Begin to read; from now on a signal or the end of the parent process ends the session."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle_signal)
        self._writer.start()
        threading.Thread(target=self._read, name="stdin", daemon=True).start()
        self._watch_parent()

    def finish(self) -> None:
        """End as after a signal; call it in the event loop only."""
        self._finish(GRACE_AT_SIGNAL)

    async def receive(self) -> Message | None:
        """Return the next message; None at the end."""
        return await self._inbox.get()

    def send(self, message: Message) -> None:
        """Queue a message; drop an answer to a request that is no longer in flight."""
        if is_response(message):
            number = message.get("id")
            if number not in self._ids:
                return
            message = message | {"id": self._remove_request(number)}
        self._put(message)
        if is_request(message):
            self._own_requests.add(message["id"])
            self._cancel_own_requests()

    async def wait_for_end(self) -> None:
        """Wait for the end, then for the calls in flight, but not longer than the grace."""
        grace = await self._end
        self._deadline = time.monotonic() + grace + CLOSING_TIME
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_answered.wait(), grace)
        for number in list(self._ids):
            sentence = "The server is ending before this call has finished; it may still take effect."
            self.send(build_error(number, SHUTTING_DOWN, sentence))
        self._inbox.put_nowait(None)

    def time_left(self) -> float:
        """Return the seconds until the process has to be gone, never less than zero."""
        return max(0.0, self._deadline - time.monotonic())

    def flush(self) -> None:
        """Wait until all messages have been written, or the time that is left has passed."""
        self._outbox.put(None)
        self._writer.join(self.time_left())

    # --- in the loop ------------------------------------------------------------------------------

    def _finish(self, grace: float) -> None:
        if not self._end.done():
            self._end.set_result(grace)
            self._cancel_own_requests()

    def _cancel_own_requests(self) -> None:
        """Answer the server's own requests with an error once the client has left.

        The client will not answer them any more, and the calls that wait for them must not wait in vain.
        """
        while self._end.done() and self._own_requests:
            sentence = "The client has left."
            self._inbox.put_nowait(build_error(self._own_requests.pop(), SHUTTING_DOWN, sentence))

    def _watch_parent(self) -> None:
        """End when the parent process has ended.

        Without this the process might wait for ever for input, if another process holds the pipe open.
        """
        if os.getppid() != self._pipes.parent:
            self._finish(GRACE_AT_SIGNAL)
        else:
            self._loop.call_later(_PARENT_CHECK_INTERVAL, self._watch_parent)

    def _receive_message(self, message: Message) -> None:
        if self._end.done():
            return
        if is_request(message):
            self._accept_request(message)
        elif is_response(message):
            self._own_requests.discard(message["id"])
            self._inbox.put_nowait(message)
        elif message["method"] == CANCELLED:
            self._cancel(message.get("params", {}))
        else:
            self._inbox.put_nowait(message)

    def _accept_request(self, message: Message) -> None:
        """Pass on a request under a number of our own in the place of its id."""
        id = message["id"]
        key = _make_key(id)
        if key in self._in_flight:
            # With the id, this refusal would be taken for the answer to the first request.
            sentence = f"A request with the id {format_value(id)} is still being worked on: use a new id."
            self._put(build_error(None, INVALID_REQUEST, sentence))
            return
        number = self._in_flight[key] = next(self._numbers)
        self._ids[number] = id
        self._all_answered.clear()
        self._inbox.put_nowait(message | {"id": number})

    def _cancel(self, params: dict[str, Any]) -> None:
        """Pass on a cancellation of a request that is in flight, and remove the request."""
        id: object = params.get("requestId")
        number = self._in_flight.get(_make_key(id)) if isinstance(id, str | int) else None
        if number is not None:
            self._remove_request(number)
            self._inbox.put_nowait({"jsonrpc": "2.0", "method": CANCELLED, "params": {"requestId": number}})

    def _remove_request(self, number: int) -> Id:
        """Remove a request in flight; return the id under which the client knows it."""
        id = self._ids.pop(number)
        del self._in_flight[_make_key(id)]
        if not self._in_flight:
            self._all_answered.set()
        return id

    def _put(self, message: Message) -> None:
        try:
            line = encode(message)
        except (ValueError, TypeError, RecursionError):
            log.exception("a message cannot be written as JSON")
            if not is_response(message):
                return
            line = encode(build_error(message["id"], INTERNAL_ERROR, "The answer cannot be written as JSON."))
        self._outbox.put(line)

    # --- in threads -------------------------------------------------------------------------------

    def _handle_signal(self, *_: object) -> None:
        self._run_in_loop(self._finish, GRACE_AT_SIGNAL)

    def _run_in_loop(self, call: Any, *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop has closed, so the session has ended
            self._loop.call_soon_threadsafe(call, *arguments)

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
            self._run_in_loop(self._finish, GRACE_AT_EOF)

    def _deliver(self, line: bytes | InvalidMessage) -> None:
        try:
            if isinstance(line, InvalidMessage):
                raise line
            message = decode(line)
            if message is not None:
                self._run_in_loop(self._receive_message, message)
        except InvalidMessage as error:
            self._run_in_loop(self._put, error.answer)

    def _write(self) -> None:
        """Write the queued lines; a client that has closed its pipe has left."""
        try:
            while (line := self._outbox.get()) is not None:
                view = memoryview(line)
                while view:
                    view = view[os.write(self._pipes.output, view) :]
        except OSError:
            self._run_in_loop(self._finish, GRACE_AT_SIGNAL)
