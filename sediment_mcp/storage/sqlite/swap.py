"""Putting another file in the place of the database, as one step beside running servers.

SQLite's log belongs to the file it was written for, so the old log must be gone before the new file has the
name. The new file therefore waits, complete, under a name of its own: whoever opens the database next
finishes what was begun, and a server looks for it at each write (see `library`). All under the write lock.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Generator
from datetime import datetime
from pathlib import Path

from sediment_mcp.errors import DiskFull, StorageError
from sediment_mcp.system.files import publish, sync_directory, touch_private

COMPANIONS = ("-wal", "-shm", "-journal")


def waiting(database: Path) -> Path:
    """Where the new file waits."""
    return database.with_name(f"{database.stem}.replacement{database.suffix}")


def replace(database: Path, new: Path) -> None:
    """Put ``new``, a closed database on the same disk, in the place of the database.

    Raises:
        StorageError: it cannot be done; on Windows that is so while another process has the database open.
    """
    with clear_disk_errors():
        publish(new, waiting(database))
    finish(database)


def finish(database: Path) -> None:
    """Finish a replacement that was begun, if there is one.

    Raises:
        StorageError: see `replace`.
    """
    new = waiting(database)
    if not new.exists():
        return
    with clear_disk_errors():
        for companion in COMPANIONS:
            database.with_name(database.name + companion).unlink(missing_ok=True)
        sync_directory(database.parent)
        os.replace(new, database)
        sync_directory(database.parent)


def put_aside(database: Path, now: datetime) -> Path:
    """Copy a damaged database with its log to where nothing touches it; returns the copy."""
    aside = database.with_name(f"{database.stem}.damaged-{now:%Y-%m-%d-%H%M%S}{database.suffix}")
    for companion in ("", "-wal"):
        copy_file(database.with_name(database.name + companion), aside.with_name(aside.name + companion))
    return aside


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, privately and synced; where there is none, nothing is made.

    Raises:
        StorageError: it cannot be read, or not be written.
    """
    if not source.exists():
        return
    with clear_disk_errors():
        touch_private(target)
        shutil.copyfile(source, target)
        publish(target, target)


@contextlib.contextmanager
def clear_disk_errors() -> Generator[None]:
    """Translate the system's errors into sentences that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("The disk is full, nothing was changed: free some space and try again.") from error
        raise StorageError(
            f"The data directory cannot be written ({error.strerror}): check its permissions, end all "
            "sediment-mcp processes and try again."
        ) from error
