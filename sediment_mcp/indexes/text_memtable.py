"""Search the words of recently changed memories in memory, by the same BM25 as the snapshot.

Because of it storing a memory costs one SQLite commit: the memory is found at once, in this process and in
every other, without writing an index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sediment_mcp.domain.filters import Filters, matches
from sediment_mcp.domain.memory import Memory
from sediment_mcp.indexes.bm25 import CorpusStatistics, calculate_bm25, calculate_idf
from sediment_mcp.indexes.protocols import PHRASE_SCORE, TextHit

if TYPE_CHECKING:
    from datetime import datetime


class TextMemtable:
    """BM25 over the chunks of recently changed memories.

    ``dirty_memory_keys`` holds the keys of all these memories, including deleted ones: their entries in a
    snapshot are out of date.
    """

    def __init__(self) -> None:
        self.dirty_memory_keys: set[int] = set()
        self._memories: dict[int, tuple[Memory, tuple[int, ...]]] = {}
        self._counts: dict[int, tuple[int, Counter[str]]] = {}  # chunk: its memory, its terms
        self._lines: dict[int, str] = {}  # chunk: its terms in order, each between two spaces
        self._total_length = 0
        self._postings: dict[str, set[int]] = {}

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self._counts)

    @property
    def total_length(self) -> int:
        """The number of terms in all chunks."""
        return self._total_length

    def put(self, memory: Memory, chunks: Sequence[tuple[int, Sequence[str]]]) -> None:
        """Add a memory's chunks, each as (chunk id, terms), replacing its earlier ones."""
        self.drop(memory.key)
        self._memories[memory.key] = memory, tuple(chunk_id for chunk_id, _ in chunks)
        for chunk_id, terms in chunks:
            self._counts[chunk_id] = memory.key, Counter(terms)
            self._lines[chunk_id] = _join_terms(terms)
            self._total_length += len(terms)
            for term in set(terms):
                self._postings.setdefault(term, set()).add(chunk_id)

    def drop(self, memory_key: int) -> None:
        """Drop a memory's chunks; it stays dirty."""
        self.dirty_memory_keys.add(memory_key)
        _, chunk_ids = self._memories.pop(memory_key, (None, ()))
        for chunk_id in chunk_ids:
            _, counts = self._counts.pop(chunk_id)
            del self._lines[chunk_id]
            self._total_length -= counts.total()
            for term in counts:
                self._postings[term].discard(chunk_id)
                if not self._postings[term]:
                    del self._postings[term]  # the word itself may have been erased

    def document_frequency(self, term: str) -> int:
        """Return in how many chunks the term occurs."""
        return len(self._postings.get(term, ()))

    def search(
        self,
        weights: Mapping[str, float],
        filters: Filters,
        now: datetime,
        limit: int,
        corpus: CorpusStatistics,
        *,
        phrases: Sequence[Sequence[str]] = (),
    ) -> list[TextHit]:
        """Return the chunks that contain any of the weighted terms and pass the filter, best first.

        Each phrase that stands in a chunk adds `PHRASE_SCORE`.
        """
        found = self._score(weights, corpus)
        for phrase in phrases:
            for chunk_id in self._find_phrase(phrase):
                found[chunk_id] = found.get(chunk_id, 0.0) + PHRASE_SCORE
        scores = {
            chunk_id: score
            for chunk_id, score in found.items()
            if matches(filters, self._memories[self._counts[chunk_id][0]][0], now)
        }
        order = sorted(scores, key=lambda chunk_id: (-scores[chunk_id], chunk_id))[:limit]
        return [TextHit(chunk_id, self._counts[chunk_id][0], scores[chunk_id]) for chunk_id in order]

    def _find_phrase(self, terms: Sequence[str]) -> list[int]:
        holders = set[int].intersection(*(self._postings.get(term, set()) for term in terms))
        line = _join_terms(terms)
        return [chunk_id for chunk_id in holders if line in self._lines[chunk_id]]

    def _score(self, weights: Mapping[str, float], corpus: CorpusStatistics) -> dict[int, float]:
        scores: dict[int, float] = {}
        for term, weight in weights.items():
            idf = weight * calculate_idf(corpus.count, corpus.document_frequency(term))
            for chunk_id in self._postings.get(term, ()):
                counts = self._counts[chunk_id][1]
                length = counts.total()
                part = calculate_bm25(counts[term], length, corpus.mean_length or length, idf)
                scores[chunk_id] = scores.get(chunk_id, 0.0) + part
        return scores


def _join_terms(terms: Sequence[str]) -> str:
    return f" {' '.join(terms)} "  # a term holds no space
