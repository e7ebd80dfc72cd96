"""The kept pairs in SQL: similar memories of which a person has said that both may stay."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sediment_mcp.storage.sql.database import Database
from sediment_mcp.storage.table_protocols import KeptPair
from sediment_mcp.system.timestamps import to_micros

MAX_KEPT_PAIRS = 10_000  # answers; the oldest are dropped first
NEWEST_FIRST = "kept_at DESC, first_id DESC, second_id DESC"


class SqlKeptPairs:
    """The table ``kept_pairs``, as one connection sees it; changes need a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_all(self) -> list[KeptPair]:
        """Return all pairs, those that were kept last first."""
        rows = self._database.rows(
            f"SELECT first_id, second_id, kept_at FROM kept_pairs ORDER BY {NEWEST_FIRST}"
        )
        return [KeptPair(*row) for row in rows]

    def keep(self, first_id: str, second_id: str, now: datetime) -> None:
        """Keep two memories, and forget the oldest pairs if there are too many."""
        self.add([KeptPair(min(first_id, second_id), max(first_id, second_id), to_micros(now))])

    def add(self, pairs: Iterable[KeptPair]) -> None:
        """Add pairs as they are; of one that is there already the later time counts."""
        words = self._database.dialect
        self._database.execute_many(
            "INSERT INTO kept_pairs (first_id, second_id, kept_at) VALUES (?,?,?) "
            f"ON CONFLICT ({words.tenant_key}first_id, second_id) DO UPDATE "
            f"SET kept_at = {words.greatest}(kept_pairs.kept_at, excluded.kept_at)",
            pairs,
        )
        surplus = self.list_all()[MAX_KEPT_PAIRS:]
        self._database.execute_many(
            f"DELETE FROM kept_pairs WHERE first_id = ? AND second_id = ? AND {words.own_rows}",
            [(pair.first_id, pair.second_id) for pair in surplus],
        )
