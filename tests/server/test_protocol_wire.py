"""The protocol as bytes on the wire: versions, eras, failures, and the project a call belongs to."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.stdio_peer import MODERN_PROTOCOL, PROTOCOL, Message, StdioPeer, modern_params, odd_peer

pytestmark = [pytest.mark.slow, pytest.mark.process]

LEGACY = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[StdioPeer]:
    with StdioPeer(tmp_path / "data") as peer:
        yield peer


# --- eras ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", LEGACY)
def test_a_known_version_is_echoed_and_served(peer: StdioPeer, version: str) -> None:
    assert peer.initialize(version)["protocolVersion"] == version
    assert len(peer.request("tools/list")["result"]["tools"]) == 4
    assert peer.request("ping")["result"] == {}


@pytest.mark.parametrize("version", ["2024-10-07", "2026-07-28", "2099-01-01", ""])
def test_an_unknown_version_is_answered_with_the_newest_of_the_handshake(
    peer: StdioPeer, version: str
) -> None:
    assert peer.initialize(version)["protocolVersion"] == LEGACY[-1]


def test_a_ping_before_the_handshake_is_answered(peer: StdioPeer) -> None:
    assert peer.request("ping")["result"] == {}
    assert peer.initialize()["protocolVersion"] == PROTOCOL


def test_a_probe_without_envelope_leaves_room_for_the_handshake(peer: StdioPeer) -> None:
    assert peer.request("server/discover")["error"]["code"] == -32601
    assert peer.initialize()["protocolVersion"] == PROTOCOL


def test_the_modern_era_is_discovered_and_served_without_a_handshake(peer: StdioPeer) -> None:
    discovered = peer.request("server/discover", modern_params())["result"]
    assert discovered["supportedVersions"] == [MODERN_PROTOCOL]
    assert set(discovered["capabilities"]) == {"tools", "resources", "prompts", "completions"}
    listed = peer.request("tools/list", modern_params())["result"]
    assert listed["resultType"] == "complete"
    assert listed["ttlMs"] > 0
    assert len(listed["tools"]) == 4


def test_a_modern_call_needs_nothing_before_it(tmp_path: Path) -> None:
    with odd_peer(tmp_path) as peer:
        call = {"name": "query_memory", "arguments": {"query": "first"}}
        result = peer.request("tools/call", modern_params(call))["result"]
        assert result["structuredContent"]["notes"] == ["first"]
        assert result["resultType"] == "complete"


def test_a_version_of_the_future_in_the_envelope_is_refused_with_those_served(peer: StdioPeer) -> None:
    params = modern_params()
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01"
    error = peer.request("tools/list", params)["error"]
    assert error["code"] == -32022
    assert error["data"]["supported"] == [MODERN_PROTOCOL]


# --- protocol errors ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StdioPeer]:
    """One process for all of these: an error must not leave a mark."""
    with StdioPeer(tmp_path_factory.mktemp("served") / "data") as peer:
        peer.initialize()
        yield peer


def test_an_unknown_method_is_not_found(served: StdioPeer) -> None:
    for method in ("no/such/method", "tasks/list", "logging/setLevel"):
        params = {"level": "debug"} if method == "logging/setLevel" else None
        assert served.request(method, params)["error"]["code"] == -32601


@pytest.mark.parametrize("arguments", [[], "x", 5, True])
def test_arguments_that_are_no_object_are_answered_in_a_sentence(served: StdioPeer, arguments: Any) -> None:
    answer = served.request("tools/call", {"name": "query_memory", "arguments": arguments})["result"]
    assert answer["isError"]
    assert "query" in answer["content"][0]["text"]


def test_arguments_that_are_an_object_as_json_text_are_read(served: StdioPeer) -> None:
    arguments = json.dumps({"query": "anything", "limit": "2"})
    answer = served.request("tools/call", {"name": "query_memory", "arguments": arguments})["result"]
    assert not answer["isError"]


@pytest.mark.parametrize(
    "method", ["resources/list", "tools/list", "prompts/list", "resources/templates/list"]
)
@pytest.mark.parametrize("cursor", [5, ["x"], {"a": 1}, True])
def test_a_cursor_that_is_no_text_is_refused_in_a_sentence(
    served: StdioPeer, method: str, cursor: Any
) -> None:
    error = served.request(method, {"cursor": cursor})["error"]
    assert error["code"] == -32602
    assert "cursor" in error["message"]


def test_a_call_without_a_name_is_a_protocol_error(served: StdioPeer) -> None:
    assert served.request("tools/call", {"arguments": {}})["error"]["code"] == -32602


def test_the_name_of_an_unknown_tool_is_repeated_shortened(served: StdioPeer) -> None:
    error = served.request("tools/call", {"name": "no\nsuch " * 10_000, "arguments": {}})["error"]
    assert error["code"] == -32602
    assert "store_memory" in error["message"]
    assert len(error["message"]) < 300
    assert "\n" not in error["message"]


def test_missing_arguments_count_as_none_given(served: StdioPeer) -> None:
    result = served.request("tools/call", {"name": "query_memory"})["result"]
    assert result["isError"]
    assert "query is missing" in result["content"][0]["text"]


# --- failures of a tool -------------------------------------------------------------------------


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[StdioPeer]:
    with odd_peer(tmp_path) as peer:
        peer.initialize()
        yield peer


def test_a_failure_on_purpose_shows_its_sentence(odd: StdioPeer) -> None:
    result = odd.call("query_memory", query="fail")
    assert result["isError"]
    assert result["content"] == [{"type": "text", "text": "The disk is upside down: turn it over."}]
    assert odd.end() == 0
    assert "Traceback" not in odd.errors()


@pytest.mark.parametrize("query", ["break", "panic", "nan"])
def test_a_failure_by_accident_shows_the_remedy_and_logs_the_rest(odd: StdioPeer, query: str) -> None:
    result = odd.call("query_memory", query=query)
    assert result["isError"]
    assert "structuredContent" not in result
    (content,) = result["content"]
    assert "sediment-mcp doctor" in content["text"]
    assert "secret" not in content["text"]
    assert odd.call("query_memory", query="next")["structuredContent"]["notes"] == ["next"]
    assert odd.end() == 0
    assert "Traceback" in odd.errors()


# --- the project --------------------------------------------------------------------------------


def work_tree(folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return folder.resolve()


def project(peer: StdioPeer) -> str:
    return peer.call("query_memory", query="project")["structuredContent"]["notes"][0]


def answer_roots(peer: StdioPeer, *folders: Path) -> None:
    """Wait for the server's question and answer it."""
    question = peer.receive()
    assert question is not None
    assert question["method"] == "roots/list"
    roots = [{"uri": folder.as_uri()} for folder in folders]
    peer.send({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": roots}})


def start_project(peer: StdioPeer) -> int:
    return peer.start_call("query_memory", query="project")


def note_of(answer: Message) -> str:
    return answer["result"]["structuredContent"]["notes"][0]


def test_the_configured_project_wins(tmp_path: Path) -> None:
    tree = work_tree(tmp_path / "tree")
    with odd_peer(tmp_path, cwd=tree, environment={"SEDIMENT_PROJECT": "chosen"}) as peer:
        peer.initialize(capabilities={"roots": {}})
        assert project(peer) == repr("chosen")


def test_an_empty_project_means_none(tmp_path: Path) -> None:
    tree = work_tree(tmp_path / "tree")
    with odd_peer(tmp_path, cwd=tree, environment={"SEDIMENT_PROJECT": ""}) as peer:
        peer.initialize(capabilities={"roots": {}})
        assert project(peer) == repr(None)


def test_without_roots_the_project_is_the_git_work_tree(tmp_path: Path) -> None:
    tree = work_tree(tmp_path / "tree")
    (tree / "inside").mkdir()
    with odd_peer(tmp_path, cwd=tree / "inside") as peer:
        peer.initialize()
        assert project(peer) == repr(str(tree))


def test_in_the_modern_era_the_project_is_the_git_work_tree(tmp_path: Path) -> None:
    tree = work_tree(tmp_path / "tree")
    with odd_peer(tmp_path, cwd=tree) as peer:
        params = modern_params({"name": "query_memory", "arguments": {"query": "project"}})
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = {"roots": {}}
        assert note_of(peer.request("tools/call", params)) == repr(str(tree))


def test_the_clients_root_wins_over_the_working_directory_and_is_asked_for_once(tmp_path: Path) -> None:
    here, there = work_tree(tmp_path / "here"), work_tree(tmp_path / "there")
    with odd_peer(tmp_path, cwd=here) as peer:
        peer.initialize(capabilities={"roots": {}})
        calls = [start_project(peer) for _ in range(3)]
        answer_roots(peer, there)
        assert [note_of(peer.answer_to(call)) for call in calls] == [repr(str(there))] * 3
        assert peer.end() == 0
        assert peer.everything() == []


def test_the_roots_are_asked_for_again_when_they_change(tmp_path: Path) -> None:
    first, second = work_tree(tmp_path / "first"), work_tree(tmp_path / "second")
    with odd_peer(tmp_path, cwd=tmp_path) as peer:
        peer.initialize(capabilities={"roots": {"listChanged": True}})
        for tree in (first, second):
            call = start_project(peer)
            answer_roots(peer, tree)
            assert note_of(peer.answer_to(call)) == repr(str(tree))
            peer.notify("notifications/roots/list_changed")
            peer.request("ping")


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": -32601, "message": "no roots here"}},
        {"result": {"roots": []}},
        {"result": {"roots": [{"uri": "https://example.org/"}]}},
        {"result": {"nothing": 1}},
    ],
    ids=["an error", "no roots", "no file", "no answer"],
)
def test_a_client_with_useless_roots_gets_the_git_work_tree(tmp_path: Path, answer: Message) -> None:
    tree = work_tree(tmp_path / "tree")
    with odd_peer(tmp_path, cwd=tree) as peer:
        peer.initialize(capabilities={"roots": {}})
        call = start_project(peer)
        question = peer.receive()
        assert question is not None
        peer.send({"jsonrpc": "2.0", "id": question["id"], **answer})
        assert note_of(peer.answer_to(call)) == repr(str(tree))


def test_a_client_that_never_answers_gets_the_git_work_tree(tmp_path: Path) -> None:
    tree = work_tree(tmp_path / "tree")
    with odd_peer(tmp_path, cwd=tree) as peer:
        peer.initialize(capabilities={"roots": {}})
        assert project(peer) == repr(str(tree))
        assert project(peer) == repr(str(tree))  # and is not asked a second time
        assert peer.end() == 0
        asked = [message["method"] for message in peer.everything()]
        assert asked.count("roots/list") == 1


def test_the_roots_of_a_client_that_has_left_are_not_waited_for(tmp_path: Path) -> None:
    with odd_peer(tmp_path, cwd=work_tree(tmp_path / "tree")) as peer:
        peer.initialize(capabilities={"roots": {}})
        call = start_project(peer)
        question = peer.receive()
        assert question is not None
        assert question["method"] == "roots/list"
        assert peer.end() == 0
        assert "result" in next(message for message in peer.everything() if message.get("id") == call)


def test_without_a_work_tree_there_is_no_project(tmp_path: Path) -> None:
    with odd_peer(tmp_path, cwd=tmp_path) as peer:
        peer.initialize()
        assert project(peer) == repr(None)
