"""Embeddings in SQL: float16 vectors by chunk and model, and their changes.

Vectors of two models are never mixed: every statement names the model. A row whose vector is empty says that
the model cannot read the chunk: it has no embedding, and needs none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sediment_mcp.storage.sql.database import Database, batched, placeholders
from sediment_mcp.storage.sql.model_table import SqlModelTable

IS_READ = "LENGTH(vector) > 0"


class SqlEmbeddingReader(SqlModelTable):
    """The tables ``models`` and ``embeddings``, as one connection sees them."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "embeddings", "models", IS_READ)

    def count_unreadable(self, model_key: int | None) -> int:
        """Return how many chunks of live memories the model cannot read."""
        return self._database.scalar(
            "SELECT COUNT(*) FROM embeddings JOIN chunks ON chunks.number = chunk "
            "JOIN memories ON memories.number = memory "
            f"WHERE model = ? AND NOT {IS_READ} AND deleted_at IS NULL",
            (model_key,),
        )

    def checked_seq(self, model_key: int) -> int:
        """Return up to which change it was checked that the model can read what it embedded."""
        name = _name_check(model_key)
        rows = self._database.rows("SELECT value FROM counters WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else 0

    def unchecked(self, model_key: int, seq: int, limit: int) -> list[tuple[int, int, str]]:
        """Return (chunk id, change, text) of the first embeddings since ``seq``, oldest first.

        All embeddings of a change are returned together, so there may be more than ``limit``.
        """
        changes = self._database.column(
            "SELECT seq FROM embeddings WHERE model = ? AND seq > ? ORDER BY seq LIMIT ?",
            (model_key, seq, limit),
        )
        if not changes:
            return []
        return [
            (row[0], row[1], row[4][row[2] : row[3]])
            for row in self._database.rows(
                'SELECT chunk, embeddings.seq, start, "end", content FROM embeddings '
                "JOIN chunks ON chunks.number = chunk JOIN memories ON memories.number = memory "
                f"WHERE model = ? AND embeddings.seq > ? AND embeddings.seq <= ? AND {IS_READ} "
                "ORDER BY embeddings.seq",
                (model_key, seq, changes[-1]),
            )
        ]

    def iterate(self, model_key: int) -> Iterator[tuple[int, bytes]]:
        """Yield (chunk id, vector) of all live memories, by chunk id."""
        join = self._database.dialect.ordered_join
        return self._database.iterate(
            f"SELECT chunk, vector FROM embeddings {join} chunks ON chunks.number = chunk "
            f"{join} memories ON memories.number = memory "
            f"WHERE model = ? AND deleted_at IS NULL AND {IS_READ} ORDER BY chunk",
            (model_key,),
        )

    def since(self, model_key: int, seq: int) -> dict[int, bytes]:
        """Return by chunk id the vectors of live memories that changed since ``seq``.

        A memory counts if its embedding or the memory itself has changed.
        """
        rows = self._database.rows(
            "SELECT chunk, vector FROM embeddings JOIN chunks ON chunks.number = chunk "
            "JOIN memories ON memories.number = memory WHERE model = ? AND embeddings.seq > ? "
            f"AND deleted_at IS NULL AND {IS_READ}",
            (model_key, seq),
        )
        if seq:
            join = self._database.dialect.ordered_join
            rows += self._database.rows(
                f"SELECT chunk, vector FROM memories {join} chunks ON chunks.memory = memories.number "
                f"{join} embeddings ON chunk = chunks.number AND model = ? WHERE memories.seq > ? "
                f"AND deleted_at IS NULL AND {IS_READ}",
                (model_key, seq),
            )
        return dict(rows)

    def count_since(self, model_key: int, seq: int, limit: int) -> int:
        """Return how many embeddings are newer than ``seq``, counted up to ``limit``."""
        return self._database.scalar(
            "SELECT COUNT(*) FROM (SELECT 1 FROM embeddings "
            f"WHERE model = ? AND seq > ? AND {IS_READ} LIMIT ?) AS newer",
            (model_key, seq, limit),
        )

    def count_until(self, model_key: int, seq: int) -> int:
        """Return how many embeddings of live memories are no newer than ``seq``.

        A vector index that has reached ``seq`` holds all of them.
        """
        return self._database.scalar(
            "SELECT COUNT(*) FROM embeddings JOIN chunks ON chunks.number = chunk "
            "JOIN memories ON memories.number = memory "
            f"WHERE model = ? AND embeddings.seq <= ? AND deleted_at IS NULL AND {IS_READ}",
            (model_key, seq),
        )

    def get(self, model_key: int, chunk_ids: Sequence[int]) -> dict[int, bytes]:
        """Return by chunk id the vectors of the chunks that have one."""
        return {
            row[0]: row[1]
            for batch in batched(chunk_ids)
            for row in self._database.rows(
                f"SELECT chunk, vector FROM embeddings WHERE model = ? AND {IS_READ} "
                f"AND chunk IN ({placeholders(batch)})",
                (model_key, *batch),
            )
        }

    def removed_since(self, model_key: int, seq: int) -> list[int]:
        """Return the ids of chunks that have no embedding any more since ``seq``.

        Their memories were deleted, or erased, or the model turned out to be unable to read them.
        """
        return self._database.column(
            "SELECT chunks.number FROM memories JOIN chunks ON memory = memories.number "
            "WHERE memories.seq > ? AND deleted_at IS NOT NULL "
            "UNION ALL SELECT chunk FROM tombstones WHERE seq > ? "
            f"UNION ALL SELECT chunk FROM embeddings WHERE model = ? AND seq > ? AND NOT {IS_READ}",
            (seq, seq, model_key, seq),
        )


class SqlEmbeddingTable(SqlEmbeddingReader):
    """Changes to embeddings; every method needs a transaction."""

    def add(self, model_key: int, vectors: Iterable[tuple[int, bytes]]) -> None:
        """Add (chunk id, float16 bytes) pairs as one change.

        No bytes say that the model cannot read the chunk.
        Chunks that no longer exist or already have an embedding are skipped.
        """
        seq = self._database.next_seq()
        self._database.execute_many(
            "INSERT INTO embeddings (model, chunk, seq, vector) "
            "SELECT ?, number, ?, ? FROM chunks WHERE number = ? ON CONFLICT DO NOTHING",
            [(model_key, seq, vector, chunk_id) for chunk_id, vector in vectors],
        )

    def mark_unreadable(self, model_key: int, chunk_ids: Iterable[int]) -> None:
        """Take the embeddings of chunks that the model cannot read away, as one change."""
        seq = self._database.next_seq()
        self._database.execute_many(
            "UPDATE embeddings SET vector = ?, seq = ? WHERE model = ? AND chunk = ? "
            f"AND {self._database.dialect.own_rows}",
            [(b"", seq, model_key, chunk_id) for chunk_id in chunk_ids],
        )

    def set_checked_seq(self, model_key: int, seq: int) -> None:
        """Record up to which change embeddings were checked."""
        name, own = _name_check(model_key), self._database.dialect.own_rows
        self._database.execute(f"DELETE FROM counters WHERE name = ? AND {own}", (name,))
        self._database.execute("INSERT INTO counters VALUES (?,?)", (name, seq))

    def copy(self, chunk_ids: Iterable[tuple[int, int]]) -> None:
        """Copy embeddings of every model between (from, to) pairs of chunks, as one change."""
        seq = self._database.next_seq()
        self._database.execute_many(
            "INSERT INTO embeddings (model, chunk, seq, vector) "
            "SELECT model, ?, ?, vector FROM embeddings WHERE chunk = ? ON CONFLICT DO NOTHING",
            [(new, seq, old) for old, new in chunk_ids],
        )


def _name_check(model_key: int) -> str:
    return f"read-by-{model_key}"
