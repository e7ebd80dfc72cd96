"""Resources, prompts and completion in both eras, through the official client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.types import (
    INVALID_PARAMS,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)
from support.sdk_client import Way, anyio_backend, connected, in_memory, succeeds, way

from sediment_mcp.app import Application
from sediment_mcp.config import Config
from sediment_mcp.server.resources import PAGE_SIZE

__all__ = ["anyio_backend", "way"]  # fixtures
pytestmark = pytest.mark.anyio

OPINION = "The user likes tabs, and says so."


async def read(client: Client, uri: str) -> Any:
    """Read what a resource holds, which is always one JSON text."""
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    assert (content.uri, content.mime_type) == (uri, "application/json")
    return json.loads(content.text)


async def texts(client: Client, prompt: str, **arguments: str) -> list[str]:
    """Return what a prompt says, all of it in the user's name."""
    messages = (await client.get_prompt(prompt, arguments)).messages
    assert {message.role for message in messages} == {"user"}
    return [message.content.text for message in messages if isinstance(message.content, TextContent)]


async def refused(call: Any) -> str:
    with pytest.raises(MCPError) as refusal:
        await call
    assert refusal.value.error.code == INVALID_PARAMS
    assert "Traceback" not in refusal.value.error.message
    return refusal.value.error.message


# --- resources ----------------------------------------------------------------------------------


async def test_a_memory_can_be_read_by_its_uri_as_the_list_gives_it(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        stored = await succeeds(client, "store_memory", content=OPINION + "\n" * 400 + "…", tags=["style"])
        listed = await succeeds(client, "list_memories", ids=[stored["id"]])
        assert await read(client, f"memory://{stored['id']}") == listed["memories"][0]


async def test_the_overviews_say_what_the_tools_say(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        await succeeds(client, "store_memory", content=OPINION)
        assert await read(client, "memory://recent") == await succeeds(client, "list_memories", limit=50)
        assert (await read(client, "memory://stats"))["memories"]["live"] == 1


async def test_every_resource_that_is_listed_can_be_read(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        ids = [
            (await succeeds(client, "store_memory", content=f"Fact number {number}"))["id"]
            for number in range(PAGE_SIZE + 3)
        ]
        first = await client.list_resources()
        assert first.next_cursor
        second = await client.list_resources(cursor=first.next_cursor)
        assert second.next_cursor is None
        uris = [str(resource.uri) for resource in (*first.resources, *second.resources)]
        assert uris[:3] == ["memory://recent", "memory://stats", "skill://sediment-memory/SKILL.md"]
        assert uris[3:] == [f"memory://{memory_id}" for memory_id in reversed(ids)]
        for uri in uris[:2] + uris[3:6] + uris[-2:]:
            await read(client, uri)
        assert [r.title for r in second.resources] == ["Fact number 2", "Fact number 1", "Fact number 0"]


async def test_the_skill_is_one_text_as_a_resource_and_as_a_prompt(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        (content,) = (await client.read_resource("skill://sediment-memory/SKILL.md")).contents
        _, front_matter, body = content.text.split("---\n", 2)
        assert content.mime_type == "text/markdown"
        assert front_matter.startswith("name: sediment-memory\ndescription: ")
        assert len(front_matter) < 1_024
        assert all(tool.name in body for tool in (await client.list_tools()).tools)
        (message,) = (await client.get_prompt("use_memory")).messages
        assert message.content.text.endswith(body.strip() + "\n")
        with pytest.raises(MCPError):
            await client.read_resource("skill://sediment-memory/other.md")


async def test_what_is_deleted_is_neither_listed_nor_read(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        memory_id = (await succeeds(client, "store_memory", content=OPINION))["id"]
        await succeeds(client, "delete_memory", ids=[memory_id])
        assert memory_id not in str(await client.list_resources())
        assert memory_id in await refused(client.read_resource(f"memory://{memory_id}"))


@pytest.mark.parametrize(
    "uri",
    [
        "memory://",
        "memory://null",
        "memory://%20",
        "memory://nosuchmemory",
        "memory:///",
        "file:///etc/passwd",
        "x",
    ],
)
async def test_a_uri_of_nothing_is_refused_with_a_sentence(way: Way, tmp_path: Path, uri: str) -> None:
    async with connected(way, tmp_path) as client:
        await succeeds(client, "store_memory", content=OPINION)
        assert "memory" in await refused(client.read_resource(uri))


async def test_a_cursor_that_no_list_gave_is_refused(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        assert "cursor" in await refused(client.list_resources(cursor="nobody's"))
        assert "cursor" in await refused(client.list_prompts(cursor="nobody's"))
        assert "cursor" in await refused(client.list_resource_templates(cursor="nobody's"))


async def test_the_template_names_every_memory(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        (template,) = (await client.list_resource_templates()).resource_templates
        assert template.uri_template == "memory://{id}"


# --- with a project -----------------------------------------------------------------------------


async def test_the_project_has_a_resource_and_a_prompt_of_its_own(tmp_path: Path) -> None:
    app = Application(Config(data_dir=tmp_path / "data", project="/code/shop", model="none"))
    async with Client(in_memory(app.config, app)) as client:
        await succeeds(client, "store_memory", content="The shop closes at six.", tags=["hours"])
        await succeeds(client, "store_memory", content="The shop sells tea.")
        await succeeds(client, "store_memory", content=OPINION, scope="global")
        assert "memory://project" in [str(one.uri) for one in (await client.list_resources()).resources]
        assert "load_project" in [prompt.name for prompt in (await client.list_prompts()).prompts]
        assert (await read(client, "memory://project"))["total"] == 2
        text, memories = await texts(client, "load_project")
        assert "/code/shop" in text
        assert {m["content"] for m in json.loads(memories)["memories"]} == {
            "The shop closes at six.", "The shop sells tea.",
        }  # fmt: skip
        _, memories = await texts(client, "load_project", tag="hours")
        assert [m["content"] for m in json.loads(memories)["memories"]] == ["The shop closes at six."]
    app.close()


async def test_without_a_project_its_prompt_and_resource_say_so(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        assert "memory://project" not in str(await client.list_resources())
        assert "SEDIMENT_PROJECT" in await refused(client.read_resource("memory://project"))
        assert "SEDIMENT_PROJECT" in await refused(client.get_prompt("load_project", {}))


# --- prompts ------------------------------------------------------------------------------------


async def test_every_prompt_is_explained(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        prompts = (await client.list_prompts()).prompts
        assert {prompt.name for prompt in prompts} == {"remember_conversation", "review_topic", "use_memory"}
        for prompt in prompts:
            assert prompt.title
            assert prompt.description
            assert all(argument.description for argument in prompt.arguments or ())


async def test_a_topic_comes_with_what_a_query_finds(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        await succeeds(client, "store_memory", content=OPINION, tags=["style"])
        await succeeds(client, "store_memory", content="Tabs are wide on the projector.", tags=["room"])
        text, memories = await texts(client, "review_topic", topic="tabs")
        assert "'tabs'" in text
        assert len(json.loads(memories)["results"]) == 2
        _, memories = await texts(client, "review_topic", topic="tabs", tag="style")
        assert [found["content"] for found in json.loads(memories)["results"]] == [OPINION]


async def test_the_name_of_the_conversation_is_passed_on(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        (plain,) = await texts(client, "remember_conversation", session="  ")
        (named,) = await texts(client, "remember_conversation", session="tuesday", tag="api")
        assert "tuesday" not in plain
        assert "with session 'tuesday' and the tag 'api'" in named
        assert "store_memory" in plain


@pytest.mark.parametrize(
    ("name", "given", "word"),
    [
        ("nosuchprompt", {}, "review_topic"),
        ("review_topic", {}, "topic is missing"),
        ("review_topic", {"topic": " "}, "topic is missing"),
        ("review_topic", {"topic": "x", "limit": "3"}, "limit is not an argument"),
        ("review_topic", {"topic": "x" * 10_001}, "too long"),
    ],
)
async def test_a_wrong_prompt_is_refused_with_a_sentence(
    way: Way, tmp_path: Path, name: str, given: dict[str, str], word: str
) -> None:
    async with connected(way, tmp_path) as client:
        assert word in await refused(client.get_prompt(name, given))


# --- completion ---------------------------------------------------------------------------------


async def completed(client: Client, argument: str, beginning: str) -> list[str]:
    ref = PromptReference(type="ref/prompt", name="review_topic")
    return (await client.complete(ref, {"name": argument, "value": beginning})).completion.values


async def test_tags_and_sessions_are_completed(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        await succeeds(client, "store_memory", content="one", tags=["Net", "nest"], session="monday")
        await succeeds(client, "store_memory", content="two", tags=["nest"], session="tuesday")
        await succeeds(client, "store_memory", content="three", tags=["other"])
        assert await completed(client, "tag", "n") == ["nest", "Net"]
        assert await completed(client, "topic", "NE") == ["nest", "Net"]
        assert await completed(client, "session", "") == ["tuesday", "monday"]
        assert await completed(client, "tag", "%") == []
        assert await completed(client, "id", "") == []


async def test_no_more_is_completed_than_the_protocol_allows(way: Way, tmp_path: Path) -> None:
    async with connected(way, tmp_path) as client:
        for part in range(7):
            tags = [f"tag-{part}-{number}" for number in range(20)]
            await succeeds(client, "store_memory", content=f"part {part}", tags=tags)
        ref = ResourceTemplateReference(type="ref/resource", uri="memory://{id}")
        completion = (await client.complete(ref, {"name": "tag", "value": "tag-"})).completion
        assert (len(completion.values), completion.total, completion.has_more) == (100, 140, True)
