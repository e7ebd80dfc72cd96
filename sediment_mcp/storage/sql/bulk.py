"""All memories for export and import, the links between versions, and repeated texts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import Memory
from sediment_mcp.storage.sql.database import Database
from sediment_mcp.storage.sql.fields import CONTENT_HASH_COLUMN, SELECT_MEMORY, decode_memory
from sediment_mcp.storage.sql.filters import attribute_condition, live_condition

SAME_EVENT = tuple(  # two events may be described by the same words
    f"CASE kind WHEN 'episodic' THEN {column} END" for column in ("session", "occurred_at")
)
IDENTITY = ", ".join((CONTENT_HASH_COLUMN, "kind", "project", *SAME_EVENT))
"""The columns in which memories agree that say the same in the same kind and scope."""


class SqlBulkReader:
    """All memories, as one connection sees them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def memories(self, filters: Filters, *, include_deleted: bool) -> Iterator[Memory]:
        """Yield memories that pass the filters, the expired included, lowest key first.

        Adding them in this order keeps the order of their keys.
        """
        rule, values = self._build_condition(filters, include_deleted=include_deleted)
        sql = f"SELECT {SELECT_MEMORY} FROM memories WHERE {rule} ORDER BY memories.number"
        return map(decode_memory, self._database.iterate(sql, values))

    def count(self, filters: Filters, *, include_deleted: bool) -> int:
        """Return how many memories `memories` yields."""
        rule, values = self._build_condition(filters, include_deleted=include_deleted)
        return self._database.scalar(f"SELECT COUNT(*) FROM memories WHERE {rule}", values)

    def successors(self) -> dict[str, str]:
        """Return each superseded memory's id with the id of what superseded it."""
        sql = "SELECT id, superseded_by FROM memories WHERE superseded_by IS NOT NULL"
        return dict(self._database.rows(sql))

    def repeated_ids(self, now: datetime) -> list[list[str]]:
        """Return the ids of the live memories of each hash of a text that is there more than once."""
        rule, values = live_condition(self._database.dialect, Filters(), now)
        groups = defaultdict[int, list[str]](list)
        for group, memory_id in self._database.rows(
            "SELECT first, id FROM (SELECT id, number, MIN(number) OVER same AS first, "
            f"COUNT(*) OVER same AS total FROM memories WHERE {rule} "
            f"WINDOW same AS (PARTITION BY {IDENTITY})) AS found "
            "WHERE total > 1 ORDER BY first, number",
            values,
        ):
            groups[group].append(memory_id)
        return list(groups.values())

    def _build_condition(self, filters: Filters, *, include_deleted: bool) -> tuple[str, list[object]]:
        rule, values = attribute_condition(self._database.dialect, filters)
        return (rule if include_deleted else f"{rule} AND deleted_at IS NULL"), values
