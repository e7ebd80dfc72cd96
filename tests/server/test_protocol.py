"""The protocol in both eras, in memory and over stdio, through the official client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest
from mcp import Client, MCPError
from mcp.types import CallToolResult
from support.sdk_client import Way, anyio_backend, connected, succeeds, way

from sediment_mcp import __version__
from sediment_mcp.server.tools import TOOLS

__all__ = ["anyio_backend", "way"]  # fixtures
pytestmark = pytest.mark.anyio

ERA = {"auto": "2026-07-28", "legacy": "2025-11-25"}


async def fails(client: Client, tool: str, **arguments: Any) -> str:
    """Call a tool and check what every failed result promises; returns its sentence."""
    result = await client.call_tool(tool, arguments)
    assert isinstance(result, CallToolResult)
    assert result.is_error
    assert result.structured_content is None
    (text,) = result.content
    assert text.type == "text"
    assert "Traceback" not in text.text
    assert "pydantic" not in text.text
    return text.text


# --- the server ---------------------------------------------------------------------------------


async def test_the_server_names_itself_and_what_it_offers(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        assert client.protocol_version == ERA[way[1]]
        assert (client.server_info.name, client.server_info.version) == ("sediment-mcp", __version__)
        assert client.server_info.title
        assert client.instructions
        assert set(client.server_capabilities.model_dump(exclude_none=True)) == {
            "tools", "resources", "prompts", "completions",
        }  # fmt: skip


async def test_the_tools_are_those_of_the_contract_with_all_hints(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == [tool.name for tool in TOOLS]
        for tool, declared in zip(tools, TOOLS, strict=True):
            assert (tool.title, tool.description) == (declared.title, declared.description)
            assert tool.annotations is not None
            assert tool.annotations.model_dump(exclude_none=True) == {
                "read_only_hint": declared.hints.read_only,
                "destructive_hint": declared.hints.destructive,
                "idempotent_hint": True,
                "open_world_hint": False,
            }


async def test_a_cursor_that_was_never_given_out_is_refused(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        with pytest.raises(MCPError) as caught:
            await client.list_tools(cursor="page two")
        assert caught.value.error.code == -32602


async def test_an_unknown_tool_is_a_protocol_error_that_names_the_known_ones(
    way: Way, tmp_path: Path
) -> None:
    async with connected(way, tmp_path) as client:
        with pytest.raises(MCPError, match="store_memory") as caught:
            await client.call_tool("recall", {})
        assert caught.value.error.code == -32602


# --- what tools/list costs ----------------------------------------------------------------------


async def listed_tools(folder: Path, mode: Literal["auto", "legacy"]) -> dict[str, Any]:
    async with connected(("memory", mode), folder) as client:
        return (await client.list_tools()).model_dump(by_alias=True, exclude_none=True, mode="json")


async def test_what_a_model_reads_of_the_tools_stays_short(tmp_path: Path) -> None:
    tools = (await listed_tools(tmp_path, "auto"))["tools"]
    read = [[tool["name"], tool["description"], tool["inputSchema"]] for tool in tools]
    assert len(json.dumps(read, separators=(",", ":"))) <= 5_000


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_whole_answer_stays_short(tmp_path: Path, mode: Literal["auto", "legacy"]) -> None:
    assert len(json.dumps(await listed_tools(tmp_path, mode), separators=(",", ":"))) <= 14_000


async def test_schemas_are_flat_and_valid(tmp_path: Path) -> None:
    for tool in (await listed_tools(tmp_path, "auto"))["tools"]:
        for schema in (tool["inputSchema"], tool["outputSchema"]):
            assert schema["type"] == "object"
            jsonschema.Draft202012Validator.check_schema(schema)
            assert keywords(schema).isdisjoint({"$ref", "$defs", "oneOf", "anyOf", "allOf"})
        assert '"null"' not in json.dumps(tool["inputSchema"])


def keywords(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(keywords, schema))
    if not isinstance(schema, dict):
        return set()
    return set(schema).union(*map(keywords, schema.values()))


# --- the tools ----------------------------------------------------------------------------------


async def test_an_empty_memory_answers_every_read_in_form(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        assert (await succeeds(client, "query_memory", query="anything"))["results"] == []
        assert await succeeds(client, "list_memories") == {"memories": [], "total": 0}
        deleted = await succeeds(client, "delete_memory", ids=["unknown"])
        assert (deleted["deleted"], deleted["not_found"]) == ([], ["unknown"])


async def test_a_memory_is_stored_found_listed_and_deleted(way: Way, tmp_path: Path) -> None:
    content = 'The deploy key lives in "vault/ci" — say 部署 or 🚀, and mind the \u2028 line.\n\ttabbed'
    async with connected(way, tmp_path) as client:
        stored = await succeeds(
            client, "store_memory", content=content, tags=["ops", "密钥"], metadata={"n": [1]}
        )
        assert stored["status"] == "stored"
        found = await succeeds(client, "query_memory", query="deploy key")
        assert [(each["id"], each["content"]) for each in found["results"]] == [(stored["id"], content)]
        listed = await succeeds(client, "list_memories")
        assert [each["id"] for each in listed["memories"]] == [stored["id"]]
        whole = await succeeds(client, "list_memories", ids=[stored["id"]])
        assert whole["memories"][0]["metadata"] == {"n": [1]}
        assert (await succeeds(client, "delete_memory", ids=stored["id"]))["deleted"] == [stored["id"]]
        assert (await succeeds(client, "query_memory", query="deploy key"))["results"] == []


async def test_every_shape_of_result_conforms_to_its_schema(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        old = await succeeds(client, "store_memory", content="The port is 8080.", kind="working", session="s")
        new = await succeeds(client, "store_memory", content="The port is 9090 now.", replaces=[old["id"]])
        assert new["superseded"] == [old["id"]]
        again = await succeeds(client, "store_memory", content="The port is 9090 now.")
        assert (again["status"], again["id"]) == ("duplicate", new["id"])
        for number in range(3):
            await succeeds(client, "store_memory", content=f"Event {number} of the port.", kind="episodic")
        page = await succeeds(client, "list_memories", limit=2)
        assert page["total"] == 4
        rest = await succeeds(client, "list_memories", limit=2, cursor=page["next_cursor"])
        assert "next_cursor" not in rest
        history = await succeeds(client, "query_memory", query="port", include_superseded=True, limit=10)
        assert old["id"] in [each["id"] for each in history["results"]]
        erased = await succeeds(client, "delete_memory", ids=[new["id"]], permanent=True)
        assert "recoverable_until" not in erased


WRONG_ARGUMENTS = {
    "missing": ("store_memory", {}, "content"),
    "blank": ("store_memory", {"content": " \n"}, "content"),
    "unknown name": ("query_memory", {"query": "x", "quarry": "y"}, "quarry"),
    "out of range": ("query_memory", {"query": "x", "limit": 0}, "limit"),
    "wrong type": ("list_memories", {"tags": 5}, "tags"),
    "no time": ("list_memories", {"since": "yesterday"}, "since"),
    "unknown memory": ("store_memory", {"content": "x", "replaces": ["unknown"]}, "unknown"),
    "no project": ("store_memory", {"content": "x", "scope": "project"}, "project"),
    "bad cursor": ("list_memories", {"cursor": "%%%"}, "cursor"),
}


@pytest.mark.parametrize(("tool", "arguments", "word"), WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS.keys())
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_wrong_argument_is_a_sentence_that_names_it(
    tmp_path: Path, mode: Literal["auto", "legacy"], tool: str, arguments: dict[str, Any], word: str
) -> None:
    async with connected(("memory", mode), tmp_path) as client:
        sentence = await fails(client, tool, **arguments)
        assert word in sentence
        assert sentence.endswith(".")
        assert (await succeeds(client, "list_memories"))["total"] == 0


async def test_a_failure_of_the_disk_does_not_show_paths(way: Way, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    async with connected(way, tmp_path) as client:
        sentence = await fails(client, "list_memories")
        assert "Errno" not in sentence
