"""Text to terms, and the words that make a question."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.words import occurrences, query_terms, terms


def test_question_words_say_nothing_of_the_subject():
    assert query_terms("What did the user's dog eat?") == terms("user dog eat")


def test_a_question_of_nothing_else_keeps_them():
    assert query_terms("Who is who?") == terms("who is")


def test_identifiers_are_kept_whole():
    assert query_terms("where is is_open set") == terms("is_open set")


@given(st.text(st.characters(codec="ascii")) | st.text())
def test_occurrences_count_what_terms_finds(text):
    found = terms(text)
    wanted = set(found[::2])
    counted, length = occurrences(text, wanted)
    assert length == len(found)
    assert counted == Counter(term for term in found if term in wanted)


def test_what_is_too_long_to_be_a_word_counts_for_nothing():
    assert occurrences("a" * 300 + " b", {"b"}) == (Counter(b=1), 1)
