"""The real server over HTTP, asked by the SDK's own client in both eras, and by raw requests."""

from __future__ import annotations

import json
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from support.http_server import BOTH, JSON_ONLY, HttpServer, make_token, running_server
from support.sdk_client import succeeds

from sediment_mcp.server.http.middleware import PROJECT_HEADER
from sediment_mcp.server.http.settings import MAX_BODY_BYTES

pytestmark = [pytest.mark.slow, pytest.mark.process]

Era = Literal["auto", "legacy"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[HttpServer]:
    """A server of the local user, who needs no token."""
    with running_server(tmp_path_factory.mktemp("open")) as server:
        yield server


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    data = tmp_path_factory.mktemp("guarded") / "data"
    made = {name: make_token(data, name, name) for name in ("ann", "ben")}
    made["reader"] = make_token(data, "reader", "ann", may_write=False)
    return {**made, "data": str(data)}


@pytest.fixture(scope="module")
def guarded_server(tokens: dict[str, str]) -> Generator[HttpServer]:
    """A server whose callers need a token, behind a proxy."""
    folder = Path(tokens["data"]).parent
    with running_server(folder, "--public-url", "https://memory.example.com") as server:
        yield server


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    return request.param


def connect(server: HttpServer, era: Era, token: str = "", project: str = "") -> Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if project:
        headers[PROJECT_HEADER] = project
    http_client = httpx2.AsyncClient(headers=headers, timeout=30)
    return Client(streamable_http_client(f"{server.url}/mcp", http_client=http_client), mode=era)


# --- the protocol -------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_client_of_either_era_stores_and_finds(open_server: HttpServer, era: Era) -> None:
    async with connect(open_server, era) as client:
        stored = await succeeds(client, "store_memory", content=f"The {era} harbour opens at six.")
        found = await succeeds(client, "query_memory", query=f"{era} harbour")
        assert stored["id"] in [one["id"] for one in found["results"]]
        assert {tool.name for tool in (await client.list_tools()).tools} == {
            "store_memory",
            "query_memory",
            "list_memories",
            "delete_memory",
        }
        read = await client.read_resource(f"memory://{stored['id']}")
        assert "harbour" in read.contents[0].text  # type: ignore[union-attr]
        assert "use_memory" in [prompt.name for prompt in (await client.list_prompts()).prompts]
        await succeeds(client, "delete_memory", ids=[stored["id"]])


@pytest.mark.anyio
async def test_a_client_of_either_era_names_its_project_in_a_header(
    open_server: HttpServer, era: Era
) -> None:
    project = f"/home/ann/{era}"
    async with connect(open_server, era, project=project) as client:
        await succeeds(client, "store_memory", content=f"Deploys of {era} run on Tuesdays.")
        listed = await succeeds(client, "list_memories", scope="project")
        assert [one["scope"] for one in listed["memories"]] == ["project"]
    async with connect(open_server, era) as client:
        listed = await succeeds(client, "list_memories")
        assert project in [one.get("project") for one in listed["memories"]]


def test_a_path_names_the_project_and_the_servers_own_folder_never_does(open_server: HttpServer) -> None:
    stored = open_server.call(
        "store_memory", {"content": "The shop sells tea."}, path="/projects/tea%20shop/mcp"
    )
    (memory,) = open_server.call("list_memories", {"ids": [stored["id"]]})["memories"]
    assert memory["project"] == "tea shop"
    stored = open_server.call("store_memory", {"content": "Nobody has said which project this is."})
    (memory,) = open_server.call("list_memories", {"ids": [stored["id"]]})["memories"]
    assert "project" not in memory


@pytest.mark.parametrize("name", ["x" * 501, "a%0Ab", "%20a"])
def test_a_project_of_no_name_is_refused_in_a_sentence(open_server: HttpServer, name: str) -> None:
    answer = open_server.ask("tools/list", headers=JSON_ONLY | {PROJECT_HEADER: name})
    assert (answer.status, "project's name" in answer.json()["error"]["message"]) == (400, True)


def test_a_client_that_takes_json_alone_needs_no_session(open_server: HttpServer) -> None:
    answer = open_server.ask("tools/list")
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.json()["result"]["tools"]) == 4
    assert "mcp-session-id" not in answer.headers


def test_arguments_that_are_json_text_are_read_as_over_stdio(open_server: HttpServer) -> None:
    params = {"name": "list_memories", "arguments": '{"limit": 1}'}
    assert open_server.ask("tools/call", params).json()["result"]["isError"] is False


def test_an_unknown_tool_is_refused_in_the_same_sentence_as_over_stdio(open_server: HttpServer) -> None:
    error = open_server.ask("tools/call", {"name": "nope", "arguments": {}}).json()["error"]
    assert error["message"].startswith("Unknown tool nope: use store_memory")


# --- who calls ----------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_two_tenants_never_see_each_other(
    guarded_server: HttpServer, tokens: dict[str, str], era: Era
) -> None:
    async with (
        connect(guarded_server, era, tokens["ann"]) as ann,
        connect(guarded_server, era, tokens["ben"]) as ben,
    ):
        stored = await succeeds(ann, "store_memory", content=f"Ann's {era} secret is a blue door.")
        assert (await succeeds(ben, "query_memory", query="blue door"))["results"] == []
        listed = await succeeds(ben, "list_memories", ids=[stored["id"]])
        assert (listed["memories"], listed["not_found"]) == ([], [stored["id"]])
        deleted = await succeeds(ben, "delete_memory", ids=[stored["id"]])
        assert deleted["not_found"] == [stored["id"]]
        found = await succeeds(ann, "query_memory", query="blue door")
        assert stored["id"] in [one["id"] for one in found["results"]]


def test_a_token_that_may_only_read_changes_nothing(
    guarded_server: HttpServer, tokens: dict[str, str]
) -> None:
    for tool, arguments in (("store_memory", {"content": "x"}), ("delete_memory", {"ids": ["x"]})):
        answer = guarded_server.ask(
            "tools/call", {"name": tool, "arguments": arguments}, token=tokens["reader"]
        )
        result = answer.json()["result"]
        assert result["isError"]
        assert "may read memories here, but not change them" in result["content"][0]["text"]
    assert "memories" in guarded_server.call("list_memories", {}, token=tokens["reader"])


@pytest.mark.parametrize("token", [None, "", "sed_wrong", "x" * 20_000, "é"])
def test_who_has_no_good_token_is_not_let_in(guarded_server: HttpServer, token: str | None) -> None:
    headers = JSON_ONLY if token is None else JSON_ONLY | {"Authorization": f"Bearer {token}"}
    answer = guarded_server.ask("tools/list", headers=headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_a_session_is_of_the_caller_who_opened_it(guarded_server: HttpServer, tokens: dict[str, str]) -> None:
    opened = open_session(guarded_server, tokens["ann"])
    body = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}).encode()
    headers = BOTH | {"Mcp-Session-Id": opened, "MCP-Protocol-Version": "2025-11-25"}
    answers = [guarded_server.send("POST", "/mcp", body, headers, tokens[who]) for who in ("ben", "ann")]
    assert [answer.status for answer in answers] == [404, 200]


def open_session(server: HttpServer, token: str | None = None) -> str:
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    }
    answer = server.ask("initialize", params, headers=BOTH, token=token)
    assert answer.status == 200, answer
    return answer.headers["mcp-session-id"]


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "memory.example.com"}, 421),  # which is none of this server's names
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "localhost:1", "Origin": "http://localhost:3000"}, 200),
    ],
)
def test_requests_meant_for_others_are_refused(
    open_server: HttpServer, headers: dict[str, str], status: int
) -> None:
    assert open_server.ask("tools/list", headers=JSON_ONLY | headers).status == status
    assert open_server.ask("tools/list", headers=BOTH | headers).status in (status, 400)


def test_the_public_name_is_a_name_of_the_server(guarded_server: HttpServer, tokens: dict[str, str]) -> None:
    headers = JSON_ONLY | {"Host": "memory.example.com", "Origin": "https://memory.example.com"}
    assert guarded_server.ask("tools/list", headers=headers, token=tokens["ann"]).status == 200


def test_a_body_of_more_than_a_mebibyte_is_refused(open_server: HttpServer) -> None:
    assert open_server.send("POST", "/mcp", b" " * (MAX_BODY_BYTES + 1)).status == 413
    assert open_server.send("POST", "/mcp", iter_chunks(MAX_BODY_BYTES + 1)).status == 413  # type: ignore[arg-type]
    assert open_server.ask("tools/list").status == 200


def iter_chunks(size: int) -> Iterator[bytes]:
    for _ in range(0, size, 65_536):
        yield b" " * 65_536


def test_health_is_told_without_a_token_and_metrics_are_not_told(guarded_server: HttpServer) -> None:
    assert guarded_server.send("GET", "/healthz").status == 200
    assert guarded_server.send("GET", "/readyz").body == b"ready\n"
    assert guarded_server.send("GET", "/metrics").status == 404


# --- the process --------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_and_what_was_stored_is_there_after_it(
    tmp_path: Path, sign: signal.Signals
) -> None:
    with running_server(tmp_path) as server:
        stored = server.call("store_memory", {"content": "The bridge is closed on Sundays."})
        server.process.send_signal(sign)
        assert server.process.wait(30) == 0
    with running_server(tmp_path) as server:
        listed: dict[str, Any] = server.call("list_memories", {})
        assert [one["id"] for one in listed["memories"]] == [stored["id"]]
        assert server.stop() == 0
