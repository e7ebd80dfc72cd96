"""Replace the database file in one step while servers are running.

SQLite's log belongs to the file it was written for, so the old log must be gone before the new file has the
name. The complete new file is therefore first kept under a separate name: the process that next opens the
database finishes the replacement, and a server looks for it at each write (see `storage`). The caller holds
the write lock.
"""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path

from sediment_mcp.system.files import publish, sync_directory, touch_private, translate_os_errors

COMPANIONS = ("-wal", "-shm", "-journal")
REMEDY = "check its permissions, end all sediment-mcp processes and try again"


def replacement_path(database: Path) -> Path:
    """Return the path of a new file that is to replace the database."""
    return database.with_name(f"{database.stem}.replacement{database.suffix}")


def replace(database: Path, new: Path) -> None:
    """Replace the database by ``new``, a closed database on the same disk.

    Raises:
        StorageError: the file cannot be replaced, on Windows because another process has it open.
    """
    with translate_os_errors(REMEDY):
        publish(new, replacement_path(database))
    finish(database)


def finish(database: Path) -> None:
    """Finish a replacement that was started, if there is one.

    Raises:
        StorageError: see `replace`.
    """
    new = replacement_path(database)
    if not new.exists():
        return
    with translate_os_errors(REMEDY):
        for companion in COMPANIONS:
            database.with_name(database.name + companion).unlink(missing_ok=True)
        sync_directory(database.parent)
        os.replace(new, database)
        sync_directory(database.parent)


def keep_damaged(database: Path, now: datetime) -> Path:
    """Copy a damaged database with its log to a path that is never changed, and return it."""
    aside = database.with_name(f"{database.stem}.damaged-{now:%Y-%m-%d-%H%M%S}{database.suffix}")
    for companion in ("", "-wal"):
        copy_file(database.with_name(database.name + companion), aside.with_name(aside.name + companion))
    return aside


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, readable by its owner only, and sync it; do nothing if there is none.

    Raises:
        StorageError: the source cannot be read or the target cannot be written.
    """
    if not source.exists():
        return
    with translate_os_errors(REMEDY):
        touch_private(target)
        shutil.copyfile(source, target)
        publish(target, target)
