"""What a new memory repeats, or may contradict, among those that are there: proposed by the vectors that the
store has computed anyway, decided by `near_duplicates`.

Only current memories of the same scope and kind are considered. Events are not: two of them do not contradict
each other, and what happened twice is two memories, so that a hint to replace one would only do harm.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sediment_mcp.domain.duplicates import both_metadata, both_tags, later_end
from sediment_mcp.domain.filters import micros
from sediment_mcp.domain.memory import Chunk, Filters, Memory
from sediment_mcp.domain.near_duplicates import MOST_SIMILAR, SIMILAR, is_near_duplicate
from sediment_mcp.operations.arguments import PREVIEW, SimilarResult
from sediment_mcp.storage.sql.memories import Draft

if TYPE_CHECKING:
    from datetime import datetime

    from sediment_mcp.app import Library
    from sediment_mcp.embeddings.protocols import ModelIdentity
    from sediment_mcp.storage.sql.memories import Store


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A memory near to a new one: its best passage, and the cosine of that."""

    memory: Memory
    passage: Chunk
    cosine: float


def neighbours(
    library: Library, draft: Draft, embedded: tuple[ModelIdentity, Sequence[bytes]] | None
) -> list[Neighbour]:
    """Those from `SIMILAR` on, nearest first, as of the newest change of any process. None for a text of
    several passages, of which no single vector could speak, and none while there is no model."""
    if draft.kind == "episodic" or embedded is None or len(draft.spans) != 1:
        return []
    identity, (vector,) = embedded
    return [Neighbour(*near) for near in library.nearest(identity, vector, _alike(draft), SIMILAR)]


def repeated(store: Store, draft: Draft, near: Sequence[Neighbour], now: datetime) -> list[Memory]:
    """The near-identical ones among ``near`` as they are now; inside the transaction that stores ``draft``,
    since another process may have changed them."""
    same = [
        beside.memory.number
        for beside in near
        if (beside.passage.start, beside.passage.end) == (0, len(beside.memory.content))
        and is_near_duplicate(beside.memory.content, draft.content, beside.cosine)
    ]
    return store.numbered(same, _alike(draft), now) if same else []


def carrying(draft: Draft, older: Sequence[Memory]) -> Draft:
    """The draft with what would be lost of the memories whose place it takes; its own tags and metadata come
    first, and of two ends the later counts, as where the same text is stored again."""
    for memory in older:
        draft = replace(
            draft,
            tags=both_tags(draft.tags, memory.tags),
            metadata=both_metadata(memory.metadata, draft.metadata) or draft.metadata,
            session=draft.session or memory.session,
            importance=max(draft.importance, memory.importance),
            occurred_at=max(draft.occurred_at, memory.occurred_at),
            expires_at=later_end(draft.expires_at, memory.expires_at),
        )
    return draft


def similar(near: Sequence[Neighbour], settled: Container[str]) -> list[SimilarResult]:
    """The nearest for the agent to look at, without those ``settled`` by this store."""
    return [
        SimilarResult(
            id=beside.memory.id,
            similarity=round(min(1.0, beside.cosine), 4),
            content=beside.memory.content[:PREVIEW],
        )
        for beside in near
        if beside.memory.id not in settled
    ][:MOST_SIMILAR]


def _alike(one: Draft | Memory) -> Filters:
    scope = "global" if one.project is None else "project"
    return Filters(scope=scope, project=one.project, kind=one.kind)


# --- among what is there ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pair:
    newer: Memory
    older: Memory
    cosine: float


@dataclass(frozen=True, slots=True)
class Walk:
    """What a stretch of the memories has shown; ``last`` is where the next one begins, None at the end."""

    pairs: list[Pair]
    looked_at: int
    last: tuple[int, int] | None


def alike(library: Library, after: tuple[int, int] | None, count: int) -> Walk | None:
    """Compare ``count`` memories, newest first from behind ``after``, each with all that are older: which are
    from `SIMILAR` on, as a store would have said of them. None while there is no model."""
    embedder = library.embedder()
    if embedder is None:
        return None
    page, vectors = _stretch(library, embedder.identity, after, count)
    found = [
        Pair(memory, older, cosine)
        for memory in page
        if memory.number in vectors
        for older, _, cosine in library.nearest(
            embedder.identity, vectors[memory.number], _alike(memory), SIMILAR
        )
        if _position(older) < _position(memory)
    ]
    return Walk(found, len(page), _position(page[-1]) if len(page) == count else None)


def _stretch(
    library: Library, identity: ModelIdentity, after: tuple[int, int] | None, count: int
) -> tuple[list[Memory], dict[int, bytes]]:
    """The next memories, and by their numbers the embeddings of those that can be compared: no events, and
    texts of one passage."""
    with library.read() as store:
        page = store.page(Filters(), library.now(), "newest", count, after)
        lengths = {memory.number: len(memory.content) for memory in page if memory.kind != "episodic"}
        passages = {
            chunk.number: chunk.memory
            for chunk in store.chunks_of(list(lengths))
            if (chunk.start, chunk.end) == (0, lengths[chunk.memory])
        }
        model = store.embeddings.number_of(identity.fingerprint)
        vectors = store.embeddings.of(model, list(passages)) if model is not None else {}
    return page, {passages[chunk]: vector for chunk, vector in vectors.items()}


def _position(memory: Memory) -> tuple[int, int]:
    return micros(memory.occurred_at), memory.number
