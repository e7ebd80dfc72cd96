"""What is shown within a budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.search.snippets import select_snippets


def test_texts_that_fit_are_shown_whole():
    assert select_snippets([("one two", (0, 3)), ("three", None)], 100) == [
        ("one two", False),
        ("three", False),
    ]


def test_each_gets_its_best_passage_before_any_gets_the_rest():
    long = "a" * 50 + "BEST" + "a" * 50
    assert select_snippets([(long, (50, 54)), (long, (50, 54))], 20) == [("BEST", True), ("BEST", True)]


def test_what_is_left_makes_the_first_whole_before_the_second():
    assert select_snippets([("one two", (4, 7)), ("six ten", (0, 3))], 10) == [
        ("one two", False),
        ("six", True),
    ]


def test_a_shorter_text_is_made_whole_where_a_longer_one_cannot_be():
    long, short = "x" * 100, "one two"
    assert select_snippets([(long, (0, 10)), (short, (0, 3))], 20) == [("x" * 10, True), ("one two", False)]


def test_results_that_do_not_fit_are_left_out_at_the_end():
    assert select_snippets([("12345", None), ("123456", None), ("1", None)], 10) == [("12345", False)]


def test_a_first_result_longer_than_the_budget_is_cut_at_the_end_of_a_word():
    assert select_snippets([("one two three", None), ("four", None)], 10) == [("one two", True)]


def test_a_word_that_ends_with_the_budget_is_kept():
    assert select_snippets([("one two three", None)], 7) == [("one two", True)]


def test_a_single_endless_word_is_cut_within():
    assert select_snippets([("x" * 30, None)], 10) == [("x" * 10, True)]


def test_the_cut_passage_begins_where_the_best_passage_does():
    assert select_snippets([("skip one two three", (5, 18))], 8) == [("one two", True)]


def test_nothing_found_nothing_shown():
    assert select_snippets([], 500) == []


@st.composite
def contents(draw):
    text = draw(st.text("ab \n", min_size=1, max_size=60))
    start = draw(st.integers(0, len(text) - 1))
    return text, draw(st.none() | st.just((start, draw(st.integers(start + 1, len(text))))))


@given(st.lists(contents(), min_size=1, max_size=8), st.integers(1, 200))
def test_the_budget_holds_and_every_excerpt_is_verbatim(found, budget):
    shown = select_snippets(found, budget)
    assert 1 <= len(shown) <= len(found)
    assert sum(len(text) for text, _ in shown) <= budget
    for (text, truncated), (whole, _) in zip(shown, found, strict=False):
        assert text
        assert text in whole
        assert truncated == (text != whole)


@given(st.lists(contents(), min_size=1, max_size=8), st.integers(1, 200))
def test_an_excerpt_holds_its_best_passage_unless_even_that_is_too_long(found, budget):
    shown = select_snippets(found, budget)
    for (text, _), (whole, span) in zip(shown, found, strict=False):
        passage = whole[span[0] : span[1]] if span else whole
        assert passage in text or len(shown) == 1


@given(st.lists(contents(), min_size=1, max_size=8), st.integers(1, 200), st.integers(0, 100))
def test_a_larger_budget_never_shows_fewer_results(found, budget, more):
    assert len(select_snippets(found, budget + more)) >= len(select_snippets(found, budget))
