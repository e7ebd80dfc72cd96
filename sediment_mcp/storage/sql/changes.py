"""The change sequence in SQL: what has changed since a given number.

The derived indexes read it to catch up.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sediment_mcp.domain.filters import NEVER
from sediment_mcp.domain.memory import Memory
from sediment_mcp.storage.sql.database import Database
from sediment_mcp.storage.sql.fields import SELECT_MEMORY, decode_memory
from sediment_mcp.storage.sql.filters import STANDING
from sediment_mcp.system.timestamps import from_micros


class SqlChangeFeed:
    """What one connection sees of the change sequence."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def seq(self) -> int:
        """Return the number of the newest change."""
        return self._database.seq()

    def memories_since(self, seq: int) -> Iterator[Memory]:
        """Yield memories changed since ``seq``, deleted ones included, by their last change."""
        rows = self._database.iterate(
            f"SELECT {SELECT_MEMORY} FROM memories WHERE seq > ? ORDER BY seq", (seq,)
        )
        return map(decode_memory, rows)

    def attributes_since(self, seq: int) -> Iterator[tuple[Any, ...]]:
        """Yield the attributes that filters need of each memory changed since ``seq``.

        Each row is (key, standing, kind, project, session, occurred_at, expires_at). Times are in
        microseconds. For ``seq`` 0 they are read from a database index alone.
        """
        sql = (
            f"SELECT number, {STANDING}, kind, project, session, occurred_at, COALESCE(expires_at, {NEVER}) "
            "FROM memories"
        )
        return self._database.iterate(f"{sql} WHERE seq > ?", (seq,)) if seq else self._database.iterate(sql)

    def tags_since(self, seq: int) -> Iterator[tuple[Any, ...]]:
        """Yield (tag, memory key) of memories changed since ``seq``."""
        if not seq:
            return self._database.iterate("SELECT tag, memory FROM tags")
        join = self._database.dialect.ordered_join
        sql = f"SELECT tag, memory FROM memories {join} tags ON memory = memories.number WHERE seq > ?"
        return self._database.iterate(sql, (seq,))

    def chunk_owners_after(self, chunk_id: int) -> Iterator[tuple[Any, ...]]:
        """Yield (chunk id, memory key) of chunks with a higher id."""
        return self._database.iterate("SELECT number, memory FROM chunks WHERE number > ?", (chunk_id,))

    def count_chunks_since(self, seq: int, limit: int) -> int:
        """Return how many chunks belong to memories changed since ``seq``, counted up to ``limit``."""
        return self._database.scalar(
            "SELECT COUNT(*) FROM (SELECT 1 FROM memories JOIN chunks ON memory = memories.number "
            "WHERE memories.seq > ? LIMIT ?) AS changed",
            (seq, limit),
        )

    def count_chunks_until(self, seq: int) -> int:
        """Return how many chunks belong to live memories that have not changed after ``seq``.

        A text index that has reached ``seq`` holds all of them.
        """
        return self._database.scalar(
            "SELECT COUNT(*) FROM memories JOIN chunks ON memory = memories.number "
            "WHERE memories.seq <= ? AND deleted_at IS NULL",
            (seq,),
        )

    def erased_since(self, seq: int) -> list[tuple[int, int]]:
        """Return (chunk id, memory key) of everything erased since ``seq``."""
        return [
            (row[0], row[1])
            for row in self._database.rows("SELECT chunk, memory FROM tombstones WHERE seq > ?", (seq,))
        ]

    def has_erased_since(self, seq: int) -> bool:
        """Return True if anything was erased since ``seq``."""
        return bool(self._database.rows("SELECT 1 FROM tombstones WHERE seq > ? LIMIT 1", (seq,)))

    def count_memories(self) -> int:
        """Return the number of all memories, deleted ones included."""
        return self._database.scalar("SELECT COUNT(*) FROM memories")

    def newest_created_at(self) -> datetime | None:
        """Return when the newest memory was stored."""
        ((newest,),) = self._database.rows("SELECT MAX(created_at) FROM memories")
        return None if newest is None else from_micros(newest)
