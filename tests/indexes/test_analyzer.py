"""Text to terms, and the words that make a question."""

from __future__ import annotations

from sediment_mcp.indexes.analyzer import extract_query_terms, extract_terms


def test_question_words_say_nothing_of_the_subject():
    assert extract_query_terms("What did the user's dog eat?") == extract_terms("user dog eat")


def test_a_question_of_nothing_else_keeps_them():
    assert extract_query_terms("Who is who?") == extract_terms("who is")


def test_identifiers_are_kept_whole():
    assert extract_query_terms("where is is_open set") == extract_terms("is_open set")
