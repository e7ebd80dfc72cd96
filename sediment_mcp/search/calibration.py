"""Measure how well a memory fits a query, by a score comparable between queries.

All functions are pure.

The score combines the cosine and the share of the query's words, and never rises along the order:

    score = non_increasing(evidence * factors of the memory)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sediment_mcp.domain.memory import Candidate
from sediment_mcp.search.fusion import fuse

# A match is strong by its evidence, or by nearness alone, because a paraphrase shares no word. Of MiniLM's
# best results for 996 questions that the memories could not answer, 87 % lie below both bounds, and 4 % of
# the best results that were right.
STRONG_EVIDENCE = 0.33
STRONG_COSINE = 0.45
STRONG_COVERAGE = 0.6  # without an embedding: the text holds most of the query's rare words


def measure_evidence(candidate: Candidate) -> float:
    """Return how well a memory answers, 0 to 1 and comparable between queries.

    It is made of cosine and coverage, with the weights of the ranking; without an embedding, of coverage
    alone.
    """
    if candidate.cosine is None:
        return candidate.coverage
    return fuse(min(max(candidate.cosine, 0.0), 1.0), candidate.coverage)


def classify_match(candidate: Candidate) -> Literal["strong", "weak"]:
    """Return "strong" if the memory fits the query, "weak" if it is only the nearest one."""
    if candidate.cosine is None:
        return "strong" if candidate.coverage >= STRONG_COVERAGE else "weak"
    fits = measure_evidence(candidate) >= STRONG_EVIDENCE or candidate.cosine >= STRONG_COSINE
    return "strong" if fits else "weak"


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
