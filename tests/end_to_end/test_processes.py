"""Four processes on one directory, or on two machines over one server: each finds its own writes at once, and
those of the others; in the end all see the same."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support.backends import ENCRYPTED, POSTGRES, SQLITE, Backend, environment
from support.host import SMALL, Host
from support.worker import FOLDER, PROGRAM, assert_found, assert_gone, everything

from sediment_mcp.background.worker import Worker
from sediment_mcp.system.progress import Progress
from sediment_mcp.tuning import Tuning

NAMES = ("ada", "bob", "cyd", "dov")
STEPS = {SQLITE: 40, POSTGRES: 20, ENCRYPTED: 20}


def run_all(directory: Path, backend: Backend) -> None:
    places = [directory / "data", directory / ("elsewhere" if backend.name == POSTGRES else "data")]
    running = [
        subprocess.Popen(
            [*PROGRAM, "mix", directory, name, str(STEPS[backend.name]), places[number % 2]], cwd=FOLDER,
            env={**os.environ, **environment(directory / "data")},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number, name in enumerate(NAMES)
    ]  # fmt: skip
    outcomes = [(process.communicate(timeout=200), process.returncode) for process in running]
    for (said, complained), code in outcomes:
        assert code == 0, complained[-3000:]
        assert complained == ""
        assert json.loads(said.splitlines()[-1])[0] == "done"


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.over_both
@pytest.mark.over_encrypted
def test_four_processes_agree_at_every_moment_and_in_the_end(tmp_path: Path, backend: Backend) -> None:
    run_all(tmp_path, backend)
    steps = STEPS[backend.name]
    entries = [
        json.loads(line) for path in tmp_path.glob("*.journal") for line in path.read_text().splitlines()
    ]
    deleted = {entry[1] for entry in entries if entry[0] == "deleting"}
    own = {entry[1]: entry[2] for entry in entries if entry[0] == "stored"}
    shared: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry[0] == "shared":
            shared[entry[2]].add(entry[1])
    assert len(own) == len(NAMES) * steps
    assert len(deleted) == len(NAMES) * steps // 4
    assert len(shared) == steps
    assert all(len(ids) == 1 for ids in shared.values()), "the same text became two memories"
    expected = {i: text for i, text in own.items() if i not in deleted}
    expected |= {next(iter(ids)): text for text, ids in shared.items()}

    host = Host(tmp_path / "data")
    there = {memory["id"]: memory for memory in everything(host)}
    assert {identity: memory["content"] for identity, memory in there.items()} == expected
    assert all(set(there[next(iter(ids))]["tags"]) == set(NAMES) for ids in shared.values())
    for identity, text in expected.items():
        assert_found(host, identity, text)
    for identity in deleted:
        assert_gone(host, own[identity])
    assert len(host.open_text_index()) > len(expected) // 2
    assert len(host.open_vector_index()) > len(expected) // 2
    with host.app.storage.read() as session:
        if not host.app.config.database:  # a server looks after its own files
            assert session.database.integrity_faults() == []
        assert session.changes.seq() >= len(NAMES) * steps * 2
    host.end()


@pytest.mark.slow
@pytest.mark.over_both
def test_threads_of_one_process_share_one_application(tmp_path: Path) -> None:
    """The server calls from several threads, and the background works beside them."""
    host = Host(tmp_path / "data", tuning=replace(SMALL, settle_seconds=0))

    def work(name: str) -> dict[str, str]:
        own: dict[str, str] = {}
        for step in range(15):
            text = f"{name}word{step} was written by {name}"
            identity = host.store(text)["id"]
            assert_found(host, identity, text)
            own[identity] = text
            if step % 5 == 4:
                host.delete(identity, permanent=step % 2 == 0)
                assert_gone(host, own.pop(identity))
        return own

    with ThreadPoolExecutor(len(NAMES)) as threads:
        expected = {i: text for own in threads.map(work, NAMES) for i, text in own.items()}
    assert {memory["id"]: memory["content"] for memory in everything(host)} == expected
    host.end()


def test_work_that_fails_is_not_tried_again_at_once() -> None:
    """It wakes its own thread by the writes that came before its failure."""
    tried, again = threading.Event(), threading.Event()

    def work(_: Progress) -> None:
        (again if tried.is_set() else tried).set()
        thread.wake()
        raise RuntimeError("on purpose")

    thread = Worker(work, Tuning(settle_seconds=0))
    thread.wake()
    assert tried.wait(30)
    assert not again.wait(0.3)
    thread.close(30)
