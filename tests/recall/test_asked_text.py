"""What is asked of a prompt: the user's own words, and few of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.recall.asked_text import MAX_ASKED_CHARS, count_words, has_question, select_asked

QUESTION = "Which port does the staging database use?"
TRACE = """Traceback (most recent call last):
  File "/app/main.py", line 3, in <module>
    main()
ValueError: too many values"""
LOG = "\n".join(f"2026-11-26 10:00:{second:02} INFO request {second} done" for second in range(60))


@pytest.mark.parametrize(
    "prompt",
    [
        "", "  \n", "yes", "go on then", "/clear", "/plugin:command with four more words", " /review this",
        "!git status --short --branch please", "LGTM, ship it",
    ],
)  # fmt: skip
def test_commands_and_prompts_of_three_words_ask_nothing(prompt: str) -> None:
    assert select_asked(prompt) == ""


@pytest.mark.parametrize(
    "prompt", [QUESTION, "/usr/bin/env fails on the staging host", "データベースのポートは何ですか"]
)
def test_a_question_is_asked_as_it_is(prompt: str) -> None:
    assert select_asked(prompt) == prompt


@pytest.mark.parametrize(
    "pasted",
    [
        f"```python\n{'x = 1  # which port is it' * 50}\n```", "~~~\nport: 5433\n~~~", "```\nnever closed",
        "    indented = code\n    more = code", "> quoted by somebody", TRACE.partition("ValueError")[0], LOG,
        "\tat com.acme.Main.run(Main.java:3)", "$ make test", "ERROR: build failed",
        "https://example.com/a/very/long/path?with=query",
    ],
)  # fmt: skip
def test_what_was_pasted_is_not_asked(pasted: str) -> None:
    assert select_asked(f"{QUESTION}\n{pasted}\n") == QUESTION
    assert select_asked(f"{pasted}\n\n{QUESTION}") in (
        QUESTION,
        "",
    )  # what is never closed goes on to the end


def test_of_a_prompt_that_is_all_pasted_nothing_is_asked() -> None:
    assert select_asked(LOG) == ""


def test_of_a_long_text_the_beginning_and_the_end_are_asked() -> None:
    asked = select_asked(f"Begin here please. {'word ' * 5000} And end there please.")
    assert asked.startswith("Begin here please.")
    assert asked.endswith("And end there please.")


@given(st.text(max_size=2000))
def test_what_is_asked_is_short_and_has_enough_words(prompt: str) -> None:
    asked = select_asked(prompt)
    assert len(asked) <= MAX_ASKED_CHARS
    assert not asked or count_words(asked) >= 1


@pytest.mark.parametrize(("text", "count"), [("a b c", 3), ("支払い", 2), ("staging の DB", 3), ("", 0)])
def test_words_are_counted_in_every_script(text: str, count: int) -> None:
    assert count_words(text) == count


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (QUESTION, True),
        ("Why (in the staging database?) Just answer.", True),
        ('They ask "why so slow?" each time', True),
        ("データベースのポートは何ですか\uff1f教えて", True),
        ("ما هو المنفذ\u061f", True),
        ("List the ports of the staging database.", False),
        ("Rewrite a?.b and the bound ?Sized without (?:x)", False),
        ("", False),
    ],
)
def test_a_question_is_told_from_an_order(asked: str, expected: bool) -> None:
    assert has_question(asked) is expected
