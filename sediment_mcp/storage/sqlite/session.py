"""A session over one SQLite file."""

from __future__ import annotations

from pathlib import Path

from sediment_mcp.storage.sql.session import SqlSession
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.rule_changes import DatedRetentionTable
from sediment_mcp.storage.sqlite.sync_tables import SyncTables


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
