"""The background worker: a thread that runs due jobs beside the calls.

There is one daemon thread in a process, which writes wake and which otherwise sleeps. If the process dies
during a job, the next process or another one continues from the last commit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sediment_mcp.errors import Stopped
from sediment_mcp.system.garbage_collection import collect_if_due
from sediment_mcp.system.progress import Progress, stop_when
from sediment_mcp.tuning import Tuning

logger = logging.getLogger(__name__)


class Worker:
    """Runs ``work`` in a thread, after each `wake` and at intervals.

    The first `wake` starts the thread.
    """

    def __init__(
        self, work: Callable[[Progress], None], tuning: Tuning, *, first_seconds: float = 0.0
    ) -> None:
        """Run ``work`` with a progress callback that stops it when the process ends.

        ``first_seconds`` go by before it runs for the first time, beside the usual ones.
        """
        self._work = work
        self._tuning = tuning
        self._first_seconds = first_seconds
        self._starting = threading.Lock()
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Let the thread run the due jobs soon."""
        self._woken.set()
        with self._starting:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="background worker", daemon=True)
                self._thread.start()

    def close(self, timeout: float) -> None:
        """Ask the thread to end and wait for it, at most ``timeout`` seconds."""
        self._stop.set()
        self._woken.set()
        with self._starting:
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _run(self) -> None:
        self._stop.wait(self._first_seconds)
        while not self._stop.is_set():
            self._woken.wait(self._tuning.rest_seconds)
            self._stop.wait(self._tuning.settle_seconds)
            self._woken.clear()
            if self._stop.is_set():
                return
            try:
                self._work(stop_when(self._stop.is_set))
                if not self._woken.is_set():  # else there is more to do soon
                    collect_if_due()
            except Stopped:
                return
            except Exception:
                logger.exception("Work in the background failed and is tried again later")
                self._stop.wait(self._tuning.rest_seconds)  # it may have woken the thread by its own writes
