"""Delete memories: into the trash, or for good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from sediment_mcp.domain.retention import TRASH_LIFE
from sediment_mcp.operations.arguments import DeleteMemory
from sediment_mcp.operations.results import DeleteResult, build_result
from sediment_mcp.operations.stores import divide_ids
from sediment_mcp.system.timestamps import isoformat_to_second

if TYPE_CHECKING:
    from sediment_mcp.app import Application


def delete_memory(app: Application, arguments: DeleteMemory) -> DeleteResult:
    """Delete memories, in one transaction of each store that has some of them.

    From then on no query and no list of any process finds them.

    Without ``permanent`` they can be restored for `TRASH_LIFE`; with it their text is gone from the database,
    its log, the text index and the backups when this returns; memories in the trash are erased too. Older
    versions that a deleted memory had replaced stay superseded.
    """
    ids, permanent = list(dict.fromkeys(arguments.ids)), arguments.permanent
    now = app.now()
    deleted = {
        memory_id
        for store, chosen in divide_ids(app, ids, lambda memory: permanent or memory.deleted_at is None)
        for memory_id in _delete(store, chosen, now, permanent=permanent)
    }
    return build_result(
        DeleteResult,
        deleted=[memory_id for memory_id in ids if memory_id in deleted],
        not_found=[memory_id for memory_id in ids if memory_id not in deleted],
        recoverable_until=isoformat_to_second(now + TRASH_LIFE) if deleted and not permanent else None,
    )


def _delete(app: Application, ids: Sequence[str], now: datetime, *, permanent: bool) -> Iterable[str]:
    """Delete memories of one store; return the ids of those that were there."""
    with app.storage.write(secure_erase=permanent) as session:
        found = {
            memory_id: memory
            for memory_id, memory in session.get(ids).items()
            if permanent or memory.deleted_at is None
        }
        for memory in found.values():
            if permanent:
                session.erase(memory)
            else:
                session.update(replace(memory, deleted_at=now), now)
    if permanent and found:
        app.services.erasure.purge(memory.content for memory in found.values())
    return found
