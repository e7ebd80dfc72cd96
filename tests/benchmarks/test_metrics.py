"""What is measured of questions, and how sure a mean is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics import Outcome, add_up, change, hit, hit_all, interval, mean, newest_first, recall

MEANS = st.dictionaries(
    st.text(max_size=3),
    st.tuples(st.floats(0, 1), st.integers(1, 9)).map(lambda pair: (pair[0] * pair[1], pair[1])),
    min_size=1,
    max_size=8,
)


def outcome(*ranks: int, answers: int = 2, cluster: str = "one", newest: int | None = None) -> Outcome:
    return Outcome(cluster, "group", answers, ranks, "strong", newest)


def test_a_share_an_any_and_an_all_differ_where_half_of_the_answers_are_found() -> None:
    half = outcome(1, 7)
    assert [measure(5)(half) for measure in (recall, hit, hit_all)] == [0.5, 1.0, 0.0]
    assert hit_all(8)(half) == 1.0


def test_an_answer_that_is_not_found_is_never_all() -> None:
    assert hit_all(50)(outcome(0)) == 0.0


@pytest.mark.parametrize(("newest", "ranks", "is_first"), [(1, (1, 2), 1), (2, (1, 2), 0), (None, (1,), 0)])
def test_the_newest_version_comes_before_all_older_ones(
    newest: int | None, ranks: tuple[int, ...], is_first: int
) -> None:
    assert newest_first(outcome(*ranks, newest=newest)) == is_first


def test_a_mean_is_over_questions_not_over_clusters() -> None:
    sums = add_up([outcome(0), outcome(0), outcome(9, cluster="other")], hit(5))
    assert mean(sums) == pytest.approx(2 / 3)


def test_whole_clusters_are_drawn() -> None:
    alike = add_up([outcome(0, cluster=name) for name in "ab"] * 50, hit(5))
    apart = add_up([outcome(0, cluster="a"), outcome(9, cluster="b")] * 50, hit(5))
    assert interval(alike) == (1.0, 1.0)
    assert interval(apart) == (0.0, 1.0)


def test_without_questions_nothing_is_said() -> None:
    assert math.isnan(mean({}))
    assert all(map(math.isnan, (*interval({}), *change({}, {"a": (1, 1)}))))


@given(MEANS)
def test_a_run_has_not_changed_against_itself(sums: dict[str, tuple[float, int]]) -> None:
    assert change(sums, sums) == (0, 0, 0)


@given(MEANS, st.floats(0.01, 0.5))
def test_an_equal_gain_in_every_cluster_is_sure(sums: dict[str, tuple[float, int]], gain: float) -> None:
    """Unpaired intervals would be as wide as the clusters differ."""
    after = {name: (total + gain * count, count) for name, (total, count) in sums.items()}
    assert change(sums, after) == pytest.approx((gain, gain, gain))


@given(MEANS)
def test_the_mean_lies_in_the_range_of_its_clusters(sums: dict[str, tuple[float, int]]) -> None:
    means = [total / count for total, count in sums.values()]
    for value in (mean(sums), *interval(sums)):
        assert min(means) - 1e-9 <= value <= max(means) + 1e-9


def test_clusters_of_one_run_alone_are_not_compared() -> None:
    assert change({"a": (0, 1), "b": (1, 1)}, {"a": (1, 1), "c": (0, 1)})[0] == 1
