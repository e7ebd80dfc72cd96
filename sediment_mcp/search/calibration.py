"""Say how probable it is that a memory answers a query, in the same measure for every query.

All functions are pure, but that the weights are read once.

    probability = logistic(bias + sum of weight · evidence)                 see `estimate_probabilities`
    score       = non_increasing(probability), along the order
    match       = "strong" from `STRONG_PROBABILITY` on, else "weak"

The evidence is what is comparable between queries: cosine, the share of the query's words, how well its
tokens are matched, and among how many memories this was found, since among many a fair one is found by
chance. The weights, in `calibration.json`, are those of a logistic regression over first results for
questions of which half are answered by a memory (benchmarks/README.md).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sediment_mcp.domain.memory import Match
    from sediment_mcp.search.candidates import Candidates, Column

FILE = Path(__file__).with_name("calibration.json")

# From this probability on a match is strong: about 6 % of the first results that are right then are weak, in
# the stores that the weights were learned from. It is lower where there are hardly any other memories.
STRONG_PROBABILITY = 0.27
STRONG_OF_ONE = 0.22
A_FEW = 10  # memories, from which on `STRONG_PROBABILITY` holds
STRONG_BY_WORDS = 0.5  # without an embedding: a word in common is soon found where nothing answers
COUNTED = 1_000  # memories of the largest stores that the weights were learned from; more count as so many

EVIDENCE = {
    "tokens": ("cosine", "coverage", "tokens", "count"),
    "meaning": ("cosine", "coverage", "count"),
    "words": ("coverage", "count"),
}
"""What is known of a memory → the evidence there is: token vectors, an embedding alone, or neither."""


@cache
def load_weights() -> dict[str, dict[str, float]]:
    """Return for each of `EVIDENCE` its weights, and the "bias"."""
    weights: dict[str, dict[str, float]] = json.loads(FILE.read_text(encoding="utf-8"))["weights"]
    return {
        known: {name: weights[known][name] for name in (*names, "bias")} for known, names in EVIDENCE.items()
    }


def estimate_probabilities(candidates: Candidates, count: int) -> Column:
    """Return the probability (n,) that each memory answers, found among ``count`` memories."""
    columns = {
        "cosine": candidates.cosines.clip(0.0, 1.0),
        "coverage": candidates.coverages,
        "tokens": candidates.tokens.clip(0.0, 1.0),
        "count": np.full(len(candidates), log10(min(max(count, 1), COUNTED))),
    }
    logits = np.full(len(candidates), np.nan)
    for known, weights in load_weights().items():
        of_known = weights["bias"] + sum(weights[name] * columns[name] for name in EVIDENCE[known])
        logits = np.where(np.isnan(logits), of_known, logits)  # NaN where something of it is not known
    return 1 / (1 + np.exp(-logits))


def classify_match(probability: float, count: int = COUNTED, *, is_embedded: bool = True) -> Match:
    """Return "strong" if the best of ``count`` memories may answer, "weak" if it is only near."""
    needed = compute_strong_probability(count) if is_embedded else STRONG_BY_WORDS
    return "strong" if probability >= needed else "weak"


def compute_strong_probability(count: int) -> float:
    """Return the probability from which the best of ``count`` memories is a strong match."""
    share = log10(min(max(count, 1), A_FEW)) / log10(A_FEW)
    return STRONG_OF_ONE + share * (STRONG_PROBABILITY - STRONG_OF_ONE)


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
