"""Removing what has ended: by whom, when, without a trace; and how what is in the trash comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.embedding_double import DIMENSION, EmbeddingDouble
from support.host import QUIET, SMALL, Clock, Host

from sediment_mcp.background import retention
from sediment_mcp.domain.retention import ClockReadings, Rule
from sediment_mcp.errors import Stopped
from sediment_mcp.indexes.indexer import Indexer
from sediment_mcp.indexes.quantized_index import QuantizedIndex
from sediment_mcp.indexes.tantivy_index import TantivyWriter
from sediment_mcp.operations.retention_rules import (
    clear_rules,
    list_rules,
    preview_retention,
    run_retention,
    set_rule,
)
from sediment_mcp.operations.trash import list_deleted, restore_memories
from sediment_mcp.system.locks import locked
from sediment_mcp.system.progress import ignore_progress, stop_when
from sediment_mcp.tuning import Tuning

pytestmark = pytest.mark.over_both

OpenHost = Callable[..., Host]
SECRET = "xylophonesecret qwertzuiopword zyzzyvaunique"
DAY = timedelta(days=1)


def previewed(host: Host) -> dict[str, str]:
    """id → action"""
    return {m["id"]: m["action"] for m in preview_retention(host.app, 1000)["memories"]}


def kept(host: Host) -> set[str]:
    """The ids of all rows, found or not."""
    with host.app.storage.read() as session:
        return {row[0] for row in session.database.rows("SELECT id FROM memories")}


def two_looks(host: Host, clock: Clock) -> None:
    """Two by one process, a day apart: what was due at the first goes unasked at the second."""
    host.run_jobs()
    clock.advance(days=1)
    host.run_jobs()


def held_in_memory(host: Host) -> set[str]:
    """Every text and every word that a process's memtable holds."""
    memtable = host.app.retriever._view.text._memtable
    return {memory.content for memory, _ in memtable._memories.values()} | set(memtable._postings)


def vectors_held(host: Host) -> int:
    vectors = host.app.retriever._view.vectors
    return len(vectors._memtable) if vectors else 0


# --- what goes ----------------------------------------------------------------------------------


def test_the_expired_is_erased_after_its_grace_and_not_before(host: Host, clock: Clock) -> None:
    note = host.store("Lunch with Ada", kind="working")["id"]
    rest = host.store("Ada likes tea")["id"]
    clock.advance(days=8, seconds=-1)
    assert host.found("Ada") == [rest]
    assert previewed(host) == {}
    assert run_retention(host.app) == {"erased": [], "trashed": []}
    clock.advance(seconds=1)
    assert previewed(host) == {note: "erase"}
    assert run_retention(host.app) == {"erased": [note], "trashed": []}
    assert kept(host) == {rest}
    assert preview_retention(host.app, 10) == {"memories": [], "total": 0}


def test_the_trash_ends_after_thirty_days(host: Host, clock: Clock) -> None:
    deleted, rest = host.store("gone")["id"], host.store("here")["id"]
    recoverable_until = host.delete(deleted)["recoverable_until"]
    clock.advance(days=30, seconds=-1)
    assert previewed(host) == {}
    clock.advance(seconds=1)
    assert recoverable_until == clock().isoformat().replace("+00:00", "Z")
    assert run_retention(host.app)["erased"] == [deleted]
    assert kept(host) == {rest}
    assert restore_memories(host.app, [deleted]) == {"restored": [], "not_found": [deleted]}


def test_by_default_nothing_else_ever_goes(host: Host, clock: Clock) -> None:
    ids = {host.store(f"{kind} {n}", kind=kind)["id"] for kind in ("semantic", "episodic") for n in range(5)}
    clock.advance(days=36_500)
    host.run_jobs()
    assert kept(host) == ids
    assert host.list()["total"] == len(ids)


def test_a_rule_puts_into_the_trash_what_can_be_restored_and_then_stays(host: Host, clock: Clock) -> None:
    old = host.store("Met Bob", kind="episodic", occurred_at="2026-01-01")["id"]
    clock.advance(days=20)
    new = host.store("Met Bob's dog", kind="episodic")["id"]
    pinned = host.store("Met Bob's cat", kind="episodic", importance=1, occurred_at="2020-01-01")["id"]
    set_rule(host.app, Rule("kind", "episodic", 10 * DAY))
    clock.advance(days=0.5)
    shown = preview_retention(host.app, 10)["memories"]
    assert [(m["id"], m["content"], m["action"]) for m in shown] == [(old, "Met Bob", "trash")]
    assert shown[0]["reason"] == "kind episodic: older than 10 days"
    assert run_retention(host.app) == {"erased": [], "trashed": [old]}
    assert set(host.found("Bob")) == {new, pinned}
    assert [m["id"] for m in list_deleted(host.app, 10)["memories"]] == [old]
    assert restore_memories(host.app, [old]) == {"restored": [old]}
    clock.advance(hours=2)
    host.run_jobs()
    assert set(host.found("Bob")) == {old, new, pinned}, "its age counts from the day it was restored"
    clock.advance(days=10)
    two_looks(host, clock)
    assert host.found("Bob") == [pinned]
    clock.advance(days=31)
    two_looks(host, clock)
    assert kept(host) == {pinned}


def test_a_report_of_long_ago_is_as_old_as_its_storing(host: Host) -> None:
    set_rule(host.app, Rule("kind", "episodic", 10 * DAY))
    identity = host.store("The wall fell", kind="episodic", occurred_at="1989-11-09")["id"]
    host.run_jobs()
    assert host.found("wall") == [identity]


def test_a_maximum_number_keeps_the_newest_and_drops_history_first(host: Host, clock: Clock) -> None:
    ids: list[str] = []
    for n in range(6):
        ids.append(host.store(f"Red fact {n}", tags=["red"], replaces=ids[4:5] if n == 5 else [])["id"])
        clock.advance(minutes=1)
    host.store("Blue fact")
    set_rule(host.app, Rule("tag", "red", max_count=3))
    assert set(previewed(host)) == {ids[0], ids[1], ids[4]}
    assert set(run_retention(host.app)["trashed"]) == {ids[0], ids[1], ids[4]}
    assert set(host.found("red fact", tags=["red"])) == {ids[2], ids[3], ids[5]}


def test_rules_are_set_shown_and_cleared(host: Host) -> None:
    set_rule(host.app, Rule("kind", "working", DAY))
    set_rule(host.app, Rule("kind", "working", None, 5))
    set_rule(host.app, Rule("tag", "red", 3 * DAY, 7))
    shown = [
        {"kind": "working", "max_count": 5},
        {"tag": "red", "max_age": 3, "max_count": 7},
    ]
    assert list_rules(host.app) == shown
    host.crash()
    assert clear_rules(host.app, "kind", "red") == []
    assert clear_rules(host.app, "tag", "red") == shown[1:]
    assert clear_rules(host.app, None, "") == shown[:1]
    assert list_rules(host.app) == []


def test_a_long_preview_shows_its_beginning_and_the_true_number(host: Host, clock: Clock) -> None:
    for n in range(7):
        host.store(f"note {n}", kind="working")
    clock.advance(days=9)
    shown = preview_retention(host.app, 2)
    assert (len(shown["memories"]), shown["total"]) == (2, 7)
    assert len(run_retention(host.app)["erased"]) == 7


# --- who does it, and when ----------------------------------------------------------------------


def test_a_server_looks_once_an_hour(host: Host, clock: Clock) -> None:
    note = host.store("Lunch", expires_at="2026-05-08T12:30:00Z")["id"]
    clock.advance(days=7, minutes=30)
    host.run_jobs()
    clock.advance(hours=23, minutes=30)
    host.run_jobs()
    clock.advance(minutes=59)
    host.run_jobs()
    assert kept(host) == {note}
    clock.advance(minutes=1)
    host.run_jobs()
    assert kept(host) == set()


@pytest.mark.parametrize("days", [1, 9, 40, 4000])
def test_a_clock_that_jumps_ahead_and_is_put_right_within_a_day_removes_nothing(
    open_host: OpenHost, clock: Clock, days: int
) -> None:
    one, other = open_host(), open_host()
    set_rule(one.app, Rule("kind", "episodic", DAY))
    one.delete(one.store("deleted")["id"])
    ids = {one.store("Lunch", kind="working")["id"], one.store("Met Bob", kind="episodic")["id"]}
    one.run_jobs()
    for _ in range(3):
        clock.advance(days=days)
        for each in (one, other, other, one):
            each.run_jobs()
            clock.advance(hours=5)
        clock.advance(days=-days)
        one.run_jobs()
        clock.advance(hours=-19)
    assert ids <= set(one.found("Lunch Bob"))
    assert len(kept(one)) == 3
    clock.advance(days=31)
    one.run_jobs()
    open_host().run_jobs()
    assert len(kept(one)) == 3
    clock.advance(days=1)
    one.run_jobs()
    assert len(kept(one)) == 1


def test_a_machine_that_is_seldom_on_removes_at_each_visit_what_was_due_at_the_one_before(
    open_host: OpenHost, clock: Clock
) -> None:
    lunch = []
    for _ in range(4):
        host = open_host()
        host.list()
        host.run_jobs()
        lunch.append(host.store(f"Lunch {len(lunch)}", kind="working")["id"])
        host.end()
        clock.advance(days=9)
    assert kept(open_host()) == set(lunch[2:])


def test_a_clock_that_was_set_back_does_not_end_the_looking(host: Host, clock: Clock) -> None:
    clock.advance(days=300)
    host.store("x")
    host.run_jobs()
    clock.advance(days=-200)
    note = host.store("Lunch", kind="working")["id"]
    clock.advance(days=9)
    two_looks(host, clock)
    assert note not in kept(host)


def test_one_process_at_a_time_does_it(host: Host, clock: Clock) -> None:
    note = host.store("Lunch", kind="working")["id"]
    clock.advance(days=9)
    with locked(host.files / retention.LOCK, timeout=1):
        two_looks(host, clock)
        assert kept(host) == {note}


def test_the_background_thread_of_a_server_does_it_unasked(
    open_host: OpenHost, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = open_host()
    early.store("Lunch", kind="working")
    clock.advance(days=9)
    early.run_jobs()
    early.end()
    clock.advance(days=1)
    done, remove = threading.Event(), retention.Retention._remove_all

    def watched(*arguments: Any, **named: Any) -> Any:
        result = remove(*arguments, **named)
        done.set()
        return result

    monkeypatch.setattr(retention.Retention, "_remove_all", watched)
    server = open_host(tuning=Tuning(settle_seconds=0))
    server.list()  # the first call of any kind wakes it
    assert done.wait(30)
    assert kept(server) == set()


def test_a_run_stops_between_two_batches_and_is_taken_up_again(open_host: OpenHost, clock: Clock) -> None:
    host = open_host(tuning=replace(QUIET, retention_batch=3))
    for n in range(8):
        host.store(f"{SECRET} {n}", kind="working")
    host.rebuild_text()
    clock.advance(days=9)
    host.run_jobs()
    clock.advance(days=1)
    with pytest.raises(Stopped):
        host.app.run_jobs(stop_when(lambda: len(kept(host)) < 8))
    assert len(kept(host)) == 5
    host.crash()
    host.run_jobs()
    assert kept(host) == set()
    assert host.traces(SECRET) == []


def test_what_changes_after_the_decision_is_left_for_the_next_time(
    open_host: OpenHost, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, other = open_host(), open_host()
    ids = [host.store(f"fact {n}")["id"] for n in range(2)]
    host.delete(*ids)
    clock.advance(days=31)
    list_due = retention.list_due

    def with_a_restore_in_between(*arguments: Any) -> Any:
        found = list_due(*arguments)
        restore_memories(other.app, ids[:1])
        return found

    monkeypatch.setattr(retention, "list_due", with_a_restore_in_between)
    assert run_retention(host.app)["erased"] == ids[1:]
    assert host.found("fact") == ids[:1]


def test_a_process_that_lives_for_one_call_removes_nothing_by_the_way(tmp_path: Path, clock: Clock) -> None:
    from sediment_mcp.app import Application

    host = Host(tmp_path / "data", clock)
    note = host.store("Lunch", kind="working")["id"]
    clock.advance(days=9)
    with host.app.storage.write() as session:
        session.retention.set_readings(ClockReadings(clock(), clock()))
    brief = Application(
        replace(host.app.config, tuning=Tuning()), clock=clock, load=host._load, is_resident=False
    )
    brief.storage.open()
    brief.run_jobs(ignore_progress)
    assert kept(host) == {note}
    brief.close()
    host.end()


# --- without a trace ----------------------------------------------------------------------------


@pytest.mark.parametrize("flushed", [False, True], ids=["memtable", "snapshot"])
@pytest.mark.parametrize("how", ["expired", "trashed"])
def test_what_has_ended_leaves_no_trace_in_any_file_or_process(
    open_host: OpenHost, clock: Clock, flushed: bool, how: str
) -> None:
    host, other = open_host(tuning=SMALL), open_host(tuning=SMALL)
    end = {"expires_at": "2026-05-09"} if how == "expired" else {}
    victim = host.store(SECRET, **end)["id"]
    if flushed:
        for n in range(9):
            host.store(f"heron {n} wades")
        host.run_jobs()
    rest = host.store("An otter swims")["id"]
    for each in (host, other):
        assert each.found_by_words("xylophonesecret") == {victim}
    assert flushed or SECRET in held_in_memory(other)
    assert flushed or "xylophonesecret" in held_in_memory(other)
    if how == "trashed":
        host.delete(victim)
        assert flushed or SECRET in held_in_memory(other), "it has not been asked since"
    clock.advance(days=40)
    assert host.traces(SECRET), "the test looks in the wrong place"
    two_looks(host, clock)
    assert host.traces(SECRET) == []
    other.run_jobs()  # an idle process is woken once a minute, and is asked nothing
    for each in (host, other):
        assert not any("xylophone" in text or "qwertz" in text for text in held_in_memory(each))
    for each in (host, other):
        assert each.found_by_words("xylophonesecret") == set()
        assert each.found_by_words("otter") == {rest}


def test_a_permanent_deletion_empties_the_memtable_of_an_idle_process(open_host: OpenHost) -> None:
    host, other = open_host(), open_host()
    victim = host.store(SECRET)["id"]
    host.store("An otter swims")
    other.found("xylophonesecret")
    assert SECRET in held_in_memory(other)
    assert vectors_held(other) == 2
    host.delete(victim, permanent=True)
    other.run_jobs()
    assert not any("xylophone" in text for text in held_in_memory(other))
    assert vectors_held(other) == 1


def test_many_erased_memories_cost_one_new_text_index(
    host: Host, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(20):
        host.store(f"{SECRET} {n}", kind="working")
    host.store("stays")
    host.rebuild_text()
    written: list[bool] = []
    write = TantivyWriter.write

    def counted(writer: TantivyWriter, base: Any, *arguments: Any, **named: Any) -> None:
        written.append(base is None)
        write(writer, base, *arguments, **named)

    monkeypatch.setattr(TantivyWriter, "write", counted)
    clock.advance(days=9)
    assert len(run_retention(host.app)["erased"]) == 20
    assert written == [True]
    run_retention(host.app)
    assert written == [True], "nothing is left that would have to be written anew"
    assert host.traces(SECRET) == []


def erase_and_crash(host: Host) -> None:
    """Erase a memory with ``SECRET`` and crash before the text index, which has its words, is written."""
    victim = host.store(SECRET)["id"]
    host.store("An otter swims")
    host.rebuild_text()
    with host.app.storage.write(secure_erase=True) as session:
        session.erase(session.get([victim])[victim])
    host.crash()


def test_words_that_a_killed_process_left_in_the_index_are_found_and_removed(host: Host) -> None:
    erase_and_crash(host)
    assert host.traces(SECRET)
    host.run_jobs()
    assert host.traces(SECRET) == []


def test_a_long_running_process_removes_them_too_without_waiting_an_hour(open_host: OpenHost) -> None:
    survivor, killed = open_host(tuning=SMALL), open_host(tuning=SMALL)
    survivor.list()
    survivor.run_jobs()  # it has looked already
    erase_and_crash(killed)
    assert survivor.traces(SECRET)
    survivor.run_jobs()
    assert survivor.traces(SECRET) == []


@pytest.mark.sqlite_only("the log of a server is the server's")
def test_an_erased_text_that_a_killed_process_left_in_the_log_is_removed(open_host: OpenHost) -> None:
    """A slow reader kept it from emptying the log, and then it was killed."""
    killed, reader = open_host(tuning=replace(QUIET, erase_timeout_ms=0)), open_host()
    victim = killed.store(SECRET)["id"]
    with reader.app.storage.read() as session:
        session.changes.seq()
        killed.delete(victim, permanent=True)
        assert killed.traces(SECRET)
        killed.crash()
    reader.list()
    assert killed.traces(SECRET), "nobody has written since"
    open_host().run_jobs()
    assert killed.traces(SECRET) == []


def raw_vectors(host: Host, text: str) -> bool:
    """Whether the bytes of a text's vector are in any snapshot of vectors."""
    from sediment_mcp.embeddings.codec import encode_vectors

    assert host.model is not None
    (vector,) = encode_vectors(host.model.embed_documents([text]).vectors)
    return any(vector in file.read_bytes() for file in host.files.glob("vectors-*"))


@pytest.mark.parametrize("trashed", [False, True])
def test_an_erased_vector_leaves_the_snapshot_within_the_hour(
    host: Host, clock: Clock, trashed: bool
) -> None:
    texts = [f"kiwi number{n}" for n in range(8)]
    ids = [host.store(text)["id"] for text in texts]
    embedder = host.app.model.get()
    assert embedder is not None
    host.app.services.indexer.write_vectors(embedder.identity)
    host.run_jobs()
    if trashed:
        host.delete(ids[3])
    host.delete(ids[3], permanent=True)
    assert raw_vectors(host, texts[3]), "the test looks in the wrong place"
    clock.advance(hours=1)
    host.run_jobs()
    assert not raw_vectors(host, texts[3])
    assert raw_vectors(host, texts[4])
    assert len(QuantizedIndex(host.files, embedder.identity.fingerprint, DIMENSION)) == 7
    assert host.found_by_meaning(texts[4]) == {ids[4]}


def test_the_last_vector_leaves_its_snapshot_too(host: Host) -> None:
    identity = host.store(SECRET)["id"]
    embedder = host.app.model.get()
    assert embedder is not None
    host.app.services.indexer.write_vectors(embedder.identity)
    assert raw_vectors(host, SECRET)
    host.delete(identity, permanent=True)
    run_retention(host.app)
    assert not raw_vectors(host, SECRET)
    again = host.store(SECRET)["id"]
    assert host.found_by_meaning(SECRET) == {again}


def test_another_model_s_snapshot_with_an_erased_vector_is_taken_away(open_host: OpenHost) -> None:
    old, new = open_host(model=EmbeddingDouble("old")), open_host(model=EmbeddingDouble("new"))
    ids = [old.store(f"kiwi number{n}")["id"] for n in range(4)]
    embedder = old.app.model.get()
    assert embedder is not None
    old.app.services.indexer.write_vectors(embedder.identity)
    new.delete(ids[0], permanent=True)
    nobody = open_host(model=None)
    run_retention(nobody.app)
    assert raw_vectors(old, "kiwi number0"), "nobody knows which model is in use"
    run_retention(new.app)
    assert list(old.files.glob("vectors-*")) == []
    assert old.found_by_meaning("kiwi number1") == {ids[1]}


def test_an_index_without_anything_erased_is_not_written_anew(
    host: Host, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        host.store(f"kiwi number{n}")
    embedder = host.app.model.get()
    assert embedder is not None
    host.app.services.indexer.write_vectors(embedder.identity)
    host.rebuild_text()
    fresh = host.store("never in any snapshot of vectors")["id"]
    host.delete(fresh, permanent=True)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing erased is in it")

    monkeypatch.setattr(Indexer, "write_vectors", refuse)
    monkeypatch.setattr(Indexer, "write_text", refuse)
    run_retention(host.app)


@pytest.mark.parametrize(("kind", "end"), [("semantic", None), ("working", "2026-05-21T12:00:00Z")])
def test_what_has_ended_in_the_trash_is_found_once_it_is_restored(
    host: Host, clock: Clock, kind: str, end: str | None
) -> None:
    note = host.store("Lunch with Ada", kind=kind, expires_at="2026-05-09")["id"]
    host.delete(note)
    clock.advance(days=12)
    assert restore_memories(host.app, [note]) == {"restored": [note]}
    (found,) = host.list()["memories"]
    assert (found["id"], found["expires_at"]) == (note, end)


def test_a_restored_memory_keeps_an_end_that_is_still_to_come(host: Host, clock: Clock) -> None:
    note = host.store("Lunch with Ada", expires_at="2026-05-29T12:00:00Z")["id"]
    host.delete(note)
    clock.advance(days=12)
    restore_memories(host.app, [note])
    (found,) = host.list()["memories"]
    assert found["expires_at"] == "2026-05-29T12:00:00Z"
