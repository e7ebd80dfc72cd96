"""Locks between processes: files that the operating system unlocks when a process ends."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.errors import Busy
from sediment_mcp.system.files import PRIVATE_FILE, translate_os_errors

if TYPE_CHECKING:
    from filelock import BaseFileLock

POLL_INTERVAL = 0.002  # seconds; about the time one write takes


@contextlib.contextmanager
def locked(path: Path, timeout: float) -> Generator[None]:
    """Hold the lock of a file, against other threads too, until the block ends.

    ``timeout`` is how long to wait for it, in seconds.

    Raises:
        Busy: another process or thread held it all that time.
        StorageError: the lock file cannot be created or opened.
    """
    lock = _acquire(path, timeout)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def locked_if_free(path: Path) -> Generator[bool]:
    """Hold the lock if no other process or thread does; the value says whether it is held."""
    try:
        lock = _acquire(path, timeout=0)
    except Busy:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _acquire(path: Path, timeout: float) -> BaseFileLock:
    from filelock import FileLock, Timeout

    lock = FileLock(path, mode=PRIVATE_FILE, thread_local=False)
    with translate_os_errors():
        try:
            lock.acquire(timeout=timeout, poll_interval=POLL_INTERVAL)
        except Timeout:  # is an OSError too, so it must be caught first
            raise Busy(
                "Another sediment-mcp process has been writing for too long: try again, "
                "and end a process that hangs if it happens twice."
            ) from None
    return lock
