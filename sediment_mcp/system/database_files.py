"""Know which SQLite files this process has open, and which are encrypted.

When a process closes any descriptor of a file, POSIX drops all locks that the process has on it, those of
SQLite too: another process could then take the log away below an open connection. So a file that is open here
is never opened a second time to look at it, and never by two libraries, each of which knows only its own
descriptors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from sediment_mcp.errors import StorageError
from sediment_mcp.system.files import read_file_id

SQLITE_MAGIC = b"SQLite format 3\0"
"""What a SQLite file begins with that is not encrypted; an encrypted one begins with random bytes."""

FileId = tuple[int, int]
Opened = TypeVar("Opened")


class FileUse(NamedTuple):
    """How this process has a file open: of which kind it is, and by which library."""

    is_encrypted: bool
    library: Literal["sqlite3", "sqlcipher3"]


@dataclass(slots=True)
class _OpenFile:
    use: FileUse
    count: int


_register_lock = threading.RLock()  # an object that is collected meanwhile may release its file
_open_files: dict[FileId, _OpenFile] = {}


def open_database_file(
    path: Path, use: FileUse, connect: Callable[[], Opened]
) -> tuple[Opened, FileId | None]:
    """Open a file by ``connect``, and return that with what `release_database_file` needs.

    Raises:
        StorageError: it is open already as something else, because another file has just got its name.
    """
    with _register_lock:
        file_id = read_file_id(path)
        found = None if file_id is None else _open_files.get(file_id)
        if found is not None and found.use != use:
            raise StorageError("The database was replaced at this very moment: try again.")
        opened = connect()
        file_id = file_id or read_file_id(path)
        if found is not None:
            found.count += 1
        elif file_id is not None:
            _open_files[file_id] = _OpenFile(use, 1)
    return opened, file_id


def release_database_file(file_id: FileId | None) -> None:
    """Forget one of the openings of a file, which its library has closed."""
    with _register_lock:
        found = None if file_id is None else _open_files.get(file_id)
        if found is None or file_id is None:
            return
        found.count -= 1
        if not found.count:
            del _open_files[file_id]


def is_open_here(path: Path) -> bool:
    """Return True if this process has the file open as a database."""
    with _register_lock:
        return read_file_id(path) in _open_files


def is_encrypted(path: Path) -> bool | None:
    """Return whether a file is an encrypted database; None if there is none yet.

    A file that is not open here tells it by its first bytes.
    """
    with _register_lock:
        file_id = read_file_id(path)
        found = None if file_id is None else _open_files.get(file_id)
        if found is not None:
            return found.use.is_encrypted
        head = _read_head(path)
    return head != SQLITE_MAGIC if head else None


def _read_head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE_MAGIC))
    except OSError:
        return b""
