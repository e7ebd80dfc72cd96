"""Embeddings in SQL: float16 vectors by chunk and model, and their changes.

Vectors of two models are never mixed: every statement names the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.storage.sql.database import Database, batched, placeholders
from sediment_mcp.storage.table_protocols import StoredModel


class SqlEmbeddingReader:
    """The tables ``models`` and ``embeddings``, as one connection sees them.

    A ``model_key`` of None is a model without any embedding here.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def model_key(self, fingerprint: str) -> int | None:
        """Return the key of a model, or None if it has never been used here."""
        rows = self._database.rows("SELECT number FROM models WHERE fingerprint = ?", (fingerprint,))
        return int(rows[0][0]) if rows else None

    def models(self) -> list[StoredModel]:
        """Return every model that has been used here, with the number of its embeddings."""
        return [
            StoredModel(ModelIdentity(*row[:3]), row[3])
            for row in self._database.rows(
                "SELECT name, fingerprint, dimension, (SELECT COUNT(*) FROM embeddings "
                "WHERE model = models.number) FROM models ORDER BY number"
            )
        ]

    def missing(self, model_key: int | None, limit: int) -> list[tuple[int, str]]:
        """Return (chunk id, text) of chunks that lack an embedding of this model, newest first.

        The newest come first because a running conversation is most likely to need them.
        """
        return [
            (row[0], row[3][row[1] : row[2]])
            for row in self._database.rows(
                'SELECT chunks.number, start, "end", content FROM chunks JOIN memories '
                "ON memories.number = memory WHERE deleted_at IS NULL AND NOT EXISTS "
                "(SELECT 1 FROM embeddings WHERE model = ? AND chunk = chunks.number) "
                "ORDER BY chunks.number DESC LIMIT ?",
                (model_key, limit),
            )
        ]

    def is_missing_since(self, model_key: int | None, seq: int) -> bool:
        """Return True if a chunk of a memory changed since ``seq`` lacks an embedding of this model."""
        return bool(
            self._database.rows(
                "SELECT 1 FROM memories JOIN chunks ON memory = memories.number "
                "WHERE memories.seq > ? AND deleted_at IS NULL AND NOT EXISTS "
                "(SELECT 1 FROM embeddings WHERE model = ? AND chunk = chunks.number) LIMIT 1",
                (seq, model_key),
            )
        )

    def count_embedded(self, model_key: int | None) -> tuple[int, int]:
        """Return (chunks of live memories with an embedding of this model, all such chunks)."""
        live = "FROM chunks JOIN memories ON memories.number = memory WHERE deleted_at IS NULL"
        have = f"SELECT COUNT(*) {live} AND chunks.number IN (SELECT chunk FROM embeddings WHERE model = ?)"
        return (
            self._database.scalar(have, (model_key,)),
            self._database.scalar(f"SELECT COUNT(*) {live}"),
        )

    def since(self, model_key: int, seq: int) -> dict[int, bytes]:
        """Return by chunk id the vectors of live memories that changed since ``seq``.

        A memory counts if its embedding or the memory itself has changed.
        """
        rows = self._database.rows(
            "SELECT chunk, vector FROM embeddings JOIN chunks ON chunks.number = chunk "
            "JOIN memories ON memories.number = memory WHERE model = ? AND embeddings.seq > ? "
            "AND deleted_at IS NULL",
            (model_key, seq),
        )
        if seq:
            join = self._database.dialect.ordered_join
            rows += self._database.rows(
                f"SELECT chunk, vector FROM memories {join} chunks ON chunks.memory = memories.number "
                f"{join} embeddings ON chunk = chunks.number AND model = ? WHERE memories.seq > ? "
                "AND deleted_at IS NULL",
                (model_key, seq),
            )
        return dict(rows)

    def count_since(self, model_key: int, seq: int, limit: int) -> int:
        """Return how many embeddings are newer than ``seq``, counted up to ``limit``."""
        return self._database.scalar(
            "SELECT COUNT(*) FROM (SELECT 1 FROM embeddings WHERE model = ? AND seq > ? LIMIT ?) AS newer",
            (model_key, seq, limit),
        )

    def count_until(self, model_key: int, seq: int) -> int:
        """Return how many embeddings of live memories are no newer than ``seq``.

        A vector index that has reached ``seq`` holds all of them.
        """
        return self._database.scalar(
            "SELECT COUNT(*) FROM embeddings JOIN chunks ON chunks.number = chunk "
            "JOIN memories ON memories.number = memory "
            "WHERE model = ? AND embeddings.seq <= ? AND deleted_at IS NULL",
            (model_key, seq),
        )

    def get(self, model_key: int, chunk_ids: Sequence[int]) -> dict[int, bytes]:
        """Return by chunk id the vectors of the chunks that have one."""
        return {
            row[0]: row[1]
            for batch in batched(chunk_ids)
            for row in self._database.rows(
                f"SELECT chunk, vector FROM embeddings WHERE model = ? AND chunk IN ({placeholders(batch)})",
                (model_key, *batch),
            )
        }

    def deleted_since(self, seq: int) -> list[int]:
        """Return the ids of chunks whose memories were deleted, or erased, since ``seq``."""
        return self._database.column(
            "SELECT chunks.number FROM memories JOIN chunks ON memory = memories.number "
            "WHERE memories.seq > ? AND deleted_at IS NOT NULL "
            "UNION ALL SELECT chunk FROM tombstones WHERE seq > ?",
            (seq, seq),
        )


class SqlEmbeddingTable(SqlEmbeddingReader):
    """Changes to embeddings; every method needs a transaction."""

    def register(self, model: ModelIdentity) -> int:
        """Return the key of a model, registering it on first use."""
        self._database.execute(
            "INSERT INTO models (fingerprint, name, dimension) VALUES (?,?,?) ON CONFLICT DO NOTHING",
            (model.fingerprint, model.name, model.dimension),
        )
        return self._database.scalar("SELECT number FROM models WHERE fingerprint = ?", (model.fingerprint,))

    def add(self, model_key: int, vectors: Iterable[tuple[int, bytes]]) -> None:
        """Add (chunk id, float16 bytes) pairs as one change.

        Chunks that no longer exist or already have an embedding are skipped.
        """
        seq = self._database.next_seq()
        self._database.execute_many(
            "INSERT INTO embeddings (model, chunk, seq, vector) "
            "SELECT ?, number, ?, ? FROM chunks WHERE number = ? ON CONFLICT DO NOTHING",
            [(model_key, seq, vector, chunk_id) for chunk_id, vector in vectors],
        )

    def copy(self, chunk_ids: Iterable[tuple[int, int]]) -> None:
        """Copy embeddings of every model between (from, to) pairs of chunks, as one change."""
        seq = self._database.next_seq()
        self._database.execute_many(
            "INSERT INTO embeddings (model, chunk, seq, vector) "
            "SELECT model, ?, ?, vector FROM embeddings WHERE chunk = ? ON CONFLICT DO NOTHING",
            [(new, seq, old) for old, new in chunk_ids],
        )
