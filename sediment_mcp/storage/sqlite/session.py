"""A session over one SQLite file."""

from __future__ import annotations

from pathlib import Path

from sediment_mcp.storage.sql.session import SqlSession
from sediment_mcp.storage.sqlite.connection import SqliteDatabase


class SqliteSession(SqlSession):
    """`WriteSession` over one connection to a SQLite file.

    ``database`` is the connection itself, for the modules of this folder only.
    """

    def __init__(self, database: SqliteDatabase) -> None:
        super().__init__(database, store_id=database.file_id)
        self.database = database

    def close(self) -> None:
        """Close the connection."""
        self.database.close()


def open_session(path: Path, *, read_only: bool = False, key: bytes | None = None) -> SqliteSession:
    """Open a session over a prepared database file; see `SqliteDatabase`."""
    return SqliteSession(SqliteDatabase(path, read_only=read_only, key=key))
