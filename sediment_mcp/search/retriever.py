"""From a question to candidates: both legs are asked, the system of record decides, nothing is ranked yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.domain.filters import is_narrow
from sediment_mcp.domain.memory import Candidate, Chunk, Filters, Memory
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.indexes.filter_mask import Columns
from sediment_mcp.indexes.tantivy_index import TextHit
from sediment_mcp.indexes.text_search import Terms, TextSearch
from sediment_mcp.indexes.usearch_index import VectorHit
from sediment_mcp.indexes.vector_search import VectorSearch
from sediment_mcp.search.candidates import Asked, Beside, Found, Passages, candidates, passages
from sediment_mcp.search.ranking import foremost
from sediment_mcp.storage.sql.memories import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FETCHED = 64  # passages asked of each leg at first; the union of 50 holds the answer 99.5 % of the time
WANTED = 32  # different memories from each leg, so that one long memory cannot crowd out the others
GROWTH = 4  # how much more is asked when a filter or a long memory has left too few
FOREMOST = 48  # memories whose neighbours in the session are looked at; they are most of a query's cost …
BEYOND = 8  # … or so many times what is asked for: a long answer ends where neighbours still decide
CONTEXT = 2  # neighbours in the session, on each side
FAR_BEHIND = 2000  # passages; the tail takes 0.1 ms for each, so from here on an index is written first


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the text, and its embedding of shape (dimension,) if there is a model."""

    text: str
    vector: NDArray[np.float32] | None
    filters: Filters
    now: datetime
    limit: int


class Search:
    """One process's view of both indexes. Not to be used by two threads at once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.text = TextSearch(directory)
        self.vectors: VectorSearch | None = None
        self._columns: Columns | None = None  # until a filter asks for them

    def reload(self, store: Store, identity: ModelIdentity | None) -> None:
        """Take up the newest snapshots, those of the model in use; comes before `find`."""
        if identity is not None:
            self.reload_vectors(store, identity)
        elif self.vectors is not None:
            self.vectors.reload(store)
        self.text.reload(store)

    def reload_vectors(self, store: Store, identity: ModelIdentity) -> None:
        """Take up the model's newest snapshot alone; comes before `nearest`."""
        if self.vectors is None or self.vectors.identity != identity:
            self.vectors = VectorSearch(self._directory, identity)
        self.vectors.reload(store)

    def is_far_behind(self, store: Store) -> bool:
        """Whether so much is missing from the text index that it had better be written first."""
        return store.changed_chunks(self.text.seen, FAR_BEHIND) == FAR_BEHIND

    def is_text_due(self, store: Store, tail: int) -> bool:
        """Whether the text index should be written: it cannot be used, or lacks ``tail`` passages."""
        return self.text.is_rejected or store.changed_chunks(self.text.snapshot_seq, tail) >= tail

    def are_vectors_due(self, store: Store, exact: int, tail: int) -> bool:
        """Whether the vector index should be written: it cannot be used, lacks ``tail`` embeddings, or is not
        there although there are ``exact`` of them."""
        if self.vectors is None:
            return False
        model = store.embeddings.number_of(self.vectors.identity.fingerprint)
        if model is None or self.vectors.is_rejected:
            return model is not None
        most = tail if self.vectors.snapshot_seq else exact
        return store.embeddings.count_since(model, self.vectors.snapshot_seq, most) >= most

    def read(self, store: Store) -> None:
        """Take up the newest changes; inside the same read transaction as `find`."""
        self.text.read(store)
        if self.vectors is not None:
            self.vectors.read(store)

    def forget_erased(self, store: Store) -> None:
        """Take up the newest changes if something has been erased that may be held here; inside a read
        transaction. A process that nobody asks anything would otherwise hold it for ever."""
        for leg in (self.text, self.vectors):
            if leg is not None and leg.is_holding and store.has_erased(leg.seen):
                leg.read(store)

    def find(self, store: Store, question: Question) -> list[Candidate]:
        """All that may answer; inside one read transaction, after `read`."""
        asked = Asked(self.text.terms(question.text), question.vector)
        found = Found()
        lexical = self._by_words(store, question, asked.terms, found)
        self._by_meaning(store, question, found)
        own = self._passages(found, asked, lexical)
        leading = _leading(question, candidates(own, asked))
        neighbours, added = _neighbours(store, question, leading, found)
        return candidates(own.and_(self._passages(added, asked, lexical)), asked, neighbours)

    def _passages(self, found: Found, asked: Asked, lexical: Mapping[int, float]) -> Passages:
        rows = None
        if self.vectors is not None and asked.vector is not None:
            rows = self.vectors.rows(list(found.chunks))
        return passages(found, asked, lexical, rows)

    def nearest(
        self, store: Store, vector: NDArray[np.float32], filters: Filters, now: datetime, least: float
    ) -> list[tuple[Memory, Chunk, float]]:
        """The memories nearest to a vector, from the cosine ``least`` on, each with its best passage; inside
        one read transaction. One search and no more: others' memories may crowd some out."""
        if self.vectors is None:
            return []
        self.vectors.read(store)
        hits = self.vectors.search(vector, FETCHED)
        cosines = {hit.chunk: hit.cosine for hit in hits if hit.cosine >= least}
        pairs = store.with_chunks(list(cosines), filters, now) if cosines else []
        pairs.sort(key=lambda pair: (-cosines[pair[1].number], pair[1].number))
        best: dict[int, tuple[Memory, Chunk, float]] = {}
        for memory, chunk in pairs:
            best.setdefault(memory.number, (memory, chunk, cosines[chunk.number]))
        return list(best.values())

    def _by_words(self, store: Store, question: Question, terms: Terms, found: Found) -> dict[int, float]:
        """Add the memories that share words with the question; returns BM25 by chunk."""
        fetched = max(FETCHED, 2 * question.limit)
        while True:
            hits = self.text.search(terms, question.filters, question.now, fetched)
            enough = len({hit.memory for hit in hits}) >= max(WANTED, question.limit)
            if enough or len(hits) < fetched:
                break
            fetched *= GROWTH
        _join(store, question, hits, found)
        return {hit.chunk: hit.score for hit in hits}

    def _by_meaning(self, store: Store, question: Question, found: Found) -> None:
        """Add the memories that lie nearest to the question. What most memories are, live and current, is
        sifted from what is found; if that leaves too few, and for any other filter, only what it lets through
        is searched."""
        if self.vectors is None or question.vector is None:
            return
        filters, now = question.filters, question.now
        fetched, admitted = max(FETCHED, 2 * question.limit), None
        if is_narrow(filters):
            admitted = self._admitted(store, filters, now)
        while True:
            hits = self.vectors.search(question.vector, fetched, admitted)
            _join(store, question, hits, found)
            owners = [found.chunks[hit.chunk].memory for hit in hits if hit.chunk in found.chunks]
            enough = len(set(owners)) >= max(WANTED, question.limit)
            if enough or len(hits) < fetched:
                break
            if admitted is None and len(owners) < len(hits):
                admitted = self._admitted(store, filters, now)
            else:
                fetched *= GROWTH

    def _admitted(self, store: Store, filters: Filters, now: datetime) -> NDArray[np.bool_]:
        self._columns = self._columns or Columns()
        self._columns.read(store)
        return self._columns.admitted(filters, now)


def _join(
    store: Store, question: Question, hits: Iterable[TextHit] | Iterable[VectorHit], found: Found
) -> None:
    """Add to what was found what the hits lead to, as far as the filters let it through."""
    new = [hit.chunk for hit in hits if hit.chunk not in found.chunks]
    found.add(store.with_chunks(new, question.filters, question.now))


def _leading(question: Question, own: Sequence[Candidate]) -> list[Memory]:
    """The memories whose neighbours are looked at."""
    return foremost(
        own,
        project=question.filters.project,
        now=question.now,
        question=question.text,
        most=max(FOREMOST, BEYOND * question.limit),
    )


def _neighbours(
    store: Store, question: Question, leading: Sequence[Memory], found: Found
) -> tuple[dict[int, Beside], Found]:
    """Who stands beside the leading memories in their sessions and, for which twice as far is looked, beside
    those; and what of all these has not been found yet."""
    neighbours: dict[int, Beside] = {}
    for number, line in store.session_lines(leading, 2 * CONTEXT).items():
        own = line.index(number)
        for place in range(max(0, own - CONTEXT), min(len(line), own + CONTEXT + 1)):
            if line[place] not in neighbours:  # many lines run through the same session
                neighbours[line[place]] = _beside(line, place)
    new = sorted(neighbours.keys() - found.memories.keys())
    memories = {memory.number: memory for memory in store.numbered(new, question.filters, question.now)}
    added = Found()
    added.add((memories[chunk.memory], chunk) for chunk in store.chunks_of(sorted(memories)))
    return neighbours, added


def _beside(line: Sequence[int], place: int) -> Beside:
    """Who stands beside a place in a line, by distance from 1 to `CONTEXT`, the one before first."""
    return tuple(
        tuple([line[at] for at in (place - step, place + step) if 0 <= at < len(line)])
        for step in range(1, CONTEXT + 1)
    )
