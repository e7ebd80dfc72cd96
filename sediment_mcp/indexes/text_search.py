"""Search by words: the snapshot and its memtable as one, as of the newest change."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import Memory
from sediment_mcp.indexes.analyzer import extract_terms
from sediment_mcp.indexes.bm25 import CorpusStatistics, calculate_idf
from sediment_mcp.indexes.protocols import SnapshotReader, TextHit, TextIndex, fetch_until
from sediment_mcp.indexes.query_analysis import AnalyzedQuery, analyze_query
from sediment_mcp.indexes.text_files import TextWriter
from sediment_mcp.indexes.text_memtable import TextMemtable
from sediment_mcp.storage.protocols import ReadSession

if TYPE_CHECKING:
    from datetime import datetime

    from sediment_mcp.system.directory_encryption import DirectoryEncryption

COMMON_SHARE = 0.2  # a term in a larger share of the chunks tells little if there is a rarer one
PRIOR_CHUNKS = 30
MAX_QUERY_TERMS = 64  # the rarest terms of a long query; more take time and change nothing
READ_MEMORIES = 500  # memories read at a time


@dataclass(frozen=True, slots=True)
class QueryTerms:
    """The terms of a query that are searched for.

    ``idf`` are their inverse document frequencies, weighted, ``mean_length`` is that of a chunk in terms.
    ``shares`` are their weights among the query's terms, as `PRIOR_CHUNKS` more chunks without any of them
    would make them: among few memories, frequencies tell little.
    ``names`` and ``phrases`` are those of `AnalyzedQuery` that may be found. ``weights`` are for the index,
    which knows the frequencies itself.
    """

    idf: dict[str, float]
    shares: dict[str, float]
    mean_length: float
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    phrases: Sequence[Sequence[str]] = ()

    @property
    def total_idf(self) -> float:
        """The score of a chunk of mean length that contains each term once."""
        return sum(self.idf.values())


class TextSearch(SnapshotReader[TextIndex]):
    """Searches the words of all memories, for one process."""

    def __init__(self, directory: Path, encryption: DirectoryEncryption, *, common_from: int) -> None:
        """Leave common terms of a query out once there are ``common_from`` chunks."""
        self._common_from = common_from
        self._writer = TextWriter(directory, encryption)
        super().__init__(self._writer)

    @property
    def is_written_whole(self) -> bool:
        """Whether a snapshot is written whole each time, so that a large one costs more."""
        return self._writer.is_encrypted

    @property
    def snapshot_count(self) -> int:
        """The number of chunks in the snapshot; 0 without one."""
        return len(self._snapshot) if self._snapshot is not None else 0

    def _clear_memtable(self) -> None:
        self._memtable = TextMemtable()

    @property
    def has_memtable_rows(self) -> bool:
        """Whether the memtable contains anything."""
        return len(self._memtable) > 0

    @property
    def count(self) -> int:
        """The number of chunks, as of `apply_changes`."""
        return self._build_corpus().count

    def document_frequency(self, term: str) -> int:
        """Return in how many chunks the term occurs, as of `apply_changes`."""
        return self._build_corpus().document_frequency(term)

    def read_ahead(self, session: ReadSession) -> None:
        """Ask for what `apply_changes` reads first; see `ReadSession.prefetch`."""
        session.changes.erased_since(self.applied_seq)
        list(session.changes.memories_since(self.applied_seq))

    def apply_changes(self, session: ReadSession) -> None:
        """Apply all changes since the snapshot, or since the last call."""
        newest = session.changes.seq()
        if newest == self.applied_seq:
            return
        for _, memory_key in session.changes.erased_since(self.applied_seq):
            self._memtable.drop(memory_key)
        batch: list[Memory] = []
        for memory in session.changes.memories_since(self.applied_seq):
            batch.append(memory)
            if len(batch) == READ_MEMORIES:
                self._put(session, batch)
                batch = []
        self._put(session, batch)
        self.applied_seq = newest

    def _put(self, session: ReadSession, memories: Sequence[Memory]) -> None:
        live = {memory.key: memory for memory in memories if memory.deleted_at is None}
        chunks: dict[int, list[tuple[int, list[str]]]] = {memory_key: [] for memory_key in live}
        for chunk in session.chunks_of(list(live)):
            text = live[chunk.memory_key].content[chunk.start : chunk.end]
            chunks[chunk.memory_key].append((chunk.id, extract_terms(text)))
        for memory in memories:
            if memory.key in live:
                self._memtable.put(memory, chunks[memory.key])
            else:
                self._memtable.drop(memory.key)

    def select_terms(self, query: str) -> QueryTerms:
        """Return the terms of a query to search for: the rarest ones, without common ones."""
        corpus = self._build_corpus()
        analyzed = analyze_query(query)
        frequencies = _count_frequencies(analyzed, corpus)
        rarest = sorted(analyzed.weights, key=lambda term: frequencies[term])[:MAX_QUERY_TERMS]
        too_common = COMMON_SHARE * corpus.count if corpus.count >= self._common_from else math.inf
        kept = [term for term in rarest if frequencies[term] <= too_common] or rarest
        names = {name: parts for name, parts in analyzed.names.items() if frequencies[name]}

        def weigh(count: int) -> dict[str, float]:
            return {term: analyzed.weights[term] * calculate_idf(count, frequencies[term]) for term in kept}

        return QueryTerms(
            weigh(corpus.count),
            weigh(corpus.count + PRIOR_CHUNKS),
            corpus.mean_length,
            weights={term: analyzed.weights[term] for term in kept} | dict.fromkeys(names, 1.0),
            names=names,
            phrases=[phrase for phrase in analyzed.phrases if all(map(corpus.document_frequency, phrase))],
        )

    def search(self, terms: QueryTerms, filters: Filters, now: datetime, limit: int) -> list[TextHit]:
        """Return the chunks that contain any of the terms, best first; exact as of `apply_changes`.

        Raises:
            DamagedSnapshot: the snapshot turns out to be damaged, and is not used any more.
        """
        hits = self._memtable.search(
            terms.weights, filters, now, limit, self._build_corpus(), phrases=terms.phrases
        )
        if self._snapshot is not None:
            with self._rejecting_damage():
                hits = [*hits, *self._search_snapshot(self._snapshot, terms, filters, now, limit)]
        return heapq.nlargest(limit, hits, key=lambda hit: (hit.score, hit.chunk_id))

    def _search_snapshot(
        self, snapshot: TextIndex, terms: QueryTerms, filters: Filters, now: datetime, limit: int
    ) -> list[TextHit]:
        """Return the snapshot's hits without those of memories that have changed since.

        More hits are fetched if needed, because the chunks of a long changed memory may come first.
        """
        dirty = self._memtable.dirty_memory_keys

        def keep_current(hits: list[TextHit]) -> list[TextHit]:
            return [hit for hit in hits if hit.memory_key not in dirty]

        hits = fetch_until(
            lambda count: snapshot.search(terms.weights, filters, now, count, phrases=terms.phrases),
            lambda hits: len(keep_current(hits)) >= limit,
            first=limit + len(dirty),
        )
        return keep_current(hits)

    def _build_corpus(self) -> CorpusStatistics:
        snapshot, memtable = self._snapshot, self._memtable
        if snapshot is None:
            mean_length = memtable.total_length / max(1, len(memtable))
            return CorpusStatistics(len(memtable), mean_length, memtable.document_frequency)
        return CorpusStatistics(
            len(snapshot) + len(memtable),
            snapshot.mean_length,
            lambda term: snapshot.document_frequency(term) + memtable.document_frequency(term),
        )


def _count_frequencies(query: AnalyzedQuery, corpus: CorpusStatistics) -> dict[str, int]:
    """Return in how many chunks each term and name occurs: a name's parts where it does too."""
    names = list(query.names)[:MAX_QUERY_TERMS]
    frequencies = {term: corpus.document_frequency(term) for term in [*query.weights, *names]}
    for name in names:
        for part in query.names[name]:
            frequencies[part] = max(frequencies.get(part, 0), frequencies[name])
    return dict.fromkeys(query.names, 0) | frequencies
