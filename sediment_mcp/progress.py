"""How long work tells how far it is, to whoever watches, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told (done, total) from time to time, and a last time when done equals total. May raise `Stopped`."""


class Stopped(Exception):
    """Raised by whoever watches, to end the work; what was there before stays valid."""


def unwatched(done: int, total: int) -> None:
    """For work that nobody watches."""


def until(is_stopped: Callable[[], bool]) -> Progress:
    """A watcher that ends the work as soon as ``is_stopped`` says so."""

    def watch(done: int, total: int) -> None:
        if is_stopped():
            raise Stopped

    return watch
