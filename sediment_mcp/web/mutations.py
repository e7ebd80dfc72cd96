"""What the page changes. An edit makes a version that replaces the one before, as a host would do it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sediment_mcp.domain.duplicates import both_metadata, both_tags, later_end
from sediment_mcp.domain.memory import Memory
from sediment_mcp.errors import BadArgument, UnknownMemory
from sediment_mcp.operations import tools
from sediment_mcp.operations.arguments import DeleteMemory, DeleteResult, StoreMemory, StoreResult, parse
from sediment_mcp.operations.edit_memory import amend, is_same_text
from sediment_mcp.operations.history import RevertResult
from sediment_mcp.operations.history import revert as take_up_again
from sediment_mcp.operations.results import described
from sediment_mcp.operations.trash import restore_memories
from sediment_mcp.web.request import Asked, Desk, Job, id_of, ids_of, project_of
from sediment_mcp.web.similar_pairs import keep_both

KEPT = ("kind", "tags", "session", "importance", "metadata", "occurred_at", "expires_at", "scope")
"""What an edit takes over from the memory that it replaces, unless it says otherwise."""


def add(desk: Desk, asked: Asked) -> StoreResult:
    project = project_of(desk, asked)
    return tools.store_memory(desk.library, parse(StoreMemory, asked), project)


def edit(desk: Desk, asked: Asked) -> StoreResult:
    """Replace a memory by what it is now to say; where its text stays, only its other attributes change.

    Raises:
        BadArgument: it is not the current version any more; nothing was changed.
    """
    (old,) = _current(desk, [id_of(asked)])
    asked.pop("id")
    arguments = parse(StoreMemory, {**_taken_over(old), **asked, "replaces": [old.id]})
    if arguments.kind == old.kind and is_same_text(arguments.content, old.content):
        return amend(desk.library, old.id, arguments)
    return tools.store_memory(desk.library, arguments, old.project)


def merge(desk: Desk, asked: Asked) -> StoreResult:
    """Let one memory take the place of several: what the first has, with the others' tags and metadata,
    unless it is said otherwise."""
    old = _current(desk, ids_of(asked))
    if len(old) < 2:
        raise BadArgument("A merge needs two memories: choose another one.")
    asked.pop("ids")
    together = {**_taken_over(old[0]), **_together(old), **asked, "replaces": [memory.id for memory in old]}
    arguments = parse(StoreMemory, together)
    return tools.store_memory(desk.library, arguments, old[0].project)


def _taken_over(old: Memory) -> dict[str, Any]:
    whole: dict[str, Any] = {**described(old, old.content, truncated=False)}
    return {name: whole[name] for name in ("content", *KEPT)}


def _together(old: Sequence[Memory]) -> dict[str, Any]:
    first, *others = old
    tags, metadata, expires_at = first.tags, first.metadata, first.expires_at
    for other in others:
        tags = both_tags(tags, other.tags)
        metadata = both_metadata(other.metadata, metadata) or metadata
        expires_at = later_end(expires_at, other.expires_at)
    return {
        "tags": list(tags),
        "metadata": dict(metadata),
        "session": next((memory.session for memory in old if memory.session), None),
        "importance": max(memory.importance for memory in old),
        "occurred_at": _written(max(memory.occurred_at for memory in old)),
        "expires_at": expires_at and _written(expires_at),
    }


def _written(time: datetime) -> str:
    return time.isoformat()


def _current(desk: Desk, ids: Sequence[str]) -> list[Memory]:
    """The memories, each as it is found now; another host may have changed them since the page was drawn."""
    with desk.library.read() as store:
        found = store.by_ids(ids)
    for identity in ids:
        memory = found.get(identity)
        if memory is None or memory.deleted_at is not None:
            raise UnknownMemory(f"{identity} is not there any more: look into the trash, or reload the page.")
        if memory.superseded_by is not None:
            raise BadArgument(f"{identity} has been replaced by {memory.superseded_by}: change that one.")
    return [found[identity] for identity in dict.fromkeys(ids)]


def delete(desk: Desk, asked: Asked) -> DeleteResult:
    arguments = parse(DeleteMemory, asked)
    return tools.delete_memory(desk.library, arguments, desk.project)


def restore(desk: Desk, asked: Asked) -> dict[str, list[str]]:
    restored, not_found = restore_memories(desk.library, list(dict.fromkeys(ids_of(asked))))
    return {"restored": restored, "not_found": not_found}


def revert(desk: Desk, asked: Asked) -> RevertResult:
    return take_up_again(desk.library, id_of(asked))


CHANGES: dict[str, Job] = {
    "add": add,
    "edit": edit,
    "merge": merge,
    "delete": delete,
    "restore": restore,
    "revert": revert,
    "keep": keep_both,
}
"""Address below ``api/`` → what answers it."""
