"""Resources: memories by their URI, which a person attaches in a host.

They have the same form as in the answers of the tools. The skill is one more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sediment_mcp.errors import BadArgument, UnknownMemory
from sediment_mcp.operations.arguments import ListMemories, parse_arguments
from sediment_mcp.operations.captured import list_stored
from sediment_mcp.operations.content_notes import note_contents
from sediment_mcp.operations.list_memories import list_memories
from sediment_mcp.operations.results import DEFAULTS, MemoryResult, name_owner, stored_at
from sediment_mcp.operations.stats import stats
from sediment_mcp.server import skill
from sediment_mcp.server.jsonrpc import Message
from sediment_mcp.server.protocol_errors import raise_protocol_errors
from sediment_mcp.system.text import format_value, to_json, valid_text

if TYPE_CHECKING:
    from sediment_mcp.app import Application

JSON = "application/json"
SCHEME = "memory://"
URI_TEMPLATE = f"{SCHEME}{{id}}"
RECENT, PROJECT, STATS = (f"{SCHEME}{name}" for name in ("recent", "project", "stats"))
PAGE_SIZE = 50  # memories
MAX_TITLE_CHARS = 60
NO_CURSOR = "no text"  # in the place of a cursor that is none; no list gives it
MAX_QUOTED_URI_CHARS = 500  # of a URI that an error repeats


def _build_overview(uri: str, title: str, description: str) -> Message:
    name = uri.removeprefix(SCHEME)
    return {"description": description, "mimeType": JSON, "name": name, "title": title, "uri": uri}


OVERVIEWS = (
    _build_overview(RECENT, "Recent memories", f"The newest {PAGE_SIZE} memories, of all projects."),
    _build_overview(PROJECT, "This project's memories", f"The newest {PAGE_SIZE} memories of this project."),
    _build_overview(STATS, "What is remembered, in numbers", "Counts by kind, project, tag and age; sizes."),
)


TEMPLATES: Message = {
    "resourceTemplates": [
        {
            "description": "One memory, whole, by its id.",
            "mimeType": JSON,
            "name": "memory",
            "title": "A memory",
            "uriTemplate": URI_TEMPLATE,
        }
    ]
}
"""The one template, which forms the URI of any memory."""


def list_resources(app: Application, project: str | None, cursor: object) -> Message:
    """List a page of resources: overviews and skill, then the memories, newest first.

    Raises:
        ProtocolError: the cursor is not one that this list gave.
    """
    with raise_protocol_errors():
        place = cursor if isinstance(cursor, str | None) else NO_CURSOR
        arguments = parse_arguments(ListMemories, {"limit": PAGE_SIZE, "cursor": place})
        page = list_memories(app, arguments, project, list_name="resources/list")
    following = {"nextCursor": page["next_cursor"]} if "next_cursor" in page else {}
    overviews = [one for one in OVERVIEWS if one["uri"] != PROJECT or project is not None]
    memories = [_describe_resource(memory) for memory in page["memories"]]
    first = [*overviews, skill.RESOURCE]
    return {**following, "resources": memories if arguments.cursor else first + memories}


def read_resource(app: Application, uri: str, project: str | None) -> Message:
    """Return the content of the resource that a URI names, as JSON text; the skill as it is.

    Raises:
        ProtocolError: there is no such memory, or no project is known and its memories are asked for.
    """
    if uri == skill.URI:
        return {"contents": [{"mimeType": skill.MARKDOWN, "text": skill.read_skill(), "uri": uri}]}
    with raise_protocol_errors(uri=valid_text(uri[:MAX_QUOTED_URI_CHARS])):
        text = to_json(_read(app, uri, project))
    return {"contents": [{"mimeType": JSON, "text": text, "uri": uri}]}


def _describe_resource(memory: MemoryResult) -> Message:
    """Describe a memory for a host's picker."""
    line = " ".join(memory["content"].split())
    kind = memory.get("kind", DEFAULTS["kind"])
    tags = "".join(f" #{tag}" for tag in memory.get("tags", []))
    owner = name_owner(memory) or format_value(memory.get("project", "global"))
    mark = "".join(f" {note}" for note in note_contents([memory]))
    return {
        "annotations": {"lastModified": stored_at(memory)},
        "description": f"{kind}, {memory['occurred_at'][:10]}, {owner}{tags}{mark}",
        "mimeType": JSON,
        "name": memory["id"],
        "title": line if len(line) <= MAX_TITLE_CHARS else f"{line[: MAX_TITLE_CHARS - 1]}…",
        "uri": SCHEME + memory["id"],
    }


def _read(app: Application, uri: str, project: str | None) -> Mapping[str, Any]:
    if not uri.startswith(SCHEME):
        raise BadArgument(
            f"{format_value(uri)} is not a memory: use {SCHEME}ID, {RECENT}, {PROJECT} or {STATS}."
        )
    if uri == STATS:
        return stats(app)
    if uri in (RECENT, PROJECT):
        scope = "project" if uri == PROJECT else "all"
        arguments = parse_arguments(ListMemories, {"scope": scope, "limit": PAGE_SIZE})
        return list_stored(app, arguments, project)
    with contextlib.suppress(BadArgument, IndexError):
        arguments = parse_arguments(ListMemories, {"ids": [uri.removeprefix(SCHEME).rstrip("/")]})
        if not arguments.ids:  # an id such as "null" says nothing, and nothing would mean every memory
            raise IndexError
        found = list_memories(app, arguments, project)
        return {**({"notes": found["notes"]} if "notes" in found else {}), **found["memories"][0]}
    raise UnknownMemory(
        f"There is no memory {format_value(uri)}: {RECENT} and list_memories show those that exist."
    )
