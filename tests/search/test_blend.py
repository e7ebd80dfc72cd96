"""The blend of signals: its file, and what becomes of a memory that lacks a signal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.search import blend, ranking
from tests.support.candidates import Candidate, tabulate
from tests.support.memories import memory_of

NOW = datetime(2026, 5, 8, tzinfo=UTC)
EMBEDDED = st.lists(
    st.builds(
        lambda near, words: {"cosine": near, "tokens": near, "bm25": 9 * words, "coverage": words},
        st.floats(0, 1),
        st.floats(0, 1),
    ),
    min_size=2,
    max_size=30,
)


def candidate(key: int, **features: float) -> Candidate:
    return Candidate(memory_of(key, "A fact.", occurred_at=NOW), **features)


def relevances(candidates: list[Candidate]) -> list[float]:
    columns = tabulate(candidates)
    return ranking.sum_parts(columns, ranking.compute_parts(columns)).tolist()


def order(candidates: list[Candidate]) -> list[int]:
    values = relevances(candidates)
    return sorted(range(len(values)), key=values.__getitem__, reverse=True)


def test_the_file_has_a_weight_for_each_signal() -> None:
    assert set(blend.load_weights()) == set(blend.SIGNALS)
    assert len(set(blend.SIGNALS)) == len(blend.SIGNALS)


def test_what_brings_a_memory_nearer_never_counts_against_it() -> None:
    weights = blend.load_weights()
    fit = {*blend.PARTS["meaning"], *blend.PARTS["words"], *blend.PARTS["tokens"], *blend.PARTS["date"]}
    assert min(weights[signal] for signal in fit) >= 0
    assert weights["question"] < 0 < weights["answers_question"]


@given(EMBEDDED, st.data())
def test_a_memory_without_token_vectors_stands_where_its_meaning_puts_it(
    features: list[dict[str, float]], data: st.DataObject
) -> None:
    """Tokens are as near as meaning here, so the order must not depend on who has token vectors."""
    whole = [candidate(key, **one) for key, one in enumerate(features)]
    lacking = data.draw(st.sets(st.integers(0, len(whole) - 1), max_size=len(whole) - 1))
    mixed = [replace(one, tokens=None) if key in lacking else one for key, one in enumerate(whole)]
    values, expected = relevances(mixed), relevances(whole)
    width = max(expected) - min(expected)
    if len(lacking) <= 1 < len(whole) - 1:
        lone = next(iter(lacking), 0)
        higher = sum(value > values[lone] + 0.1 * width for value in values)
        lower = sum(value < values[lone] - 0.1 * width for value in values)
        assert higher <= sum(value > expected[lone] - 0.1 * width for value in expected)
        assert lower <= sum(value < expected[lone] + 0.1 * width for value in expected)


def test_the_only_memory_with_token_vectors_is_neither_lost_nor_favoured() -> None:
    near = [candidate(key, cosine=0.1 * key, bm25=key, coverage=0.1 * key) for key in range(1, 9)]
    without = order(near)
    for key in range(8):
        mixed = [replace(one, tokens=0.5) if one is near[key] else one for one in near]
        assert order(mixed) == without


def test_the_answer_to_a_question_comes_before_the_question() -> None:
    question = candidate(1, cosine=0.8, tokens=0.8, bm25=8)
    question = replace(question, is_question=True)
    answer = replace(candidate(2, cosine=0.75, tokens=0.7, bm25=6), neighbours=((1,),))
    others = [candidate(key, cosine=0.01 * key, tokens=0.01 * key, bm25=0.1 * key) for key in range(3, 40)]
    assert order([question, answer, *others])[:2] == [1, 0]
    assert order([replace(question, is_question=False), answer, *others])[:2] == [0, 1]


@given(EMBEDDED, st.floats(0, 1))
def test_words_count_in_proportion_where_no_memory_holds_half_of_the_query(
    features: list[dict[str, float]], share: float
) -> None:
    def weigh_words(coverage: float) -> list[float]:
        columns = tabulate(
            [candidate(key, **one | {"coverage": coverage}) for key, one in enumerate(features)]
        )
        signals = blend.compute_signals(columns, np.zeros(len(columns), np.bool_))
        return signals["session_words"].tolist()

    in_full = weigh_words(1.0)
    assert weigh_words(share) == pytest.approx([min(1.0, 2 * share) * value for value in in_full])


def test_a_stray_word_in_common_does_not_outweigh_meaning() -> None:
    near = candidate(1, cosine=0.5, tokens=0.6)
    others = [candidate(key, cosine=0.02 * key, tokens=0.02 * key) for key in range(3, 20)]
    for coverage, best in ((0.1, 0), (0.5, 1)):
        sharing = candidate(2, cosine=0.4, tokens=0.5, bm25=2, coverage=coverage)
        assert order([near, sharing, *others])[0] == best


def test_in_a_store_of_a_few_memories_what_fits_comes_before_what_only_names_a_time() -> None:
    answer = candidate(1, cosine=0.7, tokens=0.95, bm25=4)
    timed = replace(candidate(2, cosine=0.3, tokens=0.2), names_time=True)
    other = candidate(3, cosine=0.1, tokens=0.1)
    assert order([timed, answer, other]) == [1, 0, 2]


def test_in_a_store_of_a_few_memories_the_day_that_is_named_decides() -> None:
    then = candidate(1, cosine=0.5, tokens=0.5, bm25=1)
    nearer = [candidate(key, cosine=0.6, tokens=0.6, bm25=1) for key in (2, 3)]
    columns = tabulate([then, *nearer])
    parts = blend.blend_signals(columns, np.array([True, False, False]))
    assert ranking.sum_parts(columns, parts).argmax() == 0


def test_without_any_token_vectors_the_fused_scores_decide() -> None:
    found = [candidate(1, cosine=0.5, bm25=2.0), candidate(2, cosine=0.1)]
    assert not blend.has_signals(tabulate(found))
    assert relevances(found) == pytest.approx([0.6 * 2 + 0.4 * 2, 0.0])
