"""Look through captured turns: show them, keep one as a fact, drop others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sediment_mcp.domain.captured import is_captured, remove_tag
from sediment_mcp.domain.filters import Filters, matches
from sediment_mcp.domain.memory import Kind, Memory
from sediment_mcp.domain.tags import CAPTURED_TAG, fold_tag
from sediment_mcp.errors import UnknownMemory
from sediment_mcp.operations.arguments import DeleteMemory, ListMemories, StoreMemory
from sediment_mcp.operations.content_notes import note_contents
from sediment_mcp.operations.delete_memory import delete_memory
from sediment_mcp.operations.list_memories import list_memories
from sediment_mcp.operations.results import DeleteResult, ListResult, MemoryResult, StoreResult, build_result
from sediment_mcp.operations.store_memory import store_memory
from sediment_mcp.system.text import list_names

if TYPE_CHECKING:
    from sediment_mcp.app import Application

KEPT_KIND: Kind = "semantic"
PAGE_SIZE = 100  # memories that are read at once to find those that are no captured turns ...
MOST_LOOKED_AT = 2000  # ... and in all


def list_captured(app: Application, arguments: ListMemories, project: str | None) -> ListResult:
    """Page through captured turns, newest first, by the session and times of ``arguments``.

    Raises:
        BadArgument: the cursor is not one that this list gave.
    """
    chosen = arguments.replace(tags=[CAPTURED_TAG, *arguments.tags], kind="episodic")
    return list_memories(app, chosen, project, list_name="captured")


def list_stored(app: Application, arguments: ListMemories, project: str | None) -> ListResult:
    """Return the newest memories, without captured turns, for what a host is told unasked.

    Of so many captured turns that `MOST_LOOKED_AT` memories hold nothing else, the rest is not looked at.
    """
    captured = list_captured(app, arguments.replace(limit=1), project)["total"]
    if not captured:
        return list_memories(app, arguments, project)
    page = arguments.replace(limit=PAGE_SIZE)
    found = list_memories(app, page, project)
    memories = _leave_out_captured(found)
    for _ in range(MOST_LOOKED_AT // PAGE_SIZE - 1):
        cursor = found.get("next_cursor")
        if cursor is None or len(memories) >= arguments.limit:
            break
        found = list_memories(app, page.replace(cursor=cursor), project)
        memories += _leave_out_captured(found)
    shown = memories[: arguments.limit]
    return build_result(
        ListResult, notes=note_contents(shown), memories=shown, total=found["total"] - captured
    )


def _leave_out_captured(page: ListResult) -> list[MemoryResult]:
    return [
        memory
        for memory in page["memories"]
        if memory.get("kind") != "episodic" or CAPTURED_TAG not in map(fold_tag, memory.get("tags", []))
    ]


def list_all_captured(app: Application, session: str | None = None) -> list[str]:
    """Return the ids of all captured turns, or of those of a session."""
    filters = Filters(kind="episodic", tags=(CAPTURED_TAG,), session=session)
    with app.storage.read() as reading:
        return [memory.id for memory in reading.page(filters, app.now(), "newest", limit=None)]


def keep_captured(app: Application, ids: Sequence[str], **changes: Any) -> list[StoreResult]:
    """Store each captured turn as a fact without an end, which replaces it.

    ``changes`` are parameters of a store, such as ``content`` in other words; the turn itself becomes the
    history of the fact.

    Raises:
        UnknownMemory: an id names no captured turn; nothing was kept.
    """
    return [_keep(app, memory, changes) for memory in _read_captured(app, ids)]


def _keep(app: Application, memory: Memory, changes: dict[str, Any]) -> StoreResult:
    values: dict[str, Any] = {
        "content": memory.content,
        "kind": KEPT_KIND,
        "tags": list(remove_tag(memory.tags)),
        "scope": "global" if memory.project is None else "project",
        "session": memory.session,
        "occurred_at": memory.occurred_at,
        "metadata": dict(memory.metadata),
        "replaces": [memory.id],
    }
    return store_memory(app, StoreMemory(**{**values, **changes}), memory.project)


def drop_captured(app: Application, ids: Sequence[str]) -> DeleteResult:
    """Move captured turns to the trash; they are not captured again.

    Raises:
        UnknownMemory: an id names no captured turn; nothing was dropped.
    """
    found = _read_captured(app, ids)
    return delete_memory(app, DeleteMemory(ids=[memory.id for memory in found]))


def _read_captured(app: Application, ids: Sequence[str]) -> list[Memory]:
    distinct = list(dict.fromkeys(ids))
    with app.storage.read() as session:
        found = session.get(distinct)
    now = app.now()
    others = [
        memory_id
        for memory_id in distinct
        if (memory := found.get(memory_id)) is None
        or not is_captured(memory)
        or not matches(Filters(), memory, now)
    ]
    if others:
        raise UnknownMemory(
            f"No captured turn: {list_names(others)}. `sediment-mcp captured` shows which there are."
        )
    return [found[memory_id] for memory_id in distinct]
