"""A hook as a host runs it: status 0, and nothing but a whole answer on standard output, whatever happens."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.command_line import Run, own_place, run
from support.hooks import (
    ASKS_FOR_PORT,
    PORT,
    context_of,
    hook_command,
    hook_environment,
    run_hook,
    snapshot_of,
    store_all,
)

from sediment_mcp.cli import hooks
from sediment_mcp.hosts.cursor_rules import RULES, write_rules
from sediment_mcp.recall.envelopes import ENVELOPES

__all__ = ["own_place", "run"]  # fixtures

pytestmark = [pytest.mark.model, pytest.mark.process]
OTHERS = ("Lunch is at noon.", "The logo is blue.", "Ann's birthday is on 3 May.")
EVENTS = ("session-start", "prompt")  # that recall something
ASKING = {"prompt": ASKS_FOR_PORT, "session_id": "s"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store_all(tmp_path / "memories", {"content": PORT, "tags": ["pinned"]}, *OTHERS)
    return tmp_path / "memories"


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("host", ENVELOPES)
def test_each_host_gets_its_answer(data: Path, event: str, host: str) -> None:
    done = run_hook(data, event, "--host", host, data=ASKING)
    assert (done.returncode, done.stderr) == (0, b"")
    assert PORT in json.dumps(json.loads(done.stdout))


def test_cursor_s_rules_hold_what_is_known_however_often_a_session_starts(data: Path, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    start = {"conversation_id": "s", "workspace_roots": [str(shop)]}
    outputs = [run_hook(data, "session-start", "--host", "cursor", data=start).stdout for _ in range(2)]
    assert PORT in json.loads(outputs[0])["additional_context"]
    assert outputs[1] == b""  # it was said in this session
    assert PORT in (shop / RULES).read_text()


def test_cursor_s_rules_hold_nothing_that_is_gone(data: Path, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    write_rules(shop, "Nothing of this is stored any more.")
    empty = tmp_path / "none"
    done = run_hook(empty, "session-start", "--host", "cursor", data={"workspace_roots": [str(shop)]})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert not (shop / RULES).exists()


@pytest.mark.parametrize(
    ("event", "host", "folder"),
    [
        ("prompt", "cursor", "shop"),
        ("session-start", "claude-code", "shop"),
        ("session-start", "cursor", "gone"),
        ("session-start", "cursor", "home"),
    ],
)
def test_no_rules_are_written_elsewhere(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: str, host: str, folder: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    for existing in ("shop", "home"):
        (tmp_path / existing).mkdir()
    done = run_hook(data, event, "--host", host, data={**ASKING, "cwd": str(tmp_path / folder)})
    assert done.returncode == 0
    assert PORT in done.stdout.decode()
    assert list(tmp_path.rglob(RULES)) == []
    assert not (tmp_path / "gone").exists()


def test_rules_that_cannot_be_written_do_not_keep_the_answer_back(data: Path, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / ".cursor").symlink_to(tmp_path)
    fields = {"workspace_roots": [str(tmp_path / "shop")]}
    done = run_hook(data, "session-start", "--host", "cursor", data=fields)
    assert done.returncode == 0
    assert PORT in json.loads(done.stdout)["additional_context"]
    assert b"leads out of the project" in done.stderr


NONSENSE: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"which port",
    "a list": b"[1, 2]",
    "half of an object": b'{"prompt": "which po',
    "no text": b"\xff\xfe\x00",
    "other types": b'{"prompt": 3, "session_id": {}, "cwd": []}',
    "deep": b'{"prompt":' + b"[" * 50_000,
    "huge": b'{"prompt": "' + b"which port " * 600_000 + b'"}',
    "a huge number": b'{"prompt": ' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_no_failure(data: Path, event: str, nonsense: bytes) -> None:
    done = run_hook(data, event, data=nonsense)
    assert (done.returncode, done.stderr) == (0, b"")
    assert event == "session-start" or done.stdout == b""


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "No event of a hook"),
        (["sunrise"], "No event of a hook"),
        (["prompt", "more"], "No event of a hook"),
        (["prompt", "--host", "nobody"], "Unknown host nobody"),
        (["prompt", "--host"], "--host has no value"),
        (["prompt", "--loud"], "Unknown option --loud"),
        (["prompt", "--data-dir", "$HOME/x"], "--data-dir is"),
        (["prompt", "--model=./nowhere"], ""),
    ],
)
def test_a_wrong_command_line_is_one_line_for_the_log(data: Path, arguments: list[str], problem: str) -> None:
    done = run_hook(data, *arguments, data=ASKING)
    assert done.returncode == 0
    assert problem in done.stderr.decode()
    assert not problem or (done.stdout, done.stderr.count(b"\n")) == (b"", 1)


def test_flags_win_over_the_environment(data: Path, tmp_path: Path) -> None:
    done = run_hook(tmp_path / "elsewhere", "prompt", f"--data-dir={data}", data=ASKING)
    assert PORT in context_of(done.stdout)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("event", EVENTS)
def test_without_a_data_directory_nothing_is_said_and_none_is_made(tmp_path: Path, event: str) -> None:
    done = run_hook(tmp_path / "none", event, data=ASKING)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("event", EVENTS)
def test_past_its_time_a_hook_says_nothing(data: Path, event: str) -> None:
    done = run_hook(data, event, data=ASKING, seconds=0.0001)
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr == f"sediment-mcp: hook {event}: not ready within 0.0001 s\n".encode()


def test_an_input_that_never_ends_is_not_waited_for(data: Path) -> None:
    with subprocess.Popen(
        hook_command("prompt", seconds=0.5),
        env=hook_environment(data),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b'{"prompt": ')
        process.stdin.flush()
        assert process.wait(60) == 0
        assert process.stdout is not None
        assert process.stdout.read() == b""


def test_a_damaged_database_is_one_line_for_the_log(data: Path) -> None:
    (data / "memories.db").write_bytes(b"no database" * 1000)
    before = snapshot_of(data)
    done = run_hook(data, "session-start", data={})
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (0, b"", 1)
    assert snapshot_of(data) == before


def test_several_hooks_at_once_say_it_once(data: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: run_hook(data, "prompt", data=ASKING), range(4)))
    assert [one.returncode for one in done] == [0] * 4
    assert sum(PORT in context_of(one.stdout) for one in done) == 1


def test_output_that_nobody_reads_is_no_failure(data: Path) -> None:
    with subprocess.Popen(
        hook_command("prompt"),
        env=hook_environment(data),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stdin is not None
        process.stdin.write(json.dumps(ASKING).encode())
        process.stdin.close()
        assert process.wait(60) == 0


# --- in this process ----------------------------------------------------------------------------


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200)
    | st.dictionaries(
        st.sampled_from(["session_id", "cwd", "prompt", "source", "transcript_path", "workspace_roots"]),
        st.text(max_size=60) | st.none() | st.integers() | st.lists(st.text(max_size=9)),
    ).map(lambda fields: json.dumps(fields).encode()),
    st.sampled_from([*EVENTS]),
    st.sampled_from([*ENVELOPES]),
)
def test_any_input_ends_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: bytes, event: str, host: str
) -> None:
    written: list[str] = []
    problems: list[tuple[Any, ...]] = []

    class Input:
        buffer = __import__("io").BytesIO(data)
        isatty = staticmethod(lambda: False)

    if not (tmp_path / "memories").exists():
        store_all(tmp_path / "memories", {"content": PORT, "tags": ["pinned"]})
    monkeypatch.setattr(hooks.sys, "stdin", Input)
    monkeypatch.setattr(hooks, "_write", written.append)
    monkeypatch.setattr(hooks, "_write_rules", lambda *_: None)  # a folder of this machine may come up
    monkeypatch.setattr(hooks, "_report", lambda *problem: problems.append(problem))
    flags = {"SEDIMENT_DATA_DIR": str(tmp_path / "memories"), "SEDIMENT_MODEL": "none"}
    assert hooks.run_hook([event, "--host", host], flags) == 0
    assert problems == []
    assert all(isinstance(json.loads(output), dict) for output in written)


def test_the_help_names_events_and_hosts(run: Run) -> None:
    help_text = " ".join(run("hook", "--help").out.split())
    assert all(name in help_text for name in (*EVENTS, *ENVELOPES))
