"""The hook starts a process that lives on; killed, or two at once, nothing is lost and nothing doubled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.host import Host
from support.transferring import state

from sediment_mcp.operations.capture_state import switch_capture
from sediment_mcp.system.timestamps import isoformat

pytestmark = [pytest.mark.slow, pytest.mark.process]

ROOT = Path(__file__).parents[2]
DEADLINE = timedelta(seconds=120)  # far more than anything takes
MANY = 900  # turns: several batches of an import


def write_transcript(path: Path, count: int, first: int = 0) -> None:
    now = datetime.now(UTC)
    with path.open("a", encoding="utf-8") as stream:
        for number in range(first, first + count):
            fields = {
                "type": "user", "uuid": f"u{number}", "sessionId": "s1", "cwd": "/nowhere",
                "timestamp": isoformat(now), "message": {"role": "user", "content": f"Turn {number}."},
            }  # fmt: skip
            stream.write(json.dumps(fields) + "\n")


def start_hook(host: Host, path: Path, event: str) -> subprocess.Popen[bytes]:
    """Start a hook as a host does; it has its input, and nobody waits for it yet."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SEDIMENT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "sediment_mcp", "hook", event, "--data-dir", str(host.directory)],
        env={**own, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    said = {"session_id": "s1", "transcript_path": str(path), "cwd": "/nowhere", "hook_event_name": "Stop"}
    process.stdin.write(json.dumps(said).encode())
    process.stdin.close()
    process.stdin = None
    return process


def wait_for(host: Host, count: int) -> None:
    """Wait until so many memories are there."""
    end = datetime.now(UTC) + DEADLINE
    while len(state(host)) < count:
        assert datetime.now(UTC) < end, f"{len(state(host))} of {count}"


@pytest.fixture
def captured(host: Host, tmp_path: Path) -> Path:
    """Return the path of a transcript, with capture on."""
    host.app.storage.open()
    since = datetime.now(UTC) - timedelta(hours=1)
    switch_capture(host.directory, host.app.encryption, on=True, now=since)
    return tmp_path / "s1.jsonl"


@pytest.mark.parametrize("event", ["stop", "pre-compact", "session-end"])
def test_a_hook_ends_at_once_and_the_turns_are_kept_after_it(host: Host, captured: Path, event: str) -> None:
    write_transcript(captured, 3)
    process = start_hook(host, captured, event)
    assert process.communicate() == (b"", b"")
    assert process.returncode == 0
    wait_for(host, 3)


@pytest.mark.skipif(sys.platform == "win32", reason="sessions of processes are those of POSIX")
def test_the_process_outlives_the_session_of_its_host(host: Host, captured: Path) -> None:
    """A host that is killed with all its group takes the hook along, and not what it has started."""
    write_transcript(captured, MANY)
    said = json.dumps({"session_id": "s1", "transcript_path": str(captured), "cwd": "/nowhere"})
    script = (
        "import os, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], input=os.environ['SAID'].encode(), check=True)\n"
        "os.killpg(0, 9)\n"
    )
    own = {name: value for name, value in os.environ.items() if not name.startswith("SEDIMENT_")}
    command = [sys.executable, "-m", "sediment_mcp", "hook", "session-end", "--data-dir", str(host.directory)]
    done = subprocess.run(
        [sys.executable, "-c", script, *command],
        env={**own, "PYTHONPATH": str(ROOT), "SAID": said},
        start_new_session=True,
        check=False,
    )
    assert done.returncode == -9
    wait_for(host, MANY)


def test_a_killed_process_loses_and_doubles_nothing(host: Host, captured: Path) -> None:
    write_transcript(captured, MANY)
    for step in range(1, 4):
        process = start_hook(host, captured, "capture")
        while process.poll() is None and len(state(host)) < min(200 * step, MANY - 1):
            pass
        process.kill()
        process.communicate()
    finished = start_hook(host, captured, "capture")
    assert finished.communicate() == (b"", b"")
    assert sorted(memory["content"] for memory in state(host).values()) == sorted(
        f"Turn {number}." for number in range(MANY)
    )


def test_events_at_once_lose_and_double_nothing(host: Host, captured: Path) -> None:
    write_transcript(captured, 50)
    events = [start_hook(host, captured, "capture") for _ in range(3)]
    write_transcript(captured, 50, first=50)
    events += [start_hook(host, captured, "capture") for _ in range(2)]
    for process in events:
        assert process.communicate() == (b"", b"")
    assert len(state(host)) == 100
    assert len({memory["content"] for memory in state(host).values()}) == 100


def test_a_secret_is_refused_although_the_user_is_only_warned_of_those_that_are_stored(
    host: Host, captured: Path
) -> None:
    write_transcript(captured, 1)
    text = captured.read_text().replace("Turn 0.", "Use ghp_" + "a1B2c3D4" * 4 + "e5F6.")
    captured.write_text(text)
    write_transcript(captured, 1, first=1)
    assert start_hook(host, captured, "capture").communicate() == (b"", b"")
    assert [memory["content"] for memory in state(host).values()] == ["Turn 1."]


def test_nothing_is_started_while_capture_is_off(host: Host, captured: Path) -> None:
    switch_capture(host.directory, host.app.encryption, on=False, now=datetime.now(UTC))
    write_transcript(captured, 3)
    for event in ("stop", "capture"):
        process = start_hook(host, captured, event)
        assert process.communicate() == (b"", b"")
        assert process.returncode == 0
    assert not state(host)


@pytest.mark.parametrize(
    "name", ["", "relative.jsonl", "/dev/zero", "/etc/passwd", "/nowhere/s1.jsonl", "a\0b"]
)
def test_a_path_that_is_no_transcript_changes_nothing(host: Host, captured: Path, name: str) -> None:
    for event in ("stop", "capture"):
        process = start_hook(host, Path(name), event)
        out, _ = process.communicate()
        assert (out, process.returncode) == (b"", 0)
    assert not state(host)
