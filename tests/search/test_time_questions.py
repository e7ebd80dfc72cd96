"""Which queries ask when, and which texts say when."""

from __future__ import annotations

import pytest

from sediment_mcp.search.time_questions import asks_when, names_time


@pytest.mark.parametrize(
    "query",
    [
        "When did Anna move?",
        "when is the release",
        "And when was that?",
        "Which year did we start?",
        "What day is the audit?",
        "In which month does the lease end?",
        "Wann ist Anna umgezogen?",
        "In welchem Jahr war das?",
        "Quand a-t-elle déménagé ?",
        "¿Cuándo se mudó Ana?",
        "¿En qué mes fue?",
    ],
)
def test_these_ask_when(query: str) -> None:
    assert asks_when(query)


@pytest.mark.parametrize(
    "query",
    [
        "What happens when the cache is full?",
        "Where is Anna?",
        "the week of Anna",
        "How long?",
        "",
        "Was ist das?",
    ],
)
def test_these_do_not(query: str) -> None:
    assert not asks_when(query)


@pytest.mark.parametrize(
    "text",
    [
        "We moved last week.",
        "I saw her yesterday!",
        "It starts in March 2026.",
        "three days ago",
        "Gestern war ich dort.",
        "Nächste Woche geht es los.",
        "la semaine prochaine",
        "En février",
        "El próximo lunes.",
        "since 2019",
    ],
)
def test_these_name_a_time(text: str) -> None:
    assert names_time(text)


@pytest.mark.parametrize("text", ["The port is 5433.", "I like green tea.", "Der Schlüssel liegt dort.", ""])
def test_these_name_none(text: str) -> None:
    assert not names_time(text)
