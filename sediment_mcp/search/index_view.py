"""One process's view of both indexes, and the candidates that they propose.

Snapshots and memtables are searched together.

Every hit is joined with its memory in the database and filtered there, inside the same read transaction.
Ranking is used here only to choose the memories whose neighbours are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.domain.filters import Filters, is_narrow
from sediment_mcp.domain.memory import Chunk, FoundChunk, Memory
from sediment_mcp.embeddings.loader import EmbeddedQuery
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.indexes.filter_mask import AttributeColumns, FilterMask
from sediment_mcp.indexes.protocols import VectorHit, fetch_until
from sediment_mcp.indexes.text_search import QueryTerms, TextSearch
from sediment_mcp.indexes.vector_search import VectorSearch
from sediment_mcp.search.candidates import (
    CandidateFeatures,
    Candidates,
    QueryContext,
    build_candidates,
    extract_features,
)
from sediment_mcp.search.late_interaction import weigh_query_tokens
from sediment_mcp.search.phrase_match import read_wording
from sediment_mcp.search.query_tense import remove_present_words
from sediment_mcp.search.ranking import Asking, select_leading
from sediment_mcp.search.session_context import NEIGHBOUR_DISTANCE, link_neighbours, read_neighbourhood
from sediment_mcp.search.time_questions import asks_when
from sediment_mcp.storage.protocols import ReadSession
from sediment_mcp.tuning import Tuning

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sediment_mcp.system.directory_encryption import DirectoryEncryption

FIRST_FETCH = 64  # chunks of each index at first; the union of 50 holds the answer 99.5 % of the time
MIN_MEMORIES = 32  # different memories from each index, so that one long memory cannot crowd out the others


@dataclass(frozen=True, slots=True)
class Query:
    """A query: the text, and what the model made of it, if there is one.

    ``asking`` is what its order depends on beside the memories.
    """

    text: str
    embedded: EmbeddedQuery | None
    filters: Filters
    now: datetime
    limit: int
    asking: Asking

    @property
    def vector(self) -> NDArray[np.float32] | None:
        """Its embedding, of shape (dimension,); None without a model, or if that cannot read it."""
        return self.embedded.vector if self.embedded else None


@dataclass(slots=True)
class _FoundChunks:
    """The proposed chunks that pass the filters, by id, and those still to be read.

    ``tokens`` are the encoded token vectors that were read with them, where that saves a round trip.
    """

    chunks: dict[int, FoundChunk] = field(default_factory=dict[int, FoundChunk])
    unread: list[int] = field(default_factory=list[int])
    tokens: dict[int, bytes] = field(default_factory=dict[int, bytes])


class IndexView:
    """Both indexes as one process sees them.

    Not thread-safe. The order matters: `reload` first, then a read transaction, then everything else inside
    it, so that the database is never older than the snapshots it corrects.
    """

    def __init__(self, directory: Path, tuning: Tuning, encryption: DirectoryEncryption) -> None:
        self._directory = directory
        self._tuning = tuning
        self._encryption = encryption
        self.text = TextSearch(directory, encryption, common_from=tuning.common_terms_from)
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
            self.vectors = VectorSearch(self._directory, model, self._encryption)
        self.vectors.reload(session)

    def is_far_behind(self, session: ReadSession) -> bool:
        """Return True if the text index should be written before a search, as it lacks too much."""
        if session.changes.seq() == self.text.applied_seq:
            return False
        limit = self._tuning.far_behind
        return session.changes.count_chunks_since(self.text.applied_seq, limit) == limit

    def is_text_due(self, session: ReadSession) -> bool:
        """Return True if the text index should be written.

        It cannot be used, or lacks too many chunks. Where it is written whole each time, a large one may lack
        more.
        """
        limit = self._tuning.text_memtable_limit
        if self.text.is_written_whole:
            limit = max(limit, self.text.snapshot_count // self._tuning.text_memtable_share)
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

    def read_ahead(self, session: ReadSession) -> None:
        """Ask for what `is_far_behind` and `apply_changes` read first; see `ReadSession.prefetch`."""
        session.changes.count_chunks_since(self.text.applied_seq, self._tuning.far_behind)
        self.text.read_ahead(session)
        if self.vectors is not None:
            self.vectors.read_ahead(session)

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

    def find_candidates(self, session: ReadSession, query: Query) -> Candidates:
        """Return the memories that may answer, each with its best chunk and session neighbours."""
        terms = self.text.select_terms(remove_present_words(query.text))
        context = _read_context(query, terms)
        bm25 = self._search_text(query, terms)
        found = _FoundChunks(unread=list(bm25))
        chunks = self._find_chunks(session, query, bm25, found)
        own = self._extract(session, chunks, query, context, bm25, tokens=found.tokens)
        foremost = max(self._tuning.foremost, self._tuning.foremost_per_result * query.limit)
        leading = select_leading(build_candidates(own, context), query.asking, foremost)
        lines = session.session_neighbours(leading, 2 * NEIGHBOUR_DISTANCE)
        if not lines:
            return build_candidates(own, context)
        neighbourhood = read_neighbourhood(lines.items())
        new = sorted({*neighbourhood.keys.tolist()} - {*own.memory_keys.tolist()})  # numpy's imports numpy.ma
        added, tokens = _read_chunks_of(session, query, new)
        features = (
            own.append(self._extract(session, added, query, context, bm25, tokens=tokens)) if added else own
        )
        return build_candidates(features, context, link_neighbours(neighbourhood, features.memory_keys))

    def _extract(
        self,
        session: ReadSession,
        found: Sequence[FoundChunk],
        query: Query,
        context: QueryContext,
        bm25: Mapping[int, float],
        *,
        tokens: Mapping[int, bytes],
    ) -> CandidateFeatures:
        vectors = None
        if self.vectors is not None and context.vector is not None:
            vectors = self.vectors.vectors([chunk.chunk_id for chunk in found])
        features = extract_features(found, context, bm25, vectors)
        if context.tokens is None:
            return features
        chunk_ids = [chunk.chunk_id for chunk in features.chunks]
        unread = [chunk_id for chunk_id in chunk_ids if chunk_id not in tokens]
        known = {**tokens, **_read_tokens(session, query, unread)}
        return features.with_tokens(context.tokens, [known[chunk_id] for chunk_id in chunk_ids])

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
        vectors = self.vectors

        def search() -> dict[int, float]:
            hits = vectors.search(vector, FIRST_FETCH)
            return {hit.chunk_id: hit.cosine for hit in hits if hit.cosine >= min_cosine}

        # Mostly nothing has changed, or nothing that is near; then this was all to be read.
        session.prefetch(
            lambda: vectors.read_ahead(session), lambda: session.resolve_chunks(list(search()), filters, now)
        )
        vectors.apply_changes(session)
        cosines = search()
        pairs = session.resolve_chunks(list(cosines), filters, now) if cosines else []
        pairs.sort(key=lambda pair: (-cosines[pair[1].id], pair[1].id))
        best: dict[int, tuple[Memory, Chunk, float]] = {}
        for memory, chunk in pairs:
            best.setdefault(memory.key, (memory, chunk, cosines[chunk.id]))
        return list(best.values())

    def _search_text(self, query: Query, terms: QueryTerms) -> dict[int, float]:
        """Return by id the BM25 scores of chunks that share terms and pass the filters."""
        enough = max(MIN_MEMORIES, query.limit)
        hits = fetch_until(
            lambda count: self.text.search(terms, query.filters, query.now, count),
            lambda hits: len({hit.memory_key for hit in hits}) >= enough,
            first=max(FIRST_FETCH, 2 * query.limit),
        )
        return {hit.chunk_id: hit.score for hit in hits}

    def _find_chunks(
        self, session: ReadSession, query: Query, bm25: Mapping[int, float], found: _FoundChunks
    ) -> list[FoundChunk]:
        """Return the chunks that either index proposes, as far as they pass the filters."""
        self._search_vectors(session, query, found)
        _read(session, query, found)
        return sorted(found.chunks.values(), key=lambda chunk: chunk.chunk_id not in bm25)

    def _search_vectors(self, session: ReadSession, query: Query, found: _FoundChunks) -> None:
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

    def _search_and_filter(self, session: ReadSession, query: Query, found: _FoundChunks, first: int) -> None:
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
        self, session: ReadSession, query: Query, found: _FoundChunks, first: int
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
        found: _FoundChunks,
        count: int,
        mask: FilterMask | None = None,
    ) -> list[VectorHit]:
        assert self.vectors is not None
        assert query.vector is not None
        hits = self.vectors.search(query.vector, count, mask)
        found.unread += [hit.chunk_id for hit in hits if hit.chunk_id not in found.chunks]
        _read(session, query, found)
        return hits

    def _build_filter_mask(self, session: ReadSession, query: Query) -> FilterMask:
        self._columns = self._columns or AttributeColumns()
        self._columns.apply_changes(session)
        return self._columns.build_mask(query.filters, query.now)


def _read_context(query: Query, terms: QueryTerms) -> QueryContext:
    """Return what the chunks are compared with."""
    embedded = query.embedded
    tokens = None
    if embedded is not None and embedded.token_model is not None:
        tokens = weigh_query_tokens(query.text, embedded.tokens, embedded.spans, terms.shares)
    return QueryContext(terms, query.vector, read_wording(query.text), tokens, asks_when(query.text))


def _read_tokens(session: ReadSession, query: Query, chunk_ids: Sequence[int]) -> dict[int, bytes]:
    """Return the encoded token vectors of chunks, empty where there are none yet."""
    model_key = _find_token_model(session, query) if chunk_ids else None
    kept = session.token_vectors.get(model_key, chunk_ids) if model_key is not None else {}
    return dict.fromkeys(chunk_ids, b"") | kept


def _find_token_model(session: ReadSession, query: Query) -> int | None:
    model = query.embedded.token_model if query.embedded else None
    return session.token_vectors.model_key(model.fingerprint) if model else None


def _read_chunks_of(
    session: ReadSession, query: Query, memory_keys: Sequence[int]
) -> tuple[list[FoundChunk], dict[int, bytes]]:
    """Return the chunks of memories that pass the filters, and token vectors read with them."""
    model_key = _find_token_model(session, query)

    def read_tokens() -> dict[int, bytes]:
        return session.token_vectors.get_of(model_key, memory_keys) if model_key is not None else {}

    def read_chunks() -> list[FoundChunk]:
        return session.find_chunks_of(memory_keys, query.filters, query.now)

    if not session.prefetch(read_chunks, read_tokens):
        return read_chunks(), {}
    chunks = read_chunks()
    return chunks, dict.fromkeys((chunk.chunk_id for chunk in chunks), b"") | read_tokens()


def _has_enough(query: Query, found: _FoundChunks, hits: Iterable[VectorHit]) -> bool:
    """Return True if the hits that pass the filters belong to enough different memories."""
    owners = {found.chunks[hit.chunk_id].memory_key for hit in hits if hit.chunk_id in found.chunks}
    return len(owners) >= max(MIN_MEMORIES, query.limit)


def _read(session: ReadSession, query: Query, found: _FoundChunks) -> None:
    """Read the chunks that are still to be read, of both indexes at once."""
    unread, found.unread = list(dict.fromkeys(found.unread)), []

    def read_chunks() -> list[FoundChunk]:
        return session.find_chunks(unread, query.filters, query.now)

    if session.prefetch(read_chunks, lambda: _read_tokens(session, query, unread)):
        found.tokens |= _read_tokens(session, query, unread)
    found.chunks |= {chunk.chunk_id: chunk for chunk in read_chunks()}
