"""The index snapshots that belong to this database.

A snapshot of another history has a token that this database does not know. Of each cache, a directory of
indexes of one machine, the newest are remembered.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from sediment_mcp.storage.sql.database import Database
from sediment_mcp.storage.table_protocols import SnapshotId
from sediment_mcp.system.timestamps import to_micros

REMEMBERED_TOKENS = 8  # of the newest snapshots of each index in a cache
ABANDONED_AFTER = timedelta(days=30)  # since its last snapshot, the tokens of another cache go


class SqlSnapshotRegistry:
    """The table ``snapshots`` of one connection, for the cache ``cache_id``."""

    def __init__(self, database: Database, cache_id: str) -> None:
        self._database = database
        self._cache_id = cache_id

    def register(self, index_name: str) -> SnapshotId:
        """Announce a snapshot that is about to be written; inside a transaction."""
        snapshot, now = SnapshotId(self._database.seq(), secrets.randbits(62)), datetime.now(UTC)
        place = (index_name, self._cache_id)
        self._database.execute(
            "INSERT INTO snapshots (token, seq, registered_at, index_name, cache) VALUES (?,?,?,?,?)",
            (snapshot.token, snapshot.seq, to_micros(now), *place),
        )
        own = self._database.dialect.own_rows
        self._database.execute(
            f"DELETE FROM snapshots WHERE {own} AND index_name = ? AND cache = ? AND token NOT IN "
            "(SELECT token FROM snapshots WHERE index_name = ? AND cache = ? "
            "ORDER BY seq DESC, token = ? DESC LIMIT ?)",
            (*place, *place, snapshot.token, REMEMBERED_TOKENS),
        )
        self._database.execute(
            f"DELETE FROM snapshots WHERE {own} AND cache <> ? AND registered_at < ?",
            (self._cache_id, to_micros(now - ABANDONED_AFTER)),
        )
        return snapshot

    def knows(self, index_name: str, snapshot: SnapshotId) -> bool:
        """Return True if a snapshot comes from this database's own history."""
        sql = "SELECT COUNT(*) FROM snapshots WHERE token = ? AND index_name = ? AND seq = ?"
        return self._database.scalar(sql, (snapshot.token, index_name, snapshot.seq)) == 1

    def reached(self, index_name: str) -> int:
        """Return the change number announced for the newest snapshot of an index in this cache, or 0."""
        sql = "SELECT COALESCE(MAX(seq), 0) FROM snapshots WHERE index_name = ? AND cache = ?"
        return self._database.scalar(sql, (index_name, self._cache_id))
