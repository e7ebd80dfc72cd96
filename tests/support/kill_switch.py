"""End an application as `kill -9` would, at the n-th write to the file system or the database.

What is written by then is on disk, and nothing after it: no clean-up of the code that was at work writes any
more, until the directory is opened anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from sediment_mcp.storage.sqlite.connection import SqliteDatabase

FILE_CALLS = ("replace", "rename", "unlink", "remove", "mkdir", "rmdir", "link")
STATEMENT_CALLS = ("execute", "execute_many", "insert_numbered", "next_seq")


class Killed(BaseException):
    """The process ends here."""


class KillSwitch:
    """Counts writes; from the one of this number on, each raises `Killed`."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.writes = 0

    def count(self) -> None:
        self.writes += 1
        if self.writes >= self.at:
            raise Killed

    def _wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.count()
            return call(*arguments, **options)

        return counted

    def _wrap_open(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Count the creation of a file; one half written is there but has none of its bytes."""

        def counted(path: Any, flags: int, *arguments: Any, **options: Any) -> Any:
            if flags & os.O_EXCL:
                self.count()
            return call(path, flags, *arguments, **options)

        return counted

    def _wrap_commit(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Count both sides of a commit: it is not yet durable, and it is, but nobody has heard of it."""

        def counted(*arguments: Any, **options: Any) -> Any:
            self.count()
            result = call(*arguments, **options)
            self.count()
            return result

        return counted

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Count the writes inside."""
        with ExitStack() as stack:
            for name in FILE_CALLS:
                stack.enter_context(patch.object(os, name, self._wrap(getattr(os, name))))
            stack.enter_context(patch.object(os, "open", self._wrap_open(os.open)))
            for name in STATEMENT_CALLS:
                stack.enter_context(
                    patch.object(SqliteDatabase, name, self._wrap(getattr(SqliteDatabase, name)))
                )
            commit = SqliteDatabase._commit
            stack.enter_context(patch.object(SqliteDatabase, "_commit", self._wrap_commit(commit)))
            yield
