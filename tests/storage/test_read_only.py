"""A data directory that may only be read: a mounted backup, an old disk, a folder without rights.

As root the commands run without the privilege that lets it write everywhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command_line import PROGRAM
from support.stdio_peer import REPOSITORY, StdioPeer
from support.storage import add

from sediment_mcp.errors import StorageError
from sediment_mcp.storage.sqlite.read_only import ReadOnlyFile, is_read_only, open_unchanged
from sediment_mcp.storage.sqlite.storage import DATABASE, SqliteStorage
from sediment_mcp.system.data_directory import SOCKET
from sediment_mcp.tuning import Tuning

IS_ROOT = sys.platform != "win32" and os.geteuid() == 0
PLAIN = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if IS_ROOT else ()

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="folders there are not made read-only by a mode"),
    pytest.mark.skipif(IS_ROOT and shutil.which("setpriv") is None, reason="root writes everywhere"),
]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A data directory with two memories, after a clean end."""
    storage = SqliteStorage(tmp_path / "data", Tuning())
    for text in ("Releases go out on Tuesdays.", "The printer is broken."):
        add(storage, text)
    storage.close()
    yield tmp_path / "data"
    set_mode(tmp_path / "data", 0o600, 0o700)


def set_mode(directory: Path, file: int, folder: int) -> None:
    directory.chmod(0o700)
    for path in directory.iterdir():
        path.chmod(folder if path.is_dir() else file)
    directory.chmod(folder)


def run(directory: Path, *arguments: str) -> tuple[int, str]:
    settings = {"SEDIMENT_DATA_DIR": str(directory), "SEDIMENT_PROJECT": "", "SEDIMENT_MODEL": "none"}
    done = subprocess.run(
        [*PLAIN, *PROGRAM, *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout.decode()


def list_names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@pytest.mark.slow
def test_everything_that_reads_works_and_a_store_says_why_it_does_not(
    directory: Path, tmp_path: Path
) -> None:
    set_mode(directory, 0o400, 0o500)
    before = list_names(directory)
    for command in (["list"], ["query", "releases"], ["export", "-"]):
        status, told = run(directory, *command)
        assert status == 0, told
        assert "Releases go out on Tuesdays." in told
    for command in (["stats"], ["backup", str(tmp_path / "elsewhere.db")], ["backup", "--list"]):
        assert run(directory, *command)[0] == 0
    assert "may only be read" in run(directory, "doctor")[1]
    for command in (["store", "one more"], ["delete", "abcdefghjkmn"], ["backup"]):
        status, told = run(directory, *command)
        assert status == 1
        assert told.count("\n") == 1
        assert "may only be read" in told
    assert list_names(directory) == before


@pytest.mark.slow
def test_a_server_over_a_directory_that_may_only_be_read_answers(directory: Path) -> None:
    set_mode(directory, 0o400, 0o500)
    settings = {
        **os.environ,
        "SEDIMENT_DATA_DIR": str(directory),
        "SEDIMENT_PROJECT": "",
        "SEDIMENT_MODEL": "none",
    }
    with StdioPeer(directory, command=[*PLAIN, *PROGRAM], environment=settings) as peer:
        peer.initialize()
        found = peer.call("query_memory", query="releases")["structuredContent"]["results"]
        assert "Tuesdays" in found[0]["content"]
        assert "may only be read" in peer.call("store_memory", content="x")["content"][0]["text"]
        set_mode(directory, 0o600, 0o700)
        assert peer.call("store_memory", content="it can be written again")["structuredContent"]["id"]
        assert peer.call("list_memories")["structuredContent"]["total"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("left_behind", ["log", "log and index", "empty log"])
def test_what_a_killed_process_left_in_the_log_is_read_too(
    directory: Path, tmp_path: Path, left_behind: str
) -> None:
    with StdioPeer(directory) as peer:
        peer.initialize()
        peer.call("store_memory", content="It stands in the log.")
        shutil.copytree(directory, tmp_path / "killed", ignore=shutil.ignore_patterns(SOCKET))
    killed = tmp_path / "killed"
    if left_behind != "log and index":
        (killed / f"{DATABASE}-shm").unlink()
    if left_behind == "empty log":
        (killed / f"{DATABASE}-wal").write_bytes(b"")
    before = list_names(killed)
    set_mode(killed, 0o400, 0o500)
    status, told = run(killed, "list")
    assert status == 0, told
    assert "Tuesdays" in told
    assert ("It stands in the log." in told) == (left_behind != "empty log")
    assert list_names(killed) == before
    set_mode(killed, 0o600, 0o700)


def test_a_log_without_its_index_is_read_through_a_copy_that_is_deleted(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (directory / f"{DATABASE}-journal").write_bytes(b"no journal")
    monkeypatch.setattr(os, "access", lambda path, mode, **_: not mode & os.W_OK)
    assert is_read_only(directory / DATABASE)
    with open_unchanged(directory / DATABASE) as session:
        assert session.changes.count_memories() == 2
        assert list(tmp_path.glob("sediment-mcp-*"))
    assert not list(tmp_path.glob("sediment-mcp-*"))


def test_a_file_that_is_no_database_is_said_to_be_damaged(directory: Path) -> None:
    (directory / DATABASE).write_bytes(b"nonsense" * 1000)
    with pytest.raises(StorageError):
        ReadOnlyFile(directory / DATABASE).open()
