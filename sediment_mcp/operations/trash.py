"""The trash: list deleted memories, and restore them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sediment_mcp.domain.memory import Memory
from sediment_mcp.domain.retention import TRASH_LIFE
from sediment_mcp.operations.results import DeletedMemory, TrashResult, preview_memory
from sediment_mcp.system.timestamps import isoformat

if TYPE_CHECKING:
    from sediment_mcp.app import Application


def restore_memories(app: Application, ids: list[str]) -> tuple[list[str], list[str]]:
    """Restore deleted memories; returns the ids (restored, not found in the trash)."""
    now = app.now()
    with app.storage.write() as session:
        found = {
            memory_id: memory
            for memory_id, memory in session.get(ids).items()
            if memory.deleted_at is not None
        }
        for memory in found.values():
            session.restore(memory, now)
    return [i for i in ids if i in found], [i for i in ids if i not in found]


def list_deleted(app: Application, limit: int) -> TrashResult:
    """Return the memories that `restore_memories` can restore, the last deleted first."""
    with app.storage.read() as session:
        memories, total = session.list_deleted(limit), session.statistics.states(app.now())["deleted"]
    return TrashResult(memories=[_describe(memory) for memory in memories], total=total)


def _describe(memory: Memory) -> DeletedMemory:
    deleted_at = memory.deleted_at or memory.created_at
    return DeletedMemory(
        **preview_memory(memory),
        deleted_at=isoformat(deleted_at),
        recoverable_until=isoformat(deleted_at + TRASH_LIFE),
    )
