"""What is corrected of a memory without touching its text: tags, importance, metadata, times."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sediment_mcp.domain.duplicates import text_key
from sediment_mcp.domain.filters import admits
from sediment_mcp.domain.memory import Filters
from sediment_mcp.errors import BadArgument, UnknownMemory
from sediment_mcp.operations.arguments import StoreMemory, StoreResult
from sediment_mcp.operations.results import iso

if TYPE_CHECKING:
    from sediment_mcp.app import Library

SAME_TEXT = "Only white space has changed, which counts as the same text: the text stays as it was."


def is_same_text(one: str, other: str) -> bool:
    return text_key(one) == text_key(other)


def amend(library: Library, identity: str, arguments: StoreMemory) -> StoreResult:
    """Give a current memory the tags, importance, metadata and times of ``arguments``. That makes no version:
    versions tell what was believed when, and the text says that.

    Raises:
        UnknownMemory: the id names no current memory; nothing was changed.
        BadArgument: the end lies in the past.
    """
    now = library.now()
    if arguments.expires_at is not None and arguments.expires_at <= now:
        raise BadArgument("expires_at lies in the past: give a later time, or none to keep the memory.")
    with library.write() as store:
        old = store.by_ids([identity]).get(identity)
        if old is None or not admits(Filters(), old, now):
            raise UnknownMemory(f"{identity} is no current memory: look it up again.")
        memory = replace(
            old,
            tags=tuple(dict.fromkeys(arguments.tags)),
            importance=arguments.importance,
            metadata=arguments.metadata,
            occurred_at=arguments.occurred_at or old.occurred_at,
            expires_at=arguments.expires_at,
        )
        if memory != old:
            store.update(memory, now)
    return StoreResult(
        id=identity,
        status="duplicate",
        superseded=[],
        similar=[],
        expires_at=iso(memory.expires_at),
        warnings=[] if arguments.content == old.content else [SAME_TEXT],
    )
