"""Let this process die, in effect, at one of its writes.

What is staged is that of a killed process as far as files tell: the write at which it dies does not happen,
nor does any later one, those of cleaning up included. What SQLite writes by itself is not counted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

WRITES = ("replace", "rename", "unlink", "rmdir", "mkdir", "fsync", "write")


class Killed(BaseException):
    """This process is no more."""


class Writes:
    """How many writes there were, and whether one of them was the last."""

    def __init__(self, last: int) -> None:
        self.count, self._last = 0, last

    @property
    def is_killed(self) -> bool:
        """Whether the process has died."""
        return self.count >= self._last

    def note(self) -> None:
        """Count a write.

        Raises:
            Killed: the process does not live to do it.
        """
        self.count += 1
        if self.is_killed:
            raise Killed


@contextmanager
def kill_at(number: int) -> Generator[Writes]:
    """Die at the write of this number, counted from 1; what is inside may raise `Killed`."""
    writes = Writes(number)

    def watch(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            writes.note()
            return function(*arguments, **named)

        return call

    def watch_open(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, flags: int, *arguments: Any, **named: Any) -> Any:
            if flags & os.O_CREAT and not str(path).endswith((".lock", ".queue")):
                writes.note()
            return function(path, flags, *arguments, **named)

        return call

    with ExitStack() as stack:
        for name in WRITES:
            stack.enter_context(mock.patch.object(os, name, watch(getattr(os, name))))
        stack.enter_context(mock.patch.object(os, "open", watch_open(os.open)))
        yield writes
