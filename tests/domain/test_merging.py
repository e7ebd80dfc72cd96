"""How two memories become one: by each precedence, and the same on every machine where it must be."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.domain.memory import MAX_METADATA_BYTES, MAX_TAGS, Memory
from sediment_mcp.domain.merging import combine
from tests.support.memories import memory_of

NOW = datetime(2026, 5, 8, 14, 30, tzinfo=UTC)
DAY = timedelta(days=1)
EXISTING = memory_of(
    1,
    "The deploy failed.",
    id="m1",
    tags=("deploy",),
    session="monday",
    metadata={"source": "chat"},
    occurred_at=NOW - DAY,
    created_at=NOW - DAY,
    changed_at=NOW - DAY,
)
LARGE = {"old": "x" * (MAX_METADATA_BYTES - 20)}, {"new": "y" * (MAX_METADATA_BYTES - 20)}

times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
tag_lists = st.lists(st.text("abcdefgh", min_size=1, max_size=3), max_size=MAX_TAGS, unique=True)
metadata = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=3000), max_size=4).filter(
    lambda value: len(json.dumps(value, ensure_ascii=False).encode()) <= MAX_METADATA_BYTES
)
memories = st.builds(
    lambda **changes: replace(EXISTING, **changes),
    session=st.none() | st.sampled_from(["monday", "tuesday"]),
    changed_at=st.just(NOW),
    deleted_at=st.none() | times,
    restored_at=st.none() | times,
    tags=tag_lists.map(tuple),
    metadata=metadata,
    importance=st.floats(0, 1),
    occurred_at=times,
    expires_at=st.none() | times,
)


def memory(**changes: Any) -> Memory:
    return replace(EXISTING, **changes)


def attributes(found: Memory) -> tuple[Any, ...]:
    """What two machines must agree on."""
    return (
        found.tags, dict(found.metadata), found.importance, found.occurred_at, found.expires_at,
        found.deleted_at, found.restored_at, found.changed_at,
    )  # fmt: skip


# --- every precedence ---------------------------------------------------------------------------


@pytest.mark.parametrize("precedence", ["target", "other", "symmetric", "newest"])
@given(one=memories, other=memories)
def test_combining_twice_changes_nothing_more(precedence: Any, one: Memory, other: Memory) -> None:
    once = combine(one, other, precedence)
    assert combine(once, other, precedence) == once


@pytest.mark.parametrize("precedence", ["target", "other", "symmetric", "newest"])
@given(one=memories, other=memories)
def test_text_and_identity_stay_and_limits_hold(precedence: Any, one: Memory, other: Memory) -> None:
    found = combine(one, replace(other, key=2, id="m2", content="Other.", superseded_by="m3"), precedence)
    assert (found.key, found.id, found.content, found.superseded_by) == (1, "m1", EXISTING.content, None)
    assert len(set(found.tags)) == len(found.tags) <= MAX_TAGS
    assert len(json.dumps(found.metadata, ensure_ascii=False).encode()) <= MAX_METADATA_BYTES


# --- what differs -------------------------------------------------------------------------------


@pytest.mark.parametrize(("precedence", "value"), [("target", 1), ("other", 2)])
def test_the_preferred_side_s_value_of_a_key_stays(precedence: Any, value: int) -> None:
    found = combine(memory(metadata={"a": 1, "b": 1}), memory(metadata={"a": 2, "c": 2}), precedence)
    assert found.metadata == {"a": value, "b": 1, "c": 2}


@pytest.mark.parametrize("precedence", ["target", "other"])
def test_the_target_keeps_its_tags_first_and_its_metadata_where_both_are_too_large(precedence: Any) -> None:
    found = combine(
        memory(tags=("z", "a"), metadata=LARGE[0]), memory(tags=("b", "a"), metadata=LARGE[1]), precedence
    )
    assert (found.tags, found.metadata) == (("z", "a", "b"), LARGE[0])


@pytest.mark.parametrize(
    ("precedence", "session"), [("target", "monday"), ("other", None), ("symmetric", None)]
)
def test_only_a_new_memory_takes_over_a_session(precedence: Any, session: str | None) -> None:
    assert combine(memory(session=None), memory(session="monday"), precedence).session == session
    assert combine(memory(session="tuesday"), memory(session="monday"), precedence).session == "tuesday"


@pytest.mark.parametrize("precedence", ["target", "other"])
def test_a_live_memory_does_not_take_over_a_deletion(precedence: Any) -> None:
    assert combine(memory(), memory(deleted_at=NOW, changed_at=NOW), precedence) == memory()


# --- two machines -------------------------------------------------------------------------------


@given(memories, memories)
def test_both_machines_come_to_the_same(one: Memory, other: Memory) -> None:
    assert attributes(combine(one, other, "symmetric")) == attributes(combine(other, one, "symmetric"))


@given(memories, memories, st.booleans())
def test_the_side_that_was_changed_last_counts_as_a_whole(one: Memory, other: Memory, here: bool) -> None:
    one, other = (
        replace(one, changed_at=NOW + here * DAY),
        replace(other, changed_at=NOW + (not here) * DAY),
    )
    last = one if here else other
    found = combine(one, other, "newest")
    assert attributes(found) == attributes(combine(other, one, "newest"))
    assert (found.tags, found.metadata, found.importance) == (last.tags, last.metadata, last.importance)
    assert (found.expires_at, found.deleted_at) == (last.expires_at, last.deleted_at)
    assert found.restored_at == max(filter(None, (one.restored_at, other.restored_at)), default=None)


@given(memories, memories)
def test_of_two_changes_at_the_same_moment_none_is_last(one: Memory, other: Memory) -> None:
    assert combine(one, other, "newest") == combine(one, other, "symmetric")
