"""How long work tells how far it is, to whoever watches, and how it is stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told (done, total) from time to time, and a last time when done equals total. May raise `Stopped`."""


class Stopped(Exception):
    """Raised by whoever watches, to end the work; what was there before stays valid."""


def unwatched(done: int, total: int) -> None:
    """For work that nobody watches."""


def logged(what: str, logger: logging.Logger, then: Progress) -> Progress:
    """A watcher that logs a line at the beginning, at each tenth and at the end, then tells ``then``."""
    next_tenth = 0

    def watch(done: int, total: int) -> None:
        nonlocal next_tenth
        tenth = 10 * done // total if total else 10
        if tenth >= next_tenth:
            logger.info("%s: %d of %d", what, done, total)
            next_tenth = tenth + 1
        then(done, total)

    return watch


def until(is_stopped: Callable[[], bool]) -> Progress:
    """A watcher that ends the work as soon as ``is_stopped`` says so."""

    def watch(done: int, total: int) -> None:
        if is_stopped():
            raise Stopped

    return watch
