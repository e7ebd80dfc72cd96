"""One process's view of both indexes, and the candidates that they propose.

Snapshots and memtables are searched together.

Every hit is joined with its memory in the database and filtered there, inside the same read transaction.
Ranking is used here only to choose the memories whose neighbours are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.config import Tuning
from sediment_mcp.domain.filters import Filters, is_narrow
from sediment_mcp.domain.memory import Candidate, Chunk, Memory
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.indexes.filter_mask import AttributeColumns, FilterMask
from sediment_mcp.indexes.protocols import TextHit, VectorHit, fetch_until
from sediment_mcp.indexes.text_search import QueryTerms, TextSearch
from sediment_mcp.indexes.vector_search import VectorSearch
from sediment_mcp.search.candidates import (
    CandidateFeatures,
    CandidateSet,
    QueryContext,
    SessionNeighbours,
    build_candidates,
    extract_features,
)
from sediment_mcp.search.phrase_match import read_wording
from sediment_mcp.search.query_tense import remove_present_words
from sediment_mcp.search.ranking import select_leading
from sediment_mcp.storage.protocols import ReadSession
from sediment_mcp.system.time_zone import to_local

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_FETCH = 64  # chunks of each index at first; the union of 50 holds the answer 99.5 % of the time
MIN_MEMORIES = 32  # different memories from each index, so that one long memory cannot crowd out the others
NEIGHBOUR_DISTANCE = 2  # in the session, on each side


@dataclass(frozen=True, slots=True)
class Query:
    """A query: the text, and its embedding of shape (dimension,) if there is a model."""

    text: str
    vector: NDArray[np.float32] | None
    filters: Filters
    now: datetime
    limit: int


class IndexView:
    """Both indexes as one process sees them.

    Not thread-safe. The order matters: `reload` first, then a read transaction, then everything else inside
    it, so that the database is never older than the snapshots it corrects.
    """

    def __init__(self, directory: Path, tuning: Tuning) -> None:
        self._directory = directory
        self._tuning = tuning
        self.text = TextSearch(directory, common_from=tuning.common_terms_from)
        self.vectors: VectorSearch | None = None
        self._columns: AttributeColumns | None = None  # built when a filter first needs them

    # --- snapshots ------------------------------------------------------------------------------

    def reload(self, session: ReadSession, model: ModelIdentity | None) -> None:
        """Open the newest snapshots of both indexes, for the model in use."""
        if model is not None:
            self.reload_vectors(session, model)
        elif self.vectors is not None:
            self.vectors.reload(session)
        self.text.reload(session)

    def reload_vectors(self, session: ReadSession, model: ModelIdentity) -> None:
        """Open only the model's newest snapshot."""
        if self.vectors is None or self.vectors.model != model:
            self.vectors = VectorSearch(self._directory, model)
        self.vectors.reload(session)

    def is_far_behind(self, session: ReadSession) -> bool:
        """Return True if the text index should be written before a search, as it lacks too much."""
        limit = self._tuning.far_behind
        return session.changes.count_chunks_since(self.text.applied_seq, limit) == limit

    def is_text_due(self, session: ReadSession) -> bool:
        """Return True if the text index should be written.

        It cannot be used, or lacks too many chunks.
        """
        limit = self._tuning.text_memtable_limit
        return self.text.is_rejected or (
            session.changes.count_chunks_since(self.text.snapshot_seq, limit) >= limit
        )

    def are_vectors_due(self, session: ReadSession) -> bool:
        """Return True if the vector index should be written.

        It cannot be used, lacks too many embeddings, or does not exist although there are too many embeddings
        for exact search. It is written whole each time, so a large one may lack more.
        """
        if self.vectors is None:
            return False
        model_key = session.embeddings.model_key(self.vectors.model.fingerprint)
        if model_key is None or self.vectors.is_rejected:
            return model_key is not None
        seq = self.vectors.snapshot_seq
        limit = self._tuning.exact_search_limit
        if seq:
            share = self.vectors.snapshot_count // self._tuning.vector_memtable_share
            limit = max(self._tuning.vector_memtable_limit, share)
        return session.embeddings.count_since(model_key, seq, limit) >= limit

    def apply_changes(self, session: ReadSession) -> None:
        """Read the newest changes into the memtables."""
        self.text.apply_changes(session)
        if self.vectors is not None:
            self.vectors.apply_changes(session)

    def drop_erased(self, session: ReadSession) -> None:
        """Read the newest changes if something was erased that a memtable may hold.

        A process without queries would otherwise keep it in memory for ever.
        """
        for index in (self.text, self.vectors):
            if (
                index is not None
                and index.has_memtable_rows
                and session.changes.has_erased_since(index.applied_seq)
            ):
                index.apply_changes(session)

    # --- candidates -----------------------------------------------------------------------------

    def find_candidates(self, session: ReadSession, query: Query) -> list[Candidate]:
        """Return the memories that may answer, each with its best chunk and session neighbours."""
        terms = self.text.select_terms(remove_present_words(query.text))
        context = QueryContext(terms, query.vector, read_wording(query.text))
        found = CandidateSet()
        bm25 = self._search_text(session, query, context.terms, found)
        self._search_vectors(session, query, found)
        own = self._extract(found, context, bm25)
        leading = select_leading(
            build_candidates(own, context),
            project=query.filters.project,
            now=to_local(query.now),
            query=query.text,
            limit=max(self._tuning.foremost, self._tuning.foremost_per_result * query.limit),
        )
        neighbours, added = _find_neighbours(session, query, leading, found)
        return build_candidates(own.append(self._extract(added, context, bm25)), context, neighbours)

    def _extract(
        self, found: CandidateSet, context: QueryContext, bm25: Mapping[int, float]
    ) -> CandidateFeatures:
        vectors = None
        if self.vectors is not None and context.vector is not None:
            vectors = self.vectors.vectors(list(found.chunks))
        return extract_features(found, context, bm25, vectors)

    def nearest(
        self,
        session: ReadSession,
        vector: NDArray[np.float32],
        filters: Filters,
        now: datetime,
        min_cosine: float,
    ) -> list[tuple[Memory, Chunk, float]]:
        """Return the memories with at least this cosine to a vector, each with its best chunk.

        The index is searched only once, so memories that the filters exclude may crowd out others.
        """
        if self.vectors is None:
            return []
        self.vectors.apply_changes(session)
        hits = self.vectors.search(vector, FIRST_FETCH)
        cosines = {hit.chunk_id: hit.cosine for hit in hits if hit.cosine >= min_cosine}
        pairs = session.resolve_chunks(list(cosines), filters, now) if cosines else []
        pairs.sort(key=lambda pair: (-cosines[pair[1].id], pair[1].id))
        best: dict[int, tuple[Memory, Chunk, float]] = {}
        for memory, chunk in pairs:
            best.setdefault(memory.key, (memory, chunk, cosines[chunk.id]))
        return list(best.values())

    def _search_text(
        self, session: ReadSession, query: Query, terms: QueryTerms, found: CandidateSet
    ) -> dict[int, float]:
        """Add the memories that share terms with the query, and return BM25 scores by chunk id."""
        enough = max(MIN_MEMORIES, query.limit)
        hits = fetch_until(
            lambda count: self.text.search(terms, query.filters, query.now, count),
            lambda hits: len({hit.memory_key for hit in hits}) >= enough,
            first=max(FIRST_FETCH, 2 * query.limit),
        )
        _join(session, query, hits, found)
        return {hit.chunk_id: hit.score for hit in hits}

    def _search_vectors(self, session: ReadSession, query: Query, found: CandidateSet) -> None:
        """Add the memories nearest to the query.

        The filter for live, current memories, which most memories pass, is applied to the hits. If that
        leaves too few, and for any other filter, only the chunks that pass the filters are searched.
        """
        if self.vectors is None or query.vector is None:
            return
        first = max(FIRST_FETCH, 2 * query.limit)
        if is_narrow(query.filters):
            self._search_within_filters(session, query, found, first)
        else:
            self._search_and_filter(session, query, found, first)

    def _search_and_filter(self, session: ReadSession, query: Query, found: CandidateSet, first: int) -> None:
        fetched = 0

        def fetch(count: int) -> list[VectorHit]:
            nonlocal fetched
            fetched = count
            return self._fetch_vectors(session, query, found, count)

        def has_excluded(hits: list[VectorHit]) -> bool:
            return any(hit.chunk_id not in found.chunks for hit in hits)

        def is_enough(hits: list[VectorHit]) -> bool:
            return _has_enough(query, found, hits)

        hits = fetch_until(fetch, lambda hits: is_enough(hits) or has_excluded(hits), first)
        if len(hits) == fetched and not is_enough(hits):
            self._search_within_filters(session, query, found, fetched)

    def _search_within_filters(
        self, session: ReadSession, query: Query, found: CandidateSet, first: int
    ) -> None:
        mask = self._build_filter_mask(session, query)
        fetch_until(
            lambda count: self._fetch_vectors(session, query, found, count, mask),
            lambda hits: _has_enough(query, found, hits),
            first,
        )

    def _fetch_vectors(
        self,
        session: ReadSession,
        query: Query,
        found: CandidateSet,
        count: int,
        mask: FilterMask | None = None,
    ) -> list[VectorHit]:
        assert self.vectors is not None
        assert query.vector is not None
        hits = self.vectors.search(query.vector, count, mask)
        _join(session, query, hits, found)
        return hits

    def _build_filter_mask(self, session: ReadSession, query: Query) -> FilterMask:
        self._columns = self._columns or AttributeColumns()
        self._columns.apply_changes(session)
        return self._columns.build_mask(query.filters, query.now)


def _has_enough(query: Query, found: CandidateSet, hits: Iterable[VectorHit]) -> bool:
    """Return True if the hits that pass the filters belong to enough different memories."""
    owners = {found.chunks[hit.chunk_id].memory_key for hit in hits if hit.chunk_id in found.chunks}
    return len(owners) >= max(MIN_MEMORIES, query.limit)


def _join(
    session: ReadSession, query: Query, hits: Iterable[TextHit] | Iterable[VectorHit], found: CandidateSet
) -> None:
    """Add the chunks and memories of the hits, as far as they pass the filters."""
    new = [hit.chunk_id for hit in hits if hit.chunk_id not in found.chunks]
    found.add(session.resolve_chunks(new, query.filters, query.now))


def _find_neighbours(
    session: ReadSession, query: Query, leading: Sequence[Memory], found: CandidateSet
) -> tuple[dict[int, SessionNeighbours], CandidateSet]:
    """Return the session neighbours of the leading memories, and those not found before.

    Keys are read at up to twice the distance, for the neighbours of the neighbours.
    """
    neighbours: dict[int, SessionNeighbours] = {}
    for key, line in session.session_neighbours(leading, 2 * NEIGHBOUR_DISTANCE).items():
        own = line.index(key)
        for place in range(max(0, own - NEIGHBOUR_DISTANCE), min(len(line), own + NEIGHBOUR_DISTANCE + 1)):
            if line[place] not in neighbours:  # several lines may be of the same session
                neighbours[line[place]] = _pair_by_distance(line, place)
    new = sorted(neighbours.keys() - found.memories.keys())
    memories = {memory.key: memory for memory in session.get_by_keys(new, query.filters, query.now)}
    added = CandidateSet()
    added.add((memories[chunk.memory_key], chunk) for chunk in session.chunks_of(sorted(memories)))
    return neighbours, added


def _pair_by_distance(line: Sequence[int], place: int) -> SessionNeighbours:
    """Return by distance, from 1 on, the keys before and after a position in a line."""
    return tuple(
        tuple([line[at] for at in (place - step, place + step) if 0 <= at < len(line)])
        for step in range(1, NEIGHBOUR_DISTANCE + 1)
    )
