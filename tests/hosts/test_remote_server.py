"""Connecting hosts to a server with a URL: each host's own form, and the token where it belongs."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from support.hosts import UVX, host, machine

from sediment_mcp.errors import BadArgument
from sediment_mcp.hosts import config_file
from sediment_mcp.hosts.install_plan import (
    ConfigTarget,
    PlannedChange,
    apply_change,
    inspect_target,
    list_targets,
    plan_install,
    plan_removal,
)
from sediment_mcp.hosts.launch_command import Installation, build_bridge_command
from sediment_mcp.hosts.registry import HOSTS, SERVER_NAME
from sediment_mcp.hosts.remote_server import RemoteServer, check_server
from sediment_mcp.hosts.server_entry import Connection, build_entry

URL = "https://memory.example.com/mcp"
TOKEN = "tok-3f9a"
WITH_TOKEN = RemoteServer(URL, TOKEN)
WITH_VARIABLE = RemoteServer(URL, token_variable="MEMORY_TOKEN")
REACHING = [one.name for one in HOSTS if one.remote]
INSTALLATION = Installation(
    Path("/opt/sediment"), Path("/opt/sediment/bin/sediment-mcp"), Path("/usr/bin/python")
)


def by_variable(name: str, reference: str) -> dict[str, Any]:
    return {"Authorization": f"Bearer {reference}", "Sediment-Host": name}


SHAPES: dict[str, dict[str, Any]] = {
    "claude-code": {
        "type": "http", "url": URL, "alwaysLoad": True,
        "headers": by_variable("claude-code", "${MEMORY_TOKEN}"),
    },
    "cursor": {"url": URL, "headers": by_variable("cursor", "${env:MEMORY_TOKEN}")},
    "vscode": {"type": "http", "url": URL, "headers": by_variable("vscode", "${env:MEMORY_TOKEN}")},
    "windsurf": {"serverUrl": URL, "headers": by_variable("windsurf", "${env:MEMORY_TOKEN}")},
    "codex": {
        "url": URL, "bearer_token_env_var": "MEMORY_TOKEN", "http_headers": {"Sediment-Host": "codex"},
        "required": True, "startup_timeout_sec": 60,
    },
    "gemini": {"httpUrl": URL, "headers": by_variable("gemini", "${MEMORY_TOKEN}")},
    "qwen": {"httpUrl": URL, "headers": by_variable("qwen", "${MEMORY_TOKEN}")},
    "opencode": {
        "type": "remote", "oauth": False, "url": URL, "enabled": True,
        "headers": by_variable("opencode", "{env:MEMORY_TOKEN}"),
    },
    "copilot-cli": {
        "type": "http", "url": URL, "tools": ["*"], "headers": by_variable("copilot-cli", "${MEMORY_TOKEN}"),
    },
}  # fmt: skip


def find_target(name: str, home: Path) -> ConfigTarget:
    target = list_targets(host(name), machine(home))[0]
    target.path.parent.mkdir(parents=True, exist_ok=True)
    return target


def install(target: ConfigTarget, connection: Connection, *, force: bool = False) -> PlannedChange:
    change = plan_install(target, connection, force=force)
    apply_change(change)
    return change


def read(target: ConfigTarget) -> Any:
    return target.read_entries(target.path.read_text())[SERVER_NAME]


reaching = pytest.mark.parametrize("name", REACHING)


def test_every_host_that_reaches_a_server_is_tested() -> None:
    assert list(SHAPES) == REACHING


@reaching
def test_each_host_gets_the_form_that_it_reads_with_the_variable_of_the_token(name: str) -> None:
    assert build_entry(WITH_VARIABLE, host(name)) == SHAPES[name]


@reaching
@pytest.mark.parametrize("text", [None, "# mine\n", '{"a": 1}\n'])
def test_a_host_is_connected_once_and_disconnected_without_a_trace(
    name: str, text: str | None, tmp_path: Path
) -> None:
    target = find_target(name, tmp_path)
    if text is not None and text.startswith("#") == (name == "codex"):
        target.path.write_text(text)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert install(target, WITH_TOKEN).outcome == "added"
    assert read(target) == build_entry(WITH_TOKEN, host(name))
    assert inspect_target(target, UVX).state == "remote"
    assert install(target, WITH_TOKEN).outcome == "unchanged"
    change = plan_removal(target)
    apply_change(change)
    assert change.outcome == "removed"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@reaching
def test_a_new_token_takes_the_place_of_the_old_one_and_none_leaves_it(name: str, tmp_path: Path) -> None:
    target = find_target(name, tmp_path)
    install(target, RemoteServer(URL, "old"))
    assert install(target, RemoteServer(URL)).outcome == "unchanged"
    assert install(target, WITH_TOKEN).outcome == "replaced"
    assert read(target) == build_entry(WITH_TOKEN, host(name))
    assert install(target, WITH_VARIABLE).outcome == "replaced"
    assert read(target) == SHAPES[name]
    assert TOKEN not in target.path.read_text()
    assert install(target, WITH_TOKEN).outcome == "replaced"
    assert read(target) == build_entry(WITH_TOKEN, host(name))


@reaching
def test_what_starts_a_server_here_gives_way_to_a_url_by_force_alone_and_back(
    name: str, tmp_path: Path
) -> None:
    target = find_target(name, tmp_path)
    install(target, UVX)
    assert install(target, WITH_TOKEN).outcome == "kept"
    assert install(target, WITH_TOKEN, force=True).outcome == "replaced"
    assert read(target) == build_entry(WITH_TOKEN, host(name))
    assert install(target, UVX).outcome == "kept"
    assert install(target, UVX, force=True).outcome == "replaced"
    assert read(target) == build_entry(UVX, host(name))


def test_what_the_user_has_added_stays(tmp_path: Path) -> None:
    target = find_target("cursor", tmp_path)
    install(target, WITH_TOKEN)
    text = target.path.read_text().replace('"Sediment-Host"', '"X-Mine": "1", "Sediment-Host"')
    target.path.write_text(text.replace('"url"', '"disabled": true, "url"'))
    assert install(target, WITH_VARIABLE).outcome == "replaced"
    entry = read(target)
    assert (entry["disabled"], entry["headers"]["X-Mine"]) == (True, "1")
    assert plan_removal(target).outcome == "removed"


def test_an_entry_with_a_url_that_the_user_has_written_stays(tmp_path: Path) -> None:
    target = find_target("cursor", tmp_path)
    target.path.write_text(
        json.dumps({"mcpServers": {SERVER_NAME: {"url": "https://geology.example.com/mcp"}}})
    )
    assert install(target, WITH_TOKEN).outcome == "kept"
    assert plan_removal(target).outcome == "kept"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_a_file_that_gets_a_token_is_its_owner_s_alone_and_no_diff_shows_it(tmp_path: Path) -> None:
    target = find_target("cursor", tmp_path)
    target.path.write_text("{}")
    target.path.chmod(0o644)
    assert install(target, WITH_VARIABLE).outcome == "added"
    assert stat.S_IMODE(target.path.stat().st_mode) == 0o644
    change = install(target, WITH_TOKEN)
    assert stat.S_IMODE(target.path.stat().st_mode) == 0o600
    assert "Bearer …" in change.diff
    assert TOKEN not in change.diff + plan_removal(target).diff
    assert config_file.holds_token(target.path.read_text())


def test_a_host_that_reaches_no_url_starts_a_bridge_with_the_token_in_its_environment(tmp_path: Path) -> None:
    target = find_target("claude-desktop", tmp_path)
    command = build_bridge_command(INSTALLATION, WITH_TOKEN, "claude-desktop")
    assert install(target, command).outcome == "added"
    assert read(target) == {
        "command": "/opt/sediment/bin/sediment-mcp", "args": ["bridge", URL, "--host", "claude-desktop"],
        "env": {"MEMORY_TOKEN": TOKEN},
    }  # fmt: skip
    assert install(target, command).outcome == "unchanged"
    assert TOKEN not in plan_removal(target).diff
    assert plan_removal(target).outcome == "removed"
    variable = build_bridge_command(INSTALLATION, WITH_VARIABLE, "zed")
    assert variable.arguments[:4] == ("bridge", URL, "--token-env", "MEMORY_TOKEN")
    assert variable.environment == {}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("memory.example.com", "write it as https://"),
        ("https://", "write it as https://"),
        ("https://a.example:99999/mcp", "write it as https://"),
        ("ftp://a.example/mcp", "write it as https://"),
        ("https://a.example/mcp?token=x", "write it as https://"),
        ("https://ann:secret@a.example/mcp", "holds a password"),
        ("http://a.example/mcp", "unencrypted"),
        ("http://10.0.0.1/mcp", "unencrypted"),
    ],
)
def test_a_url_that_no_token_may_be_sent_to_is_refused(url: str, words: str) -> None:
    with pytest.raises(BadArgument, match=words):
        check_server(RemoteServer(url))


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("https://a.example", "https://a.example/mcp"),
        ("https://a.example/", "https://a.example/mcp"),
        ("https://a.example:8443/teams/x/mcp/", "https://a.example:8443/teams/x/mcp"),
        ("http://127.0.0.1:8787", "http://127.0.0.1:8787/mcp"),
        ("http://localhost:8787/mcp", "http://localhost:8787/mcp"),
        ("http://[::1]:8787", "http://[::1]:8787/mcp"),
    ],
)
def test_a_url_is_completed(given: str, full: str) -> None:
    assert check_server(RemoteServer(given)).url == full


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "é"])
def test_a_token_that_no_header_carries_is_refused(token: str) -> None:
    with pytest.raises(BadArgument, match="copy it again"):
        check_server(RemoteServer(URL, token))


def test_a_token_in_the_place_of_a_variable_s_name_is_refused() -> None:
    with pytest.raises(BadArgument, match="not its value"):
        check_server(RemoteServer(URL, token_variable="tok-3f9a"))


def test_a_project_is_named_in_every_request() -> None:
    entry = build_entry(RemoteServer(URL, project="Käse"), host("cursor"))
    assert entry["headers"]["Sediment-Project"] == "K%C3%A4se"
