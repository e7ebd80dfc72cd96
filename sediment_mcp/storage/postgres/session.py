"""A session over a tenant's rows in PostgreSQL."""

from __future__ import annotations

from collections.abc import Hashable

from sediment_mcp.storage.postgres.database import PostgresDatabase
from sediment_mcp.storage.sql.session import SqlSession


class PostgresSession(SqlSession):
    """`WriteSession` over the connections that are lent to one database object.

    ``database`` is that object, for the modules of this folder only.
    """

    def __init__(self, database: PostgresDatabase, store_id: Hashable, cache_id: str) -> None:
        super().__init__(database, store_id, cache_id)
        self.database = database
