"""What a host can read besides calling tools: memories by their URI, in the shapes in which tools answer."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sediment_mcp.errors import BadArgument, UnknownMemory, shown
from sediment_mcp.operations.arguments import ListMemories, MemoryResult, parse
from sediment_mcp.operations.stats import stats
from sediment_mcp.operations.tools import list_memories

if TYPE_CHECKING:
    from sediment_mcp.app import Library

SCHEME = "memory://"
TEMPLATE = f"{SCHEME}{{id}}"
RECENT, PROJECT, STATS = (f"{SCHEME}{name}" for name in ("recent", "project", "stats"))
PAGE = 50  # memories
TITLE = 60  # characters


@dataclass(frozen=True, slots=True)
class Listed:
    """A resource as a host's picker shows it; ``changed`` is when its memory was stored, ISO 8601."""

    uri: str
    name: str
    title: str
    description: str
    changed: str | None = None


OVERVIEWS = (
    Listed(RECENT, "recent", "Recent memories", f"The newest {PAGE} memories, of all projects."),
    Listed(PROJECT, "project", "This project's memories", f"The newest {PAGE} memories of this project."),
    Listed(STATS, "stats", "What is remembered, in numbers", "Counts by kind, project, tag and age; sizes."),
)


def listed(library: Library, project: str | None, cursor: str | None) -> tuple[list[Listed], str | None]:
    """A page of resources, the overviews and then the memories, newest first; and where the next begins.

    Raises:
        BadArgument: the cursor is not one that this list gave.
    """
    page = list_memories(library, parse(ListMemories, {"limit": PAGE, "cursor": cursor}), project)
    overviews = [one for one in OVERVIEWS if one.uri != PROJECT or project is not None]
    memories = [_listed(memory) for memory in page["memories"]]
    return ([] if cursor else overviews) + memories, page.get("next_cursor")


def _listed(memory: MemoryResult) -> Listed:
    line = " ".join(memory["content"].split())
    title = line if len(line) <= TITLE else f"{line[: TITLE - 1]}…"
    tags = "".join(f" #{tag}" for tag in memory["tags"])
    description = f"{memory['kind']}, {memory['occurred_at'][:10]}, {memory['project'] or 'global'}{tags}"
    return Listed(SCHEME + memory["id"], memory["id"], title, description, memory["created_at"])


def read(library: Library, uri: str, project: str | None) -> Mapping[str, Any]:
    """What is behind a URI.

    Raises:
        UnknownMemory: there is no such memory, or it is deleted or expired.
        NoProject: the project's memories are asked for, and no project is known.
        BadArgument: it is no URI of a memory.
    """
    if not uri.startswith(SCHEME):
        raise BadArgument(f"{shown(uri)} is not a memory: use {SCHEME}ID, {RECENT}, {PROJECT} or {STATS}.")
    if uri == STATS:
        return stats(library)
    if uri in (RECENT, PROJECT):
        scope = "project" if uri == PROJECT else "all"
        return list_memories(library, parse(ListMemories, {"scope": scope, "limit": PAGE}), project)
    with contextlib.suppress(BadArgument, IndexError):
        arguments = parse(ListMemories, {"ids": [uri.removeprefix(SCHEME).rstrip("/")]})
        return list_memories(library, arguments, project)["memories"][0]
    raise UnknownMemory(f"There is no memory {shown(uri)}: {RECENT} and list_memories show those that exist.")
