"""Turn the hits of both indexes into candidates, as columns of arrays.

A candidate is a memory with its best chunk, the words of the query in it, and its context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.domain.memory import FoundChunk
from sediment_mcp.indexes.term_counter import count_terms
from sediment_mcp.indexes.text_search import QueryTerms
from sediment_mcp.search import late_interaction, session_context
from sediment_mcp.search.late_interaction import QueryTokens
from sediment_mcp.search.phrase_match import Wording, score_phrases
from sediment_mcp.search.session_context import Links
from sediment_mcp.search.time_questions import names_time

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sediment_mcp.indexes.protocols import ChunkVectors

    Column = NDArray[np.float64]

_QUESTION_MARKS = "?\uff1f\u061f"
_LAST_CHARS = 300  # of a text, in which it is looked for


@dataclass(frozen=True, slots=True)
class QueryContext:
    """What chunks are compared with: the query's terms, embedding, token vectors and wording.

    ``vector`` and ``tokens`` are None without a model. ``asks_when`` says that it asks for a time.
    """

    terms: QueryTerms
    vector: NDArray[np.float32] | None
    wording: Wording
    tokens: QueryTokens | None = None
    asks_when: bool = False


@dataclass(frozen=True)
class CandidateFeatures:
    """The best chunk of each of n memories, with its features without context.

    ``cosines`` (n,) with the query, NaN where there is no embedding; ``phrases`` (n,), see `phrase_match`;
    ``counts`` (n, terms) of the query's terms; ``lengths`` (n, 1) in terms; the embeddings ``vectors``
    (n, dimension), zeros where there is none; the cosines of the query's tokens with the nearest of the
    chunk's, ``nearest_tokens`` (n, tokens), NaN where it has no token vectors; ``is_question`` (n,);
    ``names_time`` (n,), if the query asks for a time.
    """

    chunks: Sequence[FoundChunk]
    cosines: Column
    phrases: Column
    counts: NDArray[np.float32]
    lengths: NDArray[np.float32]
    vectors: NDArray[np.float32]
    nearest_tokens: NDArray[np.float32]
    is_question: NDArray[np.bool_]
    names_time: NDArray[np.bool_]

    def append(self, other: CandidateFeatures) -> CandidateFeatures:
        """Return these, then the others."""
        return CandidateFeatures(
            [*self.chunks, *other.chunks],
            np.concatenate([self.cosines, other.cosines]),
            np.concatenate([self.phrases, other.phrases]),
            np.concatenate([self.counts, other.counts]),
            np.concatenate([self.lengths, other.lengths]),
            np.concatenate([self.vectors, other.vectors]),
            np.concatenate([self.nearest_tokens, other.nearest_tokens]),
            np.concatenate([self.is_question, other.is_question]),
            np.concatenate([self.names_time, other.names_time]),
        )

    def with_tokens(self, query: QueryTokens, encoded: Sequence[bytes]) -> CandidateFeatures:
        """Return these with the ``encoded`` token vectors of the chunks, compared with the query's."""
        return replace(self, nearest_tokens=late_interaction.compare_tokens(query, encoded))

    @cached_property
    def memory_keys(self) -> NDArray[np.int64]:
        """The keys of the memories, of shape (n,)."""
        return np.array([chunk.memory_key for chunk in self.chunks], np.int64)


@dataclass(frozen=True)
class Candidates:
    """n memories that may answer a query, with what ranking needs to know of them.

    Each is known by its best chunk, one of ``chunks``. All columns are of shape (n,): ``cosines`` with the
    query, NaN where there is no embedding yet; ``bm25``, 0 where no term is in common; ``coverages``, the
    share (0 to 1) of the query's term weight (idf) that the chunk holds; ``phrases`` (0 to 1), how far it
    holds the query's own wording (see `phrase_match`). ``context_cosines`` and ``context_bm25`` are those of
    the chunk together with its neighbours in the session. ``tokens`` and ``context_tokens`` say how well the
    query's tokens are matched (see `late_interaction`), NaN where there are no token vectors.
    ``is_question``: the chunk ends with a question; ``names_time``: the query asks when, and the chunk says
    when. ``lengths`` are in terms, ``vectors`` (n, dimension) the embeddings, unit vectors or zeros.
    ``links`` say who is whose neighbour.
    """

    chunks: Sequence[FoundChunk]
    cosines: Column
    bm25: Column
    coverages: Column
    phrases: Column
    context_cosines: Column
    context_bm25: Column
    tokens: Column
    context_tokens: Column
    is_question: NDArray[np.bool_]
    names_time: NDArray[np.bool_]
    lengths: Column
    vectors: NDArray[np.float32]
    links: Links = ()

    def __len__(self) -> int:
        """Return the number of memories."""
        return len(self.chunks)

    @cached_property
    def is_embedded(self) -> NDArray[np.bool_]:
        """Which memories have an embedding, of shape (n,)."""
        return ~np.isnan(self.cosines)

    @cached_property
    def has_tokens(self) -> NDArray[np.bool_]:
        """Which memories have token vectors, of shape (n,)."""
        return ~np.isnan(self.tokens)

    @cached_property
    def memory_keys(self) -> NDArray[np.int64]:
        """The keys of the memories, of shape (n,)."""
        return np.array([chunk.memory_key for chunk in self.chunks], np.int64)

    @cached_property
    def occurred_at(self) -> NDArray[np.int64]:
        """The times of the memories in microseconds since 1970, of shape (n,)."""
        return np.array([chunk.occurred_at for chunk in self.chunks], np.int64)


# --- features of the chunks by themselves -------------------------------------------------------


def extract_features(
    found: Sequence[FoundChunk],
    query: QueryContext,
    bm25_scores: Mapping[int, float],
    vectors: ChunkVectors | None,
) -> CandidateFeatures:
    """Choose the best chunk of each memory, and return its features, but those of its tokens.

    ``bm25_scores`` are the index's, by chunk, and ``vectors`` the embeddings of those chunks that have one
    (None: the query has no embedding).
    """
    cosines, rows = _align_vectors(found, query.vector, vectors)
    best = _select_best_chunks(found, cosines, bm25_scores, query.terms)
    chunks = [found[place] for place in best]
    texts = [chunk.text for chunk in chunks]
    counts, lengths = _count_query_terms(texts, query.terms)
    held = np.count_nonzero(counts, axis=1).tolist()
    asked = len(query.tokens.weights) if query.tokens else 0
    phrases = score_phrases(texts, query.wording, held, counts.shape[1])
    if len(best) < len(found):  # else each memory has one chunk
        cosines, rows = cosines[best], rows[best]
    return CandidateFeatures(
        chunks=chunks,
        cosines=cosines,
        phrases=np.array(phrases, np.float64),
        counts=counts,
        lengths=lengths[:, None],
        vectors=rows,
        nearest_tokens=np.full((len(chunks), asked), np.nan, np.float32),
        is_question=np.array([is_question(text) for text in texts], np.bool_),
        names_time=np.array([query.asks_when and names_time(text) for text in texts], np.bool_),
    )


def is_question(text: str) -> bool:
    """Return True if a text ends with a question mark, but for a remark in brackets."""
    if "?" not in text and (text.isascii() or not any(mark in text for mark in _QUESTION_MARKS)):
        return False  # as for most, at the least cost
    end = text[-_LAST_CHARS:].rstrip()
    if end.endswith(("]", ")")):
        end = end[: max(end.rfind("["), end.rfind("("), 0)]
    last = next((place for place, character in enumerate(reversed(end)) if character.isalnum()), len(end))
    return any(mark in end[len(end) - last :] for mark in _QUESTION_MARKS)


def _align_vectors(
    found: Sequence[FoundChunk], query_vector: NDArray[np.float32] | None, vectors: ChunkVectors | None
) -> tuple[Column, NDArray[np.float32]]:
    """Return each chunk's cosine with the query and its embedding; NaN and zeros without."""
    cosines = np.full(len(found), np.nan)
    if vectors is None or query_vector is None:
        return cosines, np.zeros((len(found), 0), np.float32)
    chunk_ids, rows = vectors
    aligned = np.zeros((len(found), rows.shape[1]), np.float32)
    place_of_chunk = {chunk.chunk_id: place for place, chunk in enumerate(found)}
    places = [place_of_chunk[chunk_id] for chunk_id in chunk_ids]
    cosines[places] = rows @ query_vector
    aligned[places] = rows
    return cosines, aligned


def _select_best_chunks(
    found: Sequence[FoundChunk], cosines: Column, bm25_scores: Mapping[int, float], terms: QueryTerms
) -> list[int]:
    """Return for each memory the place of the chunk that fits the query best.

    That is the one with the highest sum of cosine and share of the query's words, the first of equals.
    """
    total = terms.total_idf or 1.0
    nearness = np.nan_to_num(cosines).tolist()

    def fit(place: int) -> tuple[float, int]:
        chunk_id = found[place].chunk_id
        return nearness[place] + min(1.0, bm25_scores.get(chunk_id, 0.0) / total), -chunk_id

    best: dict[int, int] = {}
    for place, chunk in enumerate(found):
        other = best.setdefault(chunk.memory_key, place)
        if other != place and fit(place) > fit(other):
            best[chunk.memory_key] = place
    return list(best.values())


def _count_query_terms(
    texts: Sequence[str], terms: QueryTerms
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how often each text contains each term, and its total number of terms.

    A text that contains a name, in whatever spelling, contains the name's parts.
    """
    columns = {term: column for column, term in enumerate(terms.idf)}
    wanted = list(dict.fromkeys([*columns, *terms.names]))
    counted, lengths = count_terms(texts, wanted)
    counts = counted[:, : len(columns)]
    for place, name in enumerate(wanted):
        for part in terms.names.get(name, ()):
            if part in columns:
                column = counts[:, columns[part]]
                np.maximum(column, counted[:, place], out=column)
    return counts, lengths


# --- context ------------------------------------------------------------------------------------


def build_candidates(features: CandidateFeatures, query: QueryContext, links: Links = ()) -> Candidates:
    """Return the candidates; ``links`` say which are neighbours in a session.

    There are none while that is not known yet.
    """
    counts, lengths = features.counts, features.lengths
    idf, shares = (
        np.array(list(weights.values()), np.float32) for weights in (query.terms.idf, query.terms.shares)
    )
    all_counts, all_lengths = (session_context.add_neighbours(rows, links) for rows in (counts, lengths))
    mean_length = float(all_lengths.mean()) if len(all_lengths) else 0.0
    coverages = ((counts > 0) @ shares) / max(float(shares.sum()), 1e-9)
    context_bm25 = session_context.score_terms(all_counts, all_lengths, mean_length, idf)
    tokens, context_tokens = _match_tokens(features, links, query.tokens)
    return Candidates(
        chunks=features.chunks,
        cosines=features.cosines,
        bm25=session_context.score_terms(counts, lengths, query.terms.mean_length, idf).astype(np.float64),
        coverages=coverages.astype(np.float64),
        phrases=features.phrases,
        context_cosines=_compute_context_cosines(features, links, query.vector),
        context_bm25=context_bm25.astype(np.float64),
        tokens=tokens,
        context_tokens=context_tokens,
        is_question=features.is_question,
        names_time=features.names_time,
        lengths=lengths[:, 0].astype(np.float64),
        vectors=features.vectors,
        links=links,
    )


def _compute_context_cosines(
    features: CandidateFeatures, links: Links, query_vector: NDArray[np.float32] | None
) -> Column:
    if query_vector is None:
        return features.cosines
    summed = session_context.add_neighbours(features.vectors, links)
    cosines = session_context.compute_cosines(summed, query_vector).astype(np.float64)
    return np.where(np.isnan(features.cosines), np.nan, cosines)


def _match_tokens(
    features: CandidateFeatures, links: Links, query: QueryTokens | None
) -> tuple[Column, Column]:
    """Return how well each candidate matches the query's tokens, by itself and in its context."""
    nearest = features.nearest_tokens
    if query is None:
        missing = np.full(len(nearest), np.nan)
        return missing, missing
    included = late_interaction.include_neighbours(nearest, links)
    sums = late_interaction.sum_matches
    return sums(nearest, query.weights), sums(included, query.weights)
