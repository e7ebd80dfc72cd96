"""The registry: where each host's file is on each platform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.hosts import host, machine

from sediment_mcp.hosts.install_plan import build_config
from sediment_mcp.hosts.launch_command import LaunchCommand
from sediment_mcp.hosts.locations import LINUX, MACOS, WINDOWS
from sediment_mcp.hosts.registry import HOSTS, Host, find_config_files, get_default_config_file
from sediment_mcp.hosts.server_entry import build_entry, starts_this_program

PACKAGED = "AppData/Local/Packages/Claude_pzs8sxrjxfjjc"
ROO = "globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json"


def everywhere(file: str) -> dict[str, str]:
    return dict.fromkeys((MACOS, WINDOWS, LINUX), file)


USUAL: dict[str, dict[str, str]] = {
    "claude-desktop": {
        MACOS: "Library/Application Support/Claude/claude_desktop_config.json",
        WINDOWS: "AppData/Roaming/Claude/claude_desktop_config.json",
        LINUX: ".config/Claude/claude_desktop_config.json",
    },
    "claude-code": everywhere(".claude.json"),
    "cursor": everywhere(".cursor/mcp.json"),
    "vscode": {
        MACOS: "Library/Application Support/Code/User/mcp.json",
        WINDOWS: "AppData/Roaming/Code/User/mcp.json",
        LINUX: ".config/Code/User/mcp.json",
    },
    "windsurf": everywhere(".codeium/windsurf/mcp_config.json"),
    "zed": {
        MACOS: ".config/zed/settings.json",
        WINDOWS: "AppData/Roaming/Zed/settings.json",
        LINUX: ".config/zed/settings.json",
    },
    "junie": everywhere(".junie/mcp/mcp.json"),
    "codex": everywhere(".codex/config.toml"),
    "gemini": everywhere(".gemini/settings.json"),
    "antigravity": everywhere(".gemini/config/mcp_config.json"),
    "qwen": everywhere(".qwen/settings.json"),
    "opencode": everywhere(".config/opencode/opencode.json"),
    "copilot-cli": everywhere(".copilot/mcp-config.json"),
    "cline": everywhere(".cline/data/settings/cline_mcp_settings.json"),
    "roo": {
        MACOS: f"Library/Application Support/Code/User/{ROO}",
        WINDOWS: f"AppData/Roaming/Code/User/{ROO}",
        LINUX: f".config/Code/User/{ROO}",
    },
    "kilo": everywhere(".config/kilo/kilo.json"),
    "goose": {
        MACOS: ".config/goose/config.yaml",
        WINDOWS: "AppData/Roaming/Block/goose/config/config.yaml",
        LINUX: ".config/goose/config.yaml",
    },
    "lmstudio": everywhere(".lmstudio/mcp.json"),
    "kiro": everywhere(".kiro/settings/mcp.json"),
    "warp": everywhere(".warp/.mcp.json"),
    "amp": everywhere(".config/amp/settings.json"),
    "qoder": everywhere(".qoder/settings.json"),
    "continue": everywhere(".continue/config.yaml"),
    "droid": everywhere(".factory/mcp.json"),
    "auggie": everywhere(".augment/settings.json"),
    "vibe": everywhere(".vibe/config.toml"),
    "amazon-q": everywhere(".aws/amazonq/default.json"),
    "jetbrains": {},
    "trae": {},
    "jan": {},
    "cherry-studio": {},
}


def test_every_host_is_tested() -> None:
    assert [one.name for one in HOSTS] == list(USUAL)


@pytest.mark.parametrize("platform", [MACOS, WINDOWS, LINUX])
@pytest.mark.parametrize("name", USUAL)
def test_a_host_s_file_is_where_it_reads_it(name: str, platform: str, tmp_path: Path) -> None:
    usual = USUAL[name].get(platform)
    here = machine(tmp_path, platform)
    assert get_default_config_file(host(name), here) == (tmp_path / usual if usual else None)
    assert find_config_files(host(name), here) == []
    if usual:
        (tmp_path / usual).parent.mkdir(parents=True, exist_ok=True)
        if name == "claude-code":  # its file stands in the home directory, which is always there
            assert find_config_files(host(name), here) == []
            (tmp_path / ".claude").mkdir()
        assert find_config_files(host(name), here) == [tmp_path / usual]


@pytest.mark.parametrize(
    ("name", "platform", "variable", "file"),
    [
        ("claude-desktop", WINDOWS, "APPDATA", "Claude/claude_desktop_config.json"),
        ("vscode", WINDOWS, "APPDATA", "Code/User/mcp.json"),
        ("zed", WINDOWS, "APPDATA", "Zed/settings.json"),
        ("zed", LINUX, "XDG_CONFIG_HOME", "zed/settings.json"),
        ("vscode", LINUX, "XDG_CONFIG_HOME", "Code/User/mcp.json"),
        ("claude-code", LINUX, "CLAUDE_CONFIG_DIR", ".claude.json"),
        ("codex", MACOS, "CODEX_HOME", "config.toml"),
        ("copilot-cli", MACOS, "COPILOT_HOME", "mcp-config.json"),
        ("opencode", LINUX, "XDG_CONFIG_HOME", "opencode/opencode.json"),
    ],
)
def test_the_variable_that_moves_a_folder_is_followed(
    name: str, platform: str, variable: str, file: str, tmp_path: Path
) -> None:
    moved = tmp_path / "else where [1]"
    here = machine(tmp_path / "home", platform, **{variable: str(moved)})
    assert get_default_config_file(host(name), here) == moved / file
    (moved / file).parent.mkdir(parents=True)
    (moved / file).write_text("{}")
    assert find_config_files(host(name), here) == [moved / file]
    for useless in ("", " ", "not/absolute"):
        unmoved = machine(tmp_path, platform, **{variable: useless})
        assert get_default_config_file(host(name), unmoved) == get_default_config_file(
            host(name), machine(tmp_path, platform)
        )


def test_the_packaged_claude_desktop_has_its_own_file(tmp_path: Path) -> None:
    (tmp_path / PACKAGED).mkdir(parents=True)
    inner = tmp_path / PACKAGED / "LocalCache/Roaming/Claude/claude_desktop_config.json"
    assert find_config_files(host("claude-desktop"), machine(tmp_path, WINDOWS)) == [inner]
    outer = tmp_path / "AppData/Roaming/Claude"
    outer.mkdir(parents=True)
    assert find_config_files(host("claude-desktop"), machine(tmp_path, WINDOWS)) == [
        outer / "claude_desktop_config.json",
        inner,
    ]
    moved = machine(tmp_path / "home", WINDOWS, LOCALAPPDATA=str(tmp_path / "AppData/Local"))
    assert find_config_files(host("claude-desktop"), moved) == [inner]


@pytest.mark.parametrize("name", ["opencode.jsonc", "config.json"])
def test_of_the_names_that_a_file_may_have_the_one_that_is_there_is_taken(name: str, tmp_path: Path) -> None:
    folder = tmp_path / ".config/opencode"
    folder.mkdir(parents=True)
    assert find_config_files(host("opencode"), machine(tmp_path)) == [folder / "opencode.json"]
    (folder / name).write_text("{}")
    assert find_config_files(host("opencode"), machine(tmp_path)) == [folder / name]
    assert get_default_config_file(host("opencode"), machine(tmp_path)) == folder / name


def test_cline_is_found_in_the_terminal_and_in_vs_code(tmp_path: Path) -> None:
    extension = tmp_path / ".config/Code/User/globalStorage/saoudrizwan.claude-dev"
    for folder in (tmp_path / ".cline", extension):
        folder.mkdir(parents=True)
    assert find_config_files(host("cline"), machine(tmp_path)) == [
        tmp_path / ".cline/data/settings/cline_mcp_settings.json",
        extension / "settings/cline_mcp_settings.json",
    ]


def test_a_host_that_takes_its_servers_by_hand_says_where() -> None:
    by_hand = [one for one in HOSTS if not one.locations]
    assert len(by_hand) == 4
    assert all("→" in one.next_step for one in by_hand)


# --- the shape of an entry ------------------------------------------------------------------------

COMMAND = LaunchCommand("/bin/uvx", ("sediment-mcp", "--data-dir", "/d"), {"A": "b"})
ARGS = ["sediment-mcp", "--data-dir", "/d"]
COMMON = {"command": "/bin/uvx", "args": ARGS, "env": {"A": "b"}}
LIST = {"type": "local", "command": ["/bin/uvx", *ARGS], "environment": {"A": "b"}, "enabled": True}
SHAPES: dict[str, dict[str, Any]] = {
    "claude-code": {"type": "stdio", **COMMON, "alwaysLoad": True},
    "codex": {**COMMON, "required": True, "startup_timeout_sec": 60},
    "gemini": COMMON,
    "opencode": LIST,
    "kilo": LIST,
    "copilot-cli": {"type": "local", **COMMON, "tools": ["*"]},
    "cline": {**COMMON, "timeout": 60},
    "goose": {
        "type": "stdio", "name": "sediment", "cmd": "/bin/uvx", "args": ARGS, "envs": {"A": "b"},
        "enabled": True, "timeout": 300,
    },
    "amp": COMMON,
    "droid": {"type": "stdio", **COMMON},
    "vibe": {"transport": "stdio", **COMMON},
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_host_gets_the_fields_that_it_reads(name: str) -> None:
    (section, entries), *rest = build_config(host(name), COMMAND).items()
    assert (entries, rest) == ({"sediment": SHAPES[name]}, [])
    assert host(name).shape.read(SHAPES[name]) == build_entry(COMMAND, host(name))
    assert section == {"opencode": "mcp", "kilo": "mcp", "goose": "extensions", "amp": "amp.mcpServers"}.get(
        name, "mcp_servers" if name in ("codex", "vibe") else "mcpServers"
    )


entries = st.dictionaries(
    st.sampled_from(["command", "args", "env", "cmd", "envs", "environment", "enabled", "x", "name"]),
    st.one_of(st.none(), st.text(max_size=3), st.lists(st.text(max_size=3), max_size=3), st.booleans()),
)


@given(st.sampled_from(HOSTS), st.one_of(entries, st.none(), st.lists(st.text(max_size=2), max_size=2)))
def test_an_entry_of_any_form_can_be_read(one: Host, entry: Any) -> None:
    common = one.shape.read(entry)
    assert starts_this_program(common) in (True, False)
