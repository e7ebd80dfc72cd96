"""A session over one SQLite file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sediment_mcp.errors import StorageError
from sediment_mcp.storage.sql.session import SqlSession
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.rule_changes import DatedRetentionTable
from sediment_mcp.storage.sqlite.sync_tables import SyncTables
from sediment_mcp.system.directory_encryption import DirectoryEncryption

Opened = TypeVar("Opened")


class SqliteSession(SqlSession):
    """`WriteSession` over one connection to a SQLite file.

    ``database`` is the connection itself, for the modules of this folder only; ``sync`` are the tables that
    only a file has.
    """

    def __init__(self, database: SqliteDatabase) -> None:
        super().__init__(database, store_id=database.file_id)
        self.database = database
        self.sync = SyncTables(database)
        self.retention = DatedRetentionTable(database, self.audit)

    def move_project(self, old: str, new: str) -> int:
        """Move everything of one project to another, its shared names too; see `WriteSession`."""
        self.sync.move_project(old, new)
        return super().move_project(old, new)

    @property
    def is_synced(self) -> bool:
        """Whether the memories are synchronized with other devices."""
        return bool(self.sync.settings())

    def close(self) -> None:
        """Close the connection."""
        self.database.close()


def open_session(path: Path, *, read_only: bool = False, key: bytes | None = None) -> SqliteSession:
    """Open a session over a prepared database file; see `SqliteDatabase`."""
    return SqliteSession(SqliteDatabase(path, read_only=read_only, key=key))


def open_by_kind(
    path: Path, encryption: DirectoryEncryption, opening: Callable[[bytes | None], Opened]
) -> Opened:
    """Return what ``opening`` gives with the key of a file.

    A file of the other kind may get the name between the look at it and its opening, while the directory is
    being encrypted or decrypted.

    Raises:
        KeyUnavailable: there is no key where one is needed.
    """
    key = encryption.database_key(path)
    try:
        return opening(key)
    except StorageError:
        newer = encryption.database_key(path)
        if newer == key:
            raise
    return opening(newer)
