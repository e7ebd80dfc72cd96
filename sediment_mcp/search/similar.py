"""Find stored memories that a new memory repeats or may contradict.

They are proposed by the vectors that storing a memory computes anyway; `near_duplicates` decides. Only
current memories of the same scope and kind are considered. Events are not: two of them do not contradict each
other, and two similar events are two memories, so that a hint to replace one would be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import Chunk, Memory, NewMemory
from sediment_mcp.domain.near_duplicates import MIN_SIMILAR_COSINE, is_near_duplicate
from sediment_mcp.embeddings.loader import EmbeddedTexts
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.storage.protocols import ReadSession
from sediment_mcp.system.timestamps import to_micros


class NearestMemories(Protocol):
    """Finds memories by a vector."""

    def nearest(
        self, model: ModelIdentity, vector: bytes, filters: Filters, min_cosine: float, /
    ) -> list[tuple[Memory, Chunk, float]]:
        """Return the memories with at least this cosine to an encoded vector.

        Each comes with its best chunk. Nearest first, as of the newest change of any process.
        """
        ...


@dataclass(frozen=True, slots=True)
class SimilarMemory:
    """A memory near to a new one: its best chunk, and the cosine of that."""

    memory: Memory
    chunk: Chunk
    cosine: float


def find_similar(
    retriever: NearestMemories, memory: NewMemory, embedded: EmbeddedTexts | None
) -> list[SimilarMemory]:
    """Return the memories with at least the cosine `MIN_SIMILAR_COSINE`, nearest first.

    The list is empty for a text of several chunks, which no single vector represents, for one that the model
    cannot read, and while there is no model.
    """
    if memory.kind == "episodic" or embedded is None or len(memory.spans) != 1:
        return []
    (vector,) = embedded.vectors
    if not vector:
        return []
    found = retriever.nearest(embedded.model, vector, _build_scope_filters(memory), MIN_SIMILAR_COSINE)
    return [SimilarMemory(*near) for near in found]


def find_near_duplicates(
    session: ReadSession, memory: NewMemory, similar_memories: Sequence[SimilarMemory], now: datetime
) -> list[Memory]:
    """Return the near-identical ones among the similar memories, in their current state.

    Needs the transaction that stores ``memory``, because another process may have changed them.
    """
    same = [
        similar.memory.key
        for similar in similar_memories
        if (similar.chunk.start, similar.chunk.end) == (0, len(similar.memory.content))
        and is_near_duplicate(similar.memory.content, memory.content, similar.cosine)
    ]
    return session.get_by_keys(same, _build_scope_filters(memory), now) if same else []


def _build_scope_filters(memory: NewMemory | Memory) -> Filters:
    scope = "global" if memory.project is None else "project"
    return Filters(scope=scope, project=memory.project, kind=memory.kind)


# --- among stored memories ----------------------------------------------------------------------

Position = tuple[int, int]
"""The position of a memory in the order of time: microseconds, key."""


@dataclass(frozen=True, slots=True)
class SimilarPair:
    """Two memories that may repeat or contradict each other, and the cosine of their vectors."""

    newer: Memory
    older: Memory
    cosine: float


@dataclass(frozen=True, slots=True)
class PairPage:
    """The pairs of one page of memories.

    The next page starts after ``last``, which is None at the end.
    """

    pairs: list[SimilarPair]
    compared_count: int
    last: Position | None


def find_similar_pairs(
    retriever: NearestMemories,
    read: Callable[[], AbstractContextManager[ReadSession]],
    model: ModelIdentity,
    now: datetime,
    *,
    after: Position | None,
    limit: int,
) -> PairPage:
    """Compare ``limit`` memories, each with all older ones, and return similar pairs.

    The memories are taken newest first, starting after ``after``. Pairs are those from `MIN_SIMILAR_COSINE`
    on, as a store would have said of them.
    """
    with read() as session:
        memories = session.page(Filters(), now, "newest", limit, after)
        vectors = _read_vectors(session, model, memories)
    pairs = [
        SimilarPair(memory, older, cosine)
        for memory in memories
        if memory.key in vectors
        for older, _, cosine in retriever.nearest(
            model, vectors[memory.key], _build_scope_filters(memory), MIN_SIMILAR_COSINE
        )
        if _read_position(older) < _read_position(memory)
    ]
    last = _read_position(memories[-1]) if len(memories) == limit else None
    return PairPage(pairs, len(memories), last)


def find_newer(
    retriever: NearestMemories, session: ReadSession, model: ModelIdentity, memories: Sequence[Memory]
) -> dict[int, Memory]:
    """Return by key of a memory the nearest newer one that may repeat or contradict it."""
    vectors = _read_vectors(session, model, memories)
    newer: dict[int, Memory] = {}
    for memory in memories:
        if memory.key in vectors:
            near = retriever.nearest(
                model, vectors[memory.key], _build_scope_filters(memory), MIN_SIMILAR_COSINE
            )
            later = [other for other, _, _ in near if _read_position(other) > _read_position(memory)]
            if later:
                newer[memory.key] = later[0]
    return newer


def _read_vectors(session: ReadSession, model: ModelIdentity, memories: Sequence[Memory]) -> dict[int, bytes]:
    """Return by key the vectors of the memories that can be compared.

    These are memories of a single chunk that are not events.
    """
    lengths = {memory.key: len(memory.content) for memory in memories if memory.kind != "episodic"}
    owners = {
        chunk.id: chunk.memory_key
        for chunk in session.chunks_of(list(lengths))
        if (chunk.start, chunk.end) == (0, lengths[chunk.memory_key])
    }
    model_key = session.embeddings.model_key(model.fingerprint)
    encoded = session.embeddings.get(model_key, list(owners)) if model_key is not None else {}
    return {owners[chunk_id]: vector for chunk_id, vector in encoded.items()}


def _read_position(memory: Memory) -> Position:
    return to_micros(memory.occurred_at), memory.key
