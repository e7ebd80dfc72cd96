"""A table of what models have made of chunks: who has it, and who lacks it.

What two models made is never mixed: every statement names the model.
"""

from __future__ import annotations

from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.storage.model_protocols import StoredModel
from sediment_mcp.storage.sql.database import Database


class SqlModelTable:
    """A table by chunk and model, and the table of its models, as one connection sees them.

    A ``model_key`` of None is a model of which nothing is kept here.
    """

    def __init__(self, database: Database, table: str, models: str, is_kept: str) -> None:
        """Name both tables; ``is_kept`` is the condition that a row holds something."""
        self._database = database
        self._table = table
        self._models = models
        self._is_kept = is_kept

    def model_key(self, fingerprint: str) -> int | None:
        """Return the key of a model, or None if it has never been used here."""
        return self._database.find_model_key(self._models, fingerprint)

    def models(self) -> list[StoredModel]:
        """Return every model that has been used here, with for how many chunks something is kept."""
        return [
            StoredModel(ModelIdentity(*row[:3]), row[3])
            for row in self._database.rows(
                f"SELECT name, fingerprint, dimension, (SELECT COUNT(*) FROM {self._table} "
                f"WHERE model = {self._models}.number AND {self._is_kept}) "
                f"FROM {self._models} ORDER BY number"
            )
        ]

    def missing(self, model_key: int | None, limit: int) -> list[tuple[int, str]]:
        """Return (chunk id, text) of chunks without a row of this model, newest first.

        The newest come first because a running conversation is most likely to need them.
        """
        return [
            (row[0], row[3][row[1] : row[2]])
            for row in self._database.rows(
                'SELECT chunks.number, start, "end", content FROM chunks JOIN memories '
                "ON memories.number = memory WHERE deleted_at IS NULL AND NOT EXISTS "
                f"(SELECT 1 FROM {self._table} WHERE model = ? AND chunk = chunks.number) "
                "ORDER BY chunks.number DESC LIMIT ?",
                (model_key, limit),
            )
        ]

    def is_missing_since(self, model_key: int | None, seq: int) -> bool:
        """Return True if a chunk of a memory changed since ``seq`` has no row of this model."""
        return bool(
            self._database.rows(
                "SELECT 1 FROM memories JOIN chunks ON memory = memories.number "
                "WHERE memories.seq > ? AND deleted_at IS NULL AND NOT EXISTS "
                f"(SELECT 1 FROM {self._table} WHERE model = ? AND chunk = chunks.number) LIMIT 1",
                (seq, model_key),
            )
        )

    def count_embedded(self, model_key: int | None) -> tuple[int, int]:
        """Return (chunks of live memories with a row of this model, all such chunks).

        Those of which there is nothing to keep count among the first: nothing more is to be done for them.
        """
        live = "FROM chunks JOIN memories ON memories.number = memory WHERE deleted_at IS NULL"
        have = (
            f"SELECT COUNT(*) {live} AND chunks.number IN (SELECT chunk FROM {self._table} WHERE model = ?)"
        )
        return (
            self._database.scalar(have, (model_key,)),
            self._database.scalar(f"SELECT COUNT(*) {live}"),
        )

    def register(self, model: ModelIdentity) -> int:
        """Return the key of a model, registering it on first use; needs a transaction."""
        if (known := self.model_key(model.fingerprint)) is not None:
            return known
        number = self._database.scalar(f"SELECT COALESCE(MAX(number), 0) + 1 FROM {self._models}")
        self._database.execute(
            f"INSERT INTO {self._models} (number, fingerprint, name, dimension) VALUES (?,?,?,?)",
            (number, model.fingerprint, model.name, model.dimension),
        )
        return number
