"""The index snapshots that belong to this database.

A snapshot of another history has a token that this database does not know.
"""

from __future__ import annotations

import secrets

from sediment_mcp.storage.sql.database import Database
from sediment_mcp.storage.table_protocols import SnapshotId

REMEMBERED_TOKENS = 8  # of the newest snapshots of each index


class SqlSnapshotRegistry:
    """The table ``snapshots`` of one connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, index_name: str) -> SnapshotId:
        """Announce a snapshot that is about to be written; inside a transaction."""
        snapshot = SnapshotId(self._database.seq(), secrets.randbits(62))
        self._database.execute(
            "INSERT INTO snapshots VALUES (?,?,?)", (snapshot.token, index_name, snapshot.seq)
        )
        self._database.execute(
            "DELETE FROM snapshots WHERE index_name = ? AND token NOT IN (SELECT token FROM snapshots "
            "WHERE index_name = ? ORDER BY seq DESC, token = ? DESC LIMIT ?)",
            (index_name, index_name, snapshot.token, REMEMBERED_TOKENS),
        )
        return snapshot

    def knows(self, index_name: str, snapshot: SnapshotId) -> bool:
        """Return True if a snapshot comes from this database's own history."""
        sql = "SELECT COUNT(*) FROM snapshots WHERE token = ? AND index_name = ? AND seq = ?"
        return self._database.scalar(sql, (snapshot.token, index_name, snapshot.seq)) == 1

    def reached(self, index_name: str) -> int:
        """Return the change number announced for the newest snapshot of an index, or 0."""
        sql = "SELECT COALESCE(MAX(seq), 0) FROM snapshots WHERE index_name = ?"
        return self._database.scalar(sql, (index_name,))
