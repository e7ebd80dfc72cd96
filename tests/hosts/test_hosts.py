"""Connecting hosts: where their files are on each platform, which command goes in; nothing else changes."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sediment_mcp.errors import BadArgument, UnusableFile
from sediment_mcp.hosts import config_file
from sediment_mcp.hosts.install_plan import (
    Change,
    Target,
    carry_out,
    found_targets,
    look,
    plan_install,
    plan_removal,
    targets_of,
    to_paste,
)
from sediment_mcp.hosts.launch_command import (
    CPU,
    Command,
    Installation,
    command_of,
    entry_of,
    starts_the_same,
    this_installation,
)
from sediment_mcp.hosts.registry import (
    HOSTS,
    LINUX,
    MACOS,
    NAME,
    WINDOWS,
    Machine,
    files,
    host_named,
    usual_file,
)

PROGRAM = Command("/opt/sediment/bin/sediment-mcp")
UVX = Command("/usr/bin/uvx", ("sediment-mcp",), CPU)
PACKAGED = "AppData/Local/Packages/Claude_pzs8sxrjxfjjc"

# --- places -------------------------------------------------------------------------------------

USUAL = {
    "claude-desktop": {
        MACOS: "Library/Application Support/Claude/claude_desktop_config.json",
        WINDOWS: "AppData/Roaming/Claude/claude_desktop_config.json",
        LINUX: ".config/Claude/claude_desktop_config.json",
    },
    "claude-code": dict.fromkeys((MACOS, WINDOWS, LINUX), ".claude.json"),
    "cursor": dict.fromkeys((MACOS, WINDOWS, LINUX), ".cursor/mcp.json"),
    "vscode": {
        MACOS: "Library/Application Support/Code/User/mcp.json",
        WINDOWS: "AppData/Roaming/Code/User/mcp.json",
        LINUX: ".config/Code/User/mcp.json",
    },
    "windsurf": dict.fromkeys((MACOS, WINDOWS, LINUX), ".codeium/windsurf/mcp_config.json"),
    "zed": {
        MACOS: ".config/zed/settings.json",
        WINDOWS: "AppData/Roaming/Zed/settings.json",
        LINUX: ".config/zed/settings.json",
    },
    "junie": dict.fromkeys((MACOS, WINDOWS, LINUX), ".junie/mcp/mcp.json"),
    "jetbrains": {},
}


def host(name: str) -> Any:
    found = host_named(name)
    assert found is not None
    return found


def machine(home: Path, platform: str = LINUX, **environment: str) -> Machine:
    return Machine(platform, home, environment)


def test_every_host_is_tested() -> None:
    assert [one.name for one in HOSTS] == list(USUAL)


@pytest.mark.parametrize("platform", [MACOS, WINDOWS, LINUX])
@pytest.mark.parametrize("name", USUAL)
def test_a_host_s_file_is_where_it_reads_it(name: str, platform: str, tmp_path: Path) -> None:
    usual = USUAL[name].get(platform)
    here = machine(tmp_path, platform)
    assert usual_file(host(name), here) == (tmp_path / usual if usual else None)
    assert files(host(name), here) == []
    if usual:
        (tmp_path / usual).parent.mkdir(parents=True, exist_ok=True)
        if name == "claude-code":  # its file stands in the home directory, which is always there
            assert files(host(name), here) == []
            (tmp_path / ".claude").mkdir()
        assert files(host(name), here) == [tmp_path / usual]


@pytest.mark.parametrize(
    ("name", "platform", "variable", "file"),
    [
        ("claude-desktop", WINDOWS, "APPDATA", "Claude/claude_desktop_config.json"),
        ("vscode", WINDOWS, "APPDATA", "Code/User/mcp.json"),
        ("zed", WINDOWS, "APPDATA", "Zed/settings.json"),
        ("zed", LINUX, "XDG_CONFIG_HOME", "zed/settings.json"),
        ("vscode", LINUX, "XDG_CONFIG_HOME", "Code/User/mcp.json"),
        ("claude-code", LINUX, "CLAUDE_CONFIG_DIR", ".claude.json"),
    ],
)
def test_the_variable_that_moves_a_folder_is_followed(
    name: str, platform: str, variable: str, file: str, tmp_path: Path
) -> None:
    moved = tmp_path / "else where [1]"
    here = machine(tmp_path / "home", platform, **{variable: str(moved)})
    assert usual_file(host(name), here) == moved / file
    (moved / file).parent.mkdir(parents=True)
    (moved / file).write_text("{}")
    assert files(host(name), here) == [moved / file]
    for useless in ("", " ", "not/absolute"):
        unmoved = machine(tmp_path, platform, **{variable: useless})
        assert usual_file(host(name), unmoved) == usual_file(host(name), machine(tmp_path, platform))


def test_the_packaged_claude_desktop_has_its_own_file(tmp_path: Path) -> None:
    (tmp_path / PACKAGED).mkdir(parents=True)
    inner = tmp_path / PACKAGED / "LocalCache/Roaming/Claude/claude_desktop_config.json"
    assert files(host("claude-desktop"), machine(tmp_path, WINDOWS)) == [inner]
    outer = tmp_path / "AppData/Roaming/Claude"
    outer.mkdir(parents=True)
    assert files(host("claude-desktop"), machine(tmp_path, WINDOWS)) == [
        outer / "claude_desktop_config.json",
        inner,
    ]
    moved = machine(tmp_path / "home", WINDOWS, LOCALAPPDATA=str(tmp_path / "AppData/Local"))
    assert files(host("claude-desktop"), moved) == [inner]


def test_both_editions_of_vs_code_and_of_windsurf_are_found(tmp_path: Path) -> None:
    for folder in (".config/Code/User", ".config/Code - Insiders/User", ".codeium/windsurf", ".config/devin"):
        (tmp_path / folder).mkdir(parents=True)
    found = [str(target.path.relative_to(tmp_path)) for target in found_targets(machine(tmp_path))]
    assert found == [
        ".config/Code/User/mcp.json",
        ".config/Code - Insiders/User/mcp.json",
        ".codeium/windsurf/mcp_config.json",
        ".config/devin/mcp_config.json",
    ]


def test_a_platform_that_nobody_knows_has_no_files(tmp_path: Path) -> None:
    assert targets_of(host("cursor"), machine(tmp_path, "aix")) == []


# --- the command --------------------------------------------------------------------------------


def installation(prefix: str, **known: Any) -> Installation:
    return Installation(Path(prefix), python=Path("/usr/bin/python3"), **{"program": None, **known})


def test_an_installation_is_started_by_its_own_program() -> None:
    for prefix in ("/home/ann/venv", "/home/ann/.local/share/uv/tools/sediment-mcp"):
        program = Path(prefix) / "bin" / "sediment-mcp"
        found = command_of(
            installation(prefix, program=program, uvx=Path("/usr/bin/uvx")), ["--model", "none"]
        )
        assert found == Command(str(program), ("--model", "none"))


def test_without_a_program_the_interpreter_starts_it() -> None:
    assert command_of(installation("/venv")).line == ["/usr/bin/python3", "-m", "sediment_mcp"]


@pytest.mark.parametrize("folder", ["archive-v0", "environments-v2", "builds-v0"])
def test_a_path_in_uv_s_cache_is_never_written(folder: str) -> None:
    prefix = f"/home/ann/.cache/uv/{folder}/abc"
    ours = installation(prefix, program=Path(prefix) / "bin" / "sediment-mcp", uvx=Path("/usr/bin/uvx"))
    assert command_of(ours, ["--data-dir", "/d"]) == Command(
        "/usr/bin/uvx", ("sediment-mcp", "--data-dir", "/d"), {"UV_TORCH_BACKEND": "cpu"}
    )
    with pytest.raises(BadArgument, match="uv tool install sediment-mcp"):
        command_of(installation(prefix, program=ours.program))


@pytest.mark.parametrize(
    ("source", "package"),
    [
        (None, ["sediment-mcp"]),
        ("no JSON", ["sediment-mcp"]),
        ("[]", ["sediment-mcp"]),
        (
            '{"url": "file:///home/ann/a%20clone", "dir_info": {}}',
            ["--from", "/home/ann/a clone", "sediment-mcp"],
        ),
        (
            '{"url": "https://example.com/s.git", "vcs_info": {"vcs": "git", "requested_revision": "main"}}',
            ["--from", "git+https://example.com/s.git@main", "sediment-mcp"],
        ),
        (
            '{"url": "https://example.com/s.git", "vcs_info": {"vcs": "git"}}',
            ["--from", "git+https://example.com/s.git", "sediment-mcp"],
        ),
        (
            '{"url": "https://example.com/s.whl", "archive_info": {}}',
            ["--from", "https://example.com/s.whl", "sediment-mcp"],
        ),
    ],
)
def test_uvx_runs_what_it_runs_now(source: str | None, package: list[str]) -> None:
    ours = installation("/cache/uv/archive-v0/abc", uvx=Path("/usr/bin/uvx"), source=source)
    assert list(command_of(ours).arguments) == package


@pytest.mark.skipif(os.name == "nt", reason="what makes a file a program is another thing there")
def test_uvx_is_the_one_that_runs_us_else_the_one_on_path(tmp_path: Path) -> None:
    for folder in ("uv", "path"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "uvx").touch(mode=0o755)
    on_path = {"PATH": str(tmp_path / "path")}
    assert this_installation(machine(tmp_path, **on_path), "").uvx == tmp_path / "path" / "uvx"
    by_uv = machine(tmp_path, **on_path, UV=str(tmp_path / "uv" / "uv"))
    assert this_installation(by_uv, "").uvx == tmp_path / "uv" / "uvx"
    assert this_installation(machine(tmp_path, PATH="", UV=str(tmp_path / "gone" / "uv")), "").uvx is None


def test_this_installation_knows_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "sediment-mcp").touch()
    found = this_installation(machine(tmp_path), str(tmp_path / "sediment-mcp"))
    assert (found.prefix, found.python) == (Path(sys.prefix), Path(sys.executable))
    assert found.program == tmp_path / "sediment-mcp"
    assert this_installation(machine(tmp_path), "/x/sediment_mcp/__main__.py").program != Path(
        "/x/sediment_mcp/__main__.py"
    )


def test_windows_programs_end_in_exe(tmp_path: Path) -> None:
    (tmp_path / "sediment-mcp.exe").touch()
    found = this_installation(machine(tmp_path, WINDOWS), str(tmp_path / "sediment-mcp"))
    assert found.program == tmp_path / "sediment-mcp.exe"


def test_each_host_gets_the_shape_it_reads() -> None:
    assert entry_of(PROGRAM, host("cursor")) == {"command": PROGRAM.program, "args": []}
    assert entry_of(UVX, host("zed")) == {
        "command": "/usr/bin/uvx",
        "args": ["sediment-mcp"],
        "env": dict(CPU),
    }
    for name in ("vscode", "claude-code"):
        assert entry_of(PROGRAM, host(name)) == {"type": "stdio", "command": PROGRAM.program, "args": []}
    assert to_paste(host("jetbrains"), PROGRAM) == {
        "mcpServers": {NAME: {"command": PROGRAM.program, "args": []}}
    }


# --- into a file --------------------------------------------------------------------------------


@pytest.fixture
def cursor(tmp_path: Path) -> Target:
    (tmp_path / ".cursor").mkdir()
    return Target(host("cursor"), tmp_path / ".cursor" / "mcp.json")


def install(target: Target, command: Command = PROGRAM, *, force: bool = False) -> Change:
    change = plan_install(target, command, force=force)
    carry_out(change)
    return change


def remove(target: Target) -> Change:
    change = plan_removal(target)
    carry_out(change)
    return change


def servers(target: Target) -> Any:
    return json.loads(target.path.read_text())[target.host.servers]


def test_a_file_is_made_where_there_is_none_and_goes_again(cursor: Target) -> None:
    assert look(cursor, PROGRAM).state == "not installed"
    assert install(cursor).outcome == "added"
    assert servers(cursor) == {NAME: entry_of(PROGRAM, cursor.host)}
    assert look(cursor, PROGRAM).state == "installed"
    if os.name != "nt":
        assert stat.S_IMODE(cursor.path.stat().st_mode) == 0o600
    assert remove(cursor).outcome == "removed"
    assert list(cursor.path.parent.iterdir()) == []


def test_the_folder_of_a_named_host_is_made(tmp_path: Path) -> None:
    (target,) = targets_of(host("windsurf"), machine(tmp_path))
    install(target)
    assert NAME in servers(target)


ODDLY_WRITTEN = [
    b"", b"\n", b"{}", b"{ }", b'{"mcpServers":{}}', b'{"mcpServers": {\n}\n}\r\n', b'{"a": 1}',
    b'{"mcpServers": {"x": {"command": "y"}}}',
    b'{\r\n\t"b": "\\u00e9 \xc3\xa9",\r\n\t"mcpServers": {\r\n\t}\r\n}\r\n',
    b'// mine\n{\n    "mcpServers": { // here\n        "x": {}, /* y */\n    },\n}\n',
]  # fmt: skip


@pytest.mark.parametrize("data", ODDLY_WRITTEN)
def test_install_and_uninstall_leave_the_very_bytes_of_before(data: bytes, cursor: Target) -> None:
    cursor.path.write_bytes(data)
    assert install(cursor).outcome == "added"
    assert cursor.path.read_bytes() != data
    assert config_file.backup_of(cursor.path).read_bytes() == data
    assert remove(cursor).outcome == "removed"
    assert cursor.path.read_bytes() == data
    assert [path.name for path in cursor.path.parent.iterdir()] == [cursor.path.name]


pieces = st.sampled_from(
    ["{", "}", '"a": 1', ",", "\n", "\r\n", " ", '"mcpServers": ', "// c\n", '"x": {}', "\t", "/**/"]
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces, max_size=12).map("".join))
def test_any_file_comes_back_or_is_left_alone(cursor: Target, text: str) -> None:
    cursor.path.write_bytes(text.encode())
    config_file.forget_backup(cursor.path)
    outcome = install(cursor).outcome
    if outcome == "added":
        assert remove(cursor).outcome == "removed"
    else:
        assert outcome == "unusable"
    assert cursor.path.read_bytes() == text.encode()


def test_what_the_host_has_written_since_stays(cursor: Target) -> None:
    cursor.path.write_text('{\n  "mcpServers": {}\n}\n')
    install(cursor)
    cursor.path.write_text(cursor.path.read_text().replace("{\n", '{\n  "seen": 7,\n', 1))
    assert remove(cursor).outcome == "removed"
    assert json.loads(cursor.path.read_text()) == {"seen": 7, "mcpServers": {}}


def test_twice_changes_nothing(cursor: Target) -> None:
    install(cursor)
    before = cursor.path.read_bytes()
    again = install(cursor)
    assert (again.outcome, again.changes, again.diff) == ("unchanged", False, "")
    assert cursor.path.read_bytes() == before
    remove(cursor)
    assert remove(cursor).outcome == "not there"


def test_an_entry_of_the_user_s_stays_until_it_is_forced_out(cursor: Target) -> None:
    mine = {"command": "mine", "args": ["x"], "env": {"HF_HOME": "/h"}, "disabled": True}
    cursor.path.write_text(json.dumps({"mcpServers": {NAME: mine}}))
    assert look(cursor, UVX).state == "another command"
    kept = install(cursor, UVX)
    assert (kept.outcome, kept.entry) == ("kept", mine)
    assert servers(cursor) == {NAME: mine}
    assert install(cursor, UVX, force=True).outcome == "replaced"
    assert servers(cursor)[NAME] == {
        **mine,
        "command": UVX.program,
        "args": ["sediment-mcp"],
        "env": {"HF_HOME": "/h", **CPU},
    }
    assert config_file.backup_of(cursor.path).read_text() == json.dumps({"mcpServers": {NAME: mine}})


@pytest.mark.parametrize(
    ("entry", "same"),
    [
        ({"command": "/usr/bin/uvx", "args": ["sediment-mcp"], "env": dict(CPU)}, True),
        ({"command": "/usr/bin/uvx", "args": ["sediment-mcp", "--model", "none"], "env": dict(CPU)}, True),
        ({"command": "/usr/bin/uvx", "args": ["sediment-mcp"], "env": {**CPU, "A": "b"}, "x": 1}, True),
        ({"command": "/usr/bin/uvx", "args": ["sediment-mcp"]}, False),
        ({"command": "/usr/bin/uvx", "args": ["sediment-mcp", "doctor"], "env": dict(CPU)}, False),
        ({"command": "uvx", "args": ["sediment-mcp"], "env": dict(CPU)}, False),
        ({"command": "/usr/bin/uvx", "args": "sediment-mcp", "env": dict(CPU)}, False),
        ({"command": "/usr/bin/uvx", "args": ["sediment-mcp"], "env": []}, False),
        ({"type": "sse", "command": "/usr/bin/uvx", "args": ["sediment-mcp"], "env": dict(CPU)}, False),
        ([], False),
        ({}, False),
    ],
)  # fmt: skip
def test_what_the_user_adds_to_our_entry_keeps_it_ours(entry: Any, same: bool) -> None:
    assert starts_the_same(entry, entry_of(UVX, host("vscode"))) is same


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("{}".encode("utf-16"), "byte order mark"),
        (b'{"a": "\xff"}', "no UTF-8"),
        (b"[]", "is no JSON object"),
        (b'{"mcpServers": []}', "holds no object in “mcpServers”"),
        (b'{"mcpServers": null}', "holds no object in “mcpServers”"),
        (b'{"mcpServers": {}', "is no JSON at line 1"),
        (b"null", "is no JSON object"),
    ],
)
def test_an_odd_file_is_left_alone(data: bytes, words: str, cursor: Target) -> None:
    cursor.path.write_bytes(data)
    for outcome in (install(cursor), remove(cursor)):
        assert outcome.outcome == "unusable"
        assert words in outcome.problem
        assert str(cursor.path) in outcome.problem
        assert outcome.problem.endswith(".")
    assert words in look(cursor, PROGRAM).problem
    assert cursor.path.read_bytes() == data
    assert [path.name for path in cursor.path.parent.iterdir()] == [cursor.path.name]


def test_a_host_that_reads_no_comments_is_not_given_a_file_with_some(tmp_path: Path) -> None:
    target = Target(host("claude-desktop"), tmp_path / "claude_desktop_config.json")
    target.path.write_text('{\n  // mine\n  "mcpServers": {}\n}')
    assert "line 2" in install(target).problem
    assert "Claude Desktop" in look(target, PROGRAM).problem


def test_a_directory_is_no_file(cursor: Target) -> None:
    cursor.path.mkdir()
    assert "is a directory" in install(cursor).problem


def test_a_link_stays_a_link_and_its_target_its_mode(cursor: Target, tmp_path: Path) -> None:
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "cursor.json").write_text("{}")
    (dotfiles / "cursor.json").chmod(0o640)
    cursor.path.symlink_to(dotfiles / "cursor.json")
    install(cursor)
    assert cursor.path.is_symlink()
    assert NAME in json.loads((dotfiles / "cursor.json").read_text())["mcpServers"]
    assert stat.S_IMODE((dotfiles / "cursor.json").stat().st_mode) == 0o640
    assert [path.name for path in dotfiles.iterdir()] == ["cursor.json"]
    remove(cursor)
    assert cursor.path.is_symlink()
    assert (dotfiles / "cursor.json").read_text() == "{}"


@pytest.mark.parametrize("data", [b"{}", None])
def test_what_changes_between_plan_and_deed_is_not_overwritten(data: bytes | None, cursor: Target) -> None:
    if data is not None:
        cursor.path.write_bytes(data)
    change = plan_install(cursor, PROGRAM)
    cursor.path.write_text('{"mine": 1}')
    with pytest.raises(UnusableFile, match="run the command again"):
        carry_out(change)
    assert cursor.path.read_text() == '{"mine": 1}'


def test_what_cannot_be_written_is_said(cursor: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    cursor.path.write_text("{}")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sediment_mcp.system.files.publish", full)
    with pytest.raises(UnusableFile, match="No space left on device"):
        install(cursor)
    assert [path.name for path in cursor.path.parent.iterdir()] == [cursor.path.name]
    assert cursor.path.read_text() == "{}"


def test_a_read_only_file_is_respected(cursor: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    cursor.path.write_text("{}")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everything
    with pytest.raises(UnusableFile, match="read-only"):
        install(cursor)
    assert cursor.path.read_text() == "{}"


def test_the_diff_is_what_changes(cursor: Target) -> None:
    cursor.path.write_text('{\n  "mcpServers": {\n    "x": {}\n  }\n}\n')
    diff = plan_install(cursor, PROGRAM).diff.splitlines()
    assert diff[:2] == [f"--- {cursor.path}", f"+++ {cursor.path}"]
    assert [line[1:].strip() for line in diff[3:] if line.startswith("-")] == ['"x": {}']
    assert '+    "sediment": {' in diff
    new = plan_install(Target(cursor.host, cursor.path.with_name("new.json")), PROGRAM).diff
    assert new.startswith("--- /dev/null\n")
