"""A query's terms say what it is about; its names and quotations are phrases."""

from __future__ import annotations

import pytest

from sediment_mcp.indexes.analyzer import extract_terms
from sediment_mcp.indexes.query_analysis import analyze_query, extract_query_terms


def test_question_words_and_possessives_are_not_looked_for():
    assert extract_query_terms("What did the user's dog eat?") == extract_terms("user dog eat")


@pytest.mark.parametrize(
    ("query", "topic"),
    [
        ("Wo liegt die Datenbank, und welche Tests hat der Server?", "liegt Datenbank und Tests Server"),
        ("Où est la clé de la cave ?", "clé de cave"),
        ("Quelle est la couleur du vélo ?", "couleur vélo"),
        ("¿Dónde está el contrato de Ana?", "contrato de Ana"),
        ("¿Cuál es la talla de los zapatos?", "talla de zapatos"),
    ],
)
def test_question_words_of_its_own_language_are_not_looked_for(query: str, topic: str):
    assert extract_query_terms(query) == extract_terms(topic)


@pytest.mark.parametrize(
    "query",
    ["comment style", "a man page", "La Paz office", "bin folder", "hat shop", "dying, or die casting"],
)
def test_words_of_another_meaning_are_looked_for_in_an_english_query(query: str):
    kept = extract_query_terms(query)
    assert kept == [term for term in dict.fromkeys(extract_terms(query)) if term != "a"]


def test_a_query_of_nothing_else_keeps_its_words():
    assert extract_query_terms("Who is who?") == extract_terms("who is")


def test_names_are_asked_for_by_their_parts_and_known_as_wholes():
    analyzed = analyze_query("where is max_retry set")
    assert list(analyzed.weights) == extract_terms("max retry set")
    assert analyzed.names == {"max_retri": ("max", "retri")}
    assert ("max", "retri") in analyzed.phrases


def test_quotations_are_phrases():
    for query in ['find "red kettle" now', "find “red kettle” now", "find «red kettle» now"]:
        assert tuple(extract_terms("red kettle")) in analyze_query(query).phrases


def test_a_character_counts_less_than_the_pairs_that_it_is_in():
    weights = analyze_query("牛奶").weights
    assert weights["牛"] == weights["奶"] < weights["牛奶"] == 1.0
    assert analyze_query("猫").weights == {"猫": 1.0}


def test_a_long_query_is_no_phrase():
    assert analyze_query(" ".join(f"word{number}" for number in range(100))).phrases == ()
