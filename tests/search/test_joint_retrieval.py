"""What several stores answer is merged by score, and the order within each stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st
from support.memories import memory_of

from sediment_mcp.domain.memory import ScoredMemory
from sediment_mcp.search.joint_retrieval import merge_ranked

NOON = datetime(2026, 5, 8, 12, tzinfo=UTC)
RESULTS = st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.9]), st.booleans(), st.integers(0, 3))


def build(rankings: list[list[tuple[float, bool, int]]]) -> list[list[ScoredMemory]]:
    """Build rankings of (score, holds all words, hour of the day), best first."""
    keys = count(1)
    return [
        [
            ScoredMemory(
                replace(memory_of(next(keys), "text"), occurred_at=NOON + timedelta(hours=hour)),
                (0, 4),
                score,
                "strong",
                {"lexical": 0.5, "coverage": 1.0 if is_whole else 0.5},
            )
            for score, is_whole, hour in sorted(ranking, key=lambda one: -one[0])
        ]
        for ranking in rankings
    ]


RANKINGS = st.lists(st.lists(RESULTS, max_size=6), min_size=1, max_size=3).map(build)


def is_whole(scored: ScoredMemory) -> bool:
    return scored.signals["coverage"] == 1


@settings(deadline=None)
@given(RANKINGS, st.integers(1, 12))
def test_the_best_by_score_are_taken_in_the_order_of_each(
    rankings: list[list[ScoredMemory]], limit: int
) -> None:
    scores = sorted((one.score for ranking in rankings for one in ranking), reverse=True)
    merged = merge_ranked(rankings, limit)
    assert [one.score for one in merged[: limit - 1]] == scores[: limit - 1]
    assert len(merged) == min(limit, len(scores))
    for store, ranking in enumerate(rankings):
        keys = [one.memory.key for one in merged if one.store == store]
        assert keys == [one.memory.key for one in ranking if one.memory.key in keys]


@settings(deadline=None)
@given(RANKINGS, st.integers(2, 12))
def test_a_memory_that_holds_all_words_is_among_them_if_there_is_one(
    rankings: list[list[ScoredMemory]], limit: int
) -> None:
    has_whole = any(is_whole(one) for ranking in rankings for one in ranking)
    assert any(map(is_whole, merge_ranked(rankings, limit))) == has_whole


def test_at_the_same_score_the_newer_comes_first_and_then_the_first_store() -> None:
    merged = merge_ranked(build([[(0.5, False, 1)], [(0.5, False, 2)], [(0.5, False, 1)]]), 3)
    assert [one.store for one in merged] == [1, 0, 2]
