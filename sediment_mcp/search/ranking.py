"""Put candidates in order, and return scored memories with the reasons.

All functions are pure.

    relevance = blend of signals                                  see `blend`
              | fused scores + named day + session boost          see `fusion`; without token vectors
    order by    (relevance + phrase) / best * factors             see `phrase_match`, `compute_factors`
    score     = non_increasing(probability that it answers, less for another project's)

Age, importance and project change the order a little. Where the query asks for the present, the versions of
the fact that answers best come newest first (see `versions`).

The constants are the same for all data. They were chosen by cross-validation over conversations and notes of
developers (benchmarks/README.md), where nearby values give nearly the same results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.search.blend import blend_signals, has_signals
from sediment_mcp.search.calibration import COUNTED, classify_match, estimate_probabilities, non_increasing
from sediment_mcp.search.fusion import divide_by_maximum, fuse_scores
from sediment_mcp.search.phrase_match import compute_phrase_gains
from sediment_mcp.search.query_dates import Period, read_dates
from sediment_mcp.search.query_tense import is_about_present
from sediment_mcp.search.versions import order_by_version
from sediment_mcp.system.time_zone import MICROSECOND
from sediment_mcp.system.timestamps import from_micros, to_micros

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sediment_mcp.domain.memory import Match
    from sediment_mcp.search.candidates import Candidates, Column

NAMED_DAY_BONUS = 1.5  # standard deviations of relevance that a memory of a day named in the query gains
SESSION_BOOSTS = (0.3, 0.2)  # the share of a neighbour's relevance that is added, by distance
RECENCY_HALF_LIFE = timedelta(days=90)
RECENCY_SHARE = 0.02  # age changes a value by at most this share, because old facts still hold
IMPORTANCE_SHARE = 0.05  # importance changes a value by at most this share
OTHER_PROJECT_FACTOR = 0.8
WHOLE_COVERAGE = 0.999  # the coverage of a text that holds every word of the query, but for rounding


@dataclass(frozen=True, slots=True)
class Asking:
    """What decides the order beside the candidates: whence, when and for what time is asked.

    ``project`` is the one that the query comes from (None: none), ``now`` in microseconds since 1970,
    ``named`` are the days that the query names, and ``is_about_present`` says that it asks for the newest of
    several states.
    """

    project: str | None
    now: int
    named: Sequence[Period] = ()
    is_about_present: bool = False


@dataclass(frozen=True, slots=True)
class RankedCandidate:
    """The position of a candidate, its score between 0 and 1, and ``signals``, the parts of it."""

    position: int
    score: float
    match: Match
    signals: Mapping[str, float]


def read_asking(query: str, *, project: str | None, now: datetime) -> Asking:
    """Read what a query says about time; ``now`` is in the time zone of the user."""
    return Asking(project, to_micros(now), read_dates(query, now), is_about_present(query))


def rank(
    candidates: Candidates, asking: Asking, *, limit: int | None = None, count: int = COUNTED
) -> list[RankedCandidate]:
    """Return the ``limit`` best of the ``candidates`` (None: all), best first.

    Ties go to the newer ``occurred_at``, then the higher key. The candidates are from ``count`` memories.
    """
    parts = compute_parts(candidates, asking.named)
    total = sum_parts(candidates, parts)
    relevances = divide_by_maximum(total) if total.any() else np.ones_like(total)
    factors = compute_factors(candidates, asking)
    product = prod(factors.values(), start=np.ones(len(candidates)))
    order = _sort_candidates(candidates, relevances * product, asking, limit)
    probabilities = estimate_probabilities(candidates, count)
    scores = non_increasing((probabilities * factors["project"])[order].tolist())
    whole = np.where(total > 0, total, 1.0)
    signals = {
        "relevance": relevances,
        "lexical": divide_by_maximum(candidates.bm25),
        "coverage": candidates.coverages,
        **{f"{name}_share": values / whole for name, values in parts.items()},
        **factors,
    }
    return [
        RankedCandidate(
            position,
            round(score, 4),
            classify_match(
                float(probabilities[position]), count, is_embedded=bool(candidates.is_embedded[position])
            ),
            _list_signals(candidates, position, signals, asking.named),
        )
        for position, score in zip(order[:limit], scores, strict=False)
    ]


def select_leading(candidates: Candidates, asking: Asking, limit: int) -> list[int]:
    """Return the keys of the ``limit`` best memories, without regard to neighbours.

    These are not known yet: a memory ranked far below them does not get into the answer through its
    neighbours, nor do these.
    """
    values = sum_parts(candidates, compute_parts(candidates, asking.named))
    order = sort_best_first(candidates, values * compute_project_factors(candidates, asking.project))
    return candidates.memory_keys[order[:limit]].tolist()


def _list_signals(
    candidates: Candidates, position: int, signals: Mapping[str, Column], named: Sequence[Period]
) -> dict[str, float]:
    listed = {name: float(values[position]) for name, values in signals.items()}
    listed = {name: value for name, value in listed.items() if value or not name.endswith("_share")}
    if phrase := float(candidates.phrases[position]):
        listed["phrase"] = phrase
    if candidates.is_embedded[position]:
        listed["semantic"] = float(candidates.cosines[position])
    if candidates.has_tokens[position]:
        listed["tokens"] = float(candidates.tokens[position])
    if named:
        listed["date"] = float(is_named(candidates.chunks[position].occurred_at, named))
    return {name: round(value, 4) for name, value in listed.items()}


# --- relevance ----------------------------------------------------------------------------------


def compute_parts(candidates: Candidates, named: Sequence[Period] = ()) -> dict[str, Column]:
    """Return the parts of each candidate's relevance, in standard deviations, by name.

    With token vectors these are those of `blend`, else what the fused scores, a day that the query names and
    the neighbours in the session make. To both, "phrase" is what the query's own wording adds.
    """
    is_of_day = find_named(candidates, named)
    if has_signals(candidates):
        parts = blend_signals(candidates, is_of_day)
    else:
        parts = fuse_scores(candidates)
        parts["date"] = np.where(is_of_day, NAMED_DAY_BONUS, 0.0)
        parts["session"] = compute_session_boosts(candidates, sum_parts(candidates, parts))
    return parts | {"phrase": compute_phrase_gains(candidates.phrases, sum_parts(candidates, parts))}


def sum_parts(candidates: Candidates, parts: Mapping[str, Column]) -> Column:
    """Return the sum (n,) of the parts of each candidate's relevance, 0 or more."""
    return sum(parts.values(), np.zeros(len(candidates))).clip(min=0.0)


def find_named(candidates: Candidates, named: Sequence[Period]) -> NDArray[np.bool_]:
    """Return which candidates (n,) are of a day that the query names."""
    if not named:
        return np.zeros(len(candidates), np.bool_)
    return np.array([is_named(chunk.occurred_at, named) for chunk in candidates.chunks], np.bool_)


def is_named(occurred_at: int, named: Sequence[Period]) -> bool:
    """Return True if a time, in microseconds since 1970, is of a day that the query names."""
    time = from_micros(occurred_at)
    return any(period.contains(time) for period in named)


def compute_session_boosts(candidates: Candidates, relevances: Column) -> Column:
    """Return what each candidate gains from neighbours in the session that are candidates.

    At each distance only the better of the two neighbours counts. In conversations that is as good as both,
    and it is bounded by ``sum(SESSION_BOOSTS)``, so that a memory without a session can compete.
    """
    best = np.zeros((len(SESSION_BOOSTS), len(candidates)))
    for link in candidates.links:
        of_distance = best[link.distance - 1]
        of_distance[link.rows] = np.maximum(of_distance[link.rows], relevances[link.neighbours])
    return (np.array(SESSION_BOOSTS)[:, None] * best).sum(axis=0)


# --- order --------------------------------------------------------------------------------------


def _sort_candidates(candidates: Candidates, values: Column, asking: Asking, limit: int | None) -> list[int]:
    order = sort_best_first(candidates, values)
    if asking.is_about_present:
        order = order_by_version(candidates, order, limit)
    return promote_whole_match(candidates, order, limit)


def sort_best_first(candidates: Candidates, values: Column) -> list[int]:
    """Return the positions by falling value (n,), then newest ``occurred_at``, then highest key."""
    return np.lexsort((candidates.memory_keys, candidates.occurred_at, values))[::-1].tolist()


def promote_whole_match(candidates: Candidates, order: list[int], limit: int | None) -> list[int]:
    """Give the last of the first ``limit`` places to a memory that holds all words of the query.

    This happens if there is one and none is among the first already: many memories with a moderate cosine
    must not hide the only one that has the exact word, such as a name that the model does not know. With a
    limit of 1 the best memory is returned.
    """
    holds_all_words = (candidates.bm25 > 0) & (candidates.coverages >= WHOLE_COVERAGE)
    places = np.flatnonzero(holds_all_words[order])
    whole = int(places[0]) if len(places) else 0
    if limit is None or limit < 2 or whole < limit:
        return order
    return [*order[: limit - 1], order[whole], *order[limit - 1 : whole], *order[whole + 1 :]]


# --- factors of the memory alone ----------------------------------------------------------------


def compute_factors(candidates: Candidates, asking: Asking) -> dict[str, Column]:
    """Return the factors that depend on the memory alone, not on the query; each of shape (n,)."""
    importances = np.array([chunk.importance for chunk in candidates.chunks], np.float64)
    return {
        "recency": compute_recency_factors(asking.now - candidates.occurred_at),
        "importance": compute_importance_factors(importances),
        "project": compute_project_factors(candidates, asking.project),
    }


def compute_recency_factors(ages: NDArray[np.int64]) -> Column:
    """Return 1 now and in the future, halfway to 1 - `RECENCY_SHARE` after one half-life.

    ``ages`` are in microseconds.
    """
    half_lives = ages.clip(min=0) / (RECENCY_HALF_LIFE // MICROSECOND)
    return 1 - RECENCY_SHARE + RECENCY_SHARE * 0.5**half_lives


def compute_importance_factors(importances: Column) -> Column:
    """Return 1 for the greatest importance (1), 1 - `IMPORTANCE_SHARE` for the least (0)."""
    return 1 - IMPORTANCE_SHARE + IMPORTANCE_SHARE * importances


def compute_project_factors(candidates: Candidates, asking: str | None) -> Column:
    """Return `OTHER_PROJECT_FACTOR` for each memory of another project, else 1."""
    owners = [chunk.project for chunk in candidates.chunks]
    is_own = np.array([owner is None or owner == asking for owner in owners], np.bool_)
    return np.where(is_own, 1.0, OTHER_PROJECT_FACTOR)
