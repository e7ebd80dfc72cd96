"""Installing into a host's file and removing from it: our entry changes, nothing else does."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hosts import PROGRAM, UVX, host, machine

from sediment_mcp.errors import UnusableFile
from sediment_mcp.hosts import config_file
from sediment_mcp.hosts.install_plan import (
    ConfigTarget,
    PlannedChange,
    apply_change,
    build_config,
    find_targets,
    inspect_target,
    list_targets,
    plan_install,
    plan_removal,
)
from sediment_mcp.hosts.launch_command import Installation, LaunchCommand, build_launch_command
from sediment_mcp.hosts.registry import HOSTS, SERVER_NAME
from sediment_mcp.hosts.server_entry import build_entry, starts_this_program


def test_both_editions_of_vs_code_and_of_windsurf_are_found(tmp_path: Path) -> None:
    for folder in (".config/Code/User", ".config/Code - Insiders/User", ".codeium/windsurf", ".config/devin"):
        (tmp_path / folder).mkdir(parents=True)
    found = [str(target.path.relative_to(tmp_path)) for target in find_targets(machine(tmp_path))]
    assert found == [
        ".config/Code/User/mcp.json",
        ".config/Code - Insiders/User/mcp.json",
        ".codeium/windsurf/mcp_config.json",
        ".config/devin/mcp_config.json",
    ]


def test_a_platform_that_nobody_knows_has_no_files(tmp_path: Path) -> None:
    assert list_targets(host("cursor"), machine(tmp_path, "aix")) == []


def test_each_host_gets_the_shape_it_reads() -> None:
    assert build_entry(PROGRAM, host("cursor")) == {"command": PROGRAM.program, "args": []}
    assert build_entry(UVX, host("zed")) == {"command": "/usr/bin/uvx", "args": ["sediment-mcp"]}
    with_variables = LaunchCommand("/usr/bin/uvx", ("sediment-mcp",), {"A": "b"})
    assert build_entry(with_variables, host("zed"))["env"] == {"A": "b"}
    stdio = {"type": "stdio", "command": PROGRAM.program, "args": []}
    assert build_entry(PROGRAM, host("vscode")) == stdio
    assert build_entry(PROGRAM, host("claude-code")) == {**stdio, "alwaysLoad": True}
    assert build_config(host("jetbrains"), PROGRAM) == {
        "mcpServers": {SERVER_NAME: {"command": PROGRAM.program, "args": []}}
    }


@pytest.fixture
def cursor(tmp_path: Path) -> ConfigTarget:
    (tmp_path / ".cursor").mkdir()
    return ConfigTarget(host("cursor"), tmp_path / ".cursor" / "mcp.json")


def install(target: ConfigTarget, command: LaunchCommand = PROGRAM, *, force: bool = False) -> PlannedChange:
    change = plan_install(target, command, force=force)
    apply_change(change)
    return change


def remove(target: ConfigTarget) -> PlannedChange:
    change = plan_removal(target)
    apply_change(change)
    return change


def servers(target: ConfigTarget) -> Any:
    return json.loads(target.path.read_text())[target.host.section]


def test_a_file_is_made_where_there_is_none_and_goes_again(cursor: ConfigTarget) -> None:
    assert inspect_target(cursor, PROGRAM).state == "not installed"
    assert install(cursor).outcome == "added"
    assert servers(cursor) == {SERVER_NAME: build_entry(PROGRAM, cursor.host)}
    assert inspect_target(cursor, PROGRAM).state == "installed"
    if os.name != "nt":
        assert stat.S_IMODE(cursor.path.stat().st_mode) == 0o600
    assert remove(cursor).outcome == "removed"
    assert list(cursor.path.parent.iterdir()) == []


def test_the_folder_of_a_named_host_is_made(tmp_path: Path) -> None:
    (target,) = list_targets(host("windsurf"), machine(tmp_path))
    install(target)
    assert SERVER_NAME in servers(target)


ODDLY_WRITTEN = [
    b"", b"\n", b"{}", b"{ }", b'{"mcpServers":{}}', b'{"mcpServers": {\n}\n}\r\n', b'{"a": 1}',
    b'{"mcpServers": {"x": {"command": "y"}}}',
    b"\xef\xbb\xbf", b"\xef\xbb\xbf{}\r\n", b'\xef\xbb\xbf{"mcpServers": {"x": {}}}',
    b'{\r\n\t"b": "\\u00e9 \xc3\xa9",\r\n\t"mcpServers": {\r\n\t}\r\n}\r\n',
    b'// mine\n{\n    "mcpServers": { // here\n        "x": {}, /* y */\n    },\n}\n',
]  # fmt: skip


@pytest.mark.parametrize("data", ODDLY_WRITTEN)
def test_install_and_uninstall_leave_the_very_bytes_of_before(data: bytes, cursor: ConfigTarget) -> None:
    cursor.path.write_bytes(data)
    assert install(cursor).outcome == "added"
    assert cursor.path.read_bytes() != data
    assert config_file.get_backup_path(cursor.path).read_bytes() == data
    assert remove(cursor).outcome == "removed"
    assert cursor.path.read_bytes() == data
    assert [path.name for path in cursor.path.parent.iterdir()] == [cursor.path.name]


pieces = st.sampled_from(
    ["{", "}", '"a": 1', ",", "\n", "\r\n", " ", '"mcpServers": ', "// c\n", '"x": {}', "\t", "/**/"]
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces, max_size=12).map("".join))
def test_any_file_comes_back_or_is_left_alone(cursor: ConfigTarget, text: str) -> None:
    cursor.path.write_bytes(text.encode())
    config_file.remove_backup(cursor.path)
    outcome = install(cursor).outcome
    if outcome == "added":
        assert remove(cursor).outcome == "removed"
    else:
        assert outcome == "unusable"
    assert cursor.path.read_bytes() == text.encode()


def test_what_the_host_has_written_since_stays(cursor: ConfigTarget) -> None:
    cursor.path.write_text('{\n  "mcpServers": {}\n}\n')
    install(cursor)
    cursor.path.write_text(cursor.path.read_text().replace("{\n", '{\n  "seen": 7,\n', 1))
    assert remove(cursor).outcome == "removed"
    assert json.loads(cursor.path.read_text()) == {"seen": 7, "mcpServers": {}}


def test_twice_changes_nothing(cursor: ConfigTarget) -> None:
    install(cursor)
    before = cursor.path.read_bytes()
    again = install(cursor)
    assert (again.outcome, again.has_effect, again.diff) == ("unchanged", False, "")
    assert cursor.path.read_bytes() == before
    remove(cursor)
    assert remove(cursor).outcome == "not there"


def test_an_entry_of_the_user_s_stays_until_it_is_forced_out(cursor: ConfigTarget) -> None:
    mine = {"command": "mine", "args": ["x"], "env": {"HF_HOME": "/h"}, "disabled": True}
    cursor.path.write_text(json.dumps({"mcpServers": {SERVER_NAME: mine}}))
    assert inspect_target(cursor, UVX).state == "another command"
    kept = install(cursor, UVX)
    assert (kept.outcome, kept.entry) == ("kept", mine)
    assert servers(cursor) == {SERVER_NAME: mine}
    assert install(cursor, UVX, force=True).outcome == "replaced"
    assert servers(cursor)[SERVER_NAME] == {
        **mine,
        "command": UVX.program,
        "args": ["sediment-mcp"],
        "env": {"HF_HOME": "/h"},
    }
    assert config_file.get_backup_path(cursor.path).read_text() == json.dumps(
        {"mcpServers": {SERVER_NAME: mine}}
    )


# --- what earlier versions wrote ----------------------------------------------------------------

TORCH = {"UV_TORCH_BACKEND": "cpu"}


def run_by_uvx(*arguments: str, source: str = "", needs_extra: bool = False, **known: Any) -> LaunchCommand:
    origin = json.dumps({"url": source})
    ours = Installation(Path("/c/uv/archive-v0/a"), None, Path("/python"), Path("/bin/uvx"), origin, **known)
    return build_launch_command(ours, arguments, needs_extra=needs_extra)


def write_as_earlier(target: ConfigTarget, *arguments: str, **more: Any) -> None:
    """Write what an earlier version did, with what the user has added since."""
    entry = build_entry(LaunchCommand("/bin/uvx", arguments, TORCH), target.host) | more
    target.path.write_text(target.put_entry(None, entry))


@pytest.mark.parametrize("source", ["", "/home/ann/clone"])
def test_an_entry_of_an_earlier_version_is_renewed_without_force(cursor: ConfigTarget, source: str) -> None:
    package = ["--from", source, "sediment-mcp"] if source else ["sediment-mcp"]
    write_as_earlier(cursor, *package, "--data-dir", "/d")
    command = run_by_uvx("--data-dir", "/d", source=source and f"file://{source}")
    assert inspect_target(cursor, command).state == "installed"
    assert install(cursor, command).outcome == "replaced"
    assert servers(cursor) == {SERVER_NAME: {"command": "/bin/uvx", "args": [*package, "--data-dir", "/d"]}}
    assert install(cursor, command).outcome == "unchanged"


def test_what_the_user_has_added_to_an_earlier_entry_stays(cursor: ConfigTarget) -> None:
    more = {"args": ["sediment-mcp", "--log-level", "DEBUG"], "env": {**TORCH, "A": "b"}, "disabled": True}
    write_as_earlier(cursor, "sediment-mcp", **more)
    assert install(cursor, run_by_uvx()).outcome == "replaced"
    assert servers(cursor)[SERVER_NAME] == {"command": "/bin/uvx", **more, "env": {"A": "b"}}


@pytest.mark.parametrize("earlier", ["sediment-mcp", "sediment-mcp@0.1.0", "sediment-mcp==0.1.0"])
def test_an_entry_of_another_version_is_brought_to_the_one_that_writes_it(
    earlier: str, cursor: ConfigTarget
) -> None:
    entry = {"command": "/bin/uvx", "args": [earlier, "--data-dir", "/d", "--log-level", "DEBUG"], "x": 1}
    cursor.path.write_text(json.dumps({"mcpServers": {SERVER_NAME: entry}}))
    command = run_by_uvx("--data-dir", "/d", version="0.2.0", constraints={"UV_PYTHON": "3.12"})
    assert install(cursor, command).outcome == "replaced"
    assert servers(cursor)[SERVER_NAME] == {
        "command": "/bin/uvx",
        "args": ["sediment-mcp@0.2.0", "--data-dir", "/d", "--log-level", "DEBUG"],
        "x": 1,
        "env": {"UV_PYTHON": "3.12"},
    }
    assert inspect_target(cursor, command).state == "installed"
    assert install(cursor, command).outcome == "unchanged"


def test_a_field_that_a_host_has_learnt_since_is_added_and_the_user_s_value_stays(tmp_path: Path) -> None:
    target = ConfigTarget(host("claude-code"), tmp_path / ".claude.json")
    entry = {"type": "stdio", "command": PROGRAM.program, "args": []}
    target.path.write_text(json.dumps({"mcpServers": {SERVER_NAME: entry}}))
    assert install(target).outcome == "replaced"
    assert servers(target)[SERVER_NAME] == {**entry, "alwaysLoad": True}
    target.path.write_text(json.dumps({"mcpServers": {SERVER_NAME: {**entry, "alwaysLoad": False}}}))
    assert install(target).outcome == "unchanged"


def test_another_build_of_torch_is_the_user_s_own_choice(cursor: ConfigTarget) -> None:
    write_as_earlier(cursor, "sediment-mcp", env={"UV_TORCH_BACKEND": "cu128"})
    assert install(cursor, run_by_uvx()).outcome == "unchanged"
    assert servers(cursor)[SERVER_NAME]["env"] == {"UV_TORCH_BACKEND": "cu128"}


def test_a_model_that_needs_the_extra_gets_it_and_keeps_its_build_of_torch(cursor: ConfigTarget) -> None:
    write_as_earlier(cursor, "sediment-mcp", "--model", "m", env={**TORCH, "A": "b"})
    command = run_by_uvx("--model", "m", needs_extra=True)
    assert inspect_target(cursor, command).state == "another command"
    assert install(cursor, command).outcome == "replaced"
    assert servers(cursor)[SERVER_NAME] == {
        "command": "/bin/uvx",
        "args": ["--from", "sediment-mcp[sentence-transformers]", "sediment-mcp", "--model", "m"],
        "env": {**TORCH, "A": "b"},
    }
    assert install(cursor, command).outcome == "unchanged"


@pytest.mark.parametrize("data", [None, *ODDLY_WRITTEN])
@pytest.mark.parametrize("renewed", [False, True])
def test_uninstall_takes_an_entry_of_an_earlier_version_out_to_the_very_bytes_of_before(
    data: bytes | None, renewed: bool, cursor: ConfigTarget
) -> None:
    if data is not None:
        cursor.path.write_bytes(data)
    install(cursor, LaunchCommand("/bin/uvx", ("sediment-mcp",), TORCH))
    if renewed:
        assert install(cursor, run_by_uvx()).outcome == "replaced"
        assert "UV_TORCH_BACKEND" not in cursor.path.read_text()
    assert remove(cursor).outcome == "removed"
    assert (cursor.path.read_bytes() if cursor.path.exists() else None) == data
    assert [path.name for path in cursor.path.parent.iterdir()] == ([] if data is None else ["mcp.json"])


# --- files that cannot be used ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{}".encode("utf-16"), "byte order mark"),
        (b'{"a": "\xff"}', "no UTF-8"),
        (b"[]", "is no JSON object"),
        (b'{"mcpServers": []}', "holds no object in “mcpServers”"),
        (b'{"mcpServers": null}', "holds no object in “mcpServers”"),
        (b'{"mcpServers": {}', "is no JSON at line 1"),
        (b"null", "is no JSON object"),
    ],
)
def test_an_odd_file_is_left_alone(data: bytes, words: str, cursor: ConfigTarget) -> None:
    cursor.path.write_bytes(data)
    for outcome in (install(cursor), remove(cursor)):
        assert outcome.outcome == "unusable"
        assert words in outcome.problem
        assert str(cursor.path) in outcome.problem
        assert outcome.problem.endswith(".")
    assert words in inspect_target(cursor, PROGRAM).problem
    assert cursor.path.read_bytes() == data
    assert [path.name for path in cursor.path.parent.iterdir()] == [cursor.path.name]


def test_a_host_that_reads_no_comments_is_not_given_a_file_with_some(tmp_path: Path) -> None:
    target = ConfigTarget(host("claude-desktop"), tmp_path / "claude_desktop_config.json")
    target.path.write_text('{\n  // mine\n  "mcpServers": {}\n}')
    assert "line 2" in install(target).problem
    assert "Claude Desktop" in inspect_target(target, PROGRAM).problem


def test_a_directory_is_no_file(cursor: ConfigTarget) -> None:
    cursor.path.mkdir()
    assert "is a directory" in install(cursor).problem


def test_a_link_stays_a_link_and_its_target_its_mode(cursor: ConfigTarget, tmp_path: Path) -> None:
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "cursor.json").write_text("{}")
    (dotfiles / "cursor.json").chmod(0o640)
    cursor.path.symlink_to(dotfiles / "cursor.json")
    install(cursor)
    assert cursor.path.is_symlink()
    assert SERVER_NAME in json.loads((dotfiles / "cursor.json").read_text())["mcpServers"]
    assert stat.S_IMODE((dotfiles / "cursor.json").stat().st_mode) == 0o640
    assert [path.name for path in dotfiles.iterdir()] == ["cursor.json"]
    remove(cursor)
    assert cursor.path.is_symlink()
    assert (dotfiles / "cursor.json").read_text() == "{}"


@pytest.mark.parametrize("data", [b"{}", None])
def test_what_changes_between_plan_and_deed_is_not_overwritten(
    data: bytes | None, cursor: ConfigTarget
) -> None:
    if data is not None:
        cursor.path.write_bytes(data)
    change = plan_install(cursor, PROGRAM)
    cursor.path.write_text('{"mine": 1}')
    with pytest.raises(UnusableFile, match="run the command again"):
        apply_change(change)
    assert cursor.path.read_text() == '{"mine": 1}'


def test_what_cannot_be_written_is_said(cursor: ConfigTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    cursor.path.write_text("{}")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sediment_mcp.system.files.publish", full)
    with pytest.raises(UnusableFile, match="No space left on device"):
        install(cursor)
    assert [path.name for path in cursor.path.parent.iterdir()] == [cursor.path.name]
    assert cursor.path.read_text() == "{}"


def test_a_read_only_file_is_respected(cursor: ConfigTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    cursor.path.write_text("{}")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everything
    with pytest.raises(UnusableFile, match="read-only"):
        install(cursor)
    assert cursor.path.read_text() == "{}"


def test_the_diff_is_what_changes(cursor: ConfigTarget) -> None:
    cursor.path.write_text('{\n  "mcpServers": {\n    "x": {}\n  }\n}\n')
    diff = plan_install(cursor, PROGRAM).diff.splitlines()
    assert diff[:2] == [f"--- {cursor.path}", f"+++ {cursor.path}"]
    assert [line[1:].strip() for line in diff[3:] if line.startswith("-")] == ['"x": {}']
    assert '+    "sediment": {' in diff
    new = plan_install(ConfigTarget(cursor.host, cursor.path.with_name("new.json")), PROGRAM).diff
    assert new.startswith("--- /dev/null\n")


def test_a_byte_order_mark_stays(cursor: ConfigTarget) -> None:
    mark = b"\xef\xbb\xbf"
    cursor.path.write_bytes(mark + b'{"mcpServers": {"x": {"command": "y"}}}\n')
    install(cursor)
    data = cursor.path.read_bytes()
    assert data.startswith(mark)
    assert set(json.loads(data.removeprefix(mark))["mcpServers"]) == {"x", SERVER_NAME}
    assert install(cursor).outcome == "unchanged"


# --- entries of others, and of ours under other names ---------------------------------------------

FOREIGN = [
    {"command": "/opt/geology/sediment-server", "args": ["--port", "7"]},
    {"command": "uv", "args": ["--directory", "/home/ann/sediment-mcp", "run", "geology"]},
    {"command": "tail", "args": ["-f", "/var/log/sediment-mcp/server.log"]},
    {"command": "npx", "args": ["-y", "sediment-mcp-other"]},
    {"url": "https://example.com/mcp"},
    "sediment-mcp",
    {"command": 7, "args": "x"},
]
OURS = [
    {"command": "/old/venv/bin/sediment-mcp", "args": ["--data-dir", "/d"], "env": {"X": "1"}},
    {"command": "C:\\\\Tools\\\\sediment-mcp.exe"},
    {"command": "uvx", "args": ["--from", "/src/sediment", "sediment-mcp"], "disabled": True},
    {"command": "uvx", "args": ["sediment-mcp@latest"]},
    {"command": "pipx", "args": ["run", "sediment-mcp==0.1.0"]},
    {"command": "/usr/bin/python3", "args": ["-m", "sediment_mcp", "serve"]},
    {"command": "bash", "args": ["-lc", "exec /opt/bin/sediment-mcp --model none"]},
    {"command": "cmd", "args": ["/c", "sediment-mcp"]},
    {"command": ["uvx", "sediment-mcp"], "type": "local"},
    {"command": {"path": "/opt/bin/sediment-mcp", "args": []}},
]


@pytest.mark.parametrize("entry", FOREIGN)
def test_an_entry_of_our_name_that_starts_something_else_is_removed_by_force_alone(
    entry: Any, cursor: ConfigTarget
) -> None:
    cursor.path.write_text(json.dumps({"mcpServers": {SERVER_NAME: entry}}))
    before = cursor.path.read_bytes()
    assert not starts_this_program(entry)
    change = remove(cursor)
    assert (change.outcome, change.entry) == ("kept", entry)
    assert cursor.path.read_bytes() == before
    apply_change(plan_removal(cursor, force=True))
    assert servers(cursor) == {}


@pytest.mark.parametrize("entry", OURS)
def test_an_entry_of_ours_is_removed_whatever_the_user_made_of_it(entry: Any, cursor: ConfigTarget) -> None:
    cursor.path.write_text(json.dumps({"mcpServers": {SERVER_NAME: entry, "x": {}}}))
    assert starts_this_program(entry)
    assert remove(cursor).outcome == "removed"
    assert servers(cursor) == {"x": {}}


@pytest.mark.parametrize("entry", OURS)
def test_no_second_entry_is_added_beside_one_under_another_name(entry: Any, cursor: ConfigTarget) -> None:
    cursor.path.write_text(json.dumps({"mcpServers": {"memory": entry}}))
    before = cursor.path.read_bytes()
    for change in (install(cursor), remove(cursor)):
        assert (change.outcome, change.name) == ("kept", "memory")
    assert cursor.path.read_bytes() == before
    assert (inspect_target(cursor, PROGRAM).state, inspect_target(cursor, PROGRAM).name) == (
        "another command",
        "memory",
    )
    assert install(cursor, force=True).outcome == "replaced"
    assert list(servers(cursor)) == ["memory"]
    assert install(cursor).outcome == "unchanged"
    apply_change(plan_removal(cursor, force=True))
    assert servers(cursor) == {}


def test_the_same_command_under_another_name_is_there_already(cursor: ConfigTarget) -> None:
    cursor.path.write_text(json.dumps({"mcpServers": {"memory": build_entry(PROGRAM, cursor.host)}}))
    change = install(cursor)
    assert (change.outcome, change.name, change.other_names) == ("unchanged", "memory", ())


def test_of_two_entries_ours_goes_and_the_other_one_is_named(cursor: ConfigTarget) -> None:
    ours, other = build_entry(PROGRAM, cursor.host), {"command": "uvx", "args": ["sediment-mcp"]}
    cursor.path.write_text(json.dumps({"mcpServers": {"memory": other, SERVER_NAME: ours}}))
    assert install(cursor).other_names == ("memory",)
    change = remove(cursor)
    assert (change.outcome, change.other_names) == ("removed", ("memory",))
    assert servers(cursor) == {"memory": other}


# --- files of every format ------------------------------------------------------------------------

OWNED = {
    "codex": 'model = "o9"   # mine\n\n[mcp_servers.other]\ncommand = "x"\n',
    "vibe": '# mine\n[[mcp_servers]]\nname = "other"\ntransport = "stdio"\ncommand = "x"\n',
    "goose": "extensions:\n  developer:  # mine\n    type: builtin\n    enabled: true\nGOOSE_MODEL: m\n",
    "continue": "name: Mine\nversion: 0.0.1\nschema: v1\nmodels: []  # none yet\n",
    "opencode": '{\n  // mine\n  "theme": "x",\n  "mcp": {\n    "x": {}\n  }\n}\n',
    "amp": '{"amp.dangerouslyAllowAll": false}',
    "cline": '{\n  "mcpServers": {\n    "x": {}\n  }\n}',
    "zed": '{"theme": "x", /* mine */}',
}


def find_target(name: str, home: Path) -> ConfigTarget:
    target = list_targets(host(name), machine(home))[0]
    target.path.parent.mkdir(parents=True, exist_ok=True)
    return target


def list_files(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


with_files = pytest.mark.parametrize("name", [one.name for one in HOSTS if one.locations])


@with_files
@pytest.mark.parametrize("is_new", [True, False])
def test_every_host_s_file_gets_our_entry_and_is_left_without_a_trace(
    name: str, is_new: bool, tmp_path: Path
) -> None:
    target = find_target(name, tmp_path)
    if not is_new:
        target.path.write_text(OWNED.get(name, '{"a": 1}\n'))
    before = list_files(tmp_path)
    assert install(target, UVX).outcome == "added"
    assert target.read_entries(target.path.read_text()) == {SERVER_NAME: build_entry(UVX, target.host)}
    assert inspect_target(target, UVX).state == "installed"
    assert install(target, UVX).outcome == "unchanged"
    assert install(target, LaunchCommand(UVX.program, ("other",))).outcome == "kept"
    assert remove(target).outcome == "removed"
    assert list_files(tmp_path) == before


@pytest.mark.parametrize(("name", "text"), OWNED.items())
def test_only_our_entry_goes_where_the_owner_has_changed_the_file_since(
    name: str, text: str, tmp_path: Path
) -> None:
    target = find_target(name, tmp_path)
    target.path.write_text(text)
    install(target, UVX)
    added = {"codex": "\n[seen]\nx = 7\n", "vibe": "\n[seen]\nx = 7\n", "goose": "seen: 7\n"}
    if name in added or name == "continue":
        end = added.get(name, "seen: 7\n")
        target.path.write_text(target.path.read_text() + end)
        expected = text + end
    else:
        target.path.write_text(target.path.read_text().replace("{", '{"seen": 7, ', 1))
        expected = text.replace("{", '{"seen": 7, ', 1).replace("7, }", "7}")
    assert remove(target).outcome == "removed"
    assert target.path.read_text().replace("7, }", "7}") == expected
    assert list_files(tmp_path).keys() == {str(target.path.relative_to(tmp_path))}


@with_files
def test_an_entry_under_another_name_is_ours_in_every_format(name: str, tmp_path: Path) -> None:
    target = find_target(name, tmp_path)
    target.path.write_text(target.put_entry(None, build_entry(UVX, target.host), "memory"))
    change = install(target, UVX)
    assert (change.outcome, change.name) == ("unchanged", "memory")
    assert install(target, PROGRAM).outcome == "kept"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("codex", "[", "is no TOML"),
        ("codex", "mcp_servers = 1", "holds no table “mcp_servers”"),
        ("vibe", "[mcp_servers]", "holds no list of servers with names"),
        ("goose", "a: 1\na: 2", "is no YAML"),
        ("goose", "extensions: {a: {b: 1}}", "cannot be edited safely"),
        ("continue", "mcpServers: {}", "holds no list of servers with names"),
    ],
)
def test_an_odd_file_of_another_format_is_left_alone(
    name: str, text: str, words: str, tmp_path: Path
) -> None:
    target = find_target(name, tmp_path)
    target.path.write_text(text)
    change = install(target)
    assert change.outcome == "unusable"
    assert words in change.problem
    assert str(target.path) in change.problem
    assert change.problem.endswith(f"mend it in {target.host.title}, then try again.")
    assert list_files(tmp_path) == {str(target.path.relative_to(tmp_path)): text.encode()}


def test_a_file_that_we_make_for_continue_is_one_that_it_accepts(tmp_path: Path) -> None:
    target = find_target("continue", tmp_path)
    install(target, UVX)
    assert target.path.read_text().startswith("name: Local Config\nversion: 1.0.0\nschema: v1\nmcpServers:\n")
