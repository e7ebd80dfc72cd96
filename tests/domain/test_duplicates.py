"""The same text, and what a repetition adds."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.domain.duplicates import (
    RETRY_WINDOW,
    add_repetition,
    compute_content_hash,
    compute_exact_hash,
    fold_text,
    is_duplicate,
    is_same_event,
    is_same_text,
)
from sediment_mcp.domain.memory import MAX_METADATA_BYTES, MAX_TAGS, Memory
from tests.support.memories import memory_of

NOW = datetime(2026, 5, 8, 14, 30, tzinfo=UTC)
EXISTING = memory_of(
    1,
    "The deploy failed.",
    kind="episodic",
    tags=("deploy",),
    session="monday",
    metadata={"source": "chat"},
    occurred_at=NOW - timedelta(days=1),
    created_at=NOW - timedelta(minutes=3),
    changed_at=NOW - timedelta(minutes=3),
)

# --- the same text ------------------------------------------------------------------------------


@pytest.mark.parametrize("same", ["one\r\n two", "\n\t\none\n two", "one\n two \n\n", "one\r two"])
def test_line_ends_and_the_ends_of_a_text_do_not_make_it_new(same):
    assert is_same_text("one\n two", same)


@pytest.mark.parametrize(
    "other", ["one\ntwo", "one\n  two", "one two", " one\n two", "one \n two", "one\n\n two"]
)
def test_white_space_within_a_text_makes_it_new(other):
    assert not is_same_text("one\n two", other)
    assert compute_content_hash("one\n two") == compute_content_hash(other)
    assert compute_exact_hash("one\n two") != compute_exact_hash(other)


def test_the_indentation_of_a_single_line_says_nothing():
    assert is_same_text("  one two", "one two")


@given(st.text())
def test_folding_twice_changes_nothing_more_and_same_texts_have_the_same_hash(text):
    folded = fold_text(text)
    assert fold_text(folded) == folded
    assert is_same_text(text, unicodedata.normalize("NFD", text))
    assert compute_content_hash(text) == compute_content_hash(folded)


def test_the_hash_by_which_a_text_is_found_never_changes():
    assert compute_content_hash("one  two").hex()[:16] == "8ab63e29a4ba14e4"
    assert compute_content_hash("one two") == compute_exact_hash("one two")


def test_white_space_does_not_change_the_hash():
    assert compute_content_hash("  one\n\ttwo  ") == compute_content_hash("one two")


def test_white_space_between_words_is_not_nothing():
    assert compute_content_hash("one two") != compute_content_hash("onetwo")


def test_both_spellings_of_an_accent_are_the_same_text():
    assert compute_content_hash("caf\u00e9") == compute_content_hash("cafe\u0301")


def test_case_makes_a_text_new():
    assert compute_content_hash("set PATH") != compute_content_hash("set path")


def test_a_number_makes_a_text_new():
    assert compute_content_hash("limit 100 per minute") != compute_content_hash("limit 1000 per minute")


@given(st.text())
def test_a_key_has_32_bytes_and_outlives_normalisation(text):
    assert len(compute_content_hash(text)) == 32
    assert compute_content_hash(unicodedata.normalize("NFD", text)) == compute_content_hash(text)


@given(
    st.lists(st.text(alphabet="ab\u00e9", min_size=1), min_size=1), st.sampled_from(["\n", "\t ", "\u3000"])
)
def test_any_white_space_is_one_space_in_the_hash(words, space):
    assert compute_content_hash(space.join(words)) == compute_content_hash(" ".join(words))


@given(st.text(alphabet="aAbB ", max_size=8), st.text(alphabet="aAbB ", max_size=8))
def test_keys_are_equal_only_for_equal_words(one, other):
    assert (compute_content_hash(one) == compute_content_hash(other)) == (one.split() == other.split())


# --- the same event -----------------------------------------------------------------------------


def same_event(**changes) -> bool:
    asked = {"session": "monday", "occurred_at": None, "now": NOW} | changes
    return is_same_event(EXISTING, **asked)


def test_a_retry_within_minutes_is_the_same_event():
    assert same_event()


def test_a_retry_is_recognised_up_to_the_end_of_the_window_and_no_longer():
    assert same_event(now=EXISTING.created_at + RETRY_WINDOW)
    assert not same_event(now=EXISTING.created_at + RETRY_WINDOW + timedelta(seconds=1))


def test_the_same_time_in_the_same_session_is_the_same_event_however_late():
    assert same_event(occurred_at=EXISTING.occurred_at, now=NOW + timedelta(days=400))


def test_another_time_is_another_event_even_at_once():
    assert not same_event(occurred_at=EXISTING.occurred_at + timedelta(seconds=1))


def test_another_session_is_another_event():
    assert not same_event(session="tuesday")
    assert not same_event(session=None, occurred_at=EXISTING.occurred_at)


def test_a_fact_is_a_duplicate_whenever_and_wherever_it_is_said_again():
    fact = replace(EXISTING, kind="semantic")
    late = NOW + timedelta(days=400)
    assert is_duplicate(fact, session="other", occurred_at=late, now=late)
    assert not is_duplicate(EXISTING, session="other", occurred_at=late, now=late)


# --- what a repetition adds ---------------------------------------------------------------------

times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
tag_lists = st.lists(st.text("abcdefgh", min_size=1, max_size=3), max_size=MAX_TAGS, unique=True)
metadata = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=3000), max_size=4).filter(
    lambda value: len(json.dumps(value, ensure_ascii=False).encode()) <= MAX_METADATA_BYTES
)
memories = st.builds(
    lambda **changes: replace(EXISTING, **changes),
    tags=tag_lists.map(tuple),
    metadata=metadata,
    importance=st.floats(0, 1),
    occurred_at=times,
    expires_at=st.none() | times,
)
additions = st.tuples(memories, st.none() | times)


def repeated(existing: Memory, addition: tuple[Memory, datetime | None]) -> Memory:
    return add_repetition(existing, *addition)


@given(memories, additions)
def test_merging_twice_changes_nothing_more(existing, added):
    once = repeated(existing, added)
    assert repeated(once, added) == once


@given(memories, additions)
def test_no_tag_is_lost_and_the_limit_holds(existing, added):
    tags = repeated(existing, added).tags
    assert tags[: len(existing.tags)] == existing.tags
    assert len(tags) <= MAX_TAGS
    assert len(set(tags)) == len(tags)
    assert set(added[0].tags) <= set(tags) or len(tags) == MAX_TAGS


@given(memories, additions)
def test_metadata_is_all_of_both_or_stays_as_it_was(existing, added):
    both = {**existing.metadata, **added[0].metadata}
    fits = len(json.dumps(both, ensure_ascii=False).encode()) <= MAX_METADATA_BYTES
    assert repeated(existing, added).metadata == (both if fits else existing.metadata)


@given(memories, additions)
def test_times_and_importance_never_go_down(existing, added):
    memory = repeated(existing, added)
    assert memory.importance >= max(existing.importance, added[0].importance)
    assert memory.occurred_at >= existing.occurred_at
    if added[1] is not None:
        assert memory.occurred_at in (existing.occurred_at, added[1])


@given(memories, additions)
def test_who_never_expires_on_one_side_never_expires(existing, added):
    ends = (existing.expires_at, added[0].expires_at)
    assert repeated(existing, added).expires_at == (None if None in ends else max(ends))


@given(memories, additions)
def test_text_and_identity_stay(existing, added):
    memory = repeated(existing, added)
    changed = {name: getattr(existing, name) for name in ("tags", "metadata", "importance", "occurred_at")}
    assert replace(memory, **changed, expires_at=existing.expires_at) == existing


def test_an_accented_letter_is_spelled_one_way_however_many_marks_it_has() -> None:
    assert compute_content_hash("cafe\u0301") == compute_content_hash("caf\u00e9")
    assert compute_content_hash("a\u0316\u0301" + "\u0316" * 40) == compute_content_hash(
        "a\u0301\u0316" + "\u0316" * 40
    )
    assert compute_content_hash("a" + "\u0301\u0316" * 50_000) == compute_content_hash(
        "a" + "\u0301\u0316" * 50_000
    )
    assert compute_content_hash("a" + "\u0301" * 50_000) != compute_content_hash("a" + "\u0301" * 50_001)
