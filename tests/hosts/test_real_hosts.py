"""Hosts from npm against the server: `install` writes what they accept, and memories arrive.

Asked for by `pytest --real-hosts`, as `.ci/run hosts` does. No account is needed: an endpoint on this machine
stands in the place of the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.hosts import host
from support.http_server import HttpServer, make_token, running_server
from support.model_endpoint import ModelEndpoint, ToolCall, find_tool, list_results
from support.real_hosts import FILES, PROMPT, RealHost

from sediment_mcp.cli.group import COMMANDS
from sediment_mcp.server.tools import TOOLS

pytestmark = [pytest.mark.host, pytest.mark.slow, pytest.mark.process, pytest.mark.timeout(600)]

FACT = "Releases go out on Tuesdays, after the stand-up."
SCRIPT = (
    ToolCall("store_memory", {"content": FACT}),
    ToolCall("query_memory", {"query": PROMPT}),
    "They go out on Tuesdays.",
)
NESTED = '{"hookSpecificOutput": {"hookEventName": "%s", "additionalContext": "said at %s"}}'
ANSWERS = {
    "claude-code": NESTED,
    "codex": NESTED,  # which drops an answer with any other field
    "copilot-cli": '{"ignored": "%s", "additionalContext": "said at %s"}',
}
hosts = pytest.mark.parametrize("name", FILES)
with_hooks = pytest.mark.parametrize("name", ANSWERS)


@pytest.fixture
def endpoint() -> Iterator[ModelEndpoint]:
    with ModelEndpoint(SCRIPT) as endpoint:
        yield endpoint


def prepare(name: str, tmp_path: Path, endpoint: ModelEndpoint) -> RealHost:
    real = RealHost(name, tmp_path / "home", endpoint.url)
    real.prepare()
    return real


def text_of(body: dict[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False)


@hosts
def test_a_host_stores_and_finds_with_what_install_wrote_and_keeps_no_trace(
    name: str, tmp_path: Path, endpoint: ModelEndpoint
) -> None:
    real = prepare(name, tmp_path, endpoint)
    before = real.list_files()
    (change,) = real.run_sediment("install", name, "--no-check")["changes"]
    assert change["outcome"] == "added"
    assert "They go out on Tuesdays." in real.ask()

    first, *_, last = endpoint.conversation()
    assert all(find_tool(first, tool.name) for tool in TOOLS)
    assert first is next(
        body for body in (request["body"] for request in endpoint.requests) if body.get("tools")
    )
    stored, found = map(text_of, list_results(last)[-2:])
    assert "stored" in stored
    assert FACT in found
    (memory,) = real.run_sediment("list")["memories"]
    assert memory["content"] == FACT

    (change,) = real.run_sediment("install", name, "--uninstall")["changes"]
    assert change["outcome"] == "removed"
    assert real.list_files() == before
    written = Path(change["path"])
    if written.exists() and name == "claude-code":  # which writes into that file itself
        assert not json.loads(written.read_text(encoding="utf-8"))["mcpServers"]


@with_hooks
def test_what_a_hook_says_is_in_the_first_request_in_the_form_that_install_wrote(
    name: str, tmp_path: Path, endpoint: ModelEndpoint
) -> None:
    """A program in the place of ours, so that the host's part is seen alone."""
    real = prepare(name, tmp_path, endpoint)
    before = real.list_files()
    (change,) = real.run_sediment("install", name, "--no-check", "--hooks")["hooks"]
    path = Path(change["path"])
    stand_in = tmp_path / "sediment-mcp"
    stand_in.write_text(
        "#!/bin/sh\n"
        "case $2 in session-start) event=SessionStart ;; *) event=UserPromptSubmit ;; esac\n"
        f'cat > "{tmp_path}/$2.json"\n'
        f"printf '{ANSWERS[name]}' $event $2\n"
    )
    stand_in.chmod(0o755)
    text = path.read_text(encoding="utf-8")
    for (group,) in json.loads(text)["hooks"].values():
        (handler,) = group.get("hooks", [group])
        hook = handler["command"][handler["command"].index(" hook ") :]
        text = text.replace(json.dumps(handler["command"])[1:-1], f"{stand_in}{hook}")
    path.write_text(text, encoding="utf-8")

    real.ask()
    first = text_of(endpoint.conversation()[0])
    assert "said at session-start" in first
    assert "said at prompt" in first
    assert json.loads((tmp_path / "prompt.json").read_text())["prompt"] == PROMPT
    assert json.loads((tmp_path / "session-start.json").read_text())["cwd"]

    real.run_sediment("install", name, "--uninstall")
    assert real.list_files() == before


@pytest.mark.skipif("hook" not in COMMANDS, reason="there is no command hook in this checkout")
@with_hooks
def test_a_memory_comes_into_the_first_request_without_being_asked_for(
    name: str, tmp_path: Path, endpoint: ModelEndpoint
) -> None:
    real = prepare(name, tmp_path, endpoint)
    real.run_sediment("store", FACT, "--project", str(real.project))
    before = real.list_files()
    real.run_sediment("install", name, "--no-check", "--hooks")
    real.ask()
    assert FACT in text_of(endpoint.conversation()[0])
    real.run_sediment("install", name, "--uninstall")
    assert real.list_files() == before


with_remote = pytest.mark.parametrize("name", [name for name in FILES if host(name).remote])


@with_remote
@pytest.mark.parametrize("has_variable", [True, False], ids=["variable", "file"])
def test_a_host_stores_and_finds_over_http_with_its_token(
    name: str, has_variable: bool, tmp_path: Path, endpoint: ModelEndpoint
) -> None:
    token = make_token(tmp_path / "server" / "data", "ann", "ann")
    with running_server(tmp_path / "server") as remote:
        assert remote.ask("tools/list", token="wrong").status == 401
        check_over_http(name, has_variable, token, prepare(name, tmp_path, endpoint), endpoint, remote)


def check_over_http(
    name: str, has_variable: bool, token: str, real: RealHost, endpoint: ModelEndpoint, remote: HttpServer
) -> None:
    """Connect the host, let it store and find, look at what the server has, and disconnect it."""
    before = real.list_files()
    given = ["--url", f"{remote.url}/mcp", "--no-check"]
    if has_variable:
        real.variables["MEMORY_TOKEN"] = token
        (change,) = real.run_sediment("install", name, *given, "--token-env", "MEMORY_TOKEN")["changes"]
    else:
        (change,) = real.run_sediment("install", name, *given, "--token-stdin", text=f"{token}\n")["changes"]
    assert change["outcome"] == "added"
    assert (token in Path(change["path"]).read_text(encoding="utf-8")) is not has_variable
    assert "They go out on Tuesdays." in real.ask()

    *_, last = endpoint.conversation()
    stored, found = map(text_of, list_results(last)[-2:])
    assert "stored" in stored
    assert FACT in found
    answer = remote.call("list_memories", {}, token=token)
    assert [memory["content"] for memory in answer["memories"]] == [FACT]
    assert real.run_sediment("list")["memories"] == []

    (change,) = real.run_sediment("install", name, "--uninstall")["changes"]
    assert change["outcome"] == "removed"
    assert real.list_files() == before
