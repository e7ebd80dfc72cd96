"""Two machines that exchange exports come to agree, whoever begins and however often."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.host import Clock, Host
from support.transferring import export, state, take_in

from sediment_mcp.domain.memory import MAX_TAGS, Memory
from sediment_mcp.domain.retention import Rule
from sediment_mcp.maintenance.restore import restore
from sediment_mcp.operations.arguments import StoreMemory, parse
from sediment_mcp.operations.edit_memory import amend
from sediment_mcp.operations.history import revert
from sediment_mcp.operations.trash import restore_memories
from sediment_mcp.transfer.sync import joined, settled

NOON = datetime(2026, 5, 8, 12, tzinfo=UTC)
MEMORY = Memory(
    number=1, id="m", seq=1, content="a fact", kind="semantic", tags=(), project=None, session=None,
    importance=0.5, metadata={}, occurred_at=NOON, created_at=NOON, changed_at=NOON,
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
    changed_at=moments,
    expires_at=st.none() | moments,
)
light = st.builds(  # of metadata that are too large together one is chosen, and which depends on the order
    lambda memory, metadata: replace(memory, metadata=metadata),
    states,
    st.dictionaries(st.sampled_from("abc"), st.integers(2, 9)),
)


def attributes(memory: Memory) -> Any:
    return replace(memory, tags=tuple(sorted(memory.tags)))


def changed(minutes: int, **attributes: Any) -> Memory:
    """The memory as somebody has left it so many minutes after noon."""
    return replace(MEMORY, changed_at=NOON + timedelta(minutes=minutes), **attributes)


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


@given(light, light, light)
def test_it_does_not_matter_in_which_order_three_machines_meet(
    one: Memory, second: Memory, third: Memory
) -> None:
    assert attributes(joined(joined(one, second), third)) == attributes(joined(one, joined(second, third)))


@given(states, states, st.integers(1, 9))
def test_what_was_taken_away_later_stays_away(before: Memory, after: Memory, minutes: int) -> None:
    after = replace(after, changed_at=before.changed_at + timedelta(minutes=minutes))
    for both in (joined(before, after), joined(after, before)):
        assert replace(both, restored_at=after.restored_at) == after


@given(tags, tags)
def test_no_tag_of_the_same_moment_is_lost_while_there_is_room(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    both = set(joined(replace(MEMORY, tags=one), replace(MEMORY, tags=other)).tags)
    assert both == {*one, *other} if len({*one, *other}) <= MAX_TAGS else len(both) == MAX_TAGS


@pytest.mark.parametrize("minutes", [0, 1])
def test_a_deletion_wins_over_a_memory_left_alone(minutes: int) -> None:
    deleted = changed(minutes, deleted_at=NOON)
    assert joined(MEMORY, deleted).deleted_at == NOON
    assert joined(deleted, MEMORY).deleted_at == NOON


def test_a_later_restore_wins_over_a_deletion_and_a_later_deletion_over_a_restore() -> None:
    deleted = changed(1, deleted_at=NOON)
    restored = changed(2, restored_at=NOON + timedelta(hours=1))
    again = changed(3, deleted_at=NOON + timedelta(hours=2))
    assert joined(deleted, restored).deleted_at is None
    assert joined(restored, again).deleted_at == again.deleted_at
    assert joined(again, restored).restored_at == restored.restored_at


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


# --- what counts as a change --------------------------------------------------------------------


def time_of(host: Host, identity: str, what: str = "changed_at") -> datetime:
    return datetime.fromisoformat(state(host)[identity][what])


def take_away(host: Host, identity: str) -> None:
    """Correct a memory: no tags, no metadata, no end, no importance."""
    content = state(host)[identity]["content"]
    amend(host.library, identity, parse(StoreMemory, {"content": content, "importance": 0}))


CHANGES: dict[str, Callable[[Host, str], Any]] = {
    "stored again": lambda host, _: host.store("tea is at four"),
    "corrected": take_away,
    "deleted": lambda host, identity: host.delete(identity),
    "restored": lambda host, identity: restore_memories(host.library, [identity]),
    "put into the trash by a rule": lambda host, _: host.library.retain(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whoever_has_a_hand_in_a_memory_dates_it(host: Host, change: str) -> None:
    identity = host.store("tea is at four", tags=["tea"])["id"]
    assert time_of(host, identity) == time_of(host, identity, "created_at")
    if change == "restored":
        host.delete(identity)
    with host.library.write() as store:
        store.ages.set_rule(Rule("tag", "tea", timedelta(days=1)))
    host.clock.advance(days=2)
    CHANGES[change](host, identity)
    assert time_of(host, identity) == host.clock.time
    CHANGES["deleted"](host, identity)
    CHANGES["restored"](host, identity)
    assert time_of(host, identity) > host.clock.time, "two changes of one moment have an order"


def test_what_the_house_does_by_itself_dates_nothing(host: Host) -> None:
    old = host.store("tea is at four")["id"]
    before = time_of(host, old)
    host.clock.advance(minutes=1)
    host.tend()
    host.query("when is tea?")
    host.list()
    new = host.store("tea is at five", replaces=[old])["id"]
    host.clock.advance(minutes=1)
    revert(host.library, old)
    host.delete(new, permanent=True)
    host.reopen()
    host.tend()
    assert time_of(host, old) == before


def test_a_memory_of_an_older_version_at_work_beside_this_one_is_dated_by_what_is_known(host: Host) -> None:
    identity = host.store("tea is at four")["id"]
    with host.library.write() as store:
        store.execute("UPDATE memories SET changed_at = 0", ())
    assert time_of(host, identity) == time_of(host, identity, "created_at")
    with host.library.write() as store:
        store.execute("UPDATE memories SET deleted_at = created_at + 1", ())
    assert time_of(host, identity) == time_of(host, identity, "deleted_at")


# --- two machines -------------------------------------------------------------------------------

TEXTS = ["the port is 5432", "the port is 5433", "tea is at four", "tea is at five"]
steps = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["store", "replace", "delete", "restore", "erase", "tag", "take away", "sync"]),
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
    elif action == "take away":
        if one.list(ids=[identity])["total"] and state(one)[identity]["superseded_by"] is None:
            take_away(one, identity)
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


def exchange(one: Host, other: Host) -> None:
    """Both export, then each takes in what the other has written."""
    first, second = export(one), export(other)
    take_in(one, second)
    take_in(other, first)
    assert state(one) == state(other)


def test_what_was_taken_away_on_one_machine_does_not_come_back_from_the_other(
    pair: tuple[Host, Host],
) -> None:
    one, other = pair
    said: dict[str, Any] = {"tags": ["tea"], "metadata": {"a": 1}, "importance": 0.9}
    identity = one.store("tea is at four", expires_at="2027-01-01", **said)["id"]
    take_in(other, export(one))
    old = export(other)
    one.clock.advance(minutes=1)
    take_away(one, identity)
    for data in (old, undated(old)):
        assert take_in(one, data).known == 1
    exchange(one, other)
    memory = state(other)[identity]
    assert (memory["tags"], memory["metadata"], memory["importance"]) == (set(), {}, 0)
    assert memory["expires_at"] is None


def undated(data: bytes) -> bytes:
    """An export as it was before it said when a memory was changed."""
    lines = [json.loads(line) for line in data.splitlines()]
    lines[0]["version"] = 1
    return b"".join(
        json.dumps({name: value for name, value in line.items() if name != "changed_at"}).encode() + b"\n"
        for line in lines
    )


def test_of_an_undated_export_the_latest_that_it_knows_counts(pair: tuple[Host, Host]) -> None:
    one, other = pair
    identity = one.store("tea is at four")["id"]
    take_in(other, undated(export(one)))
    assert state(other) == state(one)
    other.clock.advance(minutes=1)
    one.delete(identity)
    take_in(other, undated(export(one)))
    assert state(other) == state(one)
    other.clock.advance(minutes=1)
    restore_memories(other.library, [identity])
    take_in(one, undated(export(other)))
    assert state(one) == state(other)
    assert state(one)[identity]["deleted_at"] is None


def test_what_was_stored_again_after_a_deletion_elsewhere_stays_stored(pair: tuple[Host, Host]) -> None:
    one, other = pair
    identity = one.store("tea is at four")["id"]
    take_in(other, export(one))
    one.clock.advance(minutes=1)
    one.delete(identity)
    one.clock.advance(minutes=1)
    assert other.store("tea is at four")["status"] == "duplicate"
    exchange(one, other)
    assert one.found_by_words("tea") == other.found_by_words("tea") == {identity}


def test_what_was_deleted_after_it_was_stored_again_elsewhere_is_deleted(pair: tuple[Host, Host]) -> None:
    one, other = pair
    identity = one.store("tea is at four")["id"]
    take_in(other, export(one))
    one.clock.advance(minutes=1)
    other.store("tea is at four")
    one.clock.advance(minutes=1)
    one.delete(identity)
    exchange(one, other)
    assert one.found_by_words("tea") == other.found_by_words("tea") == set()


def test_a_tag_of_one_side_outlives_that_the_other_has_replaced_the_memory(pair: tuple[Host, Host]) -> None:
    one, other = pair
    old = one.store("tea is at four")["id"]
    take_in(other, export(one))
    one.clock.advance(minutes=1)
    other.store("tea is at four", tags=["tea"])
    one.clock.advance(minutes=1)
    new = one.store("tea is at five", replaces=[old])["id"]
    exchange(one, other)
    assert (state(one)[old]["tags"], state(one)[old]["superseded_by"]) == ({"tea"}, new)


def test_a_clock_that_is_behind_does_not_lose_a_change_of_what_came_from_elsewhere(
    quiet_background: None, tmp_path: Path
) -> None:
    ahead, behind = Clock(), Clock(NOON - timedelta(days=400))
    one, other = (
        Host(tmp_path / name, clock=clock, model=None) for name, clock in (("a", ahead), ("b", behind))
    )
    try:
        identity = one.store("tea is at four", tags=["tea"])["id"]
        take_in(other, export(one))
        take_away(other, identity)
        exchange(one, other)
        assert state(one)[identity]["tags"] == set()
        one.store("tea is at four", tags=["four"])
        exchange(one, other)
        assert state(other)[identity]["tags"] == {"four"}
    finally:
        one.end()
        other.end()


def test_a_change_at_the_end_of_all_time_can_be_followed_by_others(pair: tuple[Host, Host]) -> None:
    one, other = pair
    identity = one.store("tea is at four")["id"]
    line = {**json.loads(export(one).splitlines()[1]), "changed_at": "9999-12-31T23:59:59.999999Z"}
    take_in(one, json.dumps(line).encode())
    for text in ("first", "second"):
        one.store("tea is at four", tags=[text])
    take_in(other, export(one))
    assert state(other)[identity]["tags"] == {"first", "second"}
    assert state(other) == state(one)


def test_a_return_to_a_backup_is_not_undone_by_the_other_machine(pair: tuple[Host, Host]) -> None:
    one, other = pair
    tagged = one.store("tea is at four", tags=["tea"])["id"]
    gone = one.store("tea is at five")["id"]
    backup = one.library.backups.make().name
    one.clock.advance(minutes=1)
    take_away(one, tagged)
    one.delete(gone)
    late = one.store("tea is at six")["id"]
    take_in(other, export(one))
    one.clock.advance(minutes=1)
    restore(one.library, backup)
    exchange(one, other)
    found = state(other)
    assert found[tagged]["tags"] == {"tea"}
    assert [found[identity]["deleted_at"] is None for identity in (gone, late)] == [True, False]


def test_what_was_erased_for_good_comes_back_from_an_export_that_holds_it(pair: tuple[Host, Host]) -> None:
    one, _ = pair
    identity = one.store("tea is at four")["id"]
    data = export(one)
    one.delete(identity, permanent=True)
    assert take_in(one, data).imported == 1
    assert identity in state(one)
