"""The audit: who stored, changed, deleted or asked for what, and when; of texts no more than is wanted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.host import Clock, Host
from support.transferring import export, import_export

from sediment_mcp.background import audit
from sediment_mcp.background.audit import AuditPolicy
from sediment_mcp.config import TENANTS, Audit, Config
from sediment_mcp.domain.audit import ACTIONS, AuditFilter
from sediment_mcp.domain.caller import Caller, use_caller
from sediment_mcp.domain.retention import TRASH_LIFE, Rule
from sediment_mcp.errors import StorageError
from sediment_mcp.operations.arguments import StoreMemory
from sediment_mcp.operations.audit import list_audit
from sediment_mcp.operations.edit_memory import edit_memory
from sediment_mcp.operations.history import history, revert
from sediment_mcp.operations.projects import move_project
from sediment_mcp.operations.retention_rules import clear_rules, set_rule
from sediment_mcp.operations.trash import list_deleted, restore_memories
from sediment_mcp.storage.sqlite.tokens import ACCESS_FILE

pytestmark = pytest.mark.over_both

OpenHost = Callable[..., Host]
ANNA = Caller("anna-laptop", "anna")
EVERYTHING = 1000  # entries, more than any test here has


@pytest.fixture
def host(open_host: OpenHost) -> Host:
    return open_host(audit="all")


def entries(host: Host, **wanted: Any) -> list[tuple[str, str, list[str]]]:
    """Return (who, action, ids) of the entries, the oldest first."""
    found = list_audit(host.app, AuditFilter(**wanted), EVERYTHING)
    return [(one["who"], one["action"], one.get("ids", [])) for one in reversed(found)]


def changes(host: Host) -> list[tuple[str, list[str]]]:
    reads = ("query", "list", "read", "export")
    return [(action, ids) for _, action, ids in entries(host) if action not in reads]


# --- changes ------------------------------------------------------------------------------------


def test_each_change_is_recorded_with_who_made_it_and_when(host: Host, clock: Clock) -> None:
    with use_caller(ANNA):
        stored = host.store("The port is 8080")["id"]
    clock.advance(hours=1)
    host.delete(stored)
    found = list_audit(host.app, AuditFilter(), EVERYTHING)
    assert found == [
        {"at": "2026-05-08T13:00:00Z", "who": "local", "action": "delete", "ids": [stored]},
        {"at": "2026-05-08T12:00:00Z", "who": "anna-laptop", "action": "store", "ids": [stored]},
    ]


def test_every_way_of_changing_memories_is_recorded(host: Host, open_host: OpenHost, tmp_path: Path) -> None:
    first = host.store("The port is 8080", scope="global")["id"]
    assert host.store("The port is 8080", scope="global")["status"] == "duplicate"
    second = host.store("The port is 8081", scope="global", replaces=[first])["id"]
    edit_memory(host.app, second, StoreMemory(content="The port is 8081", tags=["net"]))
    reverted = revert(host.app, first)["id"]
    host.delete(reverted)
    restore_memories(host.app, [reverted])
    host.delete(reverted, permanent=True)
    set_rule(host.app, Rule("kind", "episodic", None, 10))
    clear_rules(host.app, None, "")
    assert changes(host) == [
        ("store", [first]), ("change", [first]),
        ("store", [second]), ("change", [first]),
        ("change", [second]),
        ("store", [reverted]), ("change", [second]),
        ("delete", [reverted]), ("restore", [reverted]), ("erase", [reverted]),
        ("rules", []), ("rules", []),
    ]  # fmt: skip
    host.project = str(tmp_path / "old")
    moved = host.store("Of a project", scope="project")["id"]
    move_project(host.app, str(tmp_path / "old"), str(tmp_path / "new"))
    assert changes(host)[-1] == ("move", [moved])
    other = open_host(directory=tmp_path / "other", audit="all")
    import_export(other, export(host))
    assert ("store", [moved]) in changes(other)


def test_a_change_that_fails_leaves_no_entry(host: Host) -> None:
    stored = host.store("kiwi")["id"]

    def delete_and_fail() -> None:
        with host.app.storage.write() as session:
            session.erase(session.get([stored])[stored])
            raise StorageError("full")

    with pytest.raises(StorageError, match="full"):
        delete_and_fail()
    assert changes(host) == [("store", [stored])]
    host.crash()
    assert changes(host) == [("store", [stored])]


def test_a_change_is_recorded_when_it_is_acknowledged(host: Host) -> None:
    stored = host.store("kiwi")["id"]
    host.crash()  # nothing is flushed
    assert changes(host) == [("store", [stored])]


def test_what_has_ended_is_removed_by_retention(host: Host, clock: Clock) -> None:
    stored = host.store("kiwi")["id"]
    host.delete(stored)
    clock.advance(seconds=TRASH_LIFE.total_seconds())
    host.run_jobs()
    clock.advance(days=2)
    host.run_jobs()
    assert entries(host)[-1] == ("retention", "erase", [stored])


def test_more_ids_than_an_entry_holds_become_several(host: Host, tmp_path: Path) -> None:
    host.project = str(tmp_path / "old")
    ids = {host.store(f"kiwi {n}", scope="project")["id"] for n in range(101)}
    move_project(host.app, str(tmp_path / "old"), str(tmp_path / "new"))
    moves = [moved for action, moved in changes(host) if action == "move"]
    assert [len(moved) for moved in moves] == [100, 1]
    assert {memory_id for moved in moves for memory_id in moved} == ids


# --- reads --------------------------------------------------------------------------------------


def test_who_was_shown_what_is_recorded_off_the_answering_path(host: Host) -> None:
    first, second = host.store("kiwi one")["id"], host.store("kiwi two")["id"]
    with use_caller(ANNA):
        found = host.found("kiwi")
        host.list(limit=1)
        host.list(ids=[first, "nosuchid"])
        history(host.app, second)
        host.delete(first)
        list_deleted(host.app, 10)
    assert [action for action, _ in changes(host)] == ["store", "store", "delete"]
    assert len(entries(host)) == 3
    host.app.audit.flush()
    assert [entry for entry in entries(host) if entry[1] in ("query", "list", "read")] == [
        ("anna-laptop", "query", found),
        ("anna-laptop", "list", [second]),
        ("anna-laptop", "read", [first, "nosuchid"]),
        ("anna-laptop", "read", [second]),
        ("anna-laptop", "list", [first]),
    ]
    assert export(host)
    host.app.audit.flush()
    assert entries(host)[-1] == ("local", "export", [])


def test_reads_are_written_by_the_background_and_at_the_end(host: Host) -> None:
    host.store("kiwi")
    host.found("kiwi")
    host.run_jobs()
    assert [action for _, action, _ in entries(host)] == ["store", "query"]
    host.found("kiwi")
    host.end()
    host.reopen()
    assert [action for _, action, _ in entries(host)] == ["store", "query", "query"]


def test_so_many_reads_as_memory_may_hold_are_written_at_once(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MAX_WAITING", 3)
    for _ in range(10):
        host.list()
    written = len(entries(host))
    assert 6 < written <= 10
    host.app.audit.flush()
    assert len(entries(host)) == 10


def test_reads_that_cannot_be_written_are_kept_for_later(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.list()
    with monkeypatch.context() as patch:
        patch.setattr(host.app.audit, "_storage", Broken())
        host.app.audit.flush()
        host.list()
    host.app.audit.flush()
    assert len(entries(host)) == 2


class Broken:
    def write(self) -> None:
        raise StorageError("full")


# --- texts --------------------------------------------------------------------------------------


def texts(host: Host) -> list[str | None]:
    host.app.audit.flush()
    return [
        one.get("text") for one in reversed(list_audit(host.app, AuditFilter(action="query"), EVERYTHING))
    ]


@pytest.mark.parametrize(
    ("level", "kept"), [("all", [None]), ("texts", ["which kiwi"]), ("changes", []), ("off", [])]
)
def test_the_text_of_a_question_is_kept_only_where_it_is_wanted(
    open_host: OpenHost, level: Audit, kept: list[str | None]
) -> None:
    host = open_host(audit=level)
    host.store("kiwi")
    host.query("which kiwi")
    assert texts(host) == kept


def test_texts_go_with_what_is_erased_and_ids_stay(open_host: OpenHost) -> None:
    host = open_host(audit="texts")
    stored, other = host.store("The parrot's name is Rio")["id"], host.store("Tea at four")["id"]
    for question in ("parrot", "who is called Rio?", "at what time is tea?"):
        host.query(question, limit=1)
    host.delete(stored)
    assert texts(host) == ["parrot", "who is called Rio?", "at what time is tea?"]
    host.delete(stored, permanent=True)
    assert texts(host) == [None, None, "at what time is tea?"]
    assert ("local", "store", [stored]) in entries(host, memory_id=stored)
    assert entries(host, memory_id=stored)[-1] == ("local", "erase", [stored])
    assert entries(host, memory_id=other)[0] == ("local", "store", [other])


def test_a_question_that_was_answered_by_what_is_erased_loses_its_text(open_host: OpenHost) -> None:
    host = open_host(audit="texts")
    stored = host.store("The parrot's name is Rio")["id"]
    host.query("The parrot's name is Rio"[::-1])  # found by meaning alone
    host.delete(stored, permanent=True)
    assert texts(host) == [None]


def test_a_text_that_still_waits_in_another_process_goes_too(open_host: OpenHost) -> None:
    host, other = open_host(audit="texts"), open_host(audit="texts")
    stored = host.store("The parrot's name is Rio")["id"]
    other.query("parrot")
    host.delete(stored, permanent=True)
    assert texts(other) == [None]
    other.query("parrot")
    assert texts(other) == [None, "parrot"]


# --- what is recorded, and for how long ---------------------------------------------------------


def test_without_a_setting_it_depends_on_who_can_call(tmp_path: Path, clock: Clock) -> None:
    policy = AuditPolicy(Config(tmp_path), clock)
    assert (policy.change_time(), policy.records_reads) == (None, False)
    with use_caller(ANNA):
        assert (policy.change_time(), policy.records_reads, policy.records_texts) == (clock(), True, False)
    for name in (ACCESS_FILE, TENANTS):
        (tmp_path / name).touch()
        assert (policy.change_time(), policy.records_reads) == (clock(), False)
        (tmp_path / name).unlink()
    shared = AuditPolicy(Config(tmp_path, database="postgresql:///x"), clock)
    assert (shared.change_time(), shared.records_reads) == (clock(), False)


def test_what_is_off_is_off_for_everybody(open_host: OpenHost) -> None:
    host = open_host(audit="off")
    with use_caller(ANNA):
        host.store("kiwi")
        host.found("kiwi")
    host.app.audit.flush()
    assert entries(host) == []


def test_entries_are_kept_for_so_many_days(host: Host, clock: Clock) -> None:
    host.store("kiwi")
    clock.advance(days=60)
    host.store("otter")
    clock.advance(days=30, seconds=1)
    host.run_jobs()
    assert len(entries(host)) == 1
    clock.advance(days=60)
    host.run_jobs()
    assert entries(host) == []


def test_entries_can_be_asked_for_by_time_who_and_what(host: Host, clock: Clock) -> None:
    first = host.store("kiwi")["id"]
    clock.advance(hours=1)
    with use_caller(ANNA):
        second = host.store("otter")["id"]
    assert entries(host, caller="local") == [("local", "store", [first])]
    assert entries(host, since=clock() - timedelta(minutes=1)) == [("anna-laptop", "store", [second])]
    assert entries(host, memory_id=second, action="store") == [("anna-laptop", "store", [second])]
    assert entries(host, memory_id=first[:-1]) == []
    assert entries(host, memory_id="%") == entries(host, action="delete") == []
    assert len(list_audit(host.app, AuditFilter(), 1)) == 1
    assert {action for _, action, _ in entries(host)} <= set(ACTIONS)


def test_a_tenant_s_entries_are_seen_by_nobody_else(open_host: OpenHost) -> None:
    one, other = open_host(tenant="one", audit="all"), open_host(tenant="two", audit="all")
    stored = one.store("kiwi")["id"]
    other.store("otter")
    assert entries(one) == [("local", "store", [stored])]
    assert len(entries(other)) == 1
    with other.app.storage.write() as session:
        session.audit.clear_texts()
        session.audit.drop_before(other.clock() + timedelta(days=1))
    assert (len(entries(one)), len(entries(other))) == (1, 0)


def test_what_is_done_to_a_team_s_memories_is_recorded_with_the_team(open_host: OpenHost) -> None:
    host, team = open_host(audit="all", team="crew"), open_host(audit="all", tenant="crew")
    with use_caller(ANNA):
        own = host.store("kiwi of mine")["id"]
        shared = host.store("kiwi of ours", scope="team")["id"]
        host.query("kiwi")
        host.list(ids=[own, shared])
        host.delete(shared)
    for one in (host, team):
        one.app.audit.flush()
    assert host.app.team is not None
    host.app.team.audit.flush()
    mine = [(action, ids) for _, action, ids in entries(host)]
    ours = list_audit(host.app.team, AuditFilter(), EVERYTHING)
    assert mine == [("store", [own]), ("query", [own]), ("read", [own])]
    assert {(one["who"], one["action"], *one.get("ids", [])) for one in ours} == {
        ("anna-laptop", action, shared) for action in ("store", "query", "read", "delete")
    }


# --- in files -----------------------------------------------------------------------------------


@pytest.mark.sqlite_only("a backup is a file")
def test_a_backup_holds_the_audit_without_any_text(open_host: OpenHost) -> None:
    from sediment_mcp.storage.sqlite.session import open_session

    host = open_host(audit="texts")
    host.store("kiwi")
    host.query("xylophonesecret")
    host.app.audit.flush()
    backup = host.app.backups.make().path
    assert texts(host) == ["xylophonesecret"]
    assert b"xylophonesecret" not in backup.read_bytes()
    session = open_session(backup, read_only=True)
    assert [one.action for one in session.audit.list_entries(AuditFilter(), 9)] == ["query", "store"]
    session.close()


@pytest.mark.sqlite_only("a file is salvaged, and restored from one")
def test_salvage_and_a_restored_backup_keep_the_audit(open_host: OpenHost) -> None:
    from sediment_mcp.maintenance.restore import restore_backup
    from sediment_mcp.maintenance.salvage import salvage

    host = open_host(audit="texts")
    stored = host.store("kiwi")["id"]
    name = host.app.backups.make().name
    other = host.store("otter")["id"]
    host.query("otter")
    host.app.audit.flush()
    before = entries(host)
    salvage(host.app)
    assert entries(host) == before
    assert texts(host) == ["otter"]
    restore_backup(host.app, name)
    assert entries(host) == [*before, ("local", "restore-backup", [])]
    assert ("local", "store", [other]) in before
    assert ("local", "store", [stored]) in before
