"""Search by words: the snapshot and its tail as one, as of the newest change."""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.domain.memory import Filters, Memory
from sediment_mcp.indexes import tantivy_index
from sediment_mcp.indexes.analyzer import query_terms
from sediment_mcp.indexes.analyzer import terms as terms_of
from sediment_mcp.indexes.memtable import Statistics, TextTail, idf
from sediment_mcp.indexes.protocols import Leg
from sediment_mcp.indexes.tantivy_index import TextHit, TextIndex
from sediment_mcp.storage.sql.memories import Store

if TYPE_CHECKING:
    from datetime import datetime

INDEX_NAME = "text"
COMMON = 0.2  # a term in a larger share of the passages says little beside a rarer one …
COMMON_FROM = 1000  # … once there are this many passages
MOST_TERMS = 64  # the rarest of a long query; more cost time and change nothing
BATCH = 500  # memories read at a time
GROWTH = 4  # how much more is asked of the snapshot when what has changed since takes the best places


@dataclass(frozen=True, slots=True)
class Terms:
    """A query's terms that are worth looking for, with their inverse document frequencies, and the mean
    length of a passage in terms."""

    idf: dict[str, float]
    mean_length: float

    @property
    def weights(self) -> dict[str, float]:
        """All alike: the index knows the frequencies itself."""
        return dict.fromkeys(self.idf, 1.0)

    @property
    def total_idf(self) -> float:
        """What a passage that holds each term once, at mean length, scores."""
        return sum(self.idf.values())


class TextSearch(Leg[TextIndex]):
    """One process's view of all words."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, INDEX_NAME)

    def _stamp(self) -> Hashable:
        return tantivy_index.stamp_of(self.directory)

    def _open_snapshot(self) -> TextIndex:
        return TextIndex(self.directory)

    def _empty_tail(self) -> None:
        self._tail = TextTail()

    @property
    def is_holding(self) -> bool:
        return len(self._tail) > 0

    def read(self, store: Store) -> None:
        newest = store.seq()
        if newest == self.seen:
            return
        for _, number in store.erased_since(self.seen):
            self._tail.forget(number)
        batch: list[Memory] = []
        for memory in store.changed_memories(self.seen):
            batch.append(memory)
            if len(batch) == BATCH:
                self._take(store, batch)
                batch = []
        self._take(store, batch)
        self.seen = newest

    def _take(self, store: Store, memories: Sequence[Memory]) -> None:
        live = {memory.number: memory for memory in memories if memory.deleted_at is None}
        passages: dict[int, list[tuple[int, list[str]]]] = {number: [] for number in live}
        for chunk in store.chunks_of(list(live)):
            text = live[chunk.memory].content[chunk.start : chunk.end]
            passages[chunk.memory].append((chunk.number, terms_of(text)))
        for memory in memories:
            if memory.number in live:
                self._tail.put(memory, passages[memory.number])
            else:
                self._tail.forget(memory.number)

    def terms(self, text: str) -> Terms:
        """The terms of a query that are worth looking for: the rarest, and no common ones beside them."""
        corpus = self._corpus()
        distinct = query_terms(text)
        frequencies = {term: corpus.frequency(term) for term in distinct}
        rarest = sorted(distinct, key=lambda term: frequencies[term])[:MOST_TERMS]
        most = COMMON * corpus.count if corpus.count >= COMMON_FROM else math.inf
        kept = [term for term in rarest if frequencies[term] <= most] or rarest
        return Terms({term: idf(corpus.count, frequencies[term]) for term in kept}, corpus.mean_length)

    def search(self, terms: Terms, filters: Filters, now: datetime, limit: int) -> list[TextHit]:
        """The passages that hold any of the terms, best first; exact as of the last `read`."""
        hits = self._tail.search(terms.weights, filters, now, limit, self._corpus())
        if self._snapshot is not None:
            hits = [*hits, *self._in_snapshot(self._snapshot, terms, filters, now, limit)]
        return heapq.nlargest(limit, hits, key=lambda hit: (hit.score, hit.chunk))

    def _in_snapshot(
        self, snapshot: TextIndex, terms: Terms, filters: Filters, now: datetime, limit: int
    ) -> list[TextHit]:
        """The snapshot's hits without those for which it no longer speaks: a long memory that has changed
        may fill all the best places, so more is asked until enough are left."""
        dirty, fetched = self._tail.dirty, limit + len(self._tail.dirty)
        while True:
            found = snapshot.search(terms.weights, filters, now, fetched)
            kept = [hit for hit in found if hit.memory not in dirty]
            if len(kept) >= limit or len(found) < fetched:
                return kept
            fetched *= GROWTH

    def _corpus(self) -> Statistics:
        snapshot, tail = self._snapshot, self._tail
        if snapshot is None:
            return Statistics(len(tail), tail.total_length / max(1, len(tail)), tail.frequency)
        return Statistics(
            snapshot.count + len(tail),
            snapshot.mean_length,
            lambda term: snapshot.frequency(term) + tail.frequency(term),
        )
