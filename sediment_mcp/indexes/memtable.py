"""The tails: what no snapshot holds yet, searched directly in memory.

A store costs one SQLite commit because of them: the memory is found at once, in this process and in every
other, without an index being written.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sediment_mcp.domain.filters import admits
from sediment_mcp.domain.memory import Filters, Memory
from sediment_mcp.indexes.tantivy_index import TextHit
from sediment_mcp.indexes.usearch_index import VectorHit, best

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from sediment_mcp.indexes.usearch_index import Rows

K1, B = 1.2, 0.75  # those of tantivy, so that scores of tail and snapshot can be compared


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the whole corpus: passages, mean length in terms, and in how many passages a term occurs."""

    count: int
    mean_length: float
    frequency: Callable[[str], int]


def idf(count: int, frequency: int) -> float:
    """Inverse document frequency as Lucene and tantivy have it: ln(1 + (N - n + 0.5) / (n + 0.5))."""
    return math.log(1 + (max(count, frequency) - frequency + 0.5) / (frequency + 0.5))


def bm25(occurrences: int, length: int, mean_length: float, weight: float) -> float:
    """One term's part of a passage's score: Robertson and Zaragoza (2009), "BM25 and Beyond", eq. 3.15."""
    norm = K1 * (1 - B + B * length / mean_length) if mean_length else K1
    return weight * occurrences * (K1 + 1) / (occurrences + norm)


class TextTail:
    """BM25 over the passages of recently changed memories. ``dirty`` holds the numbers of all of these,
    the deleted ones too: what a snapshot says of them is out of date."""

    def __init__(self) -> None:
        self.dirty: set[int] = set()
        self._memories: dict[int, tuple[Memory, tuple[int, ...]]] = {}
        self._counts: dict[int, tuple[int, Counter[str]]] = {}  # chunk: its memory, its terms
        self._lengths = 0
        self._postings: dict[str, set[int]] = {}

    def __len__(self) -> int:
        """The number of passages."""
        return len(self._counts)

    @property
    def total_length(self) -> int:
        return self._lengths

    def put(self, memory: Memory, passages: Sequence[tuple[int, Sequence[str]]]) -> None:
        """Hold (chunk, terms) of a memory instead of whatever was held of it."""
        self.forget(memory.number)
        self._memories[memory.number] = memory, tuple(chunk for chunk, _ in passages)
        for chunk, terms in passages:
            self._counts[chunk] = memory.number, Counter(terms)
            self._lengths += len(terms)
            for term in set(terms):
                self._postings.setdefault(term, set()).add(chunk)

    def forget(self, number: int) -> None:
        """Drop a memory's passages; it stays dirty."""
        self.dirty.add(number)
        _, chunks = self._memories.pop(number, (None, ()))
        for chunk in chunks:
            _, counts = self._counts.pop(chunk)
            self._lengths -= counts.total()
            for term in counts:
                self._postings[term].discard(chunk)
                if not self._postings[term]:
                    del self._postings[term]  # the word itself may have been erased

    def frequency(self, term: str) -> int:
        return len(self._postings.get(term, ()))

    def search(
        self, terms: Mapping[str, float], filters: Filters, now: datetime, limit: int, corpus: Statistics
    ) -> list[TextHit]:
        """The passages that match any of the weighted terms and the filter, best first."""
        scores: dict[int, float] = {}
        for term, boost in terms.items():
            weight = boost * idf(corpus.count, corpus.frequency(term))
            for chunk in self._postings.get(term, ()):
                counts = self._counts[chunk][1]
                part = bm25(counts[term], counts.total(), corpus.mean_length, weight)
                scores[chunk] = scores.get(chunk, 0.0) + part
        admitted = {
            chunk: score
            for chunk, score in scores.items()
            if admits(filters, self._memories[self._counts[chunk][0]][0], now)
        }
        order = sorted(admitted, key=lambda chunk: (-admitted[chunk], chunk))[:limit]
        return [TextHit(chunk, self._counts[chunk][0], admitted[chunk]) for chunk in order]


class VectorTail:
    """Exact search over recently added embeddings; while the store is small, over all of them.

    ``dirty`` holds the chunks for which a snapshot no longer speaks: those held here, and deleted ones.
    """

    def __init__(self, dimension: int) -> None:
        import numpy as np

        self.dirty: set[int] = set()
        self._rows: dict[int, int] = {}
        self._chunks: NDArray[np.int64] = np.empty(0, np.int64)
        self._matrix: NDArray[np.float32] = np.empty((0, dimension), np.float32)
        self._used = 0

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, chunks: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Hold these chunks' unit vectors, of shape (n, dimension), instead of whatever was held of them."""
        self.forget(chunks)
        self._reserve(len(chunks))
        end = self._used + len(chunks)
        self._chunks[self._used : end] = chunks
        self._matrix[self._used : end] = vectors
        self._rows.update(zip(chunks, range(self._used, end), strict=True))
        self._used = end

    def forget(self, chunks: Sequence[int]) -> None:
        """Drop chunks; they stay dirty. A dropped row keeps its place as zeros with the number -1."""
        self.dirty.update(chunks)
        for chunk in chunks:
            row = self._rows.pop(chunk, None)
            if row is not None:
                self._chunks[row], self._matrix[row] = -1, 0

    def rows(self, chunks: Sequence[int]) -> Rows:
        """The vectors of those of these chunks that are held here."""
        held = [chunk for chunk in chunks if chunk in self._rows]
        return held, self._matrix[[self._rows[chunk] for chunk in held]]

    def search(
        self, vector: NDArray[np.float32], limit: int, admitted: NDArray[np.bool_] | None = None
    ) -> list[VectorHit]:
        """The nearest chunks by cosine, best first; with ``admitted`` (see `columns`) only those for whose
        number it holds."""
        import numpy as np

        chunks, cosines = self._chunks[: self._used], self._matrix[: self._used] @ vector
        allowed = chunks >= 0 if admitted is None else admitted.take(chunks, mode="clip")
        rows = np.flatnonzero(allowed)
        top = rows[best(cosines[rows], limit)]
        return [VectorHit(int(chunks[row]), float(cosines[row])) for row in top]

    def _reserve(self, more: int) -> None:
        """Make room: doubling keeps adding one by one linear, and dropped rows are left behind."""
        import numpy as np

        if self._used + more <= len(self._chunks):
            return
        kept = np.flatnonzero(self._chunks[: self._used] >= 0)
        size = max(len(kept) + more, 2 * len(kept))
        chunks, matrix = np.full(size, -1, np.int64), np.zeros((size, self._matrix.shape[1]), np.float32)
        chunks[: len(kept)], matrix[: len(kept)] = self._chunks[kept], self._matrix[kept]
        self._chunks, self._matrix, self._used = chunks, matrix, len(kept)
        self._rows = {int(chunk): row for row, chunk in enumerate(chunks[: len(kept)])}
