"""The trash: list deleted memories, and restore them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sediment_mcp.domain.memory import Memory
from sediment_mcp.domain.retention import TRASH_LIFE
from sediment_mcp.operations.results import (
    DeletedMemory,
    TrashResult,
    UndeleteResult,
    build_result,
    preview_memory,
)
from sediment_mcp.system.timestamps import isoformat_to_second

if TYPE_CHECKING:
    from sediment_mcp.app import Application


def restore_memories(app: Application, ids: list[str]) -> UndeleteResult:
    """Restore deleted memories."""
    now = app.now()
    with app.storage.write() as session:
        found = {
            memory_id: memory
            for memory_id, memory in session.get(ids).items()
            if memory.deleted_at is not None
        }
        for memory in found.values():
            session.restore(memory, now)
    return build_result(
        UndeleteResult,
        restored=[memory_id for memory_id in ids if memory_id in found],
        not_found=[memory_id for memory_id in ids if memory_id not in found],
    )


def list_deleted(app: Application, limit: int, project: str | None = None) -> TrashResult:
    """Return the memories that `restore_memories` can restore, the last deleted first.

    ``project`` is the one of the caller.
    """
    with app.storage.read() as session:
        memories, total = session.list_deleted(limit), session.statistics.states(app.now())["deleted"]
    app.audit.note("list", [memory.id for memory in memories])
    return TrashResult(memories=[_describe(memory, project) for memory in memories], total=total)


def _describe(memory: Memory, project: str | None) -> DeletedMemory:
    deleted_at = memory.deleted_at or memory.created_at
    return DeletedMemory(
        **preview_memory(memory, project),
        deleted_at=isoformat_to_second(deleted_at),
        recoverable_until=isoformat_to_second(deleted_at + TRASH_LIFE),
    )
