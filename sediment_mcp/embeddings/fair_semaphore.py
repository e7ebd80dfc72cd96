"""Taking turns at a model: so many runs at once, and no more.

Each run needs memory of its own, which a runtime keeps for the next one: 20 calls at the same moment, without
turns, leave a server 300 MB larger for good, and are answered no sooner than the processors allow.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator


class Turns:
    """So many places, with a line that is fair to two: whoever waits comes next, so that a query gets in
    between the batches of a long import. A plain lock would mostly go back to the thread that has just let go
    of it."""

    def __init__(self, places: int = 1) -> None:
        self._next = threading.Lock()
        self._places = threading.BoundedSemaphore(places)

    @contextlib.contextmanager
    def take(self) -> Generator[None]:
        with self._next:
            self._places.acquire()
        try:
            yield
        finally:
            self._places.release()
