"""Ranking: each formula by hand, then what the order promises."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp import ranking
from sediment_mcp.memory import Candidate, Memory
from sediment_mcp.ranking import rank

NOW = datetime(2026, 5, 8, tzinfo=UTC)


def memory(number: int, *, days: float = 0, importance: float = 1.0, project: str | None = None) -> Memory:
    when = NOW - timedelta(days=days)
    return Memory(
        number=number,
        id=f"m{number}",
        seq=number,
        content=f"Memory {number}.",
        kind="semantic",
        tags=(),
        project=project,
        session=None,
        importance=importance,
        metadata={},
        occurred_at=when,
        created_at=when,
    )


def numbers(*candidates: Candidate, project: str | None = None) -> list[int]:
    return [scored.candidate.memory.number for scored in rank(candidates, project=project, now=NOW)]


# --- each formula by hand -----------------------------------------------------------------------


def test_min_max_by_hand():
    assert ranking.min_max([0.2, 0.6, 0.3]) == pytest.approx([0.0, 1.0, 0.25])


def test_equal_cosines_are_all_as_good_as_the_best():
    assert ranking.min_max([0.3, 0.3]) == [1.0, 1.0]


def test_bm25_over_the_best_by_hand():
    assert ranking.over_maximum([8.0, 2.0, 0.0]) == [1.0, 0.25, 0.0]


def test_no_word_in_common_is_zero_for_all():
    assert ranking.over_maximum([0.0, 0.0]) == [0.0, 0.0]


def test_fusion_by_hand():
    assert ranking.fuse(0.5, 1.0) == pytest.approx(0.6 * 0.5 + 0.4 * 1.0)


def test_recency_by_hand():
    assert ranking.recency(timedelta(0)) == pytest.approx(1.0)
    assert ranking.recency(timedelta(days=90)) == pytest.approx(0.975)
    assert ranking.recency(timedelta(days=180)) == pytest.approx(0.9625)
    assert ranking.recency(timedelta(days=400_000)) == pytest.approx(0.95)


def test_the_future_counts_as_now():
    assert ranking.recency(timedelta(days=-30)) == pytest.approx(1.0)


def test_importance_by_hand():
    assert [ranking.importance(value) for value in (0, 0.5, 1)] == pytest.approx([0.95, 0.975, 1.0])


@pytest.mark.parametrize(
    ("owner", "asking", "factor"),
    [(None, None, 1), (None, "a", 1), ("a", "a", 1), ("b", "a", 0.8), ("b", None, 0.8)],
)
def test_only_another_project_s_memory_is_held_back(owner, asking, factor):
    assert ranking.project_factor(owner, asking) == pytest.approx(factor)


def test_the_better_neighbour_at_each_distance_lends():
    candidates = [
        Candidate(memory(1), neighbours=((2, 3), (4,))),
        Candidate(memory(2)),
        Candidate(memory(3)),
        Candidate(memory(4)),
    ]
    assert ranking.lent(candidates, [0.1, 0.5, 0.9, 0.4])[0] == pytest.approx(0.2 * 0.9 + 0.1 * 0.4)


def test_neighbours_that_are_no_candidates_lend_nothing():
    assert ranking.lent([Candidate(memory(1), neighbours=((8, 9), (10,)))], [1.0]) == [0.0]


def test_evidence_by_hand():
    assert ranking.evidence(Candidate(memory(1), cosine=0.5, coverage=0.25)) == pytest.approx(0.4)
    assert ranking.evidence(Candidate(memory(1), cosine=-0.2, coverage=0.25)) == pytest.approx(0.1)
    assert ranking.evidence(Candidate(memory(1), coverage=0.25)) == pytest.approx(0.25)


def test_rising_runs_share_their_mean():
    assert ranking.non_increasing([0.9, 0.2, 0.6, 0.1]) == pytest.approx([0.9, 0.4, 0.4, 0.1])
    assert ranking.non_increasing([0.1, 0.2, 0.6]) == pytest.approx([0.3, 0.3, 0.3])


@given(st.lists(st.floats(0, 1), max_size=30))
def test_a_smoothed_sequence_falls_and_keeps_its_sum(values):
    smooth = ranking.non_increasing(values)
    assert all(a >= b for a, b in itertools.pairwise(smooth))
    assert sum(smooth) == pytest.approx(sum(values))


@pytest.mark.parametrize(
    ("cosine", "coverage", "match"),
    [
        (0.40, 0, "strong"),
        (0.39, 0.59, "weak"),
        (None, 0.6, "strong"),
        (None, 0.59, "weak"),
        (0.0, 0.6, "strong"),
    ],
)
def test_a_strong_match_has_meaning_or_words_in_common(cosine, coverage, match):
    assert ranking.match(Candidate(memory(1), cosine=cosine, coverage=coverage)) == match


# --- the order ----------------------------------------------------------------------------------


def test_meaning_and_words_add_up():
    both = Candidate(memory(1), cosine=0.6, bm25=8)
    meaning = Candidate(memory(2), cosine=0.6)
    words = Candidate(memory(3), cosine=0.1, bm25=8)
    neither = Candidate(memory(4), cosine=0.1)
    assert numbers(neither, words, meaning, both) == [1, 2, 3, 4]


def test_without_any_embedding_words_alone_decide():
    assert numbers(Candidate(memory(1), bm25=1), Candidate(memory(2), bm25=9), Candidate(memory(3))) == [
        2,
        1,
        3,
    ]


def test_without_any_embedding_coverage_does_not_count_twice():
    rare_word = Candidate(memory(1), bm25=9, coverage=0.1)
    all_words = Candidate(memory(2), bm25=8, coverage=0.9)
    assert numbers(all_words, rare_word) == [1, 2]


def test_a_memory_without_embedding_is_first_if_it_has_all_the_words():
    fresh = Candidate(memory(9), bm25=12, coverage=1.0)
    old = [Candidate(memory(n), cosine=0.1 * n, bm25=n, coverage=0.2) for n in range(1, 6)]
    assert numbers(*old, fresh)[0] == 9


def test_a_memory_without_embedding_does_not_float_on_a_single_word():
    fresh = Candidate(memory(9), bm25=3, coverage=0.1)
    good = Candidate(memory(1), cosine=0.7, bm25=12, coverage=0.8)
    fair = Candidate(memory(2), cosine=0.6, bm25=3, coverage=0.1)
    assert numbers(fresh, good, fair, Candidate(memory(3), cosine=0.0)) == [1, 2, 9, 3]


def test_a_turn_beside_the_best_turn_rises():
    best = Candidate(memory(1), cosine=0.9, bm25=9)
    beside = Candidate(memory(2), cosine=0.30, neighbours=((1,),))
    alone = Candidate(memory(3), cosine=0.32)
    far = Candidate(memory(4), cosine=0.0)
    assert numbers(alone, beside, best, far) == [1, 2, 3, 4]


def test_another_project_s_memory_comes_after_one_s_own():
    own = Candidate(memory(1, project="/a"), cosine=0.5)
    other = Candidate(memory(2, project="/b"), cosine=0.5)
    assert numbers(other, own, project="/a") == [1, 2]
    assert numbers(other, own, project="/b") == [2, 1]


def test_of_two_alike_the_newer_wins_and_of_two_that_fit_the_age_is_nothing():
    assert numbers(Candidate(memory(1, days=400), cosine=0.5), Candidate(memory(2), cosine=0.5)) == [2, 1]
    old_and_right = Candidate(memory(1, days=4000), cosine=0.6)
    assert numbers(old_and_right, Candidate(memory(2), cosine=0.5), Candidate(memory(3), cosine=0.0))[0] == 1


def test_ties_go_to_the_newer_then_to_the_higher_number():
    tomorrow = Candidate(memory(1, days=-2), cosine=0.5)
    today = Candidate(memory(2, days=-1), cosine=0.5)
    twin = Candidate(memory(3, days=-1), cosine=0.5)
    assert numbers(today, twin, tomorrow) == [1, 3, 2]


def test_no_candidate_no_result():
    assert rank([], project=None, now=NOW) == []


def test_signals_say_why():
    scored = rank(
        [
            Candidate(
                memory(1, days=90, importance=0.0, project="/b"), cosine=0.123456, bm25=4, neighbours=((2,),)
            ),
            Candidate(memory(2), bm25=8, coverage=1.0),
        ],
        project="/a",
        now=NOW,
    )
    by_number = {s.candidate.memory.number: s.signals for s in scored}
    assert by_number[1] == {
        "semantic": 0.1235,
        "lexical": 0.5,
        "context": 0.2,
        "recency": 0.975,
        "importance": 0.95,
        "project": 0.8,
    }
    assert "semantic" not in by_number[2]


def test_the_score_means_the_same_for_every_query():
    poor = rank([Candidate(memory(1), cosine=0.1, bm25=0.5, coverage=0.05)], project=None, now=NOW)
    good = rank([Candidate(memory(1), cosine=0.8, bm25=0.5, coverage=0.9)], project=None, now=NOW)
    assert poor[0].score == pytest.approx(0.08)
    assert good[0].score == pytest.approx(0.84)


candidates = st.lists(
    st.builds(
        lambda number, days, importance, project, cosine, bm25, coverage, beside: Candidate(
            memory(number, days=days, importance=importance, project=project),
            cosine=cosine,
            bm25=bm25,
            coverage=coverage,
            neighbours=((beside,), (beside + 1,)),
        ),
        st.integers(1, 40),
        st.integers(-10, 4000),
        st.floats(0, 1),
        st.sampled_from([None, "/a", "/b"]),
        st.none() | st.floats(-1, 1),
        st.floats(0, 50),
        st.floats(0, 1),
        st.integers(1, 40),
    ),
    max_size=20,
    unique_by=lambda candidate: candidate.memory.number,
)


@given(candidates, st.sampled_from([None, "/a"]))
def test_scores_fall_along_the_order_and_stay_between_0_and_1(found, project):
    scores = [scored.score for scored in rank(found, project=project, now=NOW)]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


@given(candidates, st.randoms())
def test_the_order_does_not_depend_on_the_order_of_the_candidates(found, dice):
    shuffled = dice.sample(found, len(found))
    ranked = rank(found, project="/a", now=NOW)
    assert [s.candidate for s in rank(shuffled, project="/a", now=NOW)] == [s.candidate for s in ranked]
    assert sorted(s.candidate.memory.number for s in ranked) == sorted(c.memory.number for c in found)
