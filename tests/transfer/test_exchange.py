"""Two machines that exchange exports come to agree, whoever begins and however often."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host import Clock, Host
from support.transferring import export, import_export, state

from sediment_mcp.domain.retention import Rule
from sediment_mcp.maintenance.restore import restore_backup
from sediment_mcp.operations.arguments import StoreMemory, parse_arguments
from sediment_mcp.operations.edit_memory import edit_memory
from sediment_mcp.operations.history import revert
from sediment_mcp.operations.trash import restore_memories

pytestmark = pytest.mark.over_both

NOON = datetime(2026, 5, 8, 12, tzinfo=UTC)

# --- what counts as a change --------------------------------------------------------------------


def from_micros(host: Host, memory_id: str, what: str = "changed_at") -> datetime:
    return datetime.fromisoformat(state(host)[memory_id][what])


def remove_attributes(host: Host, memory_id: str) -> None:
    """Correct a memory: no tags, no metadata, no end, no importance."""
    content = state(host)[memory_id]["content"]
    edit_memory(host.app, memory_id, parse_arguments(StoreMemory, {"content": content, "importance": 0}))


CHANGES: dict[str, Callable[[Host, str], Any]] = {
    "stored again": lambda host, _: host.store("tea is at four"),
    "corrected": remove_attributes,
    "deleted": lambda host, memory_id: host.delete(memory_id),
    "restored": lambda host, memory_id: restore_memories(host.app, [memory_id]),
    "put into the trash by a rule": lambda host, _: host.app.run_retention(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_by_a_user_dates_the_memory(host: Host, change: str) -> None:
    memory_id = host.store("tea is at four", tags=["tea"])["id"]
    assert from_micros(host, memory_id) == from_micros(host, memory_id, "created_at")
    if change == "restored":
        host.delete(memory_id)
    with host.app.storage.write() as session:
        session.retention.set_rule(Rule("tag", "tea", timedelta(days=1)))
    host.clock.advance(days=2)
    CHANGES[change](host, memory_id)
    assert from_micros(host, memory_id) == host.clock.time
    CHANGES["deleted"](host, memory_id)
    CHANGES["restored"](host, memory_id)
    assert from_micros(host, memory_id) > host.clock.time, "two changes of one moment have an order"


def test_background_work_does_not_date_a_memory(host: Host) -> None:
    old = host.store("tea is at four")["id"]
    before = from_micros(host, old)
    host.clock.advance(minutes=1)
    host.run_jobs()
    host.query("when is tea?")
    host.list()
    new = host.store("tea is at five", replaces=[old])["id"]
    host.clock.advance(minutes=1)
    revert(host.app, old)
    host.delete(new, permanent=True)
    host.reopen()
    host.run_jobs()
    assert from_micros(host, old) == before


def set_time(host: Host, column: str, time: str) -> None:
    """Set a time of all memories, without the change that an older version does not note."""
    with host.app.storage.write() as session:
        own = session.database.dialect.own_rows
        session.database.execute(f"UPDATE memories SET {column} = {time} WHERE {own}")


def test_a_memory_of_an_older_version_at_work_beside_this_one_is_dated_by_what_is_known(host: Host) -> None:
    memory_id = host.store("tea is at four")["id"]
    set_time(host, "changed_at", "0")
    assert from_micros(host, memory_id) == from_micros(host, memory_id, "created_at")
    set_time(host, "deleted_at", "created_at + 1")
    assert from_micros(host, memory_id) == from_micros(host, memory_id, "deleted_at")


# --- two machines -------------------------------------------------------------------------------

TEXTS = ["the port is 5432", "the port is 5433", "tea is at four", "tea is at five"]
steps = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["store", "replace", "delete", "restore", "erase", "tag", "remove", "sync"]),
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
    text, memory_id = TEXTS[which % len(TEXTS)], known[which % len(known)] if known else ""
    if action == "store":
        one.store(text)
    elif action == "sync":
        import_export(one, export(other))
    elif action == "tag":
        one.store(text, tags=[f"t{which}"], metadata={"n": which})
    elif not known:
        return
    elif action == "replace":
        if state(one)[memory_id]["deleted_at"] is None:
            one.store(text, replaces=[memory_id])
    elif action == "remove":
        if one.list(ids=[memory_id])["total"] and state(one)[memory_id]["superseded_by"] is None:
            remove_attributes(one, memory_id)
    elif action == "restore":
        restore_memories(one.app, [memory_id])
    else:
        one.delete(memory_id, permanent=action == "erase")


@settings(max_examples=25, deadline=None)
@given(steps)
def test_two_machines_agree_and_agreeing_again_changes_nothing(history: list[tuple[int, str, int]]) -> None:
    with machines() as both:
        for who, action, which in history:
            both[0].clock.advance(seconds=1)
            act(both[who], both[1 - who], action, which)
        one, other = both
        first, second = export(one), export(other)
        import_export(one, second)
        import_export(other, first)
        assert state(one) == state(other)
        before = export(one)
        for data in (first, second, export(other), before):
            assert import_export(one, data).updated == 0
        assert export(one) == before


@pytest.fixture
def pair() -> Iterator[tuple[Host, Host]]:
    with machines() as both:
        yield both


def test_one_fact_replaced_differently_on_each_machine_leaves_both_new_ones_and_says_so(
    pair: tuple[Host, Host],
) -> None:
    one, other = pair
    old = one.store("tea is at four")["id"]
    import_export(other, export(one))
    here = one.store("tea is at five", replaces=[old])["id"]
    there = other.store("tea is at six", replaces=[old])["id"]
    report = import_export(one, export(other))
    assert [here in told and there in told for told in report.conflicts] == [True]
    current = {memory["id"] for memory in one.list()["memories"]}
    assert current == {here, there}
    assert state(one)[old]["superseded_by"] in current


def test_a_text_stored_on_both_machines_is_one_memory_afterwards(pair: tuple[Host, Host]) -> None:
    one, other = pair
    older = one.store("tea is at four", tags=["a"])["id"]
    one.clock.advance(minutes=1)
    newer = other.store("tea is at four", tags=["b"])["id"]
    report = import_export(one, export(other))
    assert report.merged == 1
    import_export(other, export(one))
    for host in pair:
        assert [memory["id"] for memory in host.list()["memories"]] == [older]
        assert set(state(host)[older]["tags"]) == {"a", "b"}
        assert state(host)[newer]["superseded_by"] == older


def exchange(one: Host, other: Host) -> None:
    """Both export, then each takes in what the other has written."""
    first, second = export(one), export(other)
    import_export(one, second)
    import_export(other, first)
    assert state(one) == state(other)


def test_an_attribute_removed_on_one_machine_does_not_come_back_from_the_other(
    pair: tuple[Host, Host],
) -> None:
    one, other = pair
    said: dict[str, Any] = {"tags": ["tea"], "metadata": {"a": 1}, "importance": 0.9}
    memory_id = one.store("tea is at four", expires_at="2027-01-01", **said)["id"]
    import_export(other, export(one))
    old = export(other)
    one.clock.advance(minutes=1)
    remove_attributes(one, memory_id)
    for data in (old, undated(old)):
        assert import_export(one, data).known == 1
    exchange(one, other)
    memory = state(other)[memory_id]
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
    memory_id = one.store("tea is at four")["id"]
    import_export(other, undated(export(one)))
    assert state(other) == state(one)
    other.clock.advance(minutes=1)
    one.delete(memory_id)
    import_export(other, undated(export(one)))
    assert state(other) == state(one)
    other.clock.advance(minutes=1)
    restore_memories(other.app, [memory_id])
    import_export(one, undated(export(other)))
    assert state(one) == state(other)
    assert state(one)[memory_id]["deleted_at"] is None


def test_a_memory_stored_again_after_a_deletion_elsewhere_stays_stored(pair: tuple[Host, Host]) -> None:
    one, other = pair
    memory_id = one.store("tea is at four")["id"]
    import_export(other, export(one))
    one.clock.advance(minutes=1)
    one.delete(memory_id)
    one.clock.advance(minutes=1)
    assert other.store("tea is at four")["status"] == "duplicate"
    exchange(one, other)
    assert one.found_by_words("tea") == other.found_by_words("tea") == {memory_id}


def test_a_memory_deleted_after_it_was_stored_again_elsewhere_is_deleted(pair: tuple[Host, Host]) -> None:
    one, other = pair
    memory_id = one.store("tea is at four")["id"]
    import_export(other, export(one))
    one.clock.advance(minutes=1)
    other.store("tea is at four")
    one.clock.advance(minutes=1)
    one.delete(memory_id)
    exchange(one, other)
    assert one.found_by_words("tea") == other.found_by_words("tea") == set()


def test_a_tag_added_on_one_side_survives_a_replacement_on_the_other(pair: tuple[Host, Host]) -> None:
    one, other = pair
    old = one.store("tea is at four")["id"]
    import_export(other, export(one))
    one.clock.advance(minutes=1)
    other.store("tea is at four", tags=["tea"])
    one.clock.advance(minutes=1)
    new = one.store("tea is at five", replaces=[old])["id"]
    exchange(one, other)
    assert (state(one)[old]["tags"], state(one)[old]["superseded_by"]) == ({"tea"}, new)


def test_a_clock_that_is_behind_does_not_lose_a_change_of_what_came_from_elsewhere(
    tmp_path: Path,
) -> None:
    ahead, behind = Clock(), Clock(NOON - timedelta(days=400))
    one, other = (
        Host(tmp_path / name, clock=clock, model=None) for name, clock in (("a", ahead), ("b", behind))
    )
    try:
        memory_id = one.store("tea is at four", tags=["tea"])["id"]
        import_export(other, export(one))
        remove_attributes(other, memory_id)
        exchange(one, other)
        assert state(one)[memory_id]["tags"] == set()
        one.store("tea is at four", tags=["four"])
        exchange(one, other)
        assert state(other)[memory_id]["tags"] == {"four"}
    finally:
        one.end()
        other.end()


def test_a_change_at_the_end_of_all_time_can_be_followed_by_others(pair: tuple[Host, Host]) -> None:
    one, other = pair
    memory_id = one.store("tea is at four")["id"]
    line = {**json.loads(export(one).splitlines()[1]), "changed_at": "9999-12-31T23:59:59.999999Z"}
    import_export(one, json.dumps(line).encode())
    for text in ("first", "second"):
        one.store("tea is at four", tags=[text])
    import_export(other, export(one))
    assert state(other)[memory_id]["tags"] == {"first", "second"}
    assert state(other) == state(one)


@pytest.mark.sqlite_only("a backup is a copy of the file")
def test_a_return_to_a_backup_is_not_undone_by_the_other_machine(pair: tuple[Host, Host]) -> None:
    one, other = pair
    tagged = one.store("tea is at four", tags=["tea"])["id"]
    gone = one.store("tea is at five")["id"]
    backup = one.app.backups.make().name
    one.clock.advance(minutes=1)
    remove_attributes(one, tagged)
    one.delete(gone)
    late = one.store("tea is at six")["id"]
    import_export(other, export(one))
    one.clock.advance(minutes=1)
    restore_backup(one.app, backup)
    exchange(one, other)
    found = state(other)
    assert found[tagged]["tags"] == {"tea"}
    assert [found[memory_id]["deleted_at"] is None for memory_id in (gone, late)] == [True, False]


def test_an_erased_memory_comes_back_from_an_export_that_holds_it(pair: tuple[Host, Host]) -> None:
    one, _ = pair
    memory_id = one.store("tea is at four")["id"]
    data = export(one)
    one.delete(memory_id, permanent=True)
    assert import_export(one, data).imported == 1
    assert memory_id in state(one)
