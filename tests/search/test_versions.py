"""The order of versions of a fact: time orders memories that answer, and no others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sediment_mcp.domain.memory import Memory
from sediment_mcp.search import versions
from sediment_mcp.search.versions import states_change
from tests.support.candidates import Candidate, rank, tabulate
from tests.support.memories import memory_of

NOW = datetime(2026, 5, 8, tzinfo=UTC)
QUESTION = "What is Anna's current phone number?"


def memory(key: int, *, days: float = 0, content: str = "A fact.") -> Memory:
    when = NOW - timedelta(days=days)
    return memory_of(key, content, occurred_at=when, created_at=when, changed_at=when)


def unit(*values: float) -> NDArray[np.float32]:
    """Return the unit vector of this direction."""
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


def fact(key: int, *, days: float = 0, cosine: float = 0.7, direction: float = 1.0) -> Candidate:
    """Return a memory whose cosine with another of direction 1 is ``direction``."""
    return Candidate(
        memory(key, days=days),
        cosine=cosine,
        terms=6,
        vector=unit(direction, sqrt(1 - direction**2)),
    )


def keys(candidates: list[Candidate], limit: int | None = None, query: str = QUESTION) -> list[int]:
    ranked = rank(candidates, project=None, now=NOW, query=query, limit=limit)
    return [scored.candidate.memory.key for scored in ranked]


UNRELATED = st.builds(
    lambda cosine, days, direction: (cosine, days, direction),
    st.floats(-0.2, 0.3),
    st.floats(-30, 20_000),
    st.floats(-1, 0.3),
)


@given(st.lists(UNRELATED, max_size=40), st.floats(0, 20_000), st.sampled_from([1, 2, 5, 10, None]))
def test_memories_that_do_not_answer_never_come_before_the_one_that_does(
    others: list[tuple[float, float, float]], age: float, limit: int | None
) -> None:
    answer = fact(1, days=age)
    unrelated = [
        fact(n, days=days, cosine=cosine, direction=direction)
        for n, (cosine, days, direction) in enumerate(others, 2)
    ]
    assert keys([*unrelated, answer], limit)[0] == 1


@given(
    st.lists(st.tuples(st.floats(0, 0.6), st.floats(-30, 300), st.floats(-1, 1)), max_size=60),
    st.sampled_from([2, 3, 5, 10]),
)
def test_the_best_by_relevance_is_among_the_first_three_whatever_is_newer(
    others: list[tuple[float, float, float]], limit: int
) -> None:
    found = [fact(1, days=400)] + [
        fact(n, days=days, cosine=cosine, direction=direction)
        for n, (cosine, days, direction) in enumerate(others, 2)
    ]
    assert 1 in keys(found, limit)[: min(limit, versions.KEPT_WITHIN)]


@given(
    st.lists(UNRELATED, max_size=20),
    st.lists(st.integers(0, 5000), min_size=2, max_size=6, unique=True),
    st.floats(-0.05, 0.05),
)
def test_a_newer_version_of_a_fact_comes_before_the_older(
    others: list[tuple[float, float, float]], ages: list[int], difference: float
) -> None:
    told = [fact(n, days=age, cosine=0.7 + difference * (n % 2)) for n, age in enumerate(ages, 1)]
    unrelated = [
        fact(n, days=days, cosine=cosine, direction=direction)
        for n, (cosine, days, direction) in enumerate(others, 100)
    ]
    ranked = [key for key in keys([*unrelated, *told]) if key < 100]
    newest_first = sorted(ranked, key=lambda key: ages[key - 1])
    assert ranked[0] == newest_first[0]
    assert [key for key in ranked if key != best_of(told)] == [
        key for key in newest_first if key != best_of(told)
    ]


def best_of(candidates: list[Candidate]) -> int:
    """Return the key of the best by relevance, which keeps one of the first three places."""
    return keys(candidates, query="")[0]


def estimate_version(known: Candidate, other: Candidate) -> float:
    """Return the chance that the other is a version of the known one's fact."""
    both, others = tabulate([known, other]), np.array([1])
    return float(versions.estimate_versions(both, 0, others, versions.weigh_versions(both, others))[0])


def test_a_chain_of_updates_is_followed_from_version_to_version() -> None:
    first = fact(1, days=90, cosine=0.8, direction=1.0)
    second = fact(2, days=60, cosine=0.6, direction=0.75)
    third = Candidate(memory(3, days=30), cosine=0.55, terms=6, vector=unit(0.3, 1.0))
    assert estimate_version(first, third) < versions.MIN_VERSION < estimate_version(second, third)
    assert versions.order_by_version(tabulate([first, second, third]), [0, 1, 2]) == [2, 1, 0]


def test_the_chance_of_a_version_by_hand() -> None:
    known = fact(1, cosine=0.8)
    other = Candidate(memory(2, content="Anna has a new number."), cosine=0.6, terms=5, vector=unit(0.6, 0.8))
    weighed = 7.1 * 0.6 + 8.4 * 0.75 + 2.6 - 0.37 * 5 - 9.0
    assert estimate_version(known, other) == pytest.approx(1 / (1 + np.exp(-weighed)), rel=1e-5)


def test_of_many_newer_memories_the_likeliest_versions_stand_before_the_best() -> None:
    best, version = fact(1, days=300, cosine=0.8), fact(2, days=200, cosine=0.7, direction=0.95)
    others = [fact(n, days=10 - n, cosine=0.6, direction=0.65) for n in range(3, 9)]
    ranked = keys([best, version, *others])
    assert ranked.index(2) < ranked.index(1) < 3


def test_what_hardly_fits_the_question_is_no_version_however_new_and_like_it() -> None:
    answer = fact(1, days=300, cosine=0.7)
    poor = versions.MIN_FIT * 0.7 - 0.01
    others = [fact(n, days=10 - n, cosine=poor, direction=0.9) for n in range(2, 8)]
    assert keys([*others, answer])[0] == 1
    near = fact(9, days=1, cosine=0.6, direction=0.9)
    assert keys([*others, near, answer])[:2] == [9, 1]


def test_a_long_memory_is_hardly_a_version_of_a_single_fact() -> None:
    known, short = fact(1), fact(2, direction=0.7)
    long = Candidate(memory(3), cosine=0.7, terms=60, vector=short.vector)
    assert estimate_version(known, long) < 0.01 < 0.5 < estimate_version(known, short)


def test_without_embeddings_the_share_of_the_words_decides() -> None:
    old = Candidate(memory(1, days=30), bm25=9, coverage=0.9, terms=6)
    new = Candidate(memory(2), bm25=8, coverage=0.9, terms=6)
    other = Candidate(memory(3), bm25=2, coverage=0.2, terms=6)
    assert keys([old, new, other]) == [2, 1, 3]


@pytest.mark.parametrize(
    "text",
    [
        "Tomas has moved to Linz.",
        "Node.js upgraded to 18.16.0",
        "Anna has a new number.",
        "He no longer smokes.",
        "Tomas ist umgezogen.",
        "Le bureau est maintenant à Lyon.",
        "Ya no vive aquí.",
    ],
)
def test_these_say_that_something_has_changed(text: str) -> None:
    assert states_change(text)


@pytest.mark.parametrize(
    "text", ["Anna's phone number is 555-0100.", "Newton's laws", "We know him.", "a snow storm", ""]
)
def test_these_do_not(text: str) -> None:
    assert not states_change(text)
