"""Correct a memory without touching its text: tags, importance, metadata, times."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sediment_mcp.domain.filters import Filters, matches
from sediment_mcp.domain.tags import unique_tags
from sediment_mcp.errors import BadArgument, UnknownMemory
from sediment_mcp.operations.arguments import StoreMemory
from sediment_mcp.operations.results import StoreResult, build_result
from sediment_mcp.operations.stores import find_store
from sediment_mcp.system.timestamps import isoformat_to_second

if TYPE_CHECKING:
    from sediment_mcp.app import Application


def edit_memory(app: Application, memory_id: str, arguments: StoreMemory) -> StoreResult:
    """Give a current memory the tags, importance, metadata and times of ``arguments``.

    That makes no new version: versions record changes of the text only.

    Raises:
        UnknownMemory: the id names no current memory; nothing was changed.
        BadArgument: ``expires_at`` lies in the past; nothing was changed.
    """
    app, now = find_store(app, memory_id), app.now()
    if arguments.expires_at is not None and arguments.expires_at <= now:
        raise BadArgument("expires_at lies in the past: give a later time, or none to keep the memory.")
    with app.storage.write() as session:
        old = session.get([memory_id]).get(memory_id)
        if old is None or not matches(Filters(), old, now):
            raise UnknownMemory(f"{memory_id} is no current memory: look it up again.")
        memory = replace(
            old,
            tags=unique_tags(arguments.tags),
            importance=arguments.importance,
            metadata=arguments.metadata,
            occurred_at=arguments.occurred_at or old.occurred_at,
            expires_at=arguments.expires_at,
        )
        if memory != old:
            session.update(memory, now)
    return build_result(
        StoreResult, id=memory_id, status="duplicate", expires_at=isoformat_to_second(memory.expires_at)
    )
