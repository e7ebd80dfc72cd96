"""End the process when a hook takes too long, because the host waits for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


class Deadline:
    """Ends the process with status 0 after so many seconds, unless it is lifted before."""

    def __init__(
        self, seconds: float, give_up: Callable[[], object], end: Callable[[int], object] = os._exit
    ) -> None:
        """Start the clock; ``give_up`` is called before the process ends, and ``end`` ends it."""
        self._seconds = seconds
        self._give_up = give_up
        self._end = end
        self._lock = threading.Lock()
        self._lifted = threading.Event()
        threading.Thread(target=self._run, name="deadline", daemon=True).start()

    def lift(self) -> None:
        """Let the process go on: from now on it only writes what it has to say.

        Does not return if the time is up already and the process is ending.
        """
        with self._lock:
            self._lifted.set()

    def _run(self) -> None:
        if self._lifted.wait(self._seconds):
            return
        with self._lock:
            if self._lifted.is_set():
                return
            try:
                self._give_up()
            finally:
                self._end(0)
