"""Of a turn only what its author has said is kept, and nothing that is private."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.domain.turn_text import INJECTED, LEADING, OWN_TAG, PRIVATE, WRAPPERS, strip_turn
from sediment_mcp.recall.wording import render_block

KNOWN_TAGS = sorted(INJECTED | LEADING | WRAPPERS)
PLAIN = st.text(st.characters(exclude_characters="<>", exclude_categories=["Cs"]), max_size=30)
TEXT = st.lists(
    PLAIN
    | st.sampled_from([f"<{tag}>" for tag in KNOWN_TAGS] + [f"</{tag}>" for tag in KNOWN_TAGS] + ["<b>"]),
    max_size=12,
).map("".join)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Plain words.", "Plain words."),
        ("  Indented\n    as code\n", "Indented\n    as code"),
        ("Before <system-reminder>\nof the host\n</system-reminder> after", "Before  after"),
        ("<user_query>\nThe question?\n</user_query>", "The question?"),
        ("The pin is <private>1234</private>, no.", "The pin is , no."),
        ("<PRIVATE>a<private>b</private>c</PRIVATE>d", "d"),
        ("Kept. <private>never closed", "Kept."),
        ("Kept.</private> too", "Kept. too"),
        ("What does <system-reminder> mean?", "What does <system-reminder> mean?"),
        ("Is <b>bold</b> fine, and a < b?", "Is <b>bold</b> fine, and a < b?"),
        ("<context>of the host</context>Mine", "Mine"),
        ("Mine: <context>my own XML</context>", "Mine: <context>my own XML</context>"),
        ("<environment_context>\n<cwd>/x</cwd>\n</environment_context>", ""),
        ("[Request interrupted by user]", ""),
        ("This session is being continued from a previous conversation. Summary: …", ""),
        ("<private>a", ""),
        ("", ""),
    ],
)
def test_what_hosts_add_and_what_is_private_is_left_out(said: str, kept: str) -> None:
    assert strip_turn(said) == kept


def test_what_our_own_hooks_inject_is_left_out() -> None:
    block = render_block(["- [abc, 3 days old] We deploy on Tuesdays."])
    assert strip_turn(f"{block}\nWhen do we deploy?") == "When do we deploy?"
    assert f"<{OWN_TAG}>" in block


@given(before=TEXT, secret=PLAIN.map(lambda text: f"s3cret{text}"), after=TEXT)
def test_nothing_between_the_private_tags_is_ever_kept(before: str, secret: str, after: str) -> None:
    assert "s3cret" not in strip_turn(f"{before}<{PRIVATE}>{secret}</{PRIVATE}>{after}")


@given(TEXT)
def test_what_is_kept_was_said(text: str) -> None:
    kept = strip_turn(text)
    remaining = iter(text)
    assert all(character in remaining for character in kept)


@given(PLAIN)
def test_words_without_tags_stay_as_they_are(text: str) -> None:
    if not text.startswith(("This session", "# AGENTS", "Caveat")) and "[Request" not in text:
        assert strip_turn(text) == text.strip("\n\r \t")
