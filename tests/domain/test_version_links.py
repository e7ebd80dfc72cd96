"""Two states of one memory become the same one on every machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.domain.memory import MAX_TAGS, Memory
from sediment_mcp.domain.merging import combine
from sediment_mcp.domain.version_links import resolve_links
from tests.support.memories import memory_of

NOON = datetime(2026, 5, 8, 12, tzinfo=UTC)
MEMORY = memory_of(1, "a fact", occurred_at=NOON, created_at=NOON, changed_at=NOON)
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
    changed_at=moments,
    expires_at=st.none() | moments,
)
light = st.builds(  # of metadata that are too large together one is chosen, and which depends on the order
    lambda memory, metadata: replace(memory, metadata=metadata),
    states,
    st.dictionaries(st.sampled_from("abc"), st.integers(2, 9)),
)


def take_newest(local: Memory, other: Memory) -> Memory:
    """Combine two states of one memory as an import does."""
    return combine(local, other, precedence="newest")


def attributes(memory: Memory) -> Any:
    return replace(memory, tags=tuple(sorted(memory.tags)))


def changed(minutes: int, **attributes: Any) -> Memory:
    """The memory as somebody has left it so many minutes after noon."""
    return replace(MEMORY, changed_at=NOON + timedelta(minutes=minutes), **attributes)


# --- one memory in two states -------------------------------------------------------------------


@given(states, states)
def test_both_machines_reach_the_same_attributes(one: Memory, other: Memory) -> None:
    assert attributes(take_newest(one, other)) == attributes(take_newest(other, one))


@given(states, states)
def test_taking_the_latest_state_twice_changes_nothing(one: Memory, other: Memory) -> None:
    both = take_newest(one, other)
    assert take_newest(both, other) == both
    assert take_newest(both, one) == both
    assert take_newest(both, take_newest(other, one)) == both


@given(light, light, light)
def test_three_machines_agree_in_whatever_order_they_meet(one: Memory, second: Memory, third: Memory) -> None:
    assert attributes(take_newest(take_newest(one, second), third)) == attributes(
        take_newest(one, take_newest(second, third))
    )


@given(
    st.lists(states, min_size=3, max_size=3),
    st.permutations([(n, m) for n in range(3) for m in range(3)]),
)
def test_three_machines_that_keep_exchanging_come_to_rest_and_agree_however_much_there_is(
    machines: list[Memory], order: list[tuple[int, int]]
) -> None:
    for _ in range(6):
        before = list(machines)
        for here, there in order:
            machines[here] = take_newest(machines[here], machines[there])
        if machines == before:
            break
    assert machines == before
    assert machines[0] == machines[1] == machines[2], "the order of the tags too"


@given(states, states, st.integers(1, 9))
def test_an_attribute_removed_later_stays_removed(before: Memory, after: Memory, minutes: int) -> None:
    after = replace(after, changed_at=before.changed_at + timedelta(minutes=minutes))
    for both in (take_newest(before, after), take_newest(after, before)):
        assert replace(both, restored_at=after.restored_at) == after


@given(tags, tags)
def test_no_tag_of_the_same_moment_is_lost_while_there_is_room(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    both = set(take_newest(replace(MEMORY, tags=one), replace(MEMORY, tags=other)).tags)
    assert both == {*one, *other} if len({*one, *other}) <= MAX_TAGS else len(both) == MAX_TAGS


@pytest.mark.parametrize("minutes", [0, 1])
def test_a_deletion_wins_over_a_memory_left_alone(minutes: int) -> None:
    deleted = changed(minutes, deleted_at=NOON)
    assert take_newest(MEMORY, deleted).deleted_at == NOON
    assert take_newest(deleted, MEMORY).deleted_at == NOON


def test_a_later_restore_wins_over_a_deletion_and_a_later_deletion_over_a_restore() -> None:
    deleted = changed(1, deleted_at=NOON)
    restored = changed(2, restored_at=NOON + timedelta(hours=1))
    again = changed(3, deleted_at=NOON + timedelta(hours=2))
    assert take_newest(deleted, restored).deleted_at is None
    assert take_newest(restored, again).deleted_at == again.deleted_at
    assert take_newest(again, restored).restored_at == restored.restored_at


# --- what replaced what -------------------------------------------------------------------------


def test_a_memory_that_one_side_replaced_is_replaced() -> None:
    assert resolve_links({}, {"a": "b"}, {"b"}) == {"a": "b"}
    assert resolve_links({"a": "b"}, {}, {"b"}) == {}


def test_of_two_successors_every_machine_chooses_the_same() -> None:
    assert resolve_links({"a": "b"}, {"a": "c"}, {"b", "c"}) == {"a": "c"}
    assert resolve_links({"a": "c"}, {"a": "b"}, {"b", "c"}) == {}


def test_a_successor_that_exists_is_chosen_before_one_that_does_not() -> None:
    assert resolve_links({"a": "c"}, {"a": "b"}, {"b"}) == {"a": "b"}
    assert resolve_links({"a": "b"}, {"a": "c"}, {"b"}) == {}


def test_two_memories_that_replaced_each_other_do_not_both_vanish() -> None:
    assert resolve_links({"a": "b"}, {"b": "a"}, {"a", "b"}) == {}
    assert resolve_links({"b": "a"}, {"a": "b"}, {"a", "b"}) == {"a": "b", "b": None}


links = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("abcdef"))


@given(links, links)
def test_no_chain_that_an_import_touches_leads_in_a_circle(
    here: dict[str, str], incoming: dict[str, str]
) -> None:
    final = {**here, **resolve_links(here, incoming, "abcdef")}
    for start in incoming:
        way = [start]
        while (following := final.get(way[-1])) is not None:
            assert following not in way
            way.append(following)


exchanges = st.lists(
    st.one_of(  # (machine, the other one), or (machine, what was replaced, by what)
        st.tuples(st.integers(0, 2), st.integers(0, 2)),
        st.tuples(st.integers(0, 2), st.sampled_from("abcde"), st.sampled_from("abcde")),
    ),
    max_size=14,
)


@given(exchanges, st.permutations([(n, m) for n in range(3) for m in range(3) if n != m]))
def test_three_machines_come_to_the_same_successors_whoever_replaced_what(
    history: list[tuple[Any, ...]], order: list[tuple[int, int]]
) -> None:
    machines: list[dict[str, str]] = [{}, {}, {}]

    def take_over(here: int, there: int) -> None:
        changes = resolve_links(machines[here], dict(machines[there]), "abcde")
        both = machines[here] | changes
        machines[here] = {old: new for old, new in both.items() if new is not None}

    for here, *what in history:
        if len(what) == 1:
            take_over(here, what[0])
        elif what[0] != what[1] and not machines[here].keys() & {*what}:  # both are current there
            machines[here][what[0]] = what[1]
    for _ in range(6):
        for here, there in order:
            take_over(here, there)
    settled = [dict(machine) for machine in machines]
    for here, there in order:
        take_over(here, there)
    assert machines == settled
    assert machines[0] == machines[1] == machines[2]


def test_a_long_chain_is_followed_once_and_a_circle_at_its_end_is_still_broken() -> None:
    chain = {f"v{number:04}": f"v{number + 1:04}" for number in range(8_000)}
    assert resolve_links({}, chain, set()) == chain
    circle = chain | {"v8000": "v7000"}
    assert resolve_links({}, circle, set()) == chain
