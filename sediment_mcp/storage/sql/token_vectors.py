"""Token vectors in SQL: rows of 8-bit integers by chunk and model.

They belong to a chunk as its embedding does, and are read for the candidates of a query only, so no index
catches up with them and they are no change of the sequence. A row without any bytes says that the chunk has
no token vectors and needs none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sediment_mcp.storage.sql.database import Database, batched_evenly, placeholders
from sediment_mcp.storage.sql.model_table import SqlModelTable

IS_KEPT = "LENGTH(vectors) > 0"
IS_WHOLE = "LENGTH(vectors) % token_models.dimension = 0"
"""No row of it was cut short; anything else is damage, and is made anew."""


class SqlTokenVectorReader(SqlModelTable):
    """The tables ``token_models`` and ``token_vectors``, as one connection sees them."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "token_vectors", "token_models", IS_KEPT)

    def get(self, model_key: int, chunk_ids: Sequence[int]) -> dict[int, bytes]:
        """Return by chunk id the token vectors of the chunks that have some."""
        return {
            row[0]: row[1]
            for batch in batched_evenly(chunk_ids)
            for row in self._database.rows(
                "SELECT chunk, vectors FROM token_vectors JOIN token_models ON token_models.number = model "
                f"WHERE model = ? AND chunk IN ({placeholders(batch)}) AND {IS_KEPT} AND {IS_WHOLE}",
                (model_key, *batch),
            )
        }

    def count_damaged(self) -> int:
        """Return how many rows are cut short."""
        return self._database.scalar(
            "SELECT COUNT(*) FROM token_vectors JOIN token_models ON token_models.number = model "
            f"WHERE NOT ({IS_WHOLE})"
        )


class SqlTokenVectorTable(SqlTokenVectorReader):
    """Changes to token vectors; every method needs a transaction."""

    def add(self, model_key: int, vectors: Iterable[tuple[int, bytes]]) -> None:
        """Add (chunk id, encoded token vectors) pairs; no bytes say that the chunk needs none.

        Chunks that no longer exist or have some already are skipped.
        """
        self._database.execute_many(
            "INSERT INTO token_vectors (model, chunk, vectors) "
            "SELECT ?, number, ? FROM chunks WHERE number = ? ON CONFLICT DO NOTHING",
            [(model_key, encoded, chunk_id) for chunk_id, encoded in vectors],
        )

    def copy(self, chunk_ids: Iterable[tuple[int, int]]) -> None:
        """Copy token vectors of every model between (from, to) pairs of chunks."""
        self._database.execute_many(
            "INSERT INTO token_vectors (model, chunk, vectors) "
            "SELECT model, ?, vectors FROM token_vectors WHERE chunk = ? ON CONFLICT DO NOTHING",
            [(new, old) for old, new in chunk_ids],
        )

    def mark_unreadable(self, model_key: int, chunk_ids: Iterable[int]) -> None:
        """Take the token vectors of chunks that the model cannot read away."""
        self._database.execute_many(
            "UPDATE token_vectors SET vectors = ? WHERE model = ? AND chunk = ? "
            f"AND {self._database.dialect.own_rows}",
            [(b"", model_key, chunk_id) for chunk_id in chunk_ids],
        )

    def drop_damaged(self) -> int:
        """Remove the rows that are cut short, so that they are made anew, and return how many."""
        count = self.count_damaged()
        if count:
            self._database.execute(
                "DELETE FROM token_vectors WHERE (model, chunk) IN (SELECT model, chunk FROM token_vectors "
                f"JOIN token_models ON token_models.number = model WHERE NOT ({IS_WHOLE})) "
                f"AND {self._database.dialect.own_rows}"
            )
        return count
