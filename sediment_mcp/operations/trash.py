"""The trash: list deleted memories, and restore them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import itemgetter
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
from sediment_mcp.operations.stores import divide_ids, list_stores
from sediment_mcp.system.timestamps import isoformat_to_second

if TYPE_CHECKING:
    from sediment_mcp.app import Application


def restore_memories(app: Application, ids: list[str]) -> UndeleteResult:
    """Restore deleted memories, in the store that each is from."""
    restored = {
        memory_id
        for store, chosen in divide_ids(app, ids, lambda memory: memory.deleted_at is not None)
        for memory_id in _restore(store, chosen)
    }
    return build_result(
        UndeleteResult,
        restored=[memory_id for memory_id in ids if memory_id in restored],
        not_found=[memory_id for memory_id in ids if memory_id not in restored],
    )


def _restore(app: Application, ids: Sequence[str]) -> Iterable[str]:
    """Restore memories of one store; return the ids of those that were in its trash."""
    now = app.now()
    with app.storage.write() as session:
        found = {
            memory_id: memory
            for memory_id, memory in session.get(ids).items()
            if memory.deleted_at is not None
        }
        for memory in found.values():
            session.restore(memory, now)
    return found


def list_deleted(app: Application, limit: int, project: str | None = None) -> TrashResult:
    """Return the memories that `restore_memories` can restore, the last deleted first.

    ``project`` is the one of the caller.
    """
    deleted: list[tuple[datetime, DeletedMemory]] = []
    total = 0
    for store in list_stores(app):
        with store.storage.read() as session:
            memories = session.list_deleted(limit)
            total += session.statistics.states(app.now())["deleted"]
        deleted += [_describe(memory, project, of_team=store.is_team) for memory in memories]
    deleted.sort(key=itemgetter(0), reverse=True)
    return TrashResult(memories=[result for _, result in deleted[:limit]], total=total)


def _describe(memory: Memory, project: str | None, *, of_team: bool) -> tuple[datetime, DeletedMemory]:
    """Return when a memory was deleted, and its result."""
    deleted_at = memory.deleted_at or memory.created_at
    return deleted_at, DeletedMemory(
        **preview_memory(memory, project, of_team=of_team),
        deleted_at=isoformat_to_second(deleted_at),
        recoverable_until=isoformat_to_second(deleted_at + TRASH_LIFE),
    )
