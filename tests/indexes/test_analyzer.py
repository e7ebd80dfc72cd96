"""Text to terms, and the words that make a question."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.indexes import analyzer
from sediment_mcp.indexes.analyzer import occurrences, query_terms, terms


def test_question_words_say_nothing_of_the_subject():
    assert query_terms("What did the user's dog eat?") == terms("user dog eat")


def test_a_question_of_nothing_else_keeps_them():
    assert query_terms("Who is who?") == terms("who is")


def test_identifiers_are_kept_whole():
    assert query_terms("where is is_open set") == terms("is_open set")


TEXTS = st.text(st.characters(codec="ascii")) | st.text() | st.sampled_from(["run Runs RUNNING", "a" * 300])


@given(st.lists(TEXTS, max_size=5), st.sampled_from([0, 2, 20_000]))
def test_occurrences_count_what_terms_finds(texts, remembered):
    found = [terms(text) for text in texts]
    wanted = {term for one in found for term in one[::2]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analyzer, "KNOWN_WORDS", remembered)
        for _ in range(2):
            counted = occurrences(texts, wanted)
            assert [length for _, length in counted] == [len(one) for one in found]
            by_hand = [Counter(term for term in one if term in wanted) for one in found]
            assert [counts for counts, _ in counted] == by_hand


def test_no_more_words_are_remembered_than_a_call_brings_beyond_the_limit(monkeypatch):
    monkeypatch.setattr(analyzer, "KNOWN_WORDS", 50)
    for number in range(500):
        occurrences([f"word{number}"], {"word1"})
        assert len(analyzer._vocabulary().words) <= 51


def test_what_is_too_long_to_be_a_word_counts_for_nothing():
    assert occurrences(["a" * 300 + " b"], {"b"}) == [({"b": 1}, 1)]


def test_words_about_as_long_as_a_word_can_be_count_as_terms_finds_them():
    texts = ["a" * length + " b" for length in range(analyzer.LONGEST - 2, analyzer.LONGEST + 3)]
    lengths = [len(terms(text)) for text in texts]
    assert set(lengths) == {1, 2}, "the limit is among them"
    assert [length for _, length in occurrences(texts, {"b"})] == lengths
