"""From what both legs found to candidates: the best passage of each memory, its words and its context."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sediment_mcp.domain.memory import Candidate, Chunk, Memory
from sediment_mcp.indexes.analyzer import occurrences
from sediment_mcp.indexes.text_search import Terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sediment_mcp.indexes.usearch_index import Rows

Beside = tuple[tuple[int, ...], ...]
"""The numbers of the memories beside one in its session, by distance: see `memory.Candidate`."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What passages are compared with: the question's terms, and its embedding if there is one."""

    terms: Terms
    vector: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Found:
    """The memories that may answer, and those of their passages that are looked at, by number."""

    memories: dict[int, Memory] = field(default_factory=dict[int, Memory])
    chunks: dict[int, Chunk] = field(default_factory=dict[int, Chunk])

    def add(self, pairs: Iterable[tuple[Memory, Chunk]]) -> None:
        for memory, chunk in pairs:
            self.memories[memory.number] = memory
            self.chunks[chunk.number] = chunk


@dataclass(frozen=True, slots=True)
class Passages:
    """The best passage of each of n memories, and what it is worth by itself: ``cosines`` (None: there is no
    embedding), ``counts`` (n, terms) of the question's terms, ``lengths`` (n, 1) in terms, and the embeddings
    ``vectors`` (n, dimension), zeros where there is none."""

    memories: list[Memory]
    chunks: list[Chunk]
    cosines: list[float | None]
    counts: NDArray[np.float32]
    lengths: NDArray[np.float32]
    vectors: NDArray[np.float32]

    def and_(self, other: Passages) -> Passages:
        """These, then the others."""
        import numpy as np

        return Passages(
            [*self.memories, *other.memories],
            [*self.chunks, *other.chunks],
            [*self.cosines, *other.cosines],
            np.concatenate([self.counts, other.counts]),
            np.concatenate([self.lengths, other.lengths]),
            np.concatenate([self.vectors, other.vectors]),
        )


def passages(found: Found, asked: Asked, lexical: Mapping[int, float], rows: Rows | None) -> Passages:
    """The best passage of each memory; ``lexical`` are the index's scores of chunks and ``rows`` their
    embeddings, of those that have one (None: the question has no embedding)."""
    cosines = _cosines(rows, asked.vector)
    best = _best_passages(found, cosines, lexical, asked.terms)
    texts = [found.memories[chunk.memory].content[chunk.start : chunk.end] for chunk in best]
    return Passages(
        list(found.memories.values()),
        best,
        [cosines.get(chunk.number) for chunk in best],
        *_words(texts, asked.terms),
        _vectors(best, rows),
    )


def candidates(
    passages: Passages, asked: Asked, neighbours: Mapping[int, Beside] | None = None
) -> list[Candidate]:
    """One candidate a memory; ``neighbours`` are the numbers of those beside it, by its own (None: nobody's
    are known yet)."""
    if not passages.memories:
        return []
    import numpy as np

    from sediment_mcp.search import session_context

    beside = [(neighbours or {}).get(memory.number, ()) for memory in passages.memories]
    links = session_context.links(
        beside, {memory.number: row for row, memory in enumerate(passages.memories)}
    )
    terms, counts, lengths = asked.terms, passages.counts, passages.lengths
    idf = np.array(list(terms.idf.values()), np.float32)
    around, extent = (session_context.with_neighbours(rows, links) for rows in (counts, lengths))
    nearness = _nearness(session_context.with_neighbours(passages.vectors, links), asked.vector)
    return [
        Candidate(
            memory=memory,
            cosine=cosine,
            bm25=own_words,
            coverage=coverage,
            context_cosine=None if cosine is None else context_cosine,
            context_bm25=all_words,
            passage=(chunk.start, chunk.end),
            neighbours=sides,
        )
        for memory, chunk, cosine, context_cosine, own_words, all_words, coverage, sides in zip(
            passages.memories,
            passages.chunks,
            passages.cosines,
            nearness,
            session_context.bm25(counts, lengths[:, 0], terms.mean_length, idf).tolist(),
            session_context.bm25(around, extent[:, 0], float(extent.mean()), idf).tolist(),
            (((counts > 0) @ idf) / max(float(idf.sum()), 1e-9)).tolist(),
            beside,
            strict=True,
        )
    ]


def _cosines(rows: Rows | None, vector: NDArray[np.float32] | None) -> dict[int, float]:
    if rows is None or vector is None:
        return {}
    chunks, vectors = rows
    return dict(zip(chunks, (vectors @ vector).tolist(), strict=True))


def _best_passages(
    found: Found, cosines: Mapping[int, float], lexical: Mapping[int, float], terms: Terms
) -> list[Chunk]:
    """For each memory the passage with the highest sum of cosine and share of the question's words; the first
    of equals."""
    total = terms.total_idf or 1.0

    def fit(chunk: Chunk) -> tuple[float, int]:
        words = min(1.0, lexical.get(chunk.number, 0.0) / total)
        return cosines.get(chunk.number, 0.0) + words, -chunk.number

    best: dict[int, Chunk] = {}
    for chunk in found.chunks.values():
        other = best.setdefault(chunk.memory, chunk)
        if other is not chunk and fit(chunk) > fit(other):
            best[chunk.memory] = chunk
    return [best[number] for number in found.memories]


def _words(texts: Sequence[str], terms: Terms) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How often the texts hold each of the terms, and how many terms each text has in all."""
    import numpy as np

    wanted = {term: column for column, term in enumerate(terms.idf)}
    counts = np.zeros((len(texts), len(wanted)), np.float32)
    lengths = np.zeros((len(texts), 1), np.float32)
    for row, (held, lengths[row, 0]) in enumerate(occurrences(texts, wanted)):
        for term, count in held.items():
            counts[row, wanted[term]] = count
    return counts, lengths


def _vectors(best: Sequence[Chunk], rows: Rows | None) -> NDArray[np.float32]:
    import numpy as np

    if rows is None:
        return np.zeros((len(best), 0), np.float32)
    chunks, vectors = rows
    place = {chunk: row for row, chunk in enumerate(chunks)}
    nothing = np.zeros((1, vectors.shape[1]), np.float32)
    return np.concatenate([vectors, nothing])[[place.get(chunk.number, -1) for chunk in best]]


def _nearness(vectors: NDArray[np.float32], vector: NDArray[np.float32] | None) -> list[float]:
    from sediment_mcp.search import session_context

    return [0.0] * len(vectors) if vector is None else session_context.cosines(vectors, vector).tolist()
