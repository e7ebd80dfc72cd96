"""Callbacks that long work calls from time to time, to report its progress or to be stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sediment_mcp.errors import Stopped

Progress = Callable[[int, int], None]
"""Called with (done, total) now and then, and a last time when done equals total. May raise `Stopped`."""


def ignore_progress(done: int, total: int) -> None:
    """Do nothing, for work whose progress is not reported."""


def log_progress(task: str, logger: logging.Logger, also: Progress) -> Progress:
    """Return a callback that logs the beginning, each tenth and the end, then calls ``also``."""
    next_tenth = 0

    def report(done: int, total: int) -> None:
        nonlocal next_tenth
        tenth = 10 * done // total if total else 10
        if tenth >= next_tenth:
            logger.info("%s: %d of %d", task, done, total)
            next_tenth = tenth + 1
        also(done, total)

    return report


def stop_when(is_stopped: Callable[[], bool]) -> Progress:
    """Return a callback that stops the work as soon as ``is_stopped`` returns True."""

    def report(done: int, total: int) -> None:
        if is_stopped():
            raise Stopped("The work was stopped before its end: run it again to finish it.")

    return report
