"""A directory is encrypted and decrypted while other processes write to it; nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from support.command_line import PROGRAM, process
from support.encryption import own_keys
from support.host import SMALL, Host
from support.readable import find_readable, plant
from support.worker import FOLDER, everything
from support.worker import PROGRAM as WORKER

from sediment_mcp.maintenance.directory_conversion import list_plain_files
from sediment_mcp.maintenance.encryption import find_marker
from sediment_mcp.storage.sqlite.storage import DATABASE
from sediment_mcp.system.directory_encryption import MARKER

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.encrypt]

NAMES = ("ada", "bob", "cyd")
STEPS = 24
ENCRYPT, DECRYPT = ("encrypt", "--key", "file", "--yes"), ("decrypt", "--yes")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is of POSIX")


@pytest.fixture(autouse=True)
def keys() -> Iterator[Path]:
    """Keep keys of tests out of the user's settings, those of processes too."""
    with own_keys() as folder:
        yield folder


def read_journal(directory: Path) -> list[Any]:
    """Return what all writers have acknowledged so far."""
    lines = [
        line for path in directory.glob("*.journal") for line in path.read_text().splitlines(keepends=True)
    ]
    return [json.loads(line) for line in lines if line.endswith("\n")]


def wait_for_writes(directory: Path, count: int, writers: list[subprocess.Popen[str]]) -> None:
    """Wait until so many more memories were acknowledged by writers that all live."""
    target = len(read_journal(directory)) + count
    while len(read_journal(directory)) < target:
        for writer in writers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                assert writer.wait(0.01) == 0, writer.communicate()[1][-3000:]


def run(data_dir: Path, *words: str) -> None:
    done = process("--data-dir", str(data_dir), *words)
    assert done.returncode == 0, done.stderr.decode()


def test_writers_go_on_while_a_directory_is_encrypted_and_decrypted(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    writers = [
        subprocess.Popen(
            [*WORKER, "beside", tmp_path, name, str(STEPS), data_dir], cwd=FOLDER, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for name in NAMES
    ]  # fmt: skip
    wait_for_writes(tmp_path, 12, writers)
    run(data_dir, *ENCRYPT)
    assert not all(writer.poll() is not None for writer in writers), "the writers had ended before"
    wait_for_writes(tmp_path, 6, writers)
    run(data_dir, *DECRYPT)
    wait_for_writes(tmp_path, 6, writers)
    run(data_dir, *ENCRYPT)
    for writer in writers:
        said, complained = writer.communicate(timeout=200)
        assert writer.returncode == 0, complained[-3000:]
        assert json.loads(said.splitlines()[-1])[0] == "done"

    entries = read_journal(tmp_path)
    deleted = {entry[1] for entry in entries if entry[0] == "deleting"}
    stored = {entry[1]: entry[2] for entry in entries if entry[0] in ("stored", "shared")}
    host = Host(data_dir, tuning=SMALL)
    there = {memory["id"]: memory["content"] for memory in everything(host)}
    host.end()
    assert there == {memory_id: text for memory_id, text in stored.items() if memory_id not in deleted}
    run(data_dir, *ENCRYPT)  # a file that a writer had in its hands
    assert list_plain_files(data_dir) == []
    for path in data_dir.rglob("*"):
        assert path.is_dir() or b"was written by" not in path.read_bytes(), path


def kill_when(data_dir: Path, event: str, *words: str) -> None:
    """Start a command and kill it when a file is there, or is gone; it may be faster."""
    path = data_dir / event.removeprefix("no ")
    running = subprocess.Popen(
        [*PROGRAM, "--data-dir", str(data_dir), *words],
        env={**os.environ, "PYTHONPATH": str(FOLDER.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while path.exists() == event.startswith("no ") and running.poll() is None:
        pass
    running.send_signal(signal.SIGKILL)
    running.wait(60)


@POSIX
def test_a_killed_process_leaves_a_directory_that_opens_and_that_the_next_run_finishes(
    tmp_path: Path,
) -> None:
    data_dir = tmp_path / "data"
    host = Host(data_dir, tuning=SMALL)
    texts = {f"{plant('content')} number {number} came to the harbour" for number in range(8)}
    for text in texts:
        host.store(text)
    host.run_jobs()
    for _ in range(2):
        host.clock.advance(minutes=1)
        host.app.backups.make()
    config = host.app.config
    host.end()

    def assert_whole() -> None:
        host = Host(data_dir, tuning=SMALL)
        assert {memory["content"] for memory in everything(host)} == texts
        assert [host.app.backups.read_contents(one) for one in host.app.backups.list_all()].count(None) == 0
        host.end()

    copies = (f"{DATABASE}.converting.tmp", "memories.replacement.db")
    backup = next((data_dir / "backups").glob("made-*.db")).name
    for event in (MARKER, *copies, f"backups/{backup}.converting.tmp"):
        kill_when(data_dir, event, *ENCRYPT)
        assert_whole()
    run(data_dir, *ENCRYPT)
    assert find_marker(config).state == "encrypted"
    assert find_readable([data_dir]) == []
    assert_whole()
    for event in cycle((copies[0], f"backups/{backup}.converting.tmp", f"no {MARKER}")):
        kill_when(data_dir, event, *DECRYPT)
        assert_whole()
        if not (data_dir / MARKER).exists():
            break
    assert len(list_plain_files(data_dir)) >= 3
