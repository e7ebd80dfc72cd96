"""Access tokens in a SQLite file of their own, beside the tenants' directories.

The file keeps a rollback journal, not a log: it is written a few times a day, and so needs no checkpoints.
Whoever writes it holds a lock file, so that nothing is lost while another file takes its place.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator
from datetime import datetime
from pathlib import Path

from sediment_mcp.domain.access_token import StoredToken
from sediment_mcp.storage.sql.tokens import SqlTokens
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.migrations import ACCESS
from sediment_mcp.storage.sqlite.session import open_by_kind
from sediment_mcp.system.data_directory import prepare_directory
from sediment_mcp.system.directory_encryption import DirectoryEncryption
from sediment_mcp.system.locks import locked

ACCESS_FILE = "access.db"
ACCESS_LOCK = "access.lock"
LOCK_TIMEOUT = 30.0  # seconds; making the file takes milliseconds


class SqliteTokens:
    """`TokenStorage` over a SQLite file; without one there are no tokens."""

    def __init__(self, directory: Path, encryption: DirectoryEncryption | None = None) -> None:
        self._directory = directory
        self._encryption = encryption or DirectoryEncryption(directory)
        self._path = directory / ACCESS_FILE
        self._lock = threading.Lock()
        self._database: SqliteDatabase | None = None

    def find(self, token_hash: bytes) -> StoredToken | None:
        """Return the token with this hash; see `TokenStorage`."""
        with self._reading() as tokens:
            return tokens.find(token_hash) if tokens else None

    def list_all(self) -> list[StoredToken]:
        """Return all tokens by name."""
        with self._reading() as tokens:
            return tokens.list_all() if tokens else []

    def add(self, token: StoredToken) -> bool:
        """Add a token; return False if there is one of this name already."""
        with self._writing() as tokens:
            return tokens.add(token)

    def revoke(self, name: str, now: datetime) -> bool:
        """Revoke the token of this name; return False if there is none."""
        with self._writing() as tokens:
            return tokens.revoke(name, now)

    def note_use(self, token_hash: bytes, day: datetime) -> None:
        """Note the day on which a token was used."""
        with self._writing() as tokens:
            tokens.note_use(token_hash, day)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    @contextlib.contextmanager
    def _reading(self) -> Generator[SqlTokens | None]:
        with self._lock:
            if self._database is None and not self._path.exists():
                yield None
            else:
                yield SqlTokens(self._open())

    @contextlib.contextmanager
    def _writing(self) -> Generator[SqlTokens]:
        with self._lock:
            prepare_directory(self._directory)
            with self._file_lock():
                database = self._open(is_locked=True)
                with database.transaction():
                    yield SqlTokens(database)

    def _file_lock(self) -> contextlib.AbstractContextManager[None]:
        return locked(self._directory / ACCESS_LOCK, LOCK_TIMEOUT)

    def _open(self, *, is_locked: bool = False) -> SqliteDatabase:
        """Return the connection, a new one if the file was replaced.

        ``is_locked`` says that the caller holds the file's lock.
        """
        if self._database is not None and not self._database.is_current():
            self._drop()
        if self._database is None:
            prepare_directory(self._directory)
            with contextlib.nullcontext() if is_locked else self._file_lock():
                self._database = open_by_kind(
                    self._path,
                    self._encryption,
                    lambda key: SqliteDatabase.prepare(self._path, schema=ACCESS, key=key),
                )
        return self._database

    def _drop(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()
