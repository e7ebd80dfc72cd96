"""The SQLite library that opens a file: Python's own, or SQLCipher for an encrypted one.

SQLCipher is loaded when the first encrypted file is opened. Its errors are of classes of its own, and become
those of ``sqlite3``, so that nobody else need know both.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Generator
from typing import Any, cast

from sediment_mcp.config import ENCRYPT_EXTRA
from sediment_mcp.system.extras import check_module


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
    check_module("sqlcipher3", ENCRYPT_EXTRA, "An encrypted data directory")
    with translate_library_errors():
        connection = cast("sqlite3.Connection", _load_sqlcipher().connect(target, **options))
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")  # a raw key: a passphrase would take 0.2 s
    return connection


@contextlib.contextmanager
def translate_library_errors() -> Generator[None]:
    """Turn errors of SQLCipher into those of ``sqlite3``, with their names."""
    try:
        yield
    except Exception as error:
        own = getattr(sqlite3, type(error).__name__, None)
        if isinstance(error, sqlite3.Error) or type(error).__module__ != "sqlcipher3.dbapi2" or own is None:
            raise
        translated = own(*error.args)
        translated.sqlite_errorname = getattr(error, "sqlite_errorname", "")
        raise translated from error


def _load_sqlcipher() -> Any:
    from sqlcipher3 import dbapi2

    return cast("Any", dbapi2)
