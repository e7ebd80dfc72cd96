"""Backup files: copying and checking a whole database, and erasing memories in it.

A backup has no log file, and is encrypted if its database was.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sediment_mcp.errors import DamagedDatabase, StorageError
from sediment_mcp.storage.sqlite.database_copy import copy_database
from sediment_mcp.storage.sqlite.secure_erase import erase_remains, has_remains
from sediment_mcp.storage.sqlite.session import SqliteSession, open_session


@dataclass(frozen=True, slots=True)
class Contents:
    """The number of memories in a database file, and how recent they are.

    ``memories`` counts those in the trash too, ``newest`` is when the newest one was stored, and ``seq`` is
    the number of the newest change.
    """

    memories: int
    newest: datetime | None
    seq: int


def read_contents(path: Path, key: bytes | None = None, *, read_only: bool = False) -> Contents | None:
    """Return the contents of a database file, or None if it cannot be read."""
    try:
        with contextlib.closing(open_session(path, read_only=read_only, key=key)) as session:
            changes = session.changes
            return Contents(changes.count_memories(), changes.newest_created_at(), changes.seq())
    except StorageError:
        return None


def write_copy(session: SqliteSession, path: Path) -> None:
    """Copy a database in its current state into a new file, and check the copy.

    The copy holds no texts of audited queries.

    Raises:
        DamagedDatabase: the copy is not sound, because the database is not.
    """
    session.database.copy_to(path)
    with contextlib.closing(open_session(path, key=session.database.key)) as copy:
        assert_sound(copy)
        _forget_audited_texts(copy)


def _forget_audited_texts(copy: SqliteSession) -> None:
    """Take the texts of audited queries out of a copy, so that it tells of nothing erased."""
    if copy.audit.texts():
        with copy.database.transaction():
            copy.audit.clear_texts()


def copy_sound(
    path: Path,
    copy: Path,
    *,
    source_key: bytes | None = None,
    key: bytes | None = None,
    read_only: bool = False,
) -> None:
    """Copy a backup and bring the copy's schema up to date; ``key`` is that of the copy.

    A file from outside the data directory is opened read-only; our own may first need a rollback after a
    crash.

    Raises:
        DamagedDatabase: it is damaged, or holds no memories.
    """
    with contextlib.closing(open_session(path, read_only=read_only, key=source_key)) as source:
        if not source.database.holds_memories():
            raise DamagedDatabase(f"{path} holds no memories.")
    copy_database(path, copy, source_key=source_key, key=key, read_only=read_only)
    with contextlib.closing(open_session(copy, key=key)) as session:
        session.database.upgrade()
        assert_sound(session)


def assert_sound(session: SqliteSession) -> None:
    """Check a database with SQLite's own integrity check.

    Raises:
        DamagedDatabase: the check finds a fault.
    """
    if session.database.integrity_faults():
        raise DamagedDatabase


def erase_in_file(path: Path, erased_ids: set[str], key: bytes | None = None) -> None:
    """Erase memories in a backup, and record their ids there as erased.

    Raises:
        DamagedDatabase: nothing can be erased in it.
    """
    with contextlib.closing(open_session(path, key=key)) as session:
        session.database.upgrade()
        pending = sorted(erased_ids - session.erased_ids())
        if pending:
            with session.database.transaction():
                for memory in session.get(pending).values():
                    session.erase(memory)
                session.record_erased(pending)
        if has_remains(session):
            erase_remains(session)
