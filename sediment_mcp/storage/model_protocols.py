"""The tables of the storage interface that hold embeddings and token vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sediment_mcp.embeddings.protocols import ModelIdentity


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model that has been used here, and how many embeddings or token vectors of it are kept."""

    model: ModelIdentity
    count: int


class ModelTableReader(Protocol):
    """What models have made of chunks, an embedding each or token vectors, by model.

    A ``model_key`` of None stands for a model of which nothing is kept here.
    """

    def model_key(self, fingerprint: str) -> int | None:
        """Return the key of a model, or None if it has never been used here."""
        ...

    def models(self) -> list[StoredModel]:
        """Return every model that has been used here, with for how many chunks something is kept."""
        ...

    def missing(self, model_key: int | None, limit: int) -> list[tuple[int, str]]:
        """Return (chunk id, text) of chunks that lack what this model makes, newest first."""
        ...

    def is_missing_since(self, model_key: int | None, seq: int) -> bool:
        """Return True if a chunk of a memory changed since ``seq`` lacks what this model makes."""
        ...

    def count_embedded(self, model_key: int | None) -> tuple[int, int]:
        """Return (chunks of live memories with what this model makes, all such chunks).

        Those of which there is nothing to keep count among the first: nothing more is to be done for them.
        """
        ...

    def get(self, model_key: int, chunk_ids: Sequence[int]) -> dict[int, bytes]:
        """Return by chunk id what is kept of the chunks that have something, encoded as in `codec`."""
        ...


class ModelTable(ModelTableReader, Protocol):
    """Changes to what models have made of chunks."""

    def register(self, model: ModelIdentity) -> int:
        """Return the key of a model, registering it on first use."""
        ...

    def add(self, model_key: int, vectors: Iterable[tuple[int, bytes]]) -> None:
        """Add (chunk id, encoded vectors) pairs, embeddings as one change.

        No bytes say that there is nothing to keep: for embeddings, that the model cannot read the chunk.
        Chunks that no longer exist or already have a row are skipped.
        """
        ...

    def mark_unreadable(self, model_key: int, chunk_ids: Iterable[int]) -> None:
        """Take what is kept of chunks that the model cannot read away, embeddings as one change."""
        ...

    def copy(self, chunk_ids: Iterable[tuple[int, int]]) -> None:
        """Copy what every model made between (from, to) pairs of chunks, embeddings as one change."""
        ...


class EmbeddingReader(ModelTableReader, Protocol):
    """The embeddings of chunks."""

    def count_unreadable(self, model_key: int | None) -> int:
        """Return how many chunks of live memories the model cannot read."""
        ...

    def checked_seq(self, model_key: int) -> int:
        """Return up to which change it was checked that the model can read what it embedded."""
        ...

    def unchecked(self, model_key: int, seq: int, limit: int) -> list[tuple[int, int, str]]:
        """Return (chunk id, change, text) of the first embeddings since ``seq``, oldest first.

        All embeddings of a change are returned together, so there may be more than ``limit``.
        """
        ...

    def iterate(self, model_key: int) -> Iterator[tuple[int, bytes]]:
        """Yield (chunk id, vector) of all live memories, by chunk id."""
        ...

    def since(self, model_key: int, seq: int) -> dict[int, bytes]:
        """Return by chunk id the vectors of live memories that changed since ``seq``.

        A memory counts if its embedding or the memory itself has changed.
        """
        ...

    def count_since(self, model_key: int, seq: int, limit: int) -> int:
        """Return how many embeddings are newer than ``seq``, counted up to ``limit``."""
        ...

    def count_until(self, model_key: int, seq: int) -> int:
        """Return how many embeddings of live memories are no newer than ``seq``."""
        ...

    def removed_since(self, model_key: int, seq: int) -> list[int]:
        """Return the ids of chunks that have no embedding any more since ``seq``.

        Their memories were deleted, or erased, or the model turned out to be unable to read them.
        """
        ...


class EmbeddingTable(EmbeddingReader, ModelTable, Protocol):
    """Changes to embeddings."""

    def set_checked_seq(self, model_key: int, seq: int) -> None:
        """Record up to which change embeddings were checked."""
        ...


class TokenVectorReader(ModelTableReader, Protocol):
    """The token vectors of chunks, which are read for the candidates of a query."""

    def get_of(self, model_key: int, memory_keys: Sequence[int]) -> dict[int, bytes]:
        """Return by chunk id the encoded token vectors of the chunks of these memories."""
        ...

    def count_damaged(self) -> int:
        """Return how many are cut short."""
        ...


class TokenVectorTable(TokenVectorReader, ModelTable, Protocol):
    """Changes to token vectors, which are no changes of the change sequence."""

    def drop_damaged(self) -> int:
        """Remove those that are cut short, so that they are made anew, and return how many."""
        ...
