"""Two machines that exchange exports come to agree, whoever begins and however often."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Clock, Host
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transferring import export, state, take_in

from sediment_mcp.forgetting import restore_memories
from sediment_mcp.memory import MAX_TAGS, Memory
from sediment_mcp.transfer.merging import joined, settled

NOON = datetime(2026, 5, 8, 12, tzinfo=UTC)
MEMORY = Memory(
    number=1, id="m", seq=1, content="a fact", kind="semantic", tags=(), project=None, session=None,
    importance=0.5, metadata={}, occurred_at=NOON, created_at=NOON,
)  # fmt: skip
moments = st.integers(0, 5).map(lambda minutes: NOON + timedelta(minutes=minutes))
tags = st.lists(st.integers(0, 40).map(lambda n: f"t{n:02}"), unique=True, max_size=MAX_TAGS).map(tuple)
metadata = st.dictionaries(
    st.sampled_from("abc"), st.one_of(st.integers(2, 9), st.text("x", min_size=1500, max_size=1600))
)
states = st.builds(
    lambda deleted, restored, **attributes: replace(
        MEMORY, deleted_at=deleted, restored_at=restored, **attributes
    ),
    deleted=st.none() | moments,
    restored=st.none() | moments,
    tags=tags,
    metadata=metadata,
    importance=st.sampled_from([0.0, 0.5, 1.0]),
    occurred_at=moments,
    expires_at=st.none() | moments,
)


def attributes(memory: Memory) -> Any:
    return replace(memory, tags=tuple(sorted(memory.tags)))


# --- one memory in two states -------------------------------------------------------------------


@given(states, states)
def test_it_does_not_matter_who_imports_from_whom(one: Memory, other: Memory) -> None:
    assert attributes(joined(one, other)) == attributes(joined(other, one))


@given(states, states)
def test_what_was_joined_once_does_not_change_again(one: Memory, other: Memory) -> None:
    both = joined(one, other)
    assert joined(both, other) == both
    assert joined(both, one) == both
    assert joined(both, joined(other, one)) == both


@given(tags, tags)
def test_no_tag_is_lost_while_there_is_room(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    both = set(joined(replace(MEMORY, tags=one), replace(MEMORY, tags=other)).tags)
    assert both == {*one, *other} if len({*one, *other}) <= MAX_TAGS else len(both) == MAX_TAGS


def test_a_deletion_wins_over_a_memory_left_alone() -> None:
    deleted = replace(MEMORY, deleted_at=NOON)
    assert joined(MEMORY, deleted).deleted_at == NOON
    assert joined(deleted, MEMORY).deleted_at == NOON


def test_a_later_restore_wins_over_a_deletion_and_a_later_deletion_over_a_restore() -> None:
    deleted = replace(MEMORY, deleted_at=NOON)
    restored = replace(MEMORY, restored_at=NOON + timedelta(hours=1))
    again = replace(restored, deleted_at=NOON + timedelta(hours=2))
    assert joined(deleted, restored).deleted_at is None
    assert joined(restored, again).deleted_at == again.deleted_at


# --- what replaced what -------------------------------------------------------------------------


def test_what_only_one_side_replaced_is_replaced() -> None:
    assert settled({}, {"a": "b"}, {"b"}) == {"a": "b"}
    assert settled({"a": "b"}, {}, {"b"}) == {}


def test_of_two_that_replaced_the_same_memory_one_is_chosen_by_everybody_alike() -> None:
    assert settled({"a": "b"}, {"a": "c"}, {"b", "c"}) == {"a": "c"}
    assert settled({"a": "c"}, {"a": "b"}, {"b", "c"}) == {}


def test_one_that_exists_is_chosen_before_one_that_does_not() -> None:
    assert settled({"a": "c"}, {"a": "b"}, {"b"}) == {"a": "b"}
    assert settled({"a": "b"}, {"a": "c"}, {"b"}) == {}


def test_two_that_replaced_each_other_do_not_both_vanish() -> None:
    assert settled({"a": "b"}, {"b": "a"}, {"a", "b"}) == {}
    assert settled({"b": "a"}, {"a": "b"}, {"a", "b"}) == {"a": "b", "b": None}


links = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("abcdef"))


@given(links, links)
def test_no_chain_that_an_import_touches_leads_in_a_circle(
    here: dict[str, str], incoming: dict[str, str]
) -> None:
    final = {**here, **settled(here, incoming, "abcdef")}
    for start in incoming:
        way = [start]
        while (following := final.get(way[-1])) is not None:
            assert following not in way
            way.append(following)


# --- two machines -------------------------------------------------------------------------------

TEXTS = ["the port is 5432", "the port is 5433", "tea is at four", "tea is at five"]
steps = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["store", "replace", "delete", "restore", "erase", "tag", "sync"]),
        st.integers(0, 9),
    ),
    max_size=14,
)


@contextmanager
def machines() -> Iterator[tuple[Host, Host]]:
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        one, other = (Host(Path(folder) / name, clock=clock, model=None) for name in "ab")
        try:
            yield one, other
        finally:
            one.end()
            other.end()


def act(one: Host, other: Host, action: str, which: int) -> None:
    known = sorted(state(one))
    text, identity = TEXTS[which % len(TEXTS)], known[which % len(known)] if known else ""
    if action == "store":
        one.store(text)
    elif action == "sync":
        take_in(one, export(other))
    elif action == "tag":
        one.store(text, tags=[f"t{which}"], metadata={"n": which})
    elif not known:
        return
    elif action == "replace":
        if state(one)[identity]["deleted_at"] is None:
            one.store(text, replaces=[identity])
    elif action == "restore":
        restore_memories(one.library, [identity])
    else:
        one.delete(identity, permanent=action == "erase")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_two_machines_agree_and_agreeing_again_changes_nothing(
    quiet_background: None, history: list[tuple[int, str, int]]
) -> None:
    with machines() as both:
        for who, action, which in history:
            both[0].clock.advance(seconds=1)
            act(both[who], both[1 - who], action, which)
        one, other = both
        first, second = export(one), export(other)
        take_in(one, second)
        take_in(other, first)
        assert state(one) == state(other)
        before = export(one)
        for data in (first, second, export(other), before):
            assert take_in(one, data).updated == 0
        assert export(one) == before


@pytest.fixture
def pair(quiet_background: None) -> Iterator[tuple[Host, Host]]:
    with machines() as both:
        yield both


def test_one_fact_replaced_differently_on_each_machine_leaves_both_new_ones_and_says_so(
    pair: tuple[Host, Host],
) -> None:
    one, other = pair
    old = one.store("tea is at four")["id"]
    take_in(other, export(one))
    here = one.store("tea is at five", replaces=[old])["id"]
    there = other.store("tea is at six", replaces=[old])["id"]
    report = take_in(one, export(other))
    assert [here in told and there in told for told in report.conflicts] == [True]
    current = {memory["id"] for memory in one.list()["memories"]}
    assert current == {here, there}
    assert state(one)[old]["superseded_by"] in current


def test_a_text_stored_on_both_machines_is_one_memory_afterwards(pair: tuple[Host, Host]) -> None:
    one, other = pair
    older = one.store("tea is at four", tags=["a"])["id"]
    one.clock.advance(minutes=1)
    newer = other.store("tea is at four", tags=["b"])["id"]
    report = take_in(one, export(other))
    assert report.joined == 1
    take_in(other, export(one))
    for host in pair:
        assert [memory["id"] for memory in host.list()["memories"]] == [older]
        assert set(state(host)[older]["tags"]) == {"a", "b"}
        assert state(host)[newer]["superseded_by"] == older


def test_what_was_erased_for_good_comes_back_from_an_export_that_holds_it(pair: tuple[Host, Host]) -> None:
    one, _ = pair
    identity = one.store("tea is at four")["id"]
    data = export(one)
    one.delete(identity, permanent=True)
    assert take_in(one, data).imported == 1
    assert identity in state(one)
