"""Removing what has ended: by whom, when, without a trace; and how what is in the trash comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.embedding_double import DIMENSION, EmbeddingDouble
from support.host import Clock, Host
from support.traces import traces

from sediment_mcp import app as library_module
from sediment_mcp.background import retention, worker
from sediment_mcp.domain.retention import Looks, Rule
from sediment_mcp.indexes import tantivy_index
from sediment_mcp.indexes.indexer import CatchUp
from sediment_mcp.indexes.usearch_index import VectorIndex
from sediment_mcp.operations.trash import (
    clear_rules,
    list_deleted,
    preview_retention,
    restore_memories,
    retention_rules,
    run_retention,
    set_rule,
)
from sediment_mcp.system.files import locked
from sediment_mcp.system.progress import Stopped, until, unwatched

OpenHost = Callable[..., Host]
SECRET = "xylophonesecret qwertzuiopword zyzzyvaunique"
DAY = timedelta(days=1)


def previewed(host: Host) -> dict[str, str]:
    """id → action"""
    return {m["id"]: m["action"] for m in preview_retention(host.library, 1000)["memories"]}


def kept(host: Host) -> set[str]:
    """The ids of all rows, found or not."""
    with host.library.read() as store:
        return {row[0] for row in store.rows("SELECT id FROM memories", ())}


def two_looks(host: Host, clock: Clock) -> None:
    """Two by one process, a day apart: what was due at the first goes unasked at the second."""
    host.tend()
    clock.advance(days=1)
    host.tend()


def held_in_memory(host: Host) -> set[str]:
    """Every text and every word that a process's tail holds."""
    opened = host.library._opened
    assert opened is not None
    tail = opened.search.text._tail
    return {memory.content for memory, _ in tail._memories.values()} | set(tail._postings)


def vectors_held(host: Host) -> int:
    opened = host.library._opened
    assert opened is not None
    return len(opened.search.vectors._tail) if opened.search.vectors else 0


# --- what goes ----------------------------------------------------------------------------------


def test_the_expired_is_erased_after_its_grace_and_not_before(host: Host, clock: Clock) -> None:
    note = host.store("Lunch with Ada", kind="working")["id"]
    rest = host.store("Ada likes tea")["id"]
    clock.advance(days=8, seconds=-1)
    assert host.found("Ada") == [rest]
    assert previewed(host) == {}
    assert run_retention(host.library) == {"erased": [], "trashed": []}
    clock.advance(seconds=1)
    assert previewed(host) == {note: "erase"}
    assert run_retention(host.library) == {"erased": [note], "trashed": []}
    assert kept(host) == {rest}
    assert preview_retention(host.library, 10) == {"memories": [], "total": 0}


def test_the_trash_ends_after_thirty_days(host: Host, clock: Clock) -> None:
    deleted, rest = host.store("gone")["id"], host.store("here")["id"]
    recoverable_until = host.delete(deleted)["recoverable_until"]
    clock.advance(days=30, seconds=-1)
    assert previewed(host) == {}
    clock.advance(seconds=1)
    assert recoverable_until == clock().isoformat().replace("+00:00", "Z")
    assert run_retention(host.library)["erased"] == [deleted]
    assert kept(host) == {rest}
    assert restore_memories(host.library, [deleted]) == ([], [deleted])


def test_by_default_nothing_else_ever_goes(host: Host, clock: Clock) -> None:
    ids = {host.store(f"{kind} {n}", kind=kind)["id"] for kind in ("semantic", "episodic") for n in range(5)}
    clock.advance(days=36_500)
    host.tend()
    assert kept(host) == ids
    assert host.list()["total"] == len(ids)


def test_a_rule_puts_into_the_trash_what_can_be_restored_and_then_stays(host: Host, clock: Clock) -> None:
    old = host.store("Met Bob", kind="episodic", occurred_at="2026-01-01")["id"]
    clock.advance(days=20)
    new = host.store("Met Bob's dog", kind="episodic")["id"]
    pinned = host.store("Met Bob's cat", kind="episodic", importance=1, occurred_at="2020-01-01")["id"]
    set_rule(host.library, Rule("kind", "episodic", 10 * DAY))
    clock.advance(days=0.5)
    shown = preview_retention(host.library, 10)["memories"]
    assert [(m["id"], m["content"], m["action"]) for m in shown] == [(old, "Met Bob", "trash")]
    assert shown[0]["reason"] == "kind episodic: older than 10 days"
    assert run_retention(host.library) == {"erased": [], "trashed": [old]}
    assert set(host.found("Bob")) == {new, pinned}
    assert [m["id"] for m in list_deleted(host.library, 10)["memories"]] == [old]
    assert restore_memories(host.library, [old]) == ([old], [])
    clock.advance(hours=2)
    host.tend()
    assert set(host.found("Bob")) == {old, new, pinned}, "its age counts from the day it was restored"
    clock.advance(days=10)
    two_looks(host, clock)
    assert host.found("Bob") == [pinned]
    clock.advance(days=31)
    two_looks(host, clock)
    assert kept(host) == {pinned}


def test_a_report_of_long_ago_is_as_old_as_its_storing(host: Host) -> None:
    set_rule(host.library, Rule("kind", "episodic", 10 * DAY))
    identity = host.store("The wall fell", kind="episodic", occurred_at="1989-11-09")["id"]
    host.tend()
    assert host.found("wall") == [identity]


def test_a_maximum_number_keeps_the_newest_and_drops_history_first(host: Host, clock: Clock) -> None:
    ids: list[str] = []
    for n in range(6):
        ids.append(host.store(f"Red fact {n}", tags=["red"], replaces=ids[4:5] if n == 5 else [])["id"])
        clock.advance(minutes=1)
    host.store("Blue fact")
    set_rule(host.library, Rule("tag", "red", max_count=3))
    assert set(previewed(host)) == {ids[0], ids[1], ids[4]}
    assert set(run_retention(host.library)["trashed"]) == {ids[0], ids[1], ids[4]}
    assert set(host.found("red fact", tags=["red"])) == {ids[2], ids[3], ids[5]}


def test_rules_are_set_shown_and_cleared(host: Host) -> None:
    set_rule(host.library, Rule("kind", "working", DAY))
    set_rule(host.library, Rule("kind", "working", None, 5))
    set_rule(host.library, Rule("tag", "red", 3 * DAY, 7))
    shown = [
        {"kind": "working", "tag": None, "max_age": None, "max_count": 5},
        {"kind": None, "tag": "red", "max_age": 3, "max_count": 7},
    ]
    assert retention_rules(host.library) == shown
    host.crash()
    assert clear_rules(host.library, "kind", "red") == []
    assert clear_rules(host.library, "tag", "red") == shown[1:]
    assert clear_rules(host.library, None, "") == shown[:1]
    assert retention_rules(host.library) == []


def test_a_long_preview_shows_its_beginning_and_the_true_number(host: Host, clock: Clock) -> None:
    for n in range(7):
        host.store(f"note {n}", kind="working")
    clock.advance(days=9)
    shown = preview_retention(host.library, 2)
    assert (len(shown["memories"]), shown["total"]) == (2, 7)
    assert len(run_retention(host.library)["erased"]) == 7


# --- who does it, and when ----------------------------------------------------------------------


def test_a_server_looks_once_an_hour(host: Host, clock: Clock) -> None:
    note = host.store("Lunch", expires_at="2026-05-08T12:30:00Z")["id"]
    clock.advance(days=7, minutes=30)
    host.tend()
    clock.advance(hours=23, minutes=30)
    host.tend()
    clock.advance(minutes=59)
    host.tend()
    assert kept(host) == {note}
    clock.advance(minutes=1)
    host.tend()
    assert kept(host) == set()


@pytest.mark.parametrize("days", [1, 9, 40, 4000])
def test_a_clock_that_jumps_ahead_and_is_put_right_within_a_day_removes_nothing(
    open_host: OpenHost, clock: Clock, days: int
) -> None:
    one, other = open_host(), open_host()
    set_rule(one.library, Rule("kind", "episodic", DAY))
    one.delete(one.store("deleted")["id"])
    ids = {one.store("Lunch", kind="working")["id"], one.store("Met Bob", kind="episodic")["id"]}
    one.tend()
    for _ in range(3):
        clock.advance(days=days)
        for each in (one, other, other, one):
            each.tend()
            clock.advance(hours=5)
        clock.advance(days=-days)
        one.tend()
        clock.advance(hours=-19)
    assert ids <= set(one.found("Lunch Bob"))
    assert len(kept(one)) == 3
    clock.advance(days=31)
    one.tend()
    open_host().tend()
    assert len(kept(one)) == 3
    clock.advance(days=1)
    one.tend()
    assert len(kept(one)) == 1


def test_a_machine_that_is_seldom_on_removes_at_each_visit_what_was_due_at_the_one_before(
    open_host: OpenHost, clock: Clock
) -> None:
    lunch = []
    for _ in range(4):
        host = open_host()
        host.list()
        host.tend()
        lunch.append(host.store(f"Lunch {len(lunch)}", kind="working")["id"])
        host.end()
        clock.advance(days=9)
    assert kept(open_host()) == set(lunch[2:])


def test_a_clock_that_was_set_back_does_not_end_the_looking(host: Host, clock: Clock) -> None:
    clock.advance(days=300)
    host.store("x")
    host.tend()
    clock.advance(days=-200)
    note = host.store("Lunch", kind="working")["id"]
    clock.advance(days=9)
    two_looks(host, clock)
    assert note not in kept(host)


def test_one_process_at_a_time_does_it(host: Host, clock: Clock) -> None:
    note = host.store("Lunch", kind="working")["id"]
    clock.advance(days=9)
    with locked(host.directory / retention.LOCK):
        two_looks(host, clock)
        assert kept(host) == {note}


def test_the_background_thread_of_a_server_does_it_unasked(
    open_host: OpenHost, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = open_host()
    early.store("Lunch", kind="working")
    clock.advance(days=9)
    early.tend()
    early.end()
    clock.advance(days=1)
    monkeypatch.setattr(worker, "SETTLE", 0.0)
    done, run = threading.Event(), retention.Retention._run

    def watched(*arguments: Any, **named: Any) -> Any:
        result = run(*arguments, **named)
        done.set()
        return result

    monkeypatch.setattr(retention.Retention, "_run", watched)
    server = open_host()
    server.list()  # the first call of any kind wakes it
    assert done.wait(30)
    assert kept(server) == set()


def test_a_run_stops_between_two_batches_and_is_taken_up_again(
    open_host: OpenHost, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    host = open_host()
    for n in range(8):
        host.store(f"{SECRET} {n}", kind="working")
    host.rebuild_text()
    clock.advance(days=9)
    host.tend()
    clock.advance(days=1)
    looks = iter([False] * 2 + [True] * 100)
    with pytest.raises(Stopped):
        host.library.tend(until(lambda: next(looks)))
    assert len(kept(host)) == 5
    host.crash()
    host.tend()
    assert kept(host) == set()
    assert traces(host.directory, SECRET) == []


def test_what_changes_after_the_decision_is_left_for_the_next_time(
    open_host: OpenHost, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, other = open_host(), open_host()
    ids = [host.store(f"fact {n}")["id"] for n in range(2)]
    host.delete(*ids)
    clock.advance(days=31)
    upcoming = retention.upcoming

    def with_a_restore_in_between(*arguments: Any) -> Any:
        found = upcoming(*arguments)
        restore_memories(other.library, ids[:1])
        return found

    monkeypatch.setattr(retention, "upcoming", with_a_restore_in_between)
    assert run_retention(host.library)["erased"] == ids[1:]
    assert host.found("fact") == ids[:1]


def test_a_process_that_lives_for_one_call_removes_nothing_by_the_way(tmp_path: Path, clock: Clock) -> None:
    from sediment_mcp.app import Library
    from sediment_mcp.config import Config

    host = Host(tmp_path / "data", clock)
    note = host.store("Lunch", kind="working")["id"]
    clock.advance(days=9)
    with host.library.write() as store:
        store.ages.set_looks(Looks(clock(), clock()))
    brief = Library(Config(host.directory), clock=clock, load=host._load, tends=False)
    brief._open()
    brief.tend(unwatched)
    assert kept(host) == {note}
    brief.close()
    host.end()


# --- without a trace ----------------------------------------------------------------------------


@pytest.mark.parametrize("flushed", [False, True], ids=["tail", "snapshot"])
@pytest.mark.parametrize("how", ["expired", "trashed"])
def test_what_has_ended_leaves_no_trace_in_any_file_or_process(
    open_host: OpenHost, small_thresholds: None, clock: Clock, flushed: bool, how: str
) -> None:
    host, other = open_host(), open_host()
    end = {"expires_at": "2026-05-09"} if how == "expired" else {}
    victim = host.store(SECRET, **end)["id"]
    if flushed:
        for n in range(9):
            host.store(f"heron {n} wades")
        host.tend()
    rest = host.store("An otter swims")["id"]
    for each in (host, other):
        assert each.found_by_words("xylophonesecret") == {victim}
    assert flushed or SECRET in held_in_memory(other)
    assert flushed or "xylophonesecret" in held_in_memory(other)
    if how == "trashed":
        host.delete(victim)
        assert flushed or SECRET in held_in_memory(other), "it has not been asked since"
    clock.advance(days=40)
    assert traces(host.directory, SECRET), "the test looks in the wrong place"
    two_looks(host, clock)
    assert traces(host.directory, SECRET) == []
    other.tend()  # an idle process is woken once a minute, and is asked nothing
    for each in (host, other):
        assert not any("xylophone" in text or "qwertz" in text for text in held_in_memory(each))
    for each in (host, other):
        assert each.found_by_words("xylophonesecret") == set()
        assert each.found_by_words("otter") == {rest}


def test_permanent_empties_the_tail_of_an_idle_process(open_host: OpenHost) -> None:
    host, other = open_host(), open_host()
    victim = host.store(SECRET)["id"]
    host.store("An otter swims")
    other.found("xylophonesecret")
    assert SECRET in held_in_memory(other)
    assert vectors_held(other) == 2
    host.delete(victim, permanent=True)
    other.tend()
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
    write = tantivy_index.write_snapshot

    def counted(directory: Path, base: Any, *arguments: Any, **named: Any) -> None:
        written.append(base is None)
        write(directory, base, *arguments, **named)

    monkeypatch.setattr(tantivy_index, "write_snapshot", counted)
    clock.advance(days=9)
    assert len(run_retention(host.library)["erased"]) == 20
    assert written == [True]
    run_retention(host.library)
    assert written == [True], "nothing is left that would have to be written anew"
    assert traces(host.directory, SECRET) == []


def test_words_that_a_killed_process_left_in_the_index_are_found_and_removed(host: Host) -> None:
    victim = host.store(SECRET)["id"]
    host.store("An otter swims")
    host.rebuild_text()
    with host.library.write(erase=True) as store:  # as if the process had ended before the index was written
        store.erase(store.by_ids([victim])[victim])
    host.crash()
    assert traces(host.directory, SECRET)
    host.tend()
    assert traces(host.directory, SECRET) == []


def test_a_long_running_process_removes_them_too_without_waiting_an_hour(
    open_host: OpenHost, small_thresholds: None
) -> None:
    survivor, killed = open_host(), open_host()
    survivor.list()
    survivor.tend()  # it has looked already
    victim = killed.store(SECRET)["id"]
    killed.store("An otter swims")
    killed.rebuild_text()
    with killed.library.write(erase=True) as store:
        store.erase(store.by_ids([victim])[victim])
    killed.crash()
    assert traces(survivor.directory, SECRET)
    survivor.tend()
    assert traces(survivor.directory, SECRET) == []


def test_an_erased_text_that_a_killed_process_left_in_the_log_is_removed(
    open_host: OpenHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow reader kept it from emptying the log, and then it was killed."""
    monkeypatch.setattr(library_module, "ERASE_PATIENCE", 0)
    killed, reader = open_host(), open_host()
    victim = killed.store(SECRET)["id"]
    with reader.library.read() as store:
        store.seq()
        killed.delete(victim, permanent=True)
        assert traces(killed.directory, SECRET)
        killed.crash()
    reader.list()
    assert traces(killed.directory, SECRET), "nobody has written since"
    open_host().tend()
    assert traces(killed.directory, SECRET) == []


def raw_vectors(host: Host, text: str) -> bool:
    """Whether the bytes of a text's vector are in any snapshot of vectors."""
    from sediment_mcp.indexes.vector_search import pack

    assert host.model is not None
    (vector,) = pack(host.model.embed_documents([text]))
    return any(vector in file.read_bytes() for file in host.directory.glob("vectors-*.usearch"))


@pytest.mark.parametrize("trashed", [False, True])
def test_an_erased_vector_leaves_the_snapshot_within_the_hour(
    host: Host, clock: Clock, trashed: bool
) -> None:
    texts = [f"kiwi number{n}" for n in range(8)]
    ids = [host.store(text)["id"] for text in texts]
    embedder = host.library.embedder()
    assert embedder is not None
    host.library.catch_up.write_vectors(embedder.identity)
    host.tend()
    if trashed:  # removed from the index long before it is erased; its bytes stay in the file
        host.delete(ids[3])
        host.library.catch_up.write_vectors(embedder.identity)
    host.delete(ids[3], permanent=True)
    host.library.catch_up.write_vectors(embedder.identity)
    assert raw_vectors(host, texts[3]), "the test looks in the wrong place"
    clock.advance(hours=1)
    host.tend()
    assert not raw_vectors(host, texts[3])
    assert raw_vectors(host, texts[4])
    assert VectorIndex(host.directory, embedder.identity.fingerprint, DIMENSION).count == 7
    assert host.found_by_meaning(texts[4]) == {ids[4]}


def test_the_last_vector_leaves_its_snapshot_too(host: Host) -> None:
    identity = host.store(SECRET)["id"]
    embedder = host.library.embedder()
    assert embedder is not None
    host.library.catch_up.write_vectors(embedder.identity)
    assert raw_vectors(host, SECRET)
    host.delete(identity, permanent=True)
    run_retention(host.library)
    assert not raw_vectors(host, SECRET)
    again = host.store(SECRET)["id"]
    assert host.found_by_meaning(SECRET) == {again}


def test_another_model_s_snapshot_with_an_erased_vector_is_taken_away(open_host: OpenHost) -> None:
    old, new = open_host(model=EmbeddingDouble("old")), open_host(model=EmbeddingDouble("new"))
    ids = [old.store(f"kiwi number{n}")["id"] for n in range(4)]
    embedder = old.library.embedder()
    assert embedder is not None
    old.library.catch_up.write_vectors(embedder.identity)
    new.delete(ids[0], permanent=True)
    nobody = open_host(model=None)
    run_retention(nobody.library)
    assert raw_vectors(old, "kiwi number0"), "usearch must not be imported before there is a model"
    run_retention(new.library)
    assert list(old.directory.glob("vectors-*")) == []
    assert old.found_by_meaning("kiwi number1") == {ids[1]}


def test_an_index_without_anything_erased_is_not_written_anew(
    host: Host, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        host.store(f"kiwi number{n}")
    embedder = host.library.embedder()
    assert embedder is not None
    host.library.catch_up.write_vectors(embedder.identity)
    host.rebuild_text()
    fresh = host.store("never in any snapshot of vectors")["id"]
    host.delete(fresh, permanent=True)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing erased is in it")

    monkeypatch.setattr(CatchUp, "write_vectors", refuse)
    monkeypatch.setattr(CatchUp, "write_text", refuse)
    run_retention(host.library)


@pytest.mark.parametrize(("kind", "end"), [("semantic", None), ("working", "2026-05-21T12:00:00Z")])
def test_what_has_ended_in_the_trash_is_found_once_it_is_restored(
    host: Host, clock: Clock, kind: str, end: str | None
) -> None:
    note = host.store("Lunch with Ada", kind=kind, expires_at="2026-05-09")["id"]
    host.delete(note)
    clock.advance(days=12)
    assert restore_memories(host.library, [note]) == ([note], [])
    (found,) = host.list()["memories"]
    assert (found["id"], found["expires_at"]) == (note, end)


def test_a_restored_memory_keeps_an_end_that_is_still_to_come(host: Host, clock: Clock) -> None:
    note = host.store("Lunch with Ada", expires_at="2026-05-29T12:00:00Z")["id"]
    host.delete(note)
    clock.advance(days=12)
    restore_memories(host.library, [note])
    (found,) = host.list()["memories"]
    assert found["expires_at"] == "2026-05-29T12:00:00Z"
