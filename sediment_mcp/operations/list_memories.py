"""Page through memories by date, read some by id, or list those related to one.

None of it needs a model, and only what is related needs an index.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
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
from sediment_mcp.operations.stores import (
    MAX_KEY,
    Position,
    StoredMemory,
    choose_store,
    find_by_id,
    find_position,
    list_stores,
    read_page,
    select_stores,
)
from sediment_mcp.system.text import format_value

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.search.related import RelatedMemory

MAX_CONTENT = 100_000  # characters of memories that are read whole together; the longest one fits alone
MAX_CURSOR_CHARS = 200  # twice the longest
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
        BadArgument: only the team's are asked for, and there is no team.
        UnknownMemory: the memory that others are to be related to is not there.
        BadArgument: the cursor is not one that this list gave, or arguments do not go together.
    """
    if arguments.related_to is not None:
        return _list_related(app, arguments, arguments.related_to, project)
    if arguments.ids:
        return _read_by_id(app, arguments.ids, project)
    filters, stores = to_filters(arguments, project), select_stores(app, arguments.scope)
    open_project(app, project)
    fingerprint = _compute_fingerprint(filters, arguments.order, stores)
    after = _decode_cursor(arguments.cursor, fingerprint, list_name)
    page, total = read_page(stores, filters, arguments.order, arguments.limit + 1, after)
    chosen = page[: arguments.limit]
    shown = [preview_memory(memory, project, of_team=store.is_team) for memory, store in chosen]
    notes = note_contents(shown)
    if arguments.scope == "project":
        notes += note_moved_project(app, project, is_urgent=not chosen)
    is_last = len(page) == len(chosen)
    next_cursor = None if is_last else _encode_cursor(find_position(stores, chosen[-1]), fingerprint)
    return build_result(ListResult, notes=notes, memories=shown, total=total, next_cursor=next_cursor)


def _read_by_id(app: Application, ids: list[str], project: str | None) -> ListResult:
    now, wanted = app.now(), list(dict.fromkeys(ids))
    there = find_by_id(list_stores(app), wanted, lambda memory: _is_there(memory, now))
    memories = _describe_within([there[memory_id] for memory_id in wanted if memory_id in there], project)
    return build_result(
        ListResult,
        notes=note_contents(memories),
        memories=memories,
        total=len(memories),
        not_found=[memory_id for memory_id in wanted if memory_id not in there],
    )


def _is_there(memory: Memory, now: datetime) -> bool:
    return memory.state(now) in ("live", "superseded")


def _describe_within(memories: list[StoredMemory], project: str | None) -> list[MemoryResult]:
    """Describe memories whole while `MAX_CONTENT` lasts, and by their beginnings after that."""
    described: list[MemoryResult] = []
    left = MAX_CONTENT
    for memory, store in memories:
        fits, of_team = len(memory.content) <= left, store.is_team
        result = (
            describe_memory(memory, memory.content, project, of_team=of_team)
            if fits
            else preview_memory(memory, project, of_team=of_team)
        )
        left -= len(result["content"])
        described.append(result)
    return described


def _list_related(
    app: Application, arguments: ListMemories, memory_id: str, project: str | None
) -> ListResult:
    """List what is related to a memory, the nearest first; a given order sorts it by date.

    That is within the store that holds the memory.
    """
    for name in ("ids", "cursor"):
        if getattr(arguments, name):
            raise BadArgument(f"{name} does not go with related_to: {_REMEDIES[name]}.")
    filters, stores = to_filters(arguments, project), select_stores(app, arguments.scope)
    open_project(app, project)
    store = stores[0]
    if len(stores) > 1:
        now = app.now()
        found = find_by_id(stores, [memory_id], lambda memory: _is_there(memory, now))
        store = found[memory_id].store if found else store
    related = store.retriever.find_related(memory_id, filters)
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
    shown = [_describe_related(one, project, of_team=store.is_team) for one in nearest]
    return build_result(ListResult, notes=note_contents(shown), memories=shown, total=len(related))


def _describe_related(related: RelatedMemory, project: str | None, *, of_team: bool) -> ListedMemory:
    shown = preview_memory(related.memory, project, of_team=of_team)
    return build_result(ListedMemory, **shown, related=related.reason)


def list_matching(app: Application, arguments: ListMemories, project: str | None) -> list[MemoryResult]:
    """Return every memory that passes the filters, newest first.

    A person looks at this list before deleting, so it holds the team's memories for the scope ``team`` alone.

    Raises:
        NoProject: only the project's memories are asked for, and no project is known.
    """
    filters = to_filters(arguments, project)
    open_project(app, project)
    store = choose_store(app, arguments.scope)
    with store.storage.read() as session:
        found = session.page(filters, app.now(), "newest", limit=None)
    return [preview_memory(memory, project, of_team=store.is_team) for memory in found]


def _encode_cursor(position: Position, fingerprint: str) -> str:
    """Return the position at which a page ends, with a fingerprint of its filters."""
    numbers = [position.time, position.key, *([position.place] if position.place else [])]
    text = json.dumps([*numbers, fingerprint])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode_cursor(cursor: str | None, fingerprint: str, list_name: str) -> Position | None:
    if cursor is None:
        return None
    try:
        if len(cursor) > MAX_CURSOR_CHARS:
            raise OverflowError
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        time, key, *place, given = json.loads(text)
        position = Position(int(time), int(key), *map(int, place))
        if any(abs(value) > MAX_KEY for value in position):
            raise OverflowError
    except (binascii.Error, ValueError, TypeError, OverflowError):
        raise BadArgument(f"cursor is not one that {list_name} gave: leave it out to start anew.") from None
    if given != fingerprint:
        raise BadArgument("cursor belongs to other filters: repeat those, or leave it out to start anew.")
    return position


def _compute_fingerprint(filters: Filters, order: str, stores: Sequence[Application]) -> str:
    """Return what tells a list from others: filters, order and, with a team's, whose stores."""
    whose = [store.config.tenant for store in stores] if stores[-1].is_team else []
    return hashlib.sha256(repr((filters, order, *whose)).encode()).hexdigest()[:8]
