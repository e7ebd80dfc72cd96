"""Page through memories by date, read some by id, or list those related to one.

None of it needs a model, and only what is related needs an index.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import Memory
from sediment_mcp.errors import BadArgument, UnknownMemory
from sediment_mcp.operations.arguments import ListMemories
from sediment_mcp.operations.content_notes import note_contents
from sediment_mcp.operations.project_scope import to_filters
from sediment_mcp.operations.projects import note_moved_project, open_project
from sediment_mcp.operations.results import (
    ListedMemory,
    ListResult,
    MemoryResult,
    build_result,
    describe_memory,
    preview_memory,
)
from sediment_mcp.system.text import format_value
from sediment_mcp.system.timestamps import to_micros

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.search.related import RelatedMemory

MAX_CONTENT = 100_000  # characters of memories that are read whole together; the longest one fits alone
MAX_CURSOR_CHARS = 200  # twice the longest
MAX_INTEGER = 2**63 - 1  # the greatest that the storage engines hold
_REMEDIES = {
    "ids": "give ids to read memories whole, or related_to for what is related to one",
    "cursor": "its list is one page, raise limit for more",
}
"""Argument that cannot be given beside related_to → what to do instead."""


def list_memories(
    app: Application, arguments: ListMemories, project: str | None, *, list_name: str = "list_memories"
) -> ListResult:
    """Page through memories by date, read some by id, or list those related to one.

    ``list_name`` is what a message calls the list.

    Raises:
        NoProject: only the project's memories are asked for, and no project is known.
        UnknownMemory: the memory that others are to be related to is not there.
        BadArgument: the cursor is not one that this list gave, or arguments do not go together.
    """
    if arguments.related_to is not None:
        return _list_related(app, arguments, arguments.related_to, project)
    if arguments.ids:
        return _read_by_id(app, arguments.ids, project)
    now = app.now()
    filters = to_filters(arguments, project)
    open_project(app, project)
    after = _decode_cursor(arguments.cursor, filters, arguments.order, list_name)
    with app.storage.read() as session:
        page = session.page(filters, now, arguments.order, arguments.limit + 1, after)
        total = session.count(filters, now)
    memories = page[: arguments.limit]
    shown = [preview_memory(memory, project) for memory in memories]
    app.audit.note("list", [memory.id for memory in memories])
    notes = note_contents(shown)
    if arguments.scope == "project":
        notes += note_moved_project(app, project, is_urgent=not memories)
    is_last = len(page) == len(memories)
    next_cursor = None if is_last else _encode_cursor(memories[-1], filters, arguments.order)
    return build_result(ListResult, notes=notes, memories=shown, total=total, next_cursor=next_cursor)


def _read_by_id(app: Application, ids: list[str], project: str | None) -> ListResult:
    now = app.now()
    with app.storage.read() as session:
        found = session.get(ids)
    wanted = list(dict.fromkeys(ids))
    there = {m.id for m in found.values() if m.state(now) in ("live", "superseded")}
    app.audit.note("read", wanted)
    memories = _describe_within([found[memory_id] for memory_id in wanted if memory_id in there], project)
    return build_result(
        ListResult,
        notes=note_contents(memories),
        memories=memories,
        total=len(memories),
        not_found=[memory_id for memory_id in wanted if memory_id not in there],
    )


def _describe_within(memories: list[Memory], project: str | None) -> list[MemoryResult]:
    """Describe memories whole while `MAX_CONTENT` lasts, and by their beginnings after that."""
    described: list[MemoryResult] = []
    left = MAX_CONTENT
    for memory in memories:
        fits = len(memory.content) <= left
        result = describe_memory(memory, memory.content, project) if fits else preview_memory(memory, project)
        left -= len(result["content"])
        described.append(result)
    return described


def _list_related(
    app: Application, arguments: ListMemories, memory_id: str, project: str | None
) -> ListResult:
    """List what is related to a memory, the nearest first; a given order sorts it by date."""
    for name in ("ids", "cursor"):
        if getattr(arguments, name):
            raise BadArgument(f"{name} does not go with related_to: {_REMEDIES[name]}.")
    filters = to_filters(arguments, project)
    open_project(app, project)
    related = app.retriever.find_related(memory_id, filters)
    if related is None:
        raise UnknownMemory(
            f"related_to names no memory that is there, {format_value(memory_id)}: take an id from "
            "query_memory or list_memories."
        )
    nearest = related[: arguments.limit]
    if "order" in arguments.given:
        nearest.sort(
            key=lambda one: (one.memory.occurred_at, one.memory.key), reverse=arguments.order == "newest"
        )
    shown = [_describe_related(one, project) for one in nearest]
    app.audit.note("list", [memory_id, *(one.memory.id for one in nearest)])
    return build_result(ListResult, notes=note_contents(shown), memories=shown, total=len(related))


def _describe_related(related: RelatedMemory, project: str | None) -> ListedMemory:
    return build_result(ListedMemory, **preview_memory(related.memory, project), related=related.reason)


def list_matching(app: Application, arguments: ListMemories, project: str | None) -> list[MemoryResult]:
    """Return every memory that passes the filters, newest first.

    A person looks at this list before deleting.

    Raises:
        NoProject: only the project's memories are asked for, and no project is known.
    """
    filters = to_filters(arguments, project)
    open_project(app, project)
    with app.storage.read() as session:
        found = session.page(filters, app.now(), "newest", limit=None)
    app.audit.note("list", [memory.id for memory in found])
    return [preview_memory(memory, project) for memory in found]


def _encode_cursor(last: Memory, filters: Filters, order: str) -> str:
    """Return the position at which a page ends, with a fingerprint of its filters."""
    position = [to_micros(last.occurred_at), last.key, _compute_fingerprint(filters, order)]
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def _decode_cursor(
    cursor: str | None, filters: Filters, order: str, list_name: str
) -> tuple[int, int] | None:
    if cursor is None:
        return None
    try:
        if len(cursor) > MAX_CURSOR_CHARS:
            raise OverflowError
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        time, key, fingerprint = json.loads(text)
        position = int(time), int(key)
        if any(abs(value) > MAX_INTEGER for value in position):
            raise OverflowError
    except (binascii.Error, ValueError, TypeError, OverflowError):
        raise BadArgument(f"cursor is not one that {list_name} gave: leave it out to start anew.") from None
    if fingerprint != _compute_fingerprint(filters, order):
        raise BadArgument("cursor belongs to other filters: repeat those, or leave it out to start anew.")
    return position


def _compute_fingerprint(filters: Filters, order: str) -> str:
    return hashlib.sha256(repr((filters, order)).encode()).hexdigest()[:8]
