"""Two devices with data directories of their own and one folder: real servers, real processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.command_line import PROGRAM, process
from support.devices import IDENTITY
from support.stdio_peer import REPOSITORY, TIMEOUT, StdioPeer

from sediment_mcp.app import Application
from sediment_mcp.config import DATA_DIR, Config
from sediment_mcp.sync.settings import SyncSettings, write_settings

pytestmark = [pytest.mark.slow, pytest.mark.process]


def pair(data: Path, folder: Path, device: str, *, is_automatic: bool = False) -> None:
    folder.mkdir(exist_ok=True)
    with contextlib.closing(Application(Config(data), is_resident=False)) as app:
        write_settings(app, SyncSettings(folder, device, IDENTITY, is_automatic))


def wait_for(condition: Callable[[], object], what: str) -> None:
    limit = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < limit, what
        time.sleep(0.05)


def find(peer: StdioPeer, query: str) -> list[str]:
    answer = peer.call("query_memory", query=query)
    assert not answer["isError"], answer
    return [result["content"] for result in answer["structuredContent"]["results"]]


@pytest.mark.model
def test_a_server_finds_by_meaning_what_another_device_s_server_has_stored(tmp_path: Path) -> None:
    folder = tmp_path / "carried"
    for device in ("laptop", "desktop"):
        pair(tmp_path / device, folder, device, is_automatic=True)
    with StdioPeer(tmp_path / "laptop") as laptop, StdioPeer(tmp_path / "desktop") as desktop:
        for peer in (laptop, desktop):
            peer.initialize()
        assert find(desktop, "How hot does the oven for pottery get?") == []
        laptop.call("store_memory", content="The kiln reaches 1,200 degrees after two hours")
        wait_for(lambda: [*folder.glob("laptop/0*.age")], "the laptop has written nothing")
        # The first query takes it over; on a machine under load it may take longer than that waits.
        wait_for(lambda: find(desktop, "How hot does the oven for pottery get?"), "the desktop finds nothing")
        assert "kiln" in find(desktop, "How hot does the oven for pottery get?")[0]


def start_watch(data: Path, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, "sync", "--watch", "--every", "1", "--json"],
        env={**os.environ, DATA_DIR: str(data), "PYTHONPATH": str(REPOSITORY), "SEDIMENT_MODEL": "none"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals for processes")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_watching_survives_a_folder_that_is_away_and_ends_at_a_signal(tmp_path: Path, number: int) -> None:
    folder, data = tmp_path / "carried", tmp_path / "laptop"
    pair(data, folder, "laptop")
    shutil.move(folder, tmp_path / "away")
    watching = start_watch(data)
    assert watching.stdout is not None
    assert watching.stderr is not None
    try:
        said = ""
        while "is not there" not in said:
            said += watching.stderr.readline()
        shutil.move(tmp_path / "away", folder)
        while "Synchronizing again" not in said:
            said += watching.stderr.readline()
        environment = {DATA_DIR: str(data), "SEDIMENT_MODEL": "none"}
        stored = process("store", "The till prints in blue", environment=environment)
        assert stored.returncode == 0, stored.stderr
        assert json.loads(watching.stdout.readline().rstrip() or "{}")
        assert [*folder.glob("laptop/0*.age")]
        watching.send_signal(number)
        assert watching.wait(TIMEOUT) == 0
        assert "Traceback" not in watching.stderr.read()
    finally:
        watching.kill()
        watching.communicate()
