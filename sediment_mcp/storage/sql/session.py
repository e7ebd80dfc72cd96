"""Read and write sessions over any `Database`, which combine the tables of one connection."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager

from sediment_mcp.storage.sql.bulk import SqlBulkReader
from sediment_mcp.storage.sql.changes import SqlChangeFeed
from sediment_mcp.storage.sql.database import Database
from sediment_mcp.storage.sql.embeddings import SqlEmbeddingTable
from sediment_mcp.storage.sql.kept_pairs import SqlKeptPairs
from sediment_mcp.storage.sql.memories import MemoryWriter
from sediment_mcp.storage.sql.retention import SqlRetentionTable
from sediment_mcp.storage.sql.snapshots import SqlSnapshotRegistry
from sediment_mcp.storage.sql.statistics import SqlStatistics
from sediment_mcp.storage.sql.token_vectors import SqlTokenVectorTable


class SqlSession(MemoryWriter):
    """`WriteSession` over one connection; callers that only read get it as a `ReadSession`."""

    def __init__(self, database: Database, store_id: Hashable, cache_id: str = "") -> None:
        super().__init__(database)
        self.store_id = store_id
        self.changes = SqlChangeFeed(database)
        self.embeddings = SqlEmbeddingTable(database)
        self.token_vectors = SqlTokenVectorTable(database)
        self.retention = SqlRetentionTable(database, self.audit)
        self.kept_pairs = SqlKeptPairs(database)
        self.snapshots = SqlSnapshotRegistry(database, cache_id)
        self.statistics = SqlStatistics(database)
        self.bulk = SqlBulkReader(database)

    @property
    def is_synced(self) -> bool:
        """Whether the memories are synchronized with other devices, as only those of a file are."""
        return False

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all reads inside see the same moment."""
        return self._database.snapshot()

    def prefetch(self, *reads: Callable[[], object]) -> bool:
        """Read at once what the calls will ask for; see `ReadSession`."""
        return self._database.prefetch(*reads)

    def assert_current(self) -> None:
        """Check that this is still the database that was opened; see `ReadSession`."""
        self._database.assert_current()
