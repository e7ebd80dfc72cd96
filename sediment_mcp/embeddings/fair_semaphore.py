"""A limit on how many runs of a model happen at once.

Each run needs memory of its own, which a runtime keeps for the next one: 20 calls at the same moment, without
a limit, raise a server's use of memory by 300 MB permanently, and are answered no sooner, because the
processors are busy anyway.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator


class FairSemaphore:
    """A semaphore that prefers a waiting thread to one that has just released a place.

    So a query is answered between the batches of a long import. A plain lock would mostly be taken again by
    the thread that has just released it.
    """

    def __init__(self, places: int = 1) -> None:
        self._next = threading.Lock()
        self._places = threading.BoundedSemaphore(places)

    @contextlib.contextmanager
    def acquire(self) -> Generator[None]:
        """Hold one place for the time of a ``with`` block."""
        with self._next:
            self._places.acquire()
        try:
            yield
        finally:
            self._places.release()
