"""The SQLite library that opens a file: Python's own, or SQLCipher for an encrypted one.

SQLCipher is loaded when the first encrypted file is opened. Its exceptions are then made kinds of those of
``sqlite3``, so that nobody else need know both.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

from sediment_mcp.config import ENCRYPT_EXTRA
from sediment_mcp.errors import DamagedDatabase, DiskFull, StorageError
from sediment_mcp.system.database_files import FileUse
from sediment_mcp.system.extras import check_module

EXCEPTIONS = (
    "DatabaseError", "DataError", "IntegrityError", "InterfaceError", "InternalError", "NotSupportedError",
    "OperationalError", "ProgrammingError",
)  # fmt: skip
"""The exceptions of a DB-API library that are raised; each is raised as this or a narrower one."""
CODES = {
    "database disk image is malformed": "SQLITE_CORRUPT",
    "database or disk is full": "SQLITE_FULL",
    "disk I/O error": "SQLITE_IOERR",
}
"""SQLite's messages by which a function in SQL, such as SQLCipher's copying, tells of them without a code."""


def connect(target: str, key: bytes | None, *, timeout: float = 5.0) -> sqlite3.Connection:
    """Connect to a file by its path or URI; without a ``key`` it is one that is not encrypted.

    Raises:
        BadArgument: there is a key, and SQLCipher is not installed.
        sqlite3.Error: the file cannot be opened.
    """
    options: dict[str, Any] = {"isolation_level": None, "check_same_thread": False, "timeout": timeout}
    options["uri"] = target.startswith("file:")
    if key is None:
        return sqlite3.connect(target, **options)
    connection = cast("sqlite3.Connection", _load_sqlcipher().connect(target, **options))
    connection.execute(f'PRAGMA key = "{format_key(key)}"')
    connection.execute("PRAGMA temp_store = MEMORY")  # what a sort writes to a file is not encrypted
    return connection


def format_key(key: bytes | None) -> str:
    """Return a key as SQLCipher takes it; an empty one is for a file that is not encrypted.

    It is a raw key: to derive one from a passphrase would take 0.2 seconds at each opening.
    """
    return "" if key is None else f"x'{key.hex()}'"


def check_library(key: bytes | None) -> None:
    """Refuse a key where SQLCipher is not installed.

    Raises:
        BadArgument: it is not.
    """
    if key is not None:
        _load_sqlcipher()


def find_use(key: bytes | None) -> FileUse:
    """Return how a file is opened with this key, or without one."""
    return FileUse(is_encrypted=key is not None, library="sqlite3" if key is None else "sqlcipher3")


def sqlcipher_version() -> str:
    """Return the names and versions of SQLCipher and of the SQLite in it.

    Raises:
        BadArgument: it is not installed.
    """
    library = _load_sqlcipher()
    with contextlib.closing(library.connect(":memory:")) as connection:
        version = connection.execute("PRAGMA cipher_version").fetchone()[0]
    return f"SQLCipher {version.split()[0]} (SQLite {library.sqlite_version})"


@functools.cache
def _load_sqlcipher() -> Any:
    check_module("sqlcipher3", ENCRYPT_EXTRA, "An encrypted data directory")
    from sqlcipher3 import dbapi2

    library = cast("Any", dbapi2)
    for name in EXCEPTIONS:
        exception, of_python = getattr(library, name), getattr(sqlite3, name)
        bases = exception.__bases__
        if of_python not in bases:  # two threads may load the library at once
            exception.__bases__ = (*bases, of_python)
    with contextlib.closing(library.connect(":memory:")) as connection:
        connection.execute("PRAGMA cipher_log_level = NONE")  # of the process; else to the standard error
    return library


@contextlib.contextmanager
def translate_sqlite_errors() -> Generator[None]:
    """Translate SQLite's errors into errors whose messages say what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = CODES.get(str(error)) or getattr(error, "sqlite_errorname", "") or ""
        if code.startswith("SQLITE_FULL"):
            raise DiskFull("The disk is full, nothing was changed: free some space and try again.") from error
        if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or "decode to UTF-8" in str(error):
            raise DamagedDatabase from error
        if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_IOERR")):
            raise StorageError(
                "The data directory cannot be read or written: check its permissions and the disk, "
                "`sediment-mcp doctor` shows where it is."
            ) from error
        raise


def build_uri(path: Path, *, read_only: bool) -> str:
    """Return the URI with which SQLite opens a file without creating one.

    To be read only, a file is opened as follows. If other connections have the file open, their log is used;
    without a log nobody has the file open, so it is read as immutable. So it is with an empty log where
    SQLite could not create the index of the log.
    """
    mode = "mode=rw" if not read_only else "mode=ro" if _is_shared(path) else "immutable=1"
    return f"{path.absolute().as_uri()}?{mode}"


def _is_shared(path: Path) -> bool:
    log, index = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    is_left_behind = not index.exists() and not os.access(path.parent, os.W_OK)
    return log.exists() and not (is_left_behind and log.stat().st_size == 0)
