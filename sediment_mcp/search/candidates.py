"""Turn the hits of both indexes into candidates.

A candidate has its memory's best chunk, the words of the query in it, and its context.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.domain.memory import Candidate, Chunk, Memory
from sediment_mcp.indexes.term_counter import count_terms
from sediment_mcp.indexes.text_search import QueryTerms
from sediment_mcp.search.phrase_match import Wording, score_phrases

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sediment_mcp.indexes.protocols import ChunkVectors

SessionNeighbours = tuple[tuple[int, ...], ...]
"""The keys of a memory's neighbours in its session, by distance: see `memory.Candidate`."""


@dataclass(frozen=True, slots=True)
class QueryContext:
    """What chunks are compared with: the query's terms, embedding (if any) and wording."""

    terms: QueryTerms
    vector: NDArray[np.float32] | None
    wording: Wording


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """The memories found for a query, by key, and their chunks to compare, by id."""

    memories: dict[int, Memory] = field(default_factory=dict[int, Memory])
    chunks: dict[int, Chunk] = field(default_factory=dict[int, Chunk])

    def add(self, pairs: Iterable[tuple[Memory, Chunk]]) -> None:
        """Add chunks with their memories."""
        for memory, chunk in pairs:
            self.memories[memory.key] = memory
            self.chunks[chunk.id] = chunk


@dataclass(frozen=True, slots=True)
class CandidateFeatures:
    """The best chunk of each of n memories, with its features without context.

    ``cosines`` (None: there is no embedding), ``counts`` (n, terms) of the query's terms, ``lengths`` (n, 1)
    in terms, ``phrases`` (see `phrase_match`), and the embeddings ``vectors`` (n, dimension), zeros where
    there is none.
    """

    memories: list[Memory]
    chunks: list[Chunk]
    cosines: list[float | None]
    phrases: list[float]
    counts: NDArray[np.float32]
    lengths: NDArray[np.float32]
    vectors: NDArray[np.float32]

    def append(self, other: CandidateFeatures) -> CandidateFeatures:
        """Return these, then the others."""
        return CandidateFeatures(
            [*self.memories, *other.memories],
            [*self.chunks, *other.chunks],
            [*self.cosines, *other.cosines],
            [*self.phrases, *other.phrases],
            np.concatenate([self.counts, other.counts]),
            np.concatenate([self.lengths, other.lengths]),
            np.concatenate([self.vectors, other.vectors]),
        )


def extract_features(
    found: CandidateSet,
    query: QueryContext,
    bm25_scores: Mapping[int, float],
    vectors: ChunkVectors | None,
) -> CandidateFeatures:
    """Choose the best chunk of each memory, and return its features.

    ``bm25_scores`` are the index's, by chunk, and ``vectors`` the embeddings of those chunks that have one
    (None: the query has no embedding).
    """
    cosines = _compute_chunk_cosines(vectors, query.vector)
    best = _select_best_chunks(found, cosines, bm25_scores, query.terms)
    texts = [found.memories[chunk.memory_key].content[chunk.start : chunk.end] for chunk in best]
    counts, lengths = _count_query_terms(texts, query.terms)
    held = np.count_nonzero(counts, axis=1).tolist()
    return CandidateFeatures(
        list(found.memories.values()),
        best,
        [cosines.get(chunk.id) for chunk in best],
        score_phrases(texts, query.wording, held, counts.shape[1]),
        counts,
        lengths,
        _stack_vectors(best, vectors),
    )


def build_candidates(
    features: CandidateFeatures,
    query: QueryContext,
    neighbours: Mapping[int, SessionNeighbours] | None = None,
) -> list[Candidate]:
    """Return one candidate for each memory.

    ``neighbours`` holds by a memory's key the keys of its neighbours in the session (None: not known yet).
    """
    if not features.memories:
        return []
    from sediment_mcp.search import session_context

    own_neighbours = [(neighbours or {}).get(memory.key, ()) for memory in features.memories]
    links = session_context.link_neighbours(
        own_neighbours, {memory.key: row for row, memory in enumerate(features.memories)}
    )
    counts, lengths = features.counts, features.lengths
    idf, shares = (
        np.array(list(weights.values()), np.float32) for weights in (query.terms.idf, query.terms.shares)
    )
    all_counts, all_lengths = (session_context.add_neighbours(rows, links) for rows in (counts, lengths))
    context_cosines = _compute_context_cosines(
        session_context.add_neighbours(features.vectors, links), query.vector
    )
    return [
        Candidate(
            memory=memory,
            cosine=cosine,
            bm25=bm25,
            coverage=coverage,
            context_cosine=None if cosine is None else near,
            context_bm25=context_bm25,
            phrase=phrase,
            passage=(chunk.start, chunk.end),
            neighbours=sides,
            terms=int(terms),
            vector=None if cosine is None else vector,
        )
        for memory, chunk, cosine, vector, phrase, terms, near, bm25, context_bm25, coverage, sides in zip(
            features.memories,
            features.chunks,
            features.cosines,
            features.vectors,
            features.phrases,
            lengths[:, 0].tolist(),
            context_cosines,
            session_context.score_terms(counts, lengths, query.terms.mean_length, idf).tolist(),
            session_context.score_terms(all_counts, all_lengths, float(all_lengths.mean()), idf).tolist(),
            (((counts > 0) @ shares) / max(float(shares.sum()), 1e-9)).tolist(),
            own_neighbours,
            strict=True,
        )
    ]


def _compute_chunk_cosines(
    vectors: ChunkVectors | None, query_vector: NDArray[np.float32] | None
) -> dict[int, float]:
    if vectors is None or query_vector is None:
        return {}
    chunk_ids, rows = vectors
    return dict(zip(chunk_ids, (rows @ query_vector).tolist(), strict=True))


def _select_best_chunks(
    found: CandidateSet, cosines: Mapping[int, float], bm25_scores: Mapping[int, float], terms: QueryTerms
) -> list[Chunk]:
    """Return for each memory the chunk that fits the query best.

    That is the one with the highest sum of cosine and share of the query's words, the first of equals.
    """
    total = terms.total_idf or 1.0

    def fit(chunk: Chunk) -> tuple[float, int]:
        share = min(1.0, bm25_scores.get(chunk.id, 0.0) / total)
        return cosines.get(chunk.id, 0.0) + share, -chunk.id

    best: dict[int, Chunk] = {}
    for chunk in found.chunks.values():
        other = best.setdefault(chunk.memory_key, chunk)
        if other is not chunk and fit(chunk) > fit(other):
            best[chunk.memory_key] = chunk
    return [best[memory_key] for memory_key in found.memories]


def _count_query_terms(
    texts: Sequence[str], terms: QueryTerms
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how often each text contains each term, and its total number of terms.

    A text that contains a name, in whatever spelling, contains the name's parts.
    """
    columns = {term: column for column, term in enumerate(terms.idf)}
    counts = np.zeros((len(texts), len(columns)), np.float32)
    lengths = np.zeros((len(texts), 1), np.float32)
    for row, (held, lengths[row, 0]) in enumerate(count_terms(texts, {*columns, *terms.names})):
        for term, count in held.items():
            for part in (term, *terms.names.get(term, ())):
                if part in columns:
                    counts[row, columns[part]] = max(count, counts[row, columns[part]])
    return counts, lengths


def _stack_vectors(best: Sequence[Chunk], vectors: ChunkVectors | None) -> NDArray[np.float32]:
    if vectors is None:
        return np.zeros((len(best), 0), np.float32)
    chunk_ids, rows = vectors
    positions = {chunk_id: position for position, chunk_id in enumerate(chunk_ids)}
    nothing = np.zeros((1, rows.shape[1]), np.float32)
    return np.concatenate([rows, nothing])[[positions.get(chunk.id, -1) for chunk in best]]


def _compute_context_cosines(
    vectors: NDArray[np.float32], query_vector: NDArray[np.float32] | None
) -> list[float]:
    from sediment_mcp.search import session_context

    if query_vector is None:
        return [0.0] * len(vectors)
    return session_context.compute_cosines(vectors, query_vector).tolist()
