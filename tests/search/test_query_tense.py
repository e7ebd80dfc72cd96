"""Whether a question asks for the present."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.search.query_tense import is_about_present, remove_present_words


@pytest.mark.parametrize(
    "question",
    [
        "What is the current limit?",
        "where do we deploy NOW",
        "Where does Tomas live now?",
        "latest on billing",
        "what's the newest address",
        "the most recent score of Ella",
        "which version of Go does the build use",
        "What's the up-to-date recipe?",
        "How many people work here today?",
        "Who leads the team at the moment?",
        "which  car does he drive these\ndays",
        "What is the current state, and/or plan?",
        "Wie lautet Annas aktuelle Nummer?",
        "Wo wohnt Tomas jetzt?",
        "Welche Version von React nutzen wir?",
        "Quel est le numéro actuel d'Anne ?",
        "Où habite-t-il maintenant ?",
        "¿Cuál es el número actual de Ana?",
        "¿Dónde vive ahora?",
        "the current `max_connections`",
        "Wer leitet derzeit das Team?",
        "Wie hoch ist inzwischen die Miete?",
        "Wie heißt im Augenblick die Leiterin?",
        "Was ist der letzte Stand beim Umzug?",
        "Was gilt jetzt für den Urlaub?",
        "Qui dirige l'équipe actuellement ?",
        "Où travaille-t-elle désormais ?",
        "Quel est le loyer pour l\u2019instant ?",
        "Quelle est la dernière version du contrat ?",
        "Quel est le tarif à ce jour ?",
        "¿Quién dirige el equipo ahora?",
        "¿Cuánto se paga actualmente?",
        "¿Cuál es la última versión del contrato?",
        "¿Qué tarifa está vigente?",
        "¿Dónde trabaja por ahora?",
    ],
)
def test_these_ask_for_the_present(question: str) -> None:
    assert is_about_present(question)


@pytest.mark.parametrize(
    "question",
    [
        "why did we choose Postgres?",
        "what do I know about snow?",
        "which version did we start with?",
        "concurrency limits",
        "how do we balance cost and safety?",
        "Is Bob still in Rome?",
        "still life painting",
        "SELECT NOW() in Postgres",
        "what does now() return",
        "Kafka latest offset",
        "docker image:latest",
        "docker latest tag",
        "how do I print the current working directory?",
        "the current_user variable",
        "Traceback (most recent call last)",
        "alternating current in the shed",
        "every now and then",
        "What did I do today?",
        "what were we doing now",
        "Wo wohnte Tomas früher?",
        "Welche Version nutzten wir damals?",
        "Quelle version utilisait-on auparavant ?",
        "la dernière réunion",
        "¿Qué versión usábamos antes?",
        "la última reunión",
        'the word "current" in German',
        "the `now` function",
        "the actual size of the disk",
        "/srv/app/current",
        "git log --latest",
        "nowhere to go",
        "",
    ],
)
def test_these_do_not(question: str) -> None:
    assert not is_about_present(question)


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("What is Anna's current phone number?", "What is Anna's phone number?"),
        ("What is the phone number at the moment?", "What is the phone number ?"),
        ("Quelle est la dernière version du contrat", "Quelle est la version du contrat"),
        ("¿Cuál es la última versión?", "¿Cuál es la versión?"),
        ("Was ist der letzte Stand?", "Was ist der Stand?"),
        ("which version of Go do we use now?", "which version of Go do we use ?"),
        ("what does SELECT NOW() cost?", "what does SELECT NOW() cost?"),
        ("now", "now"),
    ],
)
def test_the_topic_is_what_is_left_without_the_words_for_the_present(question: str, topic: str) -> None:
    assert remove_present_words(question).split() == topic.split()


@given(st.text())
def test_a_question_without_words_for_the_present_stays_as_it_is(question: str) -> None:
    if not is_about_present(question):
        assert remove_present_words(question) == question
    assert remove_present_words(question) or not question
