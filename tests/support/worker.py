"""A process of its own for the tests of many processes and of crashes; not a test itself.

    python -m support.worker mix DIRECTORY NAME STEPS FILES      works beside others, checks every answer
    python -m support.worker beside DIRECTORY NAME STEPS FILES   the same, without a hand on indexes
    python -m support.worker victim DIRECTORY SEED PLACE ORDER   tells what it does, until it is killed

It tells on standard output, a JSON list a line. Indexes are written after a handful of changes.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sediment_mcp.indexes import quantized_index, tantivy_index
from sediment_mcp.indexes.array_files import PlainArrayFiles
from sediment_mcp.indexes.vector_files import VectorFiles
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.session import SqliteSession
from sediment_mcp.tuning import Tuning
from support.host import Host


def tell(*words: object) -> None:
    os.write(1, (json.dumps(words) + "\n").encode())


PROGRAM = (sys.executable, "-m", "support.worker")
FOLDER = Path(__file__).parents[1]  # where it is started, to find `support`

TUNING = Tuning(
    text_memtable_limit=5,
    exact_search_limit=8,
    vector_memtable_limit=5,
    commit_every=4,
    settle_seconds=0,  # the real background thread works beside every call
)


def assert_found(host: Host, memory_id: str, text: str) -> None:
    assert host.found_by_words(text.split(maxsplit=1)[0]) == {memory_id}, ("words", text)
    assert host.found_by_meaning(text) == {memory_id}, ("meaning", text)


def assert_gone(host: Host, text: str) -> None:
    assert host.found_by_words(text.split(maxsplit=1)[0]) == set(), ("words", text)
    assert host.found_by_meaning(text) == set(), ("meaning", text)


# --- one of several -----------------------------------------------------------------------------


class Journal:
    """What each process has acknowledged, in a file each, for the others to read."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._file = os.open(directory / f"{name}.journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, *entry: str) -> None:
        os.write(self._file, (json.dumps(entry) + "\n").encode())

    def everything(self) -> list[list[str]]:
        lines = [
            line for path in self._directory.glob("*.journal") for line in path.read_bytes().splitlines(True)
        ]
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def is_to_be_deleted(self, memory_id: str) -> bool:
        return any(entry[:2] == ["deleting", memory_id] for entry in self.everything())


def mix(directory: Path, name: str, steps: int, files: Path, *, runs_jobs: bool = True) -> None:
    host = Host(files, tuning=TUNING)
    journal, choose = Journal(directory, name), random.Random(name)
    own: dict[str, str] = {}
    for step in range(steps):
        text = f"{name}word{step} was written by {name}"
        memory_id = host.store(text)["id"]
        journal.write("stored", memory_id, text)
        own[memory_id] = text
        assert_found(host, memory_id, text)
        shared = host.store(f"shared{step} is written by everybody", tags=[name])
        journal.write("shared", shared["id"], f"shared{step} is written by everybody")
        assert shared["id"] in host.found(f"shared{step}", tags=[name])
        _look_at_others(host, journal, choose)
        if step % 4 == 3:
            gone = choose.choice(sorted(own))
            journal.write("deleting", gone)
            host.delete(gone, permanent=step % 8 == 7)
            assert_gone(host, own.pop(gone))
        if runs_jobs and step % 5 == 4:
            host.run_jobs()
    for memory_id, text in own.items():
        assert_found(host, memory_id, text)
    host.end()
    tell("done", len(own))


def _look_at_others(host: Host, journal: Journal, choose: random.Random) -> None:
    entries = [entry for entry in journal.everything() if entry[0] == "stored"]
    _, memory_id, text = choose.choice(entries)
    if not journal.is_to_be_deleted(memory_id):
        try:
            assert_found(host, memory_id, text)
        except AssertionError:
            if not journal.is_to_be_deleted(memory_id):
                raise


# --- the one that is killed ---------------------------------------------------------------------

PLACES: dict[str, tuple[Any, str]] = {
    "store: rows written": (SqliteSession, "add"),
    "store: committed": (SqliteDatabase, "checkpoint"),
    "text: announced": (tantivy_index.TantivyWriter, "write"),
    "text: in the commit": (tantivy_index, "_commit"),
    "text: committed": (tantivy_index, "make_private"),
    "text: pointer": (tantivy_index, "write_record"),
    "text: old folders": (tantivy_index, "remove_old"),
    "vectors: announced": (quantized_index.QuantizedWriter, "write"),
    "vectors: matrix": (quantized_index, "write_matrix"),
    "vectors: codes": (quantized_index, "write_codes"),
    "vectors: private": (quantized_index, "make_private"),
    "vectors: name": (quantized_index, "publish"),
    "vectors: pointer": (PlainArrayFiles, "write_record"),
    "vectors: old files": (VectorFiles, "remove_old"),
}


def watch(place: str, order: str, skipped: int) -> None:
    """Tell on entering and leaving ``place``, the first ``skipped`` times aside; with the order "halt" go no
    further after it, with "rush" go on, so that the end comes somewhere inside or shortly after."""
    owner, name = PLACES[place]
    original, visits = getattr(owner, name), iter(range(1_000_000))

    def watched(*arguments: Any, **named: Any) -> Any:
        if next(visits) < skipped:
            return original(*arguments, **named)
        tell("enter", place)
        result = original(*arguments, **named)
        if order == "halt":
            os.read(0, 1)  # until the end
        tell("leave", place)
        return result

    setattr(owner, name, watched)


def victim(directory: Path, seed: int, place: str, order: str) -> None:
    choose = random.Random(seed)
    host = Host(directory / "data", tuning=replace(TUNING, settle_seconds=1e6))
    known = json.loads(sys.stdin.readline())
    check(host, known)
    watch(place, order, choose.randrange(4))
    live: dict[str, str] = known["live"]
    for step in range(1_000_000):
        if step % 6 == 5 and live:
            memory_id = choose.choice(sorted(live))
            permanent = choose.random() < 0.5
            tell("deleting", memory_id)
            host.delete(memory_id, permanent=permanent)
            tell("deleted", memory_id)
            del live[memory_id]
        else:
            text = f"round{seed}step{step} was noted down"
            tell("storing", text)
            memory_id = host.store(text)["id"]
            tell("stored", memory_id, text)
            live[memory_id] = text
        if step % 3 == 2:
            host.run_jobs()


def check(host: Host, known: dict[str, Any]) -> None:
    """Compare everything with what was acknowledged; an act that was cut off is done or not, never half."""
    live: dict[str, str] = known["live"]
    act = known["cut off"]
    there = {memory["id"]: memory["content"] for memory in everything(host)}
    if act and act[0] == "storing":
        new = there.keys() - live.keys()
        assert {there[memory_id] for memory_id in new} <= {act[1]}
        live |= dict.fromkeys(new, act[1])
        if not new:
            known["gone"].append(act[1])
    if act and act[0] == "deleting" and act[1] not in there:
        known["gone"].append(live.pop(act[1]))
    assert there == live
    for memory_id, text in live.items():
        assert_found(host, memory_id, text)
    for text in known["gone"][-20:]:
        assert_gone(host, text)
    with contextlib.closing(sqlite3.connect(host.app.storage.path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    tell("checked", live, known["gone"][-20:])


def everything(host: Host) -> Iterator[Any]:
    cursor = None
    while True:
        page = host.list(limit=100, cursor=cursor)
        yield from page["memories"]
        cursor = page.get("next_cursor")
        if cursor is None:
            return


if __name__ == "__main__":
    job, folder, *rest = sys.argv[1:]
    jobs: dict[str, Callable[[], None]] = {
        "mix": lambda: mix(Path(folder), rest[0], int(rest[1]), Path(rest[2])),
        "beside": lambda: mix(Path(folder), rest[0], int(rest[1]), Path(rest[2]), runs_jobs=False),
        "victim": lambda: victim(Path(folder), int(rest[0]), rest[1], rest[2]),
    }
    jobs[job]()
