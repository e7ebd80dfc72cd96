"""BM25, the formula that scores words, for the memtable and for candidates.

The memtable uses it exactly as tantivy does.

S. Robertson and H. Zaragoza, "The probabilistic relevance framework: BM25 and beyond", 2009, eq. 3.15.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

K1, B = 1.2, 0.75  # as in tantivy, so that scores of memtable and snapshot can be compared


@dataclass(frozen=True, slots=True)
class CorpusStatistics:
    """The number of chunks, their mean length in terms, and how many chunks hold a term."""

    count: int
    mean_length: float
    document_frequency: Callable[[str], int]


def calculate_idf(count: int, document_frequency: int) -> float:
    """Return the inverse document frequency as Lucene and tantivy have it.

    ln(1 + (N - n + 0.5) / (n + 0.5)), where ``document_frequency`` n of ``count`` N texts hold the term.
    """
    rest = max(count, document_frequency) - document_frequency
    return math.log(1 + (rest + 0.5) / (document_frequency + 0.5))


@overload
def calculate_bm25(
    frequency: float, length: float, mean_length: float, idf: float, *, k1: float = K1, b: float = B
) -> float: ...
@overload
def calculate_bm25(
    frequency: NDArray[np.float32],
    length: NDArray[np.float32],
    mean_length: float,
    idf: NDArray[np.float32],
    *,
    k1: float = K1,
    b: float = B,
) -> NDArray[np.float32]: ...
def calculate_bm25(
    frequency: Any, length: Any, mean_length: float, idf: Any, *, k1: float = K1, b: float = B
) -> Any:
    """Return one term's part of a text's score, or of many at once where arrays are given.

    ``frequency`` is how often the term occurs in the text, ``length`` and ``mean_length`` are in terms.
    Arrays must broadcast against each other.
    """
    norm = k1 * (1 - b + b * length / mean_length)
    return idf * frequency * (k1 + 1) / (frequency + norm)
