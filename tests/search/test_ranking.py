"""Ranking: each formula by hand, then what the order promises."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.domain.memory import Memory
from sediment_mcp.search import calibration, fusion, ranking
from sediment_mcp.search.query_dates import Period, find_periods
from tests.support.candidates import Candidate, rank, rank_by_hand, tabulate
from tests.support.memories import memory_of

NOW = datetime(2026, 5, 8, tzinfo=UTC)


def memory(number: int, *, days: float = 0, importance: float = 1.0, project: str | None = None) -> Memory:
    when = NOW - timedelta(days=days)
    times = {"occurred_at": when, "created_at": when, "changed_at": when}
    return memory_of(number, f"Memory {number}.", project=project, importance=importance, **times)


def numbers(*candidates: Candidate, project: str | None = None, query: str = "") -> list[int]:
    ranked = rank(candidates, project=project, now=NOW, query=query)
    return [scored.candidate.memory.key for scored in ranked]


def test_the_only_memory_with_the_very_word_is_shown_though_all_others_lie_nearer():
    near = [Candidate(memory(n), cosine=0.25 + n / 10_000) for n in range(64)]
    exact = Candidate(memory(64), cosine=0.1, bm25=6.0, context_bm25=6.0, coverage=1.0)
    whole = rank([*near, exact], project=None, now=NOW)
    assert [scored.candidate for scored in whole].index(exact) > 20, "it has to be promoted at all"
    shown = rank([*near, exact], project=None, now=NOW, limit=5)
    assert shown[-1].candidate == exact
    assert shown[-1].match == "strong"
    assert [s.candidate for s in shown[:4]] == [s.candidate for s in whole[:4]]
    (best,) = rank([*near, exact], project=None, now=NOW, limit=1)
    assert best.candidate == whole[0].candidate
    part = Candidate(memory(65), cosine=0.1, bm25=6.0, context_bm25=6.0, coverage=0.9)
    assert part not in [s.candidate for s in rank([*near, part], project=None, now=NOW, limit=5)]


# --- each formula by hand -----------------------------------------------------------------------


def relevances(*candidates: Candidate, named: Sequence[Period] = ()) -> list[float]:
    """Return what the parts of each candidate's relevance add up to."""
    columns = tabulate(candidates)
    return ranking.sum_parts(columns, ranking.compute_parts(columns, named)).tolist()


def test_spread_by_hand():
    deviation = (8 / 3) ** 0.5
    spread = fusion.spread(np.array([1.0, 3.0, 5.0]))
    assert spread == pytest.approx([0.0, 2 / deviation, 4 / deviation])


def test_what_is_all_alike_tells_nothing_apart():
    assert fusion.spread(np.array([0.3, 0.3])).tolist() == [0.0, 0.0]
    assert fusion.spread(np.array([])).tolist() == []


def test_relevance_by_hand():
    near = Candidate(memory(1), cosine=0.5, context_cosine=0.7, bm25=2, context_bm25=4)
    far = Candidate(memory(2), cosine=0.1, context_cosine=0.3)
    # two values lie two standard deviations apart, whatever they are
    assert relevances(near, far) == pytest.approx([0.6 * 2 + 0.4 * 2, 0.0])


def test_a_named_day_adds_to_relevance():
    named = find_periods("what happened on 6 May 2026?", NOW.date())
    found = [Candidate(memory(1, days=2), cosine=0.5), Candidate(memory(2, days=3), cosine=0.5)]
    assert relevances(*found, named=named) == pytest.approx([1.5, 0.0])


def test_the_part_of_the_best_by_hand():
    assert fusion.divide_by_maximum(np.array([8.0, 2.0, 0.0])).tolist() == [1.0, 0.25, 0.0]


def test_no_word_in_common_is_zero_for_all():
    assert fusion.divide_by_maximum(np.array([0.0, 0.0])).tolist() == [0.0, 0.0]


def recency(*days: int) -> list[float]:
    ages = np.array([timedelta(days=n) // timedelta(microseconds=1) for n in days], np.int64)
    return ranking.compute_recency_factors(ages).tolist()


def test_recency_by_hand():
    assert recency(0, 90, 180, 400_000) == pytest.approx([1.0, 0.99, 0.985, 0.98])


def test_the_future_counts_as_now():
    assert recency(-30) == pytest.approx([1.0])


def test_importance_by_hand():
    factors = ranking.compute_importance_factors(np.array([0, 0.5, 1]))
    assert factors == pytest.approx([0.95, 0.975, 1.0])


@pytest.mark.parametrize(
    ("owner", "asking", "factor"),
    [(None, None, 1), (None, "a", 1), ("a", "a", 1), ("b", "a", 0.8), ("b", None, 0.8)],
)
def test_only_another_project_s_memory_is_held_back(owner, asking, factor):
    found = tabulate([Candidate(memory(1, project=owner))])
    assert ranking.compute_project_factors(found, asking) == pytest.approx([factor])


def test_the_better_neighbour_at_each_distance_lends():
    candidates = [
        Candidate(memory(1), neighbours=((2, 3), (4,))),
        Candidate(memory(2)),
        Candidate(memory(3)),
        Candidate(memory(4)),
    ]
    assert ranking.compute_session_boosts(tabulate(candidates), np.array([0.1, 0.5, 0.9, 0.4]))[
        0
    ] == pytest.approx(0.3 * 0.9 + 0.2 * 0.4)


def test_neighbours_that_are_no_candidates_lend_nothing():
    alone = tabulate([Candidate(memory(1), neighbours=((8, 9), (10,)))])
    assert ranking.compute_session_boosts(alone, np.array([1.0])).tolist() == [0.0]


def leading(*candidates: Candidate, project: str | None = None, query: str = "", limit: int = 2) -> list[int]:
    asking = ranking.read_asking(query, project=project, now=NOW)
    return ranking.select_leading(tabulate(candidates), asking, limit)


def test_the_foremost_are_the_most_relevant():
    near, nearer, far = (Candidate(memory(n), cosine=c) for n, c in ((1, 0.4), (2, 0.6), (3, 0.1)))
    assert leading(near, far, nearer) == [2, 1]
    assert leading(near, far, nearer, limit=9) == [2, 1, 3]
    assert leading() == []


def test_the_foremost_are_rather_one_s_own_and_of_the_day_that_is_named():
    other, own = (Candidate(memory(n, project=p), cosine=0.5) for n, p in ((2, "/b"), (1, "/a")))
    least = Candidate(memory(3), cosine=0.1)
    assert leading(other, own, least, project="/a") == [1, 2]
    today, before = (Candidate(memory(n, days=n), cosine=0.5) for n in (0, 7))
    assert leading(today, before, query="what was on 1 May 2026?", limit=1) == [7]


def estimate(found: Candidate, count: int = 1) -> float:
    return float(calibration.estimate_probabilities(tabulate([found]), count)[0])


def test_the_probability_that_a_memory_answers_by_hand():
    weights = calibration.load_weights()
    for found, known, evidence in (
        (Candidate(memory(1), coverage=0.25), "words", {"coverage": 0.25}),
        (Candidate(memory(1), cosine=-0.2, coverage=0.25), "meaning", {"cosine": 0, "coverage": 0.25}),
        (
            Candidate(memory(1), cosine=0.5, tokens=0.7, coverage=0.25),
            "tokens",
            {"cosine": 0.5, "tokens": 0.7, "coverage": 0.25},
        ),
    ):
        logit = sum(
            weights[known][name] * value for name, value in {**evidence, "count": 2, "bias": 1}.items()
        )
        assert estimate(found, count=100) == pytest.approx(1 / (1 + np.exp(-logit)))


def test_rising_runs_share_their_mean():
    assert calibration.non_increasing([0.9, 0.2, 0.6, 0.1]) == pytest.approx([0.9, 0.4, 0.4, 0.1])
    assert calibration.non_increasing([0.1, 0.2, 0.6]) == pytest.approx([0.3, 0.3, 0.3])


@given(st.lists(st.floats(0, 1), max_size=30))
def test_a_smoothed_sequence_falls_and_keeps_its_sum(values):
    smooth = calibration.non_increasing(values)
    assert all(a >= b for a, b in itertools.pairwise(smooth))
    assert sum(smooth) == pytest.approx(sum(values))


@pytest.mark.parametrize(
    ("count", "found", "match"),
    [
        (1, {"cosine": 0.35, "tokens": 0.4}, "strong"),  # the only memory is not near by chance
        (1_000, {"cosine": 0.35, "tokens": 0.4}, "weak"),
        (1_000, {"cosine": 0.65, "tokens": 0.7}, "strong"),  # a paraphrase among many
        (1_000, {"cosine": 0.45, "tokens": 0.6, "coverage": 0.5}, "strong"),
        (1, {"cosine": 0.45}, "strong"),
        (1_000, {"cosine": 0.45}, "weak"),
        (1_000, {"coverage": 0.9}, "strong"),
        (1_000, {"coverage": 0.3}, "weak"),
    ],
)
def test_a_strong_match_has_meaning_or_words_in_common(count, found, match):
    (ranked,) = rank([Candidate(memory(1), **found)], project=None, now=NOW, count=count)
    assert ranked.match == match


FOUND = st.tuples(st.none() | st.tuples(st.floats(0, 1), st.none() | st.floats(0, 1)), st.floats(0, 1))


@given(FOUND, st.integers(0, 10**9), st.integers(0, 10**9))
def test_among_more_memories_the_same_evidence_says_no_more(found, one, other):
    near, coverage = found
    cosine, tokens = near or (None, None)
    candidate = Candidate(memory(1), cosine=cosine, tokens=tokens, coverage=coverage)
    few, many = sorted((one, other))
    assert estimate(candidate, few) >= estimate(candidate, many)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_among_more_memories_no_less_is_asked_for(one, other):
    few, many = sorted((one, other))
    assert calibration.compute_strong_probability(few) <= calibration.compute_strong_probability(many)


def test_more_evidence_is_never_less_probable():
    assert all(
        weight >= 0
        for weights in calibration.load_weights().values()
        for name, weight in weights.items()
        if name not in {"bias", "count"}
    )


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


def test_a_question_for_the_present_finds_the_newest_version_first():
    older, newer = (Candidate(memory(n, days=60 - n), cosine=c) for n, c in ((1, 0.9), (2, 0.85)))
    other = Candidate(memory(3), cosine=0.1)
    alike = [replace(c, vector=np.float32([1, 0]), terms=6) for c in (older, newer)]
    found = [*alike, replace(other, vector=np.float32([0, 1]), terms=6)]
    assert numbers(*found, query="what is the current limit?") == [2, 1, 3]
    assert numbers(*found, query="what was the limit at first?") == [1, 2, 3]


def test_a_memory_of_the_day_that_is_named_comes_first():
    then, before = Candidate(memory(1, days=1), cosine=0.5), Candidate(memory(2, days=9), cosine=0.52)
    other = [Candidate(memory(n, days=99), cosine=0.0) for n in range(3, 9)]
    assert numbers(then, before, *other, query="what was said yesterday?")[0] == 1
    assert numbers(then, before, *other, query="what was said?")[0] == 2


def test_only_so_many_are_returned_as_are_wanted():
    found = [Candidate(memory(n), cosine=n / 10) for n in range(1, 6)]
    whole = rank(found, project=None, now=NOW)
    assert rank(found, project=None, now=NOW, limit=2) == whole[:2]


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
    by_number = {s.candidate.memory.key: s.signals for s in scored}
    # the other one's words are two deviations better, and it lends 0.3 of that
    assert by_number[1] == {
        "relevance": pytest.approx(0.3, abs=1e-4),
        "semantic": 0.1235,
        "lexical": 0.5,
        "coverage": 0.0,
        "session_share": 1.0,
        "recency": 0.99,
        "importance": 0.95,
        "project": 0.8,
    }
    assert "semantic" not in by_number[2]


def test_the_score_means_the_same_for_every_query():
    poor = rank([Candidate(memory(1), cosine=0.1, bm25=0.5, coverage=0.05)], project=None, now=NOW)
    good = rank([Candidate(memory(1), cosine=0.8, bm25=0.5, coverage=0.9)], project=None, now=NOW)
    assert poor[0].score < 0.1 < 0.9 < good[0].score


candidates = st.lists(
    st.builds(
        lambda number, days, importance, project, cosine, bm25, coverage, phrase, beside, said: Candidate(
            memory(number, days=days, importance=importance, project=project),
            cosine=cosine,
            tokens=None if said is None or cosine is None else said[0],
            context_tokens=None if said is None or cosine is None else said[1],
            is_question=bool(said and said[2]),
            names_time=bool(said and said[3]),
            bm25=bm25,
            coverage=coverage,
            phrase=phrase,
            context_cosine=cosine,
            context_bm25=bm25 / 2,
            neighbours=((beside, beside + 2), (beside + 1,)),
        ),
        st.integers(1, 40),
        st.integers(-10, 4000),
        st.floats(0, 1),
        st.sampled_from([None, "/a", "/b"]),
        st.none() | st.floats(-1, 1),
        st.floats(0, 50),
        st.floats(0, 1),
        st.sampled_from([0.0, 0.0, 0.05, 1.0]),
        st.integers(1, 40),
        st.none() | st.tuples(st.floats(-0.2, 1), st.floats(-0.2, 1), st.booleans(), st.booleans()),
    ),
    max_size=20,
    unique_by=lambda candidate: candidate.memory.key,
)


QUERIES = st.sampled_from(["kiwi", "what is the current limit?", "what was on 1 May 2026?"])


@given(candidates, st.sampled_from([None, "/a"]), QUERIES, st.none() | st.integers(1, 8))
def test_arrays_rank_as_single_memories_do(found, project, query, limit):
    """The order is that of the values by hand, but where these lie nearer than rounding."""
    asked = {"project": project, "now": NOW, "query": query, "limit": limit}
    by_hand = rank_by_hand(found, **asked)
    ranked = rank(found, **asked)
    assert [s.candidate.memory.key for s in ranked] == [s.candidate.memory.key for s in by_hand]
    for one, other in zip(ranked, by_hand, strict=True):
        assert (one.match, one.score) == (other.match, pytest.approx(other.score, abs=1e-4))
        assert one.signals == pytest.approx(other.signals, abs=1e-4)


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
    assert sorted(s.candidate.memory.key for s in ranked) == sorted(c.memory.key for c in found)


@given(
    one=st.tuples(st.floats(0, 1), st.floats(0, 20_000), st.floats(0, 1)),
    other=st.tuples(st.floats(0, 1), st.floats(0, 20_000), st.floats(0, 1)),
)
def test_age_and_importance_only_decide_between_memories_that_fit_almost_alike(one, other):
    """Five per cent each: what fits better by more than a tenth comes first, however old or unimportant."""
    found = [
        Candidate(memory(number, days=days, importance=importance), cosine=cosine)
        for number, (cosine, days, importance) in enumerate([one, other], start=1)
    ] + [Candidate(memory(3), cosine=0.0), Candidate(memory(4), cosine=1.0)]  # they span the whole scale
    order = numbers(*found)
    assert sorted(order) == [1, 2, 3, 4], "a nudge hides nothing"
    for better, worse in ((0, 1), (1, 0)):
        if found[better].cosine * 0.95 * 0.95 > found[worse].cosine:
            assert order.index(better + 1) < order.index(worse + 1)
