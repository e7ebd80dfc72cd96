"""The stdio transport: one JSON-RPC message a line on standard input and output, and a tidy end.

It knows nothing of MCP beyond the one notification that forgets a request, and hands over plain
dictionaries. Three rules shape it:

- Standard output belongs to the protocol. `protect_stdout` moves the real descriptors out of reach before
  anything else is imported; whatever prints afterwards, in Python, in C or in a child, reaches stderr.
- Every request is answered exactly once, unless it is cancelled. So the end of input is kept back from
  the session until the calls in flight are answered, for a bounded time. And the session sees numbers of
  ours in the place of the client's ids, because what lies behind it takes 5 and "5" for one id, and a late
  answer to a cancelled request would pass for that to a new one of the same id.
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

from sediment_mcp.errors import shown
from sediment_mcp.server.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    Id,
    Lines,
    Message,
    Refusal,
    decode,
    encode,
    error_message,
    is_request,
    is_response,
)

SHUTTING_DOWN = -32000
"""The error code of a call that was still working when the time to answer had passed."""

GRACE_AT_EOF = 1.3
GRACE_AT_SIGNAL = 1.0
CLOSING_TIME = 0.4
"""Seconds. Hosts kill a server two seconds after they have closed its input, so the calls in flight get
the grace, and closing the library and flushing the output share what is left."""

CANCELLED = "notifications/cancelled"

_PARENT_CHECK = 1.0
_CHUNK = 64 * 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wire:
    """Private descriptors of the protocol's input and output, and the process that started us."""

    inbound: int
    outbound: int
    parent: int


@functools.cache
def protect_stdout() -> Wire:
    """Keep the protocol's descriptors to ourselves, for the life of the process.

    Descriptor 0 becomes the null device, 1 a copy of 2. The private copies are above 2 and not inherited.
    Until the transport listens nothing has been read, so SIGTERM and SIGINT simply end the process.
    """
    parent = os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    _open_missing_descriptors()
    inbound, outbound = _private_copy(0), _private_copy(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    sys.stdout = sys.stderr  # otherwise prints wait in a buffer of their own, and are lost at `os._exit`
    return Wire(inbound, outbound, parent)


def _open_missing_descriptors() -> None:
    """A process may be started with some of 0, 1, 2 closed, and `os.open` would then hand them out."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def _private_copy(descriptor: int) -> int:
    copy = os.dup(descriptor)  # not inherited, see PEP 446
    assert copy > 2, "0, 1 and 2 are all open"
    return copy


def _leave(*_: object) -> None:
    os._exit(0)


def leave_at_the_latest(seconds: float) -> None:
    """End the process after that time, whatever still runs.

    A tool's thread cannot be interrupted, and the interpreter would wait for it: a call that hangs would
    keep the process alive for ever. Nothing is lost, since only a commit makes a memory durable.
    """
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _key(id: Id) -> tuple[str, Id]:
    """1, True and "1" are three ids; in Python the first two are equal."""
    return type(id).__name__, id


class StdioTransport:
    """Messages of one client, from `start` until `ended`. Everything but the two threads runs in the loop."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._in_flight: dict[tuple[str, Id], int] = {}
        self._ids: dict[int, Id] = {}
        self._numbers = itertools.count(1)
        self._asked: set[Id] = set()
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self._end: asyncio.Future[float] = self._loop.create_future()
        self._writer = threading.Thread(target=self._write, name="stdout", daemon=True)
        self._deadline = time.monotonic() + CLOSING_TIME

    def start(self) -> None:
        """Begin to read; from here on a signal, or the parent's death, means an orderly end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)
        self._writer.start()
        threading.Thread(target=self._read, name="stdin", daemon=True).start()
        self._watch_parent()

    def finish(self) -> None:
        """End as after a signal. From the loop only."""
        self._finish(GRACE_AT_SIGNAL)

    async def receive(self) -> Message | None:
        """The next message; None at the end."""
        return await self._inbox.get()

    def send(self, message: Message) -> None:
        """Queue a message. An answer that nobody waits for any more is dropped."""
        if is_response(message):
            number = message.get("id")
            if number not in self._ids:
                return
            message = message | {"id": self._settle(number)}
        self._put(message)
        if is_request(message):
            self._asked.add(message["id"])
            self._give_up_asking()

    async def ended(self) -> None:
        """Wait for the end, then for the calls in flight, but not longer than the grace."""
        grace = await self._end
        self._deadline = time.monotonic() + grace + CLOSING_TIME
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_answered.wait(), grace)
        for number in list(self._ids):
            sentence = "The server is ending before this call has finished; it may still take effect."
            self.send(error_message(number, SHUTTING_DOWN, sentence))
        self._inbox.put_nowait(None)

    def time_left(self) -> float:
        """Seconds until the process has to be gone, never less than zero."""
        return max(0.0, self._deadline - time.monotonic())

    def flush(self) -> None:
        """Wait until all that was sent has left the process, but not longer than the time that is left."""
        self._outbox.put(None)
        self._writer.join(self.time_left())

    # --- in the loop ------------------------------------------------------------------------------

    def _finish(self, grace: float) -> None:
        if not self._end.done():
            self._end.set_result(grace)
            self._give_up_asking()

    def _give_up_asking(self) -> None:
        """After the end the client answers no question of ours, and a call must not wait for one."""
        while self._end.done() and self._asked:
            sentence = "The client has left."
            self._inbox.put_nowait(error_message(self._asked.pop(), SHUTTING_DOWN, sentence))

    def _watch_parent(self) -> None:
        """An orphan may keep a pipe that somebody else still holds open, and wait for ever."""
        if os.getppid() != self._wire.parent:
            self._finish(GRACE_AT_SIGNAL)
        else:
            self._loop.call_later(_PARENT_CHECK, self._watch_parent)

    def _received(self, message: Message) -> None:
        if self._end.done():
            return
        if is_request(message):
            self._ask(message)
        elif is_response(message):
            self._asked.discard(message["id"])
            self._inbox.put_nowait(message)
        elif message["method"] == CANCELLED:
            self._cancel(message.get("params", {}))
        else:
            self._inbox.put_nowait(message)

    def _ask(self, message: Message) -> None:
        """Hand over a request under a number of ours."""
        id = message["id"]
        key = _key(id)
        if key in self._in_flight:
            # With the id, this refusal would pass for the answer to the first request.
            sentence = f"A request with the id {shown(id)} is still being worked on: use a new id."
            self._put(error_message(None, INVALID_REQUEST, sentence))
            return
        number = self._in_flight[key] = next(self._numbers)
        self._ids[number] = id
        self._all_answered.clear()
        self._inbox.put_nowait(message | {"id": number})

    def _cancel(self, params: dict[str, Any]) -> None:
        """Hand over a cancellation, if what it cancels is in flight, and forget that request."""
        id: object = params.get("requestId")
        number = self._in_flight.get(_key(id)) if isinstance(id, str | int) else None
        if number is not None:
            self._settle(number)
            self._inbox.put_nowait({"jsonrpc": "2.0", "method": CANCELLED, "params": {"requestId": number}})

    def _settle(self, number: int) -> Id:
        """Forget a request; the id under which the client knows it."""
        id = self._ids.pop(number)
        del self._in_flight[_key(id)]
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
            line = encode(
                error_message(message["id"], INTERNAL_ERROR, "The answer cannot be written as JSON.")
            )
        self._outbox.put(line)

    # --- in threads -------------------------------------------------------------------------------

    def _signalled(self, *_: object) -> None:
        self._from_thread(self._finish, GRACE_AT_SIGNAL)

    def _from_thread(self, call: Any, *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop has closed: it is over anyway
            self._loop.call_soon_threadsafe(call, *arguments)

    def _read(self) -> None:
        """Bytes to messages. ``os.read`` instead of a buffered file: a thread that waits in it holds no
        lock that the interpreter would wait for at its end."""
        lines = Lines()
        try:
            while data := os.read(self._wire.inbound, _CHUNK):
                for line in lines.feed(data):
                    self._deliver(line)
            for line in lines.rest():
                self._deliver(line)
        except OSError as error:
            log.debug("standard input cannot be read any more: %s", error)
        finally:
            self._from_thread(self._finish, GRACE_AT_EOF)

    def _deliver(self, line: bytes | Refusal) -> None:
        try:
            if isinstance(line, Refusal):
                raise line
            message = decode(line)
            if message is not None:
                self._from_thread(self._received, message)
        except Refusal as refusal:
            self._from_thread(self._put, refusal.answer)

    def _write(self) -> None:
        """Lines to bytes. A client that has closed its end is a client that has left."""
        try:
            while (line := self._outbox.get()) is not None:
                view = memoryview(line)
                while view:
                    view = view[os.write(self._wire.outbound, view) :]
        except OSError:
            self._from_thread(self._finish, GRACE_AT_SIGNAL)
