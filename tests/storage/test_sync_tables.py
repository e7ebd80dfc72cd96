"""What a SQLite file keeps of the synchronization, and when each rule was changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sediment_mcp.domain.retention import Rule
from sediment_mcp.storage.sqlite.rule_changes import RuleChange
from sediment_mcp.storage.sqlite.salvage import SalvageWriter
from sediment_mcp.storage.sqlite.session import SqliteSession
from sediment_mcp.storage.sqlite.storage import SqliteStorage
from sediment_mcp.storage.sqlite.sync_tables import ERASED, UNKNOWN
from sediment_mcp.tuning import Tuning

NOW = datetime(2026, 5, 8, 12, tzinfo=UTC)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SqliteSession]:
    storage = SqliteStorage(tmp_path, Tuning())
    with storage.write() as session:
        yield session
    storage.close()


def test_a_state_that_was_only_taken_is_forgotten_with_the_logs_of_others(session: SqliteSession) -> None:
    tables = session.sync
    tables.note_given([("own", b"1", 3), ("changed", b"1", 3), ("agreed", b"1", 3)])
    tables.note([("changed", b"2"), ("agreed", b"1"), ("theirs", b"1")])
    tables.forget_taken()
    known = tables.digests(["own", "changed", "agreed", "theirs"])
    assert known == {"own": b"1", "changed": UNKNOWN, "agreed": b"1"}
    assert list(tables.given()) == [("agreed", 3), ("changed", 3), ("own", 3)]


def test_what_is_erased_is_given_once_and_is_due_to_go_from_the_own_log(session: SqliteSession) -> None:
    tables = session.sync
    tables.note_given([("a", b"1", 1), ("b", b"1", 1)])
    session.record_erased(["a", "never given"])
    assert tables.ungiven_erased() == ["a", "never given"]
    assert tables.erased_given() == ["a"]
    tables.note((memory_id, ERASED) for memory_id in ("a", "never given"))
    assert tables.ungiven_erased() == []
    assert tables.erased_given() == ["a"]
    tables.forget_erased_given(["a"])
    assert tables.erased_given() == []


def test_leaving_keeps_what_is_erased_and_the_names_of_projects(session: SqliteSession) -> None:
    session.record_erased(["a"])
    session.sync.set_settings({"device": "laptop"})
    session.sync.set_position("other", 3)
    session.sync.note([("b", b"1")])
    session.sync.set_project("git:x", "/x", is_chosen=True)
    assert session.is_synced
    session.sync.clear()
    assert not session.is_synced
    assert (session.sync.positions(), session.sync.digests(["b"])) == ({}, {})
    assert session.sync.projects() == [("git:x", "/x", True)]
    assert session.erased_ids() == {"a"}


def test_the_change_of_a_rule_is_later_than_the_one_before_whatever_the_clock_says(
    session: SqliteSession,
) -> None:
    table, rule = session.retention, Rule("tag", "Log", timedelta(days=9))
    table.set_rule(rule, NOW)
    (first,) = table.changes()
    assert first.rule == rule
    table.clear_rule(rule, NOW - timedelta(days=9))
    (second,) = table.changes()
    assert (second.is_removal, second.changed_at) == (True, first.changed_at + 1)


def test_rules_that_nobody_has_dated_count_as_changed_when_they_are_found(session: SqliteSession) -> None:
    table = session.retention
    table.set_rule(Rule("tag", "gone", None, 1), NOW)
    table.clear_rule(Rule("tag", "gone"))
    table.set_rule(Rule("kind", "working", None, 7))
    table.date_changes(NOW + timedelta(days=1))
    assert [(change.name, change.max_count) for change in table.changes()] == [("working", 7), ("gone", None)]
    assert table.undated() == []


def test_another_devices_rule_takes_the_place_of_every_spelling(session: SqliteSession) -> None:
    table = session.retention
    table.set_rule(Rule("tag", "Log", None, 1), NOW)
    table.adopt(RuleChange("tag", "log", "LOG", None, 2, 9))
    assert [(rule.name, rule.max_count) for rule in table.rules()] == [("LOG", 2)]
    assert table.undated() == []


def test_a_damaged_row_is_left_out_when_a_database_is_salvaged(session: SqliteSession) -> None:
    writer = SalvageWriter(session.database)
    writer.add_whole_tables({"kept_pairs": [("a", "b", "no number"), ("a", "c", 3)]})
    assert [pair.second_id for pair in session.kept_pairs.list_all()] == ["c"]
