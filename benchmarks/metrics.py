"""What is measured of a question's answers, and how sure a mean over questions is.

A question's ranks are the positions (0 is the first) at which its answers were found; missing ones are
not among them.
"""

from __future__ import annotations

import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

RESAMPLES, SEED = 1000, 20261120


@dataclass(frozen=True)
class Outcome:
    cluster: str
    group: str
    answers: int
    ranks: tuple[int, ...]
    match: str  # of the first result
    newest: int | None = None  # the rank of the first of the question's answers


Measure = Callable[[Outcome], float]


def recall(k: int) -> Measure:
    """The share of the question's answers among the first k."""
    return lambda outcome: sum(rank < k for rank in outcome.ranks) / outcome.answers


def hit(k: int) -> Measure:
    """1 if any answer is among the first k."""
    return lambda outcome: float(any(rank < k for rank in outcome.ranks))


def reciprocal_rank(outcome: Outcome) -> float:
    """1 / place of the first answer, 0 where it is not among the first ten."""
    best = min(outcome.ranks, default=10)
    return 1 / (best + 1) if best < 10 else 0.0


def newest_first(outcome: Outcome) -> float:
    """1 if the newest version, the first of the answers, is found before all older ones."""
    return float(outcome.newest is not None and outcome.newest == min(outcome.ranks))


def newest_at(k: int) -> Measure:
    """1 if the newest version is among the first k."""
    return lambda outcome: float(outcome.newest is not None and outcome.newest < k)


def weak(outcome: Outcome) -> float:
    return float(outcome.match == "weak")


def mean(outcomes: Sequence[Outcome], measure: Measure) -> float:
    return statistics.fmean(map(measure, outcomes)) if outcomes else float("nan")


def interval(outcomes: Sequence[Outcome], measure: Measure) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean, whole clusters drawn with replacement.

    B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentiles).
    """
    clusters: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        clusters[outcome.cluster].append(measure(outcome))
    sums = [(sum(values), len(values)) for values in clusters.values()]
    if not sums:
        return float("nan"), float("nan")
    chance = random.Random(SEED)
    means: list[float] = []
    for _ in range(RESAMPLES):
        drawn = chance.choices(sums, k=len(sums))
        means.append(sum(total for total, _ in drawn) / sum(count for _, count in drawn))
    means.sort()
    return means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES) - 1]
