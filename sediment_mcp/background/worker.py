"""Work off the path of calls: embeddings that are missing, snapshots that lag behind.

One daemon thread a process, woken by writes and asleep otherwise. Whatever it is doing when the process
dies, the next process, or another one, takes up from what is committed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sediment_mcp.system.progress import Progress, Stopped, until

logger = logging.getLogger(__name__)

REST = 60.0  # seconds between looks at what other processes may have left undone
SETTLE = 0.2  # seconds that a burst of writes gets before work begins beside it


class Upkeep:
    """Runs ``work`` in a thread: after each `wake`, and once in a while."""

    def __init__(self, work: Callable[[Progress], None]) -> None:
        """``work`` gets a watcher that tells it to stop when the process ends."""
        self._work = work
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def close(self, patience: float) -> None:
        """Ask the thread to end and wait for it, at most ``patience`` seconds."""
        self._stop.set()
        self._woken.set()
        self._thread.join(patience)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._woken.wait(REST)
            self._stop.wait(SETTLE)
            self._woken.clear()
            if self._stop.is_set():
                return
            try:
                self._work(until(self._stop.is_set))
            except Stopped:
                return
            except Exception:
                logger.exception("Work in the background failed and is tried again later")
                self._stop.wait(REST)  # what failed may have woken the thread by its own writes
