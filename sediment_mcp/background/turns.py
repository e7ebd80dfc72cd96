"""Turns of the background workers of a process: one of them works at a time.

A server over HTTP has a worker for each open tenant. All at once they would slow every call down, because
they share one interpreter with the calls.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager


class Turns:
    """Lets one thread after the other work, in the order in which they came."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[threading.Event] = deque()

    @contextmanager
    def take(self, stop: threading.Event) -> Generator[None]:
        """Wait for one's turn and hold it for the block.

        ``stop`` identifies who waits, and ends the wait when it is set: the block then runs at once.
        """
        with self._changed:
            self._queue.append(stop)
            self._wait(stop)
        try:
            yield
        finally:
            with self._changed:
                self._queue.remove(stop)
                self._changed.notify_all()

    def give_way(self, stop: threading.Event) -> None:
        """Let all who wait have their turn, in the middle of one's own."""
        with self._changed:
            if len(self._queue) > 1:
                self._queue.remove(stop)
                self._queue.append(stop)
                self._changed.notify_all()
                self._wait(stop)

    def end_wait(self) -> None:
        """Let those who have been stopped notice it."""
        with self._changed:
            self._changed.notify_all()

    def _wait(self, stop: threading.Event) -> None:
        self._changed.wait_for(lambda: self._queue[0] is stop or stop.is_set())
