"""Put candidates in order, and return scored memories with the reasons.

All functions are pure.

    relevance = fuse_scores + named day                                 see `fusion`, `compute_relevances`
    order by    (relevance + session boost + phrase) / best * factors   see `compute_session_boosts`, …
    score     = non_increasing(evidence * factors)                      see `calibration`

Days that the query names count extra; neighbours in a session add some of their relevance; age, importance
and project change the order a little. Where the query asks for the present, the versions of the fact that
answers best come newest first (see `versions`).

The constants are the same for all data. They were chosen by cross-validation over conversations and notes of
developers (benchmarks/README.md), where nearby values give nearly the same results.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import prod

from sediment_mcp.domain.memory import Candidate, Match, Memory, ScoredMemory
from sediment_mcp.search.calibration import SETTLED_COUNT, classify_match, measure_evidence, non_increasing
from sediment_mcp.search.fusion import divide_by_maximum, fuse_scores
from sediment_mcp.search.phrase_match import add_phrase_gains
from sediment_mcp.search.query_dates import Period, read_dates
from sediment_mcp.search.query_tense import is_about_present
from sediment_mcp.search.versions import order_by_version

NAMED_DAY_BONUS = 1.5  # standard deviations of relevance that a memory of a day named in the query gains
SESSION_BOOSTS = (0.3, 0.2)  # the share of a neighbour's relevance that is added, by distance
RECENCY_HALF_LIFE = timedelta(days=90)
RECENCY_SHARE = 0.02  # age changes a value by at most this share, because old facts still hold
IMPORTANCE_SHARE = 0.05  # importance changes a value by at most this share
OTHER_PROJECT_FACTOR = 0.8
WHOLE_COVERAGE = 0.999  # the coverage of a text that holds every word of the query, but for rounding


def rank(
    candidates: Sequence[Candidate],
    *,
    project: str | None,
    now: datetime,
    query: str = "",
    limit: int | None = None,
    count: int = SETTLED_COUNT,
) -> list[ScoredMemory]:
    """Return the ``limit`` best of the ``candidates`` (None: all), best first.

    Ties go to the newer ``occurred_at``, then the higher key. ``project`` is the one that the query comes
    from (None: none), ``now`` is in the time zone of the user, ``query`` is read for what it says about time,
    and the candidates are from ``count`` memories.
    """
    periods = read_dates(query, now)
    own = compute_relevances(candidates, periods)
    boosts = compute_session_boosts(candidates, own)
    total = add_phrase_gains(candidates, [value + boost for value, boost in zip(own, boosts, strict=True)])
    relevances = divide_by_maximum(total) if any(total) else [1.0] * len(total)
    factors = [compute_factors(candidate.memory, project, now) for candidate in candidates]
    products = [prod(factor.values()) for factor in factors]
    values = [relevance * product for relevance, product in zip(relevances, products, strict=True)]
    order = _sort_candidates(candidates, values, query, limit)
    scores = non_increasing([measure_evidence(candidates[i]) * products[i] for i in order])
    words = divide_by_maximum([candidate.bm25 for candidate in candidates])
    return [
        _build_result(
            candidates[i],
            score,
            {
                "relevance": relevances[i],
                "lexical": words[i],
                "context": boosts[i] / (own[i] + boosts[i] or 1.0),
            }
            | factors[i],
            periods,
            classify_match(candidates[i], count),
        )
        for i, score in zip(order[:limit], scores, strict=False)
    ]


def select_leading(
    candidates: Sequence[Candidate], *, project: str | None, now: datetime, query: str, limit: int
) -> list[Memory]:
    """Return the ``limit`` best memories as ranked before their neighbours are known.

    A memory ranked far below them does not get into the answer through its neighbours, nor do these. ``now``
    is in the time zone of the user.
    """
    own = compute_relevances(candidates, read_dates(query, now))
    values = [
        value * compute_project_factor(candidate.memory.project, project)
        for value, candidate in zip(add_phrase_gains(candidates, own), candidates, strict=True)
    ]
    order = sort_best_first(candidates, values, range(len(candidates)))
    return [candidates[i].memory for i in order[:limit]]


def _build_result(
    candidate: Candidate, score: float, signals: dict[str, float], named: Sequence[Period], match: Match
) -> ScoredMemory:
    if candidate.phrase:
        signals["phrase"] = candidate.phrase
    if candidate.cosine is not None:
        signals["semantic"] = candidate.cosine
    if named:
        signals["date"] = float(is_named(candidate.memory, named))
    rounded = {name: round(value, 4) for name, value in signals.items()}
    return ScoredMemory(candidate, round(score, 4), match, rounded)


# --- relevance ----------------------------------------------------------------------------------


def compute_relevances(candidates: Sequence[Candidate], named: Sequence[Period] = ()) -> list[float]:
    """Return the relevance of each candidate, 0 or more, in standard deviations.

    It includes the bonus for memories of a day that the query names.
    """
    fused = fuse_scores(candidates)
    if not named:
        return fused
    return [
        relevance + (NAMED_DAY_BONUS if is_named(candidate.memory, named) else 0.0)
        for candidate, relevance in zip(candidates, fused, strict=True)
    ]


def is_named(memory: Memory, named: Sequence[Period]) -> bool:
    """Return True if the memory is of a day that the query names."""
    return any(period.contains(memory.occurred_at) for period in named)


def compute_session_boosts(candidates: Sequence[Candidate], relevances: Sequence[float]) -> list[float]:
    """Return what each candidate gains from neighbours in the session that are candidates.

    At each distance only the better of the two neighbours counts. In conversations that is as good as both,
    and it is bounded by ``sum(SESSION_BOOSTS)``, so that a memory without a session can compete.
    """
    own = {c.memory.key: r for c, r in zip(candidates, relevances, strict=True)}
    return [
        sum(
            share * max([own.get(memory_key, 0.0) for memory_key in memory_keys], default=0.0)
            for share, memory_keys in zip(SESSION_BOOSTS, candidate.neighbours, strict=False)
        )
        for candidate in candidates
    ]


# --- order --------------------------------------------------------------------------------------


def _sort_candidates(
    candidates: Sequence[Candidate], values: Sequence[float], query: str, limit: int | None
) -> list[int]:
    order = sort_best_first(candidates, values, range(len(candidates)))
    if is_about_present(query):
        order = order_by_version(candidates, order, limit)
    return promote_whole_match(candidates, order, limit)


def sort_best_first(
    candidates: Sequence[Candidate], values: Sequence[float], positions: Iterable[int]
) -> list[int]:
    """Return the positions by falling value, then newest ``occurred_at``, then highest key."""

    def key(position: int) -> tuple[float, datetime, int]:
        memory = candidates[position].memory
        return values[position], memory.occurred_at, memory.key

    return sorted(positions, key=key, reverse=True)


def promote_whole_match(candidates: Sequence[Candidate], order: list[int], limit: int | None) -> list[int]:
    """Give the last of the first ``limit`` places to a memory that holds all words of the query.

    This happens if there is one and none is among the first already: many memories with a moderate cosine
    must not hide the only one that has the exact word, such as a name that the model does not know. With a
    limit of 1 the best memory is returned.
    """
    whole = next((place for place, i in enumerate(order) if _holds_all_words(candidates[i])), 0)
    if limit is None or limit < 2 or whole < limit:
        return order
    return [*order[: limit - 1], order[whole], *order[limit - 1 : whole], *order[whole + 1 :]]


def _holds_all_words(candidate: Candidate) -> bool:
    return candidate.bm25 > 0 and candidate.coverage >= WHOLE_COVERAGE


# --- factors of the memory alone ----------------------------------------------------------------


def compute_factors(memory: Memory, project: str | None, now: datetime) -> dict[str, float]:
    """Return the factors that depend on the memory alone, not on the query."""
    return {
        "recency": compute_recency_factor(now - memory.occurred_at),
        "importance": compute_importance_factor(memory.importance),
        "project": compute_project_factor(memory.project, project),
    }


def compute_recency_factor(age: timedelta) -> float:
    """Return 1 now and in the future, halfway to 1 - `RECENCY_SHARE` after one half-life."""
    return 1 - RECENCY_SHARE + RECENCY_SHARE * 0.5 ** (max(age, timedelta(0)) / RECENCY_HALF_LIFE)


def compute_importance_factor(importance: float) -> float:
    """Return 1 for the greatest importance (1), 1 - `IMPORTANCE_SHARE` for the least (0)."""
    return 1 - IMPORTANCE_SHARE + IMPORTANCE_SHARE * importance


def compute_project_factor(owner: str | None, asking: str | None) -> float:
    """Return `OTHER_PROJECT_FACTOR` for a memory of another project, else 1."""
    return 1.0 if owner is None or owner == asking else OTHER_PROJECT_FACTOR
