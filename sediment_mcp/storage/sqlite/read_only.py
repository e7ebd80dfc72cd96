"""A database in a directory that may only be read, such as a mounted backup.

SQLite needs its log beside the database, and to write there, unless nobody else can have the file open. So a
file without a log is read as one that nobody changes. A log that was left behind is read through a private
copy of both, and so is a database whose schema is of an earlier version; neither can be brought up to date
where it is. The copy of an encrypted database is encrypted too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Generator
from pathlib import Path

from sediment_mcp.errors import StorageError
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.session import SqliteSession, open_by_kind, open_session
from sediment_mcp.system.data_directory import find_fault
from sediment_mcp.system.directory_encryption import DirectoryEncryption

LOG_SUFFIXES = ("-wal", "-journal")


def is_read_only(path: Path) -> bool:
    """Return True if a database can be read, and it or its directory not be written."""
    can_read = os.access(path, os.R_OK) and os.access(path.parent, os.R_OK | os.X_OK)
    return can_read and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def describe(path: Path) -> str:
    """Return why nothing can be written beside the database, as a sentence with its remedy."""
    return (
        f"The data directory {path.parent} may only be read, so its memories can be searched and exported, "
        "and none stored, changed or deleted: make it writable, or set SEDIMENT_DATA_DIR to one that is."
    )


class ReadOnlyFile:
    """A database that may only be read, or the copy that stands for it.

    May be used from any thread.
    """

    def __init__(self, path: Path, encryption: DirectoryEncryption | None = None) -> None:
        """Look at the file; a copy is made at the first use, if one is needed.

        ``encryption`` is that of the data directory; without it, it is that of the file's directory.

        Raises:
            StorageError: it or its directory cannot be trusted.
        """
        if fault := find_fault(path.parent):
            raise StorageError(str(fault))
        self._path = path
        self._encryption = encryption or DirectoryEncryption(path.parent)
        self._lock = threading.Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def open(self) -> SqliteSession:
        """Open a session that only reads.

        Raises:
            StorageError: the file cannot be read, or is damaged.
        """
        with self._lock:
            if self._folder is None and self._needs_copy():
                self._folder = self._copy()
            if self._folder is not None:
                copy = Path(self._folder.name) / self._path.name
                return open_session(copy, key=self._encryption.database_key(copy))
        return open_in_place(self._path, self._encryption)

    def close(self) -> None:
        """Delete the copy, if there is one."""
        with self._lock:
            folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

    def _needs_copy(self) -> bool:
        if _has_log(self._path) and not _is_shared(self._path) and not os.access(self._path.parent, os.W_OK):
            return True
        with contextlib.closing(open_in_place(self._path, self._encryption)) as session:
            applied, known = session.database.schema()
        return applied < known

    def _copy(self) -> tempfile.TemporaryDirectory[str]:
        folder = tempfile.TemporaryDirectory(prefix="sediment-mcp-", ignore_cleanup_errors=True)
        copy = Path(folder.name) / self._path.name
        try:
            for suffix in ("", *LOG_SUFFIXES):
                source = self._path.with_name(self._path.name + suffix)
                if source.exists():
                    shutil.copyfile(source, copy.with_name(copy.name + suffix))
            SqliteDatabase.prepare(copy, key=self._encryption.database_key(copy)).close()
        except OSError as error:
            folder.cleanup()
            raise StorageError(
                f"The data directory {self._path.parent} may only be read, and a copy for reading it cannot "
                f"be made ({error.strerror}): make it writable, or free some space in {folder.name}."
            ) from error
        except BaseException:
            folder.cleanup()
            raise
        return folder


def open_in_place(path: Path, encryption: DirectoryEncryption) -> SqliteSession:
    """Open a session that only reads the file where it is.

    Raises:
        StorageError: the file cannot be read, or is damaged.
    """
    return open_by_kind(path, encryption, lambda key: open_session(path, read_only=True, key=key))


@contextlib.contextmanager
def open_unchanged(path: Path, encryption: DirectoryEncryption | None = None) -> Generator[SqliteSession]:
    """Open a session that changes nothing in the data directory; see `ReadOnlyFile`."""
    encryption = encryption or DirectoryEncryption(path.parent)
    if not is_read_only(path):
        with contextlib.closing(open_in_place(path, encryption)) as session:
            yield session
        return
    with (
        contextlib.closing(ReadOnlyFile(path, encryption)) as file,
        contextlib.closing(file.open()) as session,
    ):
        yield session


def _has_log(path: Path) -> bool:
    logs = (path.with_name(path.name + suffix) for suffix in LOG_SUFFIXES)
    return any(log.exists() and log.stat().st_size > 0 for log in logs)


def _is_shared(path: Path) -> bool:
    """Return True if a process has, or had, the log open, so that SQLite can read it as it is."""
    return path.with_name(path.name + "-shm").exists()
