"""Embeddings in the system of record: float16 vectors by chunk and model, and what of them has changed.

Vectors of two models never meet: every statement names the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.storage.sqlite.connection import Database, marks, parts


class Embeddings:
    """The tables ``models`` and ``embeddings`` of one connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def number_of(self, fingerprint: str) -> int | None:
        rows = self._database.rows("SELECT number FROM models WHERE fingerprint = ?", (fingerprint,))
        return int(rows[0][0]) if rows else None

    def register(self, identity: ModelIdentity) -> int:
        """The number of a model, which is made known on first use; inside a transaction."""
        self._database.execute(
            "INSERT OR IGNORE INTO models (fingerprint, name, dimension) VALUES (?,?,?)",
            (identity.fingerprint, identity.name, identity.dimension),
        )
        return self._database.scalar(
            "SELECT number FROM models WHERE fingerprint = ?", (identity.fingerprint,)
        )

    def add(self, model: int, vectors: Iterable[tuple[int, bytes]]) -> None:
        """Add (chunk, float16 bytes) as one change, skipping chunks that are gone or have one already."""
        seq = self._database.next_seq()
        self._database.execute_many(
            "INSERT OR IGNORE INTO embeddings (model, chunk, seq, vector) "
            "SELECT ?, number, ?, ? FROM chunks WHERE number = ?",
            [(model, seq, vector, chunk) for chunk, vector in vectors],
        )

    def copy(self, chunks: Iterable[tuple[int, int]]) -> None:
        """Give each second chunk the embeddings of the first, of every model, as one change."""
        seq = self._database.next_seq()
        self._database.execute_many(
            "INSERT OR IGNORE INTO embeddings (model, chunk, seq, vector) "
            "SELECT model, ?, ?, vector FROM embeddings WHERE chunk = ?",
            [(new, seq, old) for old, new in chunks],
        )

    def missing(self, model: int, limit: int) -> list[tuple[int, str]]:
        """(chunk, text) of passages that still lack an embedding of this model, newest first, because the
        newest are the ones that a running conversation asks for."""
        return [
            (row[0], row[3][row[1] : row[2]])
            for row in self._database.rows(
                'SELECT chunks.number, start, "end", content FROM chunks JOIN memories '
                "ON memories.number = memory WHERE deleted_at IS NULL AND NOT EXISTS "
                "(SELECT 1 FROM embeddings WHERE model = ? AND chunk = chunks.number) "
                "ORDER BY chunks.number DESC LIMIT ?",
                (model, limit),
            )
        ]

    def lacks(self, model: int, after: int) -> bool:
        """Whether a passage of any memory changed since ``after`` lacks an embedding of this model."""
        sql = (
            "SELECT COUNT(*) FROM (SELECT 1 FROM memories JOIN chunks ON memory = memories.number "
            "WHERE memories.seq > ? AND deleted_at IS NULL AND NOT EXISTS "
            "(SELECT 1 FROM embeddings WHERE model = ? AND chunk = chunks.number) LIMIT 1)"
        )
        return self._database.scalar(sql, (after, model)) == 1

    def counts(self, model: int) -> tuple[int, int]:
        """(chunks of live memories that have an embedding of this model, all such chunks)."""
        live = "FROM chunks JOIN memories ON memories.number = memory WHERE deleted_at IS NULL"
        have = f"SELECT COUNT(*) {live} AND chunks.number IN (SELECT chunk FROM embeddings WHERE model = ?)"
        return self._database.scalar(have, (model,)), self._database.scalar(f"SELECT COUNT(*) {live}", ())

    def since(self, model: int, after: int) -> dict[int, bytes]:
        """The vectors, by chunk, of live memories whose embedding or own state is newer than ``after``."""
        rows = self._database.rows(
            "SELECT chunk, vector FROM embeddings JOIN chunks ON chunks.number = chunk "
            "JOIN memories ON memories.number = memory WHERE model = ? AND embeddings.seq > ? "
            "AND deleted_at IS NULL", (model, after),
        )  # fmt: skip
        if after:  # CROSS fixes the order of the joins: SQLite would rather go through all embeddings
            rows += self._database.rows(
                "SELECT chunk, vector FROM memories CROSS JOIN chunks ON chunks.memory = memories.number "
                "CROSS JOIN embeddings ON chunk = chunks.number AND model = ? WHERE memories.seq > ? "
                "AND deleted_at IS NULL", (model, after),
            )  # fmt: skip
        return dict(rows)

    def count_since(self, model: int, after: int, most: int) -> int:
        """How many embeddings are newer than ``after``, counted up to ``most``."""
        return self._database.scalar(
            "SELECT COUNT(*) FROM (SELECT 1 FROM embeddings WHERE model = ? AND seq > ? LIMIT ?)",
            (model, after, most),
        )

    def settled(self, model: int, until: int) -> int:
        """How many embeddings of live memories are no newer than ``until``: a vector index that has reached
        it holds them all."""
        return self._database.scalar(
            "SELECT COUNT(*) FROM embeddings JOIN chunks ON chunks.number = chunk "
            "JOIN memories ON memories.number = memory "
            "WHERE model = ? AND embeddings.seq <= ? AND deleted_at IS NULL", (model, until),
        )  # fmt: skip

    def of(self, model: int, chunks: Sequence[int]) -> dict[int, bytes]:
        return {
            row[0]: row[1]
            for part in parts(chunks)
            for row in self._database.rows(
                f"SELECT chunk, vector FROM embeddings WHERE model = ? AND chunk IN ({marks(part)})",
                (model, *part),
            )
        }

    def deleted(self, after: int) -> list[int]:
        """Chunks of memories that were deleted, or erased, since ``after``."""
        return self._database.column(
            "SELECT chunks.number FROM memories JOIN chunks ON memory = memories.number "
            "WHERE memories.seq > ? AND deleted_at IS NOT NULL "
            "UNION ALL SELECT chunk FROM tombstones WHERE seq > ?", (after, after),
        )  # fmt: skip

    def models(self) -> list[tuple[str, str, int, int]]:
        """(name, fingerprint, dimension, embeddings) of every model that has been used here."""
        return [
            (row[0], row[1], row[2], row[3])
            for row in self._database.rows(
                "SELECT name, fingerprint, dimension, (SELECT COUNT(*) FROM embeddings "
                "WHERE model = models.number) FROM models ORDER BY number", (),
            )
        ]  # fmt: skip
