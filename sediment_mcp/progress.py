"""How long work tells how far it is, to whoever watches."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told (done, total) from time to time, and a last time when done equals total."""


def unwatched(done: int, total: int) -> None:
    """For work that nobody watches."""
