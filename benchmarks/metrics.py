"""What is measured of a question's answers, and how sure a mean over questions is.

A question's ranks are the positions (0 is the first) at which its answers were found; missing ones are
not among them. Questions of one cluster are not independent, so resampling draws whole clusters: B. Efron and
R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentiles).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
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


def hit_all(k: int) -> Measure:
    """1 if all answers are among the first k."""
    return lambda outcome: float(sum(rank < k for rank in outcome.ranks) == outcome.answers)


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


# --- means over questions ------------------------------------------------------------------------

Sums = Mapping[str, Sequence[float]]
"""By cluster, the sum of a measure over its questions and their number."""


def add_up(outcomes: Sequence[Outcome], measure: Measure) -> dict[str, tuple[float, int]]:
    values: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        values[outcome.cluster].append(measure(outcome))
    return {cluster: (sum(of_cluster), len(of_cluster)) for cluster, of_cluster in values.items()}


def mean(sums: Sums) -> float:
    """Return the mean over all questions; NaN if there are none."""
    return _mean_of(sums, list(sums))


def interval(sums: Sums) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean; NaN without clusters."""
    return _bootstrap(list(sums), lambda drawn: _mean_of(sums, drawn))


def change(before: Sums, after: Sums) -> tuple[float, float, float]:
    """Return by how much the mean has changed, with its 95 % interval; NaN without clusters.

    It is paired: the clusters that both have are drawn together, so that what makes questions hard for both
    does not widen the interval.
    """
    shared = [cluster for cluster in after if cluster in before]

    def differ(drawn: Sequence[str]) -> float:
        return _mean_of(after, drawn) - _mean_of(before, drawn)

    return differ(shared), *_bootstrap(shared, differ)


def _mean_of(sums: Sums, clusters: Sequence[str]) -> float:
    count = sum(sums[cluster][1] for cluster in clusters)
    return sum(sums[cluster][0] for cluster in clusters) / count if count else float("nan")


def _bootstrap(clusters: Sequence[str], statistic: Callable[[Sequence[str]], float]) -> tuple[float, float]:
    if not clusters:
        return float("nan"), float("nan")
    chance = random.Random(SEED)
    values = sorted(statistic(chance.choices(clusters, k=len(clusters))) for _ in range(RESAMPLES))
    return values[int(0.025 * RESAMPLES)], values[int(0.975 * RESAMPLES) - 1]
