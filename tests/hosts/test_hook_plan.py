"""Hooks in a host's file: those that are asked for, in the host's shape; nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hosts import PROGRAM, UVX, host, machine

from sediment_mcp.hosts import config_file
from sediment_mcp.hosts.hook_file import build_hook_command, is_own_hook
from sediment_mcp.hosts.hook_plan import (
    HookRequest,
    HookTarget,
    find_hook_target,
    has_hooks,
    plan_hook_removal,
    plan_hooks,
)
from sediment_mcp.hosts.install_plan import PlannedChange, apply_change
from sediment_mcp.hosts.launch_command import LaunchCommand
from sediment_mcp.hosts.locations import WINDOWS
from sediment_mcp.hosts.registry import HOSTS

RECALL, CAPTURE = HookRequest(recall=True), HookRequest(capture=True)
BOTH, NONE = HookRequest(recall=True, capture=True), HookRequest(recall=False, capture=False)
AS_IS = HookRequest()
FILES = {
    "claude-code": ".claude/settings.json",
    "cursor": ".cursor/hooks.json",
    "vscode": ".copilot/hooks/sediment-memory.json",
    "codex": ".codex/hooks.json",
    "copilot-cli": ".copilot/hooks/sediment-memory.json",
}
GROUPED = ("claude-code", "codex")
EVENTS = {
    "claude-code": ["SessionStart", "UserPromptSubmit", "Stop", "PreCompact", "SessionEnd"],
    "cursor": ["sessionStart", "beforeSubmitPrompt", "stop", "preCompact", "sessionEnd"],
    "vscode": ["SessionStart", "UserPromptSubmit", "Stop", "PreCompact"],
    "codex": ["SessionStart", "UserPromptSubmit", "Stop", "PreCompact"],
}
OURS = ["session-start", "prompt", "stop", "pre-compact", "session-end"]
hosts = pytest.mark.parametrize("name", EVENTS)


def find(name: str, home: Path) -> HookTarget:
    target = find_hook_target(host(name), machine(home))
    assert target is not None
    return target


def apply(
    target: HookTarget, request: HookRequest, command: LaunchCommand = PROGRAM, home: Path = Path("/home/ann")
) -> PlannedChange:
    change = plan_hooks(target, command, request, machine(home))
    apply_change(change)
    return change


def remove(target: HookTarget) -> PlannedChange:
    change = plan_hook_removal(target)
    apply_change(change)
    return change


def read(target: HookTarget) -> Any:
    return json.loads(target.path.read_text(encoding="utf-8"))


def list_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_hosts_that_run_hooks_and_their_files(tmp_path: Path) -> None:
    found = {one.name: find_hook_target(one, machine(tmp_path)) for one in HOSTS}
    assert {name: target.path for name, target in found.items() if target} == {
        name: tmp_path / file for name, file in FILES.items()
    }


@pytest.mark.parametrize(
    ("name", "variable", "file"),
    [
        ("claude-code", "CLAUDE_CONFIG_DIR", "settings.json"),
        ("codex", "CODEX_HOME", "hooks.json"),
        ("vscode", "COPILOT_HOME", "hooks/sediment-memory.json"),
    ],
)
def test_the_variable_that_moves_a_host_s_folder_moves_its_hooks(
    name: str, variable: str, file: str, tmp_path: Path
) -> None:
    target = find_hook_target(host(name), machine(tmp_path, **{variable: str(tmp_path / "moved")}))
    assert target is not None
    assert target.path == tmp_path / "moved" / file


@hosts
def test_each_event_runs_our_command_in_the_host_s_shape(name: str, tmp_path: Path) -> None:
    target = find(name, tmp_path)
    assert apply(target, BOTH).outcome == "added"
    document = read(target)
    assert list(document["hooks"]) == EVENTS[name]
    assert document.get("version") == (None if name in GROUPED else 1)
    for event, own in zip(EVENTS[name], OURS, strict=False):
        (item,) = document["hooks"][event]
        if name in GROUPED:
            assert list(item) == ["hooks"]  # no matcher, which would miss some editions' events
            (item,) = item["hooks"]
        assert item == {
            **({} if name == "cursor" else {"type": "command"}),
            "command": f"/opt/sediment/bin/sediment-mcp hook {own} --host {name}",
            "timeout": 10,
        }


@hosts
@pytest.mark.parametrize(
    ("request_", "events"), [(RECALL, slice(0, 2)), (CAPTURE, slice(2, None)), (BOTH, slice(None))]
)
def test_only_what_is_asked_for_is_written(
    name: str, request_: HookRequest, events: slice, tmp_path: Path
) -> None:
    target = find(name, tmp_path)
    apply(target, request_)
    assert list(read(target)["hooks"]) == EVENTS[name][events]


@hosts
def test_what_is_not_said_stays_as_it_is(name: str, tmp_path: Path) -> None:
    target = find(name, tmp_path)
    assert apply(target, AS_IS).outcome == "not there"
    assert not has_hooks(target)
    assert list_files(tmp_path) == {}
    apply(target, RECALL)
    assert has_hooks(target)
    assert apply(target, AS_IS).outcome == "unchanged"
    assert apply(target, CAPTURE).outcome == "replaced"
    assert list(read(target)["hooks"]) == EVENTS[name]
    assert apply(target, HookRequest(recall=False)).outcome == "replaced"
    assert list(read(target)["hooks"]) == EVENTS[name][2:]
    assert apply(target, NONE).outcome == "removed"
    assert list_files(tmp_path) == {}


@hosts
def test_hooks_that_are_there_follow_the_command(name: str, tmp_path: Path) -> None:
    target = find(name, tmp_path)
    apply(target, RECALL)
    moved = LaunchCommand("/bin/uvx", ("sediment-mcp@0.2.0", "--data-dir", "/my data"), {"UV_PYTHON": "3.12"})
    assert apply(target, AS_IS, moved).outcome == "replaced"
    text = target.path.read_text()
    assert "/opt/sediment" not in text
    line = "env UV_PYTHON=3.12 /bin/uvx sediment-mcp@0.2.0 --data-dir '/my data' hook prompt --host"
    assert line in text
    assert text.count("hook prompt") == 1
    assert remove(target).outcome == "removed"
    assert list_files(tmp_path) == {}


MINE: dict[str, str] = {
    "claude-code": """\
{
  "model": "opus",
  "hooks": {
    "Stop": [
      { "matcher": "", "hooks": [{ "type": "command", "command": "say done" }] }
    ],
    "UserPromptSubmit": [
      {
        "hooks": [
          {"type": "command", "command": "date"}
        ]
      }
    ]
  }
}
""",
    "codex": '{"hooks": {"SessionStart": [{"matcher": "startup", "hooks": [{"command": "date"}]}]}}',
    "cursor": """\
{
  // mine
  "version": 1,
  "hooks": {
    "stop": [ { "command": "./done.sh" }, ],
  },
}
""",
    "vscode": '{"version": 1, "hooks": {"Stop": []}}\r\n',
}


@hosts
@pytest.mark.parametrize("is_changed", [False, True])
def test_hooks_of_others_stay_to_the_byte(name: str, is_changed: bool, tmp_path: Path) -> None:
    target = find(name, tmp_path)
    target.path.parent.mkdir(parents=True)
    target.path.write_bytes(MINE[name].encode())
    assert apply(target, BOTH).outcome == "added"
    for command in ("say done", "./done.sh", "date"):
        assert target.path.read_text().count(command) == MINE[name].count(command)
    expected = MINE[name]
    if is_changed and "\n" in MINE[name].strip():
        target.path.write_text(target.path.read_text().replace("{", '{\n  "seen": 7,', 1))
        expected = MINE[name].replace("{", '{\n  "seen": 7,', 1)
    assert remove(target).outcome == "removed"
    assert target.path.read_bytes().decode() == expected
    assert [path.name for path in target.path.parent.iterdir()] == [target.path.name]
    assert remove(target).outcome == "not there"


def test_a_handler_of_ours_in_a_group_of_the_user_s_goes_alone(tmp_path: Path) -> None:
    target = find("claude-code", tmp_path)
    target.path.parent.mkdir()
    ours = {"type": "command", "command": "uvx sediment-mcp hook stop", "timeout": 3}
    both = {"hooks": {"Stop": [{"matcher": "x", "hooks": [{"command": "date"}, ours]}, {"hooks": [ours]}]}}
    target.path.write_text(json.dumps(both))
    assert apply(target, HookRequest(capture=None)).outcome == "replaced"
    handler = read(target)["hooks"]["Stop"][0]["hooks"][1]
    assert handler["command"] == "/opt/sediment/bin/sediment-mcp hook stop --host claude-code"
    remove(target)
    assert read(target) == {"hooks": {"Stop": [{"matcher": "x", "hooks": [{"command": "date"}]}]}}


def test_a_renewal_keeps_the_first_backup(tmp_path: Path) -> None:
    target = find("claude-code", tmp_path)
    target.path.parent.mkdir()
    target.path.write_text("{}")
    apply(target, RECALL)
    apply(target, CAPTURE)
    apply(target, AS_IS, UVX)
    assert config_file.get_backup_path(target.path).read_text() == "{}"
    assert remove(target).outcome == "removed"
    assert list_files(tmp_path) == {".claude/settings.json": b"{}"}


@pytest.mark.parametrize("text", ["{", "[]", '{"hooks": []}', '{"hooks": {"Stop": {}}}', '{"hooks": 1}'])
@hosts
def test_an_odd_file_is_left_alone(name: str, text: str, tmp_path: Path) -> None:
    target = find(name, tmp_path)
    target.path.parent.mkdir(parents=True)
    text = text.replace("Stop", EVENTS[name][2])
    target.path.write_text(text)
    for change in (apply(target, BOTH), remove(target)):
        assert change.outcome == "unusable"
        assert str(target.path) in change.problem
        assert "try again." in change.problem
    assert not has_hooks(target)
    assert list_files(tmp_path) == {FILES[name]: text.encode()}


pieces = st.sampled_from(
    ["{", "}", "[", "]", '"hooks": ', '"Stop": ', '"stop": ', ",", "\n", " ", '{"command": "x"}', "// c\n"]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(EVENTS)), st.lists(pieces, max_size=12).map("".join))
def test_any_file_comes_back_or_is_left_alone(tmp_path: Path, name: str, text: str) -> None:
    target = find(name, tmp_path)
    target.path.parent.mkdir(parents=True, exist_ok=True)
    target.path.write_bytes(text.encode())
    config_file.remove_backup(target.path)
    if apply(target, BOTH).outcome == "added":
        assert remove(target).outcome == "removed"
    assert target.path.read_bytes() == text.encode()


# --- commands -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        ("/opt/bin/sediment-mcp hook prompt --host codex", True),
        ("env A=b uvx sediment-mcp@1.0 --data-dir '/a b' hook session-start", True),
        ("'/my tools/sediment-mcp' hook stop", True),
        ('"C:/Program Files/x/sediment-mcp.exe" hook pre-compact --host cursor', True),
        ("/usr/bin/python3 -m sediment_mcp hook session-end", True),
        ("bash -c 'sediment-mcp hook prompt'", True),
        ("sediment-mcp stats", False),
        ("sediment-mcp-other hook prompt", False),
        ("my-sediment-mcp hook prompt", False),
        ("sediment-mcp hook commit", False),
        ("echo hook prompt", False),
    ],
)
def test_which_commands_are_ours(command: str, ours: bool) -> None:
    assert is_own_hook(command) is ours


def test_a_command_is_written_for_the_shell_of_the_platform() -> None:
    here, there = machine(Path("/h")), machine(Path("/h"), WINDOWS)
    argv = ["C:\\My Tools\\sediment-mcp.exe", "--data-dir", "D:\\m"]
    assert build_hook_command(argv, "prompt", "cursor", there) == (
        '"C:/My Tools/sediment-mcp.exe" --data-dir D:\\m hook prompt --host cursor'
    )
    assert build_hook_command(["/a b/sediment-mcp", "--project", ""], "stop", "codex", here) == (
        "'/a b/sediment-mcp' --project '' hook stop --host codex"
    )
