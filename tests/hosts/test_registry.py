"""The registry: where each host's file is on each platform."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.hosts import host, machine

from sediment_mcp.hosts.registry import (
    HOSTS,
    LINUX,
    MACOS,
    WINDOWS,
    find_config_files,
    get_default_config_file,
)

PACKAGED = "AppData/Local/Packages/Claude_pzs8sxrjxfjjc"

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
