"""What a text names, by its form alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.domain.entities import MAX_ENTITY_CHARS, extract_entities

TEXTS = {
    "a name within a sentence": ("Then we met Maria at noon.", ["Maria"]),
    "names of several words, and their words": (
        "They visited the Museum of Modern Art with Maria Schneider.",
        ["Museum of Modern Art", "Museum", "Modern", "Art", "Maria Schneider", "Maria", "Schneider"],
    ),
    "a name with an apostrophe or a hyphen": ("It is O'Brien, not Jean-Luc.", ["O'Brien", "Jean-Luc"]),
    "a name that owns something": ("We took Maria's car.", ["Maria"]),
    "a name behind a title": ("So Dr. Smith came.", ["Dr Smith", "Dr", "Smith"]),
    "two names between which a sentence ends": ("We saw Maria. Then Peter came.", ["Maria", "Peter"]),
    "a name behind a word that begins a sentence": ("When Maria left, it rained.", ["Maria"]),
    "French names": ("Il habite l'Hôtel de Ville.", ["Hôtel de Ville", "Hôtel", "Ville"]),
    "German nouns": ("Der Router steht im Keller.", ["Router", "Keller"]),
    "Cyrillic names": ("Мы видели Ивана в Санкт-Петербурге.", ["Ивана", "Санкт-Петербурге"]),
    "identifiers": (
        "use snake_case, camelCase, PgBouncer, os.path.join, std::vector and $HOME",
        ["snake_case", "camelCase", "PgBouncer", "os.path.join", "std::vector", "$HOME"],
    ),
    "a name of code that begins a sentence": (
        "PgBouncer is up. ECONNREFUSED is gone.", ["PgBouncer", "ECONNREFUSED"],
    ),
    "names with digits": ("k8s and s3 in us-east-1 since a1b2c3d", ["k8s", "s3", "us-east-1", "a1b2c3d"]),
    "flags and settings": ("with --no-cache and SEDIMENT_MODEL=none", ["--no-cache", "SEDIMENT_MODEL"]),
    "paths, with the file's name": (
        r"in src/app/config.py, ~/.ssh/config, C:\Users\a\b.txt and @scope/pkg",
        ["src/app/config.py", "config.py", "~/.ssh/config", r"C:\Users\a\b.txt", "b.txt", "@scope/pkg"],
    ),
    "addresses, without what is secret": (
        "see https://ann:pw@example.com:8080/a/b/?token=1 or ann.b@example.org",
        ["example.com:8080/a/b", "example.com", "ann.b@example.org"],
    ),
    "hosts": ("it runs on db1.internal.example.com.", ["db1.internal.example.com"]),
    "codes of errors": (
        "got E1234, 0x80070005, ORA-00942 and 42P01", ["E1234", "0x80070005", "ORA-00942", "42P01"],
    ),
    "a code with its number": ("it said HTTP 503 on port 6432", ["HTTP 503", "HTTP", "port 6432"]),
    "issues": ("see ABC-123, #4521 and CVE-2024-1234", ["ABC-123", "#4521", "CVE-2024-1234"]),
    "a version with its name": (
        "needs Python 3.12 and postgres 16.2", ["Python 3.12", "Python", "postgres 16.2"],
    ),
    "quoted commands": ("run `git rebase -i` or “npm ci”", ["git rebase -i", "npm ci"]),
    "Latin names among Chinese": ("使用PgBouncer连接池时出现ECONNREFUSED。", ["PgBouncer", "ECONNREFUSED"]),
    "katakana": ("サーバーを再起動した", ["サーバー"]),
}  # fmt: skip

NAMELESS = {
    "words": "the kettle is on the stove, and the tea is not ready yet",
    "the first word of a sentence": "Tea is ready. Then we drank it! Was it good? - Yes",
    "the first word of a line": "notes:\n- Buy milk\n* Call home\n1. Go out",
    "pronouns": "so I think I'm late, and I'll say that I've tried",
    "numbers, times and ordinals": "at 5pm on the 1st, 3.5 hours, 30s, 10-year and 1/2",
    "abbreviations": "e.g. a, i.e. b",
    "alternatives": "tea and/or coffee, his/her",
    "shouting": "THIS IS VERY IMPORTANT",
    "a quoted passage": f'he said "{"word " * 30}end"',
    "data": "x" * 1000 + "_" + "y" * 1000,
}


@pytest.mark.parametrize("name", TEXTS)
def test_entities_are_found(name: str) -> None:
    text, expected = TEXTS[name]
    assert sorted(extract_entities(text)) == sorted(expected)


@pytest.mark.parametrize("name", NAMELESS)
def test_what_names_nothing_is_left_alone(name: str) -> None:
    assert extract_entities(NAMELESS[name]) == []


def test_each_entity_comes_once_quotations_first() -> None:
    text = "we saw Maria, then PgBouncer, then Maria, and ran `make all`"
    assert extract_entities(text) == ["make all", "Maria", "PgBouncer"]


PIECES = st.lists(
    st.sampled_from([*(text for text, _ in TEXTS.values()), *NAMELESS.values()]) | st.text(max_size=30),
    max_size=4,
).map(" ".join)


@given(PIECES)
def test_entities_are_short_and_their_words_are_those_of_the_text(text: str) -> None:
    found = extract_entities(text)
    assert len(found) == len(set(found))
    assert all(1 < len(entity) <= MAX_ENTITY_CHARS for entity in found)
    assert all(word in text for entity in found for word in entity.split())


@given(PIECES, PIECES)
def test_a_line_names_the_same_whatever_stands_before_it(before: str, line: str) -> None:
    together = set(extract_entities(f"{before}\n{line}"))
    assert together == set(extract_entities(before)) | set(extract_entities(line))
