"""Page through memories by date, or read some by id; needs no model and no index."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import Memory
from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.arguments import ListMemories
from sediment_mcp.operations.project_scope import to_filters
from sediment_mcp.operations.projects import note_moved_project, open_project
from sediment_mcp.operations.results import ListResult, MemoryResult, describe_memory, preview_memory
from sediment_mcp.system.timestamps import to_micros

if TYPE_CHECKING:
    from sediment_mcp.app import Application

MAX_INTEGER = 2**63 - 1  # the greatest that the storage engines hold


def list_memories(app: Application, arguments: ListMemories, project: str | None) -> ListResult:
    """Page through memories by date, or read some by id.

    Raises:
        NoProject: only the project's memories are asked for, and no project is known.
        BadArgument: the cursor is not one that this list gave.
    """
    if arguments.ids:
        return _read_by_id(app, arguments.ids)
    now = app.now()
    filters = to_filters(arguments, project)
    open_project(app, project)
    after = _decode_cursor(arguments.cursor, filters, arguments.order)
    with app.storage.read() as session:
        page = session.page(filters, now, arguments.order, arguments.limit + 1, after)
        total = session.count(filters, now)
    memories = page[: arguments.limit]
    result = ListResult(memories=[preview_memory(memory) for memory in memories], total=total)
    if len(page) > len(memories):
        result["next_cursor"] = _encode_cursor(memories[-1], filters, arguments.order)
    if arguments.scope == "project" and (notes := note_moved_project(app, project, is_urgent=not memories)):
        result["notes"] = notes
    return result


def _read_by_id(app: Application, ids: list[str]) -> ListResult:
    now = app.now()
    with app.storage.read() as session:
        found = session.get(ids)
    memories = [
        memory
        for memory_id in dict.fromkeys(ids)
        if (memory := found.get(memory_id)) and memory.state(now) in ("live", "superseded")
    ]
    return ListResult(
        memories=[describe_memory(memory, memory.content, truncated=False) for memory in memories],
        total=len(memories),
    )


def list_matching(app: Application, arguments: ListMemories, project: str | None) -> list[MemoryResult]:
    """Return every memory that passes the filters, newest first.

    A person looks at this list before deleting.

    Raises:
        NoProject: only the project's memories are asked for, and no project is known.
    """
    filters = to_filters(arguments, project)
    open_project(app, project)
    with app.storage.read() as session:
        return [preview_memory(memory) for memory in session.page(filters, app.now(), "newest", limit=None)]


def _encode_cursor(last: Memory, filters: Filters, order: str) -> str:
    """Return the position at which a page ends, with a fingerprint of its filters."""
    position = [to_micros(last.occurred_at), last.key, _compute_fingerprint(filters, order)]
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def _decode_cursor(cursor: str | None, filters: Filters, order: str) -> tuple[int, int] | None:
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        time, key, fingerprint = json.loads(text)
        position = int(time), int(key)
        if any(abs(value) > MAX_INTEGER for value in position):
            raise OverflowError
    except (binascii.Error, ValueError, TypeError, OverflowError):
        raise BadArgument("cursor is not one that list_memories gave: leave it out to start anew.") from None
    if fingerprint != _compute_fingerprint(filters, order):
        raise BadArgument("cursor belongs to other filters: repeat those, or leave it out to start anew.")
    return position


def _compute_fingerprint(filters: Filters, order: str) -> str:
    return hashlib.sha256(repr((filters, order)).encode()).hexdigest()[:8]
