"""Measure how well a memory fits a query, by a score comparable between queries.

All functions are pure.

The score combines the cosine and the share of the query's words, and never rises along the order:

    score = non_increasing(evidence * factors of the memory)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.search.fusion import fuse

if TYPE_CHECKING:
    from sediment_mcp.domain.memory import Match
    from sediment_mcp.search.candidates import Candidates, Column

# Among more memories a better one is found by chance, so the evidence that makes a match strong grows with
# their number up to `SETTLED_COUNT`. The line was chosen on stores of 1 to 1,000 memories: between first
# results that are right and those for questions that no memory answers (benchmarks/README.md).
STRONG_EVIDENCE_OF_ONE = 0.17
STRONG_EVIDENCE_SLOPE = 0.08  # for ten times as many memories
SETTLED_COUNT = 100
STRONG_COVERAGE = 0.6  # without an embedding: the text holds most of the query's rare words


def measure_evidence(candidates: Candidates) -> Column:
    """Return how well each memory answers, 0 to 1 and comparable between queries.

    It is made of cosine and coverage, with the weights of the ranking; without an embedding, of coverage
    alone.
    """
    evidence = fuse(candidates.cosines.clip(0.0, 1.0), candidates.coverages)
    return np.where(candidates.is_embedded, evidence, candidates.coverages)


def classify_match(evidence: float, count: int = SETTLED_COUNT, *, is_embedded: bool = True) -> Match:
    """Return "strong" if the best of ``count`` memories fits, "weak" if it is only near."""
    needed = compute_strong_evidence(count) if is_embedded else STRONG_COVERAGE
    return "strong" if evidence >= needed else "weak"


def compute_strong_evidence(count: int) -> float:
    """Return the evidence from which the best of ``count`` memories is a strong match."""
    return STRONG_EVIDENCE_OF_ONE + STRONG_EVIDENCE_SLOPE * log10(min(max(count, 1), SETTLED_COUNT))


def non_increasing(values: Sequence[float]) -> list[float]:
    """Return the non-increasing sequence nearest to ``values`` by least squares.

    Rising runs are replaced by their mean.

    Pool adjacent violators: M. Ayer et al., "An empirical distribution function for sampling with
    incomplete information", Annals of Mathematical Statistics 26, 1955.
    """
    pools: list[tuple[float, int]] = []  # mean, length
    for value in values:
        mean, length = value, 1
        while pools and pools[-1][0] < mean:
            before, count = pools.pop()
            mean, length = (before * count + mean * length) / (count + length), count + length
        pools.append((mean, length))
    return [mean for mean, length in pools for _ in range(length)]
