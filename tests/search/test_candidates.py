"""What is read of a candidate's text."""

from __future__ import annotations

import pytest

from sediment_mcp.search.candidates import is_question


@pytest.mark.parametrize(
    "text",
    [
        "Anna: Where did you go?",
        "Really?!",
        "Look! Is it yours? 😀",
        "What is this? [shares a photo of a dog]",
        "Did you see it (the new one)?",
        "どこへ行きましたか\uff1f",
        "? ",
    ],
)
def test_these_are_questions(text: str) -> None:
    assert is_question(text)


@pytest.mark.parametrize(
    "text", ["Where? I was at home.", "It is [a?b].", "a?b", "I went to Lisbon.", "(why?) because", "", "]"]
)
def test_these_are_none(text: str) -> None:
    assert not is_question(text)
