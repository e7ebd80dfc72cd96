"""Servers that synchronize by themselves: what a query finds at once, and what the background does."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.devices import change_settings, pair, synchronize
from support.host import QUIET, Clock, Host

from sediment_mcp.server.tool_calls import call_tool, find_tool
from sediment_mcp.sync import automatic
from sediment_mcp.sync.automatic import synchronize_automatically
from sediment_mcp.sync.engine import SyncEngine
from sediment_mcp.sync.report import SyncReport
from sediment_mcp.sync.status import read_status
from sediment_mcp.system.progress import ignore_progress

OpenHost = Callable[..., Host]
PATIENT = replace(QUIET, sync_wait_seconds=60.0)
"""A query waits as long as the machine needs; how long it may wait is tested apart."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "carried"


@pytest.fixture
def other(open_host: OpenHost, folder: Path, tmp_path: Path) -> Host:
    """Return another device, which synchronizes only when a test says so."""
    return pair(open_host(directory=tmp_path / "other"), folder, "other")


@pytest.fixture
def server(open_host: OpenHost, folder: Path) -> Host:
    """Return the device whose server synchronizes by itself."""
    host = pair(open_host(tuning=PATIENT), folder, "server", is_automatic=True)
    synchronize_automatically(host.app)
    return host


def call(host: Host, query: str, project: str | None = None) -> list[str]:
    """Call the tool for queries as a host does; return the texts that it finds."""
    tool = find_tool("query_memory")
    answer: Any = call_tool(host.app, tool, {"query": query}, project, set())
    assert not answer["isError"], answer
    return [result["content"] for result in answer["structuredContent"]["results"]]


def test_a_query_finds_what_the_folder_has_from_another_device(server: Host, other: Host) -> None:
    for text in ("The kiln needs two hours", "The loom stands in the hall"):
        other.store(text)
        synchronize(other)
        assert text in call(server, text)


@pytest.mark.over_encrypted
def test_a_query_finds_it_by_meaning_too(server: Host, other: Host) -> None:
    stored = other.store("The kiln needs two hours")["id"]
    synchronize(other)
    call(server, "anything")
    assert server.found_by_meaning("The kiln needs two hours") == {stored}


def test_what_another_device_has_deleted_is_found_no_more(server: Host, other: Host) -> None:
    stored = other.store("The kiln needs two hours")["id"]
    synchronize(other)
    assert call(server, "kiln")
    other.clock.advance(minutes=1)
    other.delete(stored)
    synchronize(other)
    assert call(server, "kiln") == []


def test_a_query_does_nothing_while_servers_are_not_to_synchronize(server: Host, other: Host) -> None:
    change_settings(server, is_automatic=False)
    other.store("The kiln needs two hours")
    synchronize(other)
    assert call(server, "kiln") == []


def test_a_query_does_not_run_the_engine_unless_there_is_something_new(
    server: Host, other: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[object] = []
    monkeypatch.setattr(SyncEngine, "run", lambda self, *_, **__: runs.append(self) or SyncReport())
    for _ in range(3):
        call(server, "kiln")
    assert runs == []
    monkeypatch.undo()
    other.store("The kiln needs two hours")
    synchronize(other)
    assert call(server, "kiln")


def test_a_file_that_does_not_open_yet_is_tried_once_until_it_has_changed(
    server: Host, other: Host, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other.store("The kiln needs two hours")
    synchronize(other)
    [file] = folder.glob("other/0*.age")
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    assert call(server, "kiln") == []
    run, runs = SyncEngine.run, list[object]()
    monkeypatch.setattr(SyncEngine, "run", lambda self, *_, **__: runs.append(1) or run(self))
    assert call(server, "kiln") == []
    assert runs == []
    file.write_bytes(whole)
    assert call(server, "kiln")
    assert runs == [1]


def test_a_query_waits_for_a_folder_only_so_long(
    open_host: OpenHost, folder: Path, other: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = pair(open_host(tuning=replace(QUIET, sync_wait_seconds=0.01)), folder, "server", is_automatic=True)
    synchronize_automatically(host.app)
    host.store("What is here is found")
    released, ended = threading.Event(), threading.Event()
    take = automatic.Automatic._take_news  # pyright: ignore[reportPrivateUsage]

    def hang(self: automatic.Automatic, *arguments: Any) -> None:
        released.wait(60)
        take(self, *arguments)
        ended.set()

    monkeypatch.setattr(automatic.Automatic, "_take_news", hang)
    other.store("The kiln needs two hours")
    synchronize(other)
    for _ in range(3):  # the second and third meet the look of the first
        assert call(host, "What is here is found")
    assert not ended.is_set()
    released.set()
    assert ended.wait(60)
    assert host.found("kiln")


def test_a_query_works_while_the_folder_is_away(server: Host, folder: Path) -> None:
    server.store("The kiln needs two hours")
    shutil.rmtree(folder)
    assert call(server, "kiln") == ["The kiln needs two hours"]
    server.run_jobs()


def test_the_background_gives_what_is_stored_and_takes_what_is_there(
    server: Host, other: Host, clock: Clock
) -> None:
    clock.advance(minutes=1)
    server.store("The till prints in blue")
    server.run_jobs()
    synchronize(other)
    assert other.found("till")
    other.store("The kiln needs two hours")
    synchronize(other)
    clock.advance(minutes=1)
    server.run_jobs()
    assert server.found("kiln")


def test_the_background_runs_no_more_often_than_its_interval(
    server: Host, folder: Path, clock: Clock
) -> None:
    def files() -> int:
        return len([*folder.glob("server/0*.age")])

    for number in range(3):
        server.store(f"fact {number}")
        server.run_jobs()
    before = files()
    clock.advance(seconds=server.app.config.tuning.sync_seconds)
    server.run_jobs()
    assert files() == before + 1


def test_what_is_stored_within_the_interval_is_given_at_its_end(
    open_host: OpenHost, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken = threading.Event()
    host = pair(open_host(tuning=replace(QUIET, sync_seconds=0.05)), folder, "server", is_automatic=True)
    synchronize_automatically(host.app)
    host.store("fact 1")
    host.run_jobs()
    host.store("fact 2")
    monkeypatch.setattr(host.app, "wake", woken.set)
    host.run_jobs()
    assert woken.wait(60)


def test_a_project_that_was_opened_before_its_first_memory_comes_finds_it(
    server: Host, other: Host, tmp_path: Path
) -> None:
    places: list[str] = []
    for name in ("here", "there"):
        git = tmp_path / name / "shop" / ".git"
        git.mkdir(parents=True)
        (git / "config").write_text('[remote "origin"]\n\turl = git@example.com:ann/shop.git\n')
        places.append(str(git.parent))
    here, there = places
    assert call(server, "till", here) == []
    other.project = there
    other.store("The till prints in blue")
    synchronize(other)
    assert call(server, "till", here) == ["The till prints in blue"]
    with server.app.storage.read() as session:
        assert session.statistics.all_by_project() == {here: 1}


def test_settings_are_followed_while_the_server_runs(open_host: OpenHost, folder: Path, other: Host) -> None:
    host = open_host(tuning=replace(PATIENT, sync_seconds=0.0))
    synchronize_automatically(host.app)
    assert call(host, "kiln") == []
    pair(host, folder, "server", is_automatic=True)
    other.store("The kiln needs two hours")
    synchronize(other)
    assert call(host, "kiln")
    assert [device["waiting"] for device in read_status(host.app)["devices"]] == [0, 0]


def test_a_fault_of_the_folder_stops_no_other_background_job(server: Host, folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("no folder any more")
    server.store("The kiln needs two hours")
    server.app.run_jobs(ignore_progress)


def assert_prints_the_smallest_part(program: str) -> None:
    """Run a program that prints which modules were imported: those that ask whether there is more to do."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == str(
        ["sediment_mcp.sync", "sediment_mcp.sync.automatic", "sediment_mcp.sync.settings"]
    ), done.stderr


@pytest.mark.process
def test_who_does_not_synchronize_imports_nothing_for_it(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from sediment_mcp.config import Config; "
        "from sediment_mcp.server.parts import LateParts; from sediment_mcp.server.handlers import *; "
        f"parts = LateParts(Config(Path({str(tmp_path)!r}), model='none')); "
        "answer = call_tool(parts.app, find_tool('query_memory'), {'query': 'kiln'}, None, set()); "
        "assert not answer['isError'], answer; "
        "parts.app.run_jobs(lambda done, total: None); parts.close(); "
        "print(sorted(name for name in sys.modules if name.startswith(('sediment_mcp.sync', 'pyrage'))))"
    )
    assert_prints_the_smallest_part(program)


@pytest.mark.process
def test_a_server_s_first_call_waits_for_no_import_of_numpy() -> None:
    program = (
        "import sys, sediment_mcp.app; before = set(sys.modules); import sediment_mcp.sync.automatic; "
        "print(sorted(set(sys.modules) - before))"
    )
    assert_prints_the_smallest_part(program)
