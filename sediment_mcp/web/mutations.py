"""Mutations: what the page changes.

An edit of the text stores a new version that replaces the old one, as a host does it, so that no text is
overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sediment_mcp.app import Application
from sediment_mcp.domain.memory import TEAM, Memory
from sediment_mcp.domain.merging import combine
from sediment_mcp.errors import BadArgument, UnknownMemory
from sediment_mcp.operations.arguments import DeleteMemory, StoreMemory, parse_arguments
from sediment_mcp.operations.captured import drop_captured, keep_captured
from sediment_mcp.operations.delete_memory import delete_memory
from sediment_mcp.operations.edit_memory import edit_memory
from sediment_mcp.operations.history import revert
from sediment_mcp.operations.results import (
    DeleteResult,
    RevertResult,
    StoreResult,
    UndeleteResult,
)
from sediment_mcp.operations.store_memory import store_memory
from sediment_mcp.operations.stores import StoredMemory, find_by_id, list_stores
from sediment_mcp.operations.trash import restore_memories
from sediment_mcp.system.timestamps import isoformat, isoformat_to_second
from sediment_mcp.transfer.formats.sediment_jsonl import encode_memory
from sediment_mcp.web.request import (
    RequestArguments,
    RequestContext,
    RequestHandler,
    parse_id,
    parse_ids,
    take_project,
)
from sediment_mcp.web.similar_pairs import keep_both_memories

INHERITED_FIELDS = tuple(name for name in StoreMemory.parameters if name != "replaces")
"""The attributes that an edit takes over from the memory that it replaces, unless it names them."""


def add_memory(context: RequestContext, arguments: RequestArguments) -> StoreResult:
    """Store a memory, as `store_memory` does."""
    project = take_project(context, arguments)
    return store_memory(context.app, parse_arguments(StoreMemory, arguments), project)


def edit_or_replace_memory(context: RequestContext, arguments: RequestArguments) -> StoreResult:
    """Replace a memory by a new version.

    If its text and kind stay the same, only its other attributes are changed, in place.

    Raises:
        BadArgument: It is not the current version any more; nothing was changed.
    """
    ((old, store),) = _read_current(context, [parse_id(arguments)])
    arguments.pop("id")
    attributes = {**_inherit_fields(old, store), **_complete_times(arguments, [old]), "replaces": [old.id]}
    new = parse_arguments(StoreMemory, attributes)
    if new.kind == old.kind and new.content == old.content:
        return edit_memory(store, old.id, new)
    return store_memory(context.app, new, old.project)


def merge_memories(context: RequestContext, arguments: RequestArguments) -> StoreResult:
    """Replace several memories by one.

    Attributes that the request leaves out are combined from theirs.

    Raises:
        BadArgument: There are fewer than two, one is not current any more, or some are the team's and some
            are not; nothing was changed.
    """
    found = _read_current(context, parse_ids(arguments))
    if len(found) < 2:
        raise BadArgument("A merge needs two memories: choose another one.")
    old, store = [memory for memory, _ in found], found[0].store
    if any(one.store is not store for one in found):
        raise BadArgument("A memory of the team and one of your own stay apart: choose those of one store.")
    arguments.pop("ids")
    replaced = [memory.id for memory in old]
    inherited = _inherit_fields(combine_memories(old), store)
    attributes = {**inherited, **_complete_times(arguments, old), "replaces": replaced}
    return store_memory(context.app, parse_arguments(StoreMemory, attributes), old[0].project)


def delete_memories(context: RequestContext, arguments: RequestArguments) -> DeleteResult:
    """Delete memories, as `delete_memory` does."""
    return delete_memory(context.app, parse_arguments(DeleteMemory, arguments))


def keep_turns(context: RequestContext, arguments: RequestArguments) -> dict[str, Any]:
    """Keep captured turns as facts."""
    return {"kept": keep_captured(context.app, parse_ids(arguments))}


def drop_turns(context: RequestContext, arguments: RequestArguments) -> DeleteResult:
    """Drop captured turns."""
    return drop_captured(context.app, parse_ids(arguments))


def restore_deleted(context: RequestContext, arguments: RequestArguments) -> UndeleteResult:
    """Take memories back out of the trash."""
    return restore_memories(context.app, list(dict.fromkeys(parse_ids(arguments))))


def revert_memory(context: RequestContext, arguments: RequestArguments) -> RevertResult:
    """Store the text of an old version again, as the current version."""
    return revert(context.app, parse_id(arguments))


def combine_memories(memories: Sequence[Memory]) -> Memory:
    """Return the first memory with the others combined into it, in their order.

    See "target" of `domain.merging.combine`. Text, kind and scope stay those of the first.
    """
    combined, *others = memories
    for other in others:
        combined = combine(combined, other, precedence="target")
    return combined


def _inherit_fields(old: Memory, store: Application) -> dict[str, Any]:
    scope = TEAM if store.is_team else "global" if old.project is None else "project"
    fields = {**encode_memory(old), "scope": scope}
    return {name: fields[name] for name in INHERITED_FIELDS}


def _complete_times(arguments: RequestArguments, memories: Sequence[Memory]) -> RequestArguments:
    """Return the arguments with exact times of these memories in the place of shown ones."""
    exact = {
        (name, isoformat_to_second(time)): isoformat(time)
        for memory in memories
        for name, time in (("occurred_at", memory.occurred_at), ("expires_at", memory.expires_at))
    }
    return {name: exact.get((name, str(value)), value) for name, value in arguments.items()}


def _read_current(context: RequestContext, ids: Sequence[str]) -> list[StoredMemory]:
    """Return the current memories of these ids, each with its store.

    Another host may have changed them since the page was shown.
    """
    found = find_by_id(list_stores(context.app), ids, lambda memory: memory.deleted_at is None)
    for memory_id in ids:
        memory = found[memory_id].memory if memory_id in found else None
        if memory is None:
            raise UnknownMemory(
                f"{memory_id} is not there any more: look into the trash, or reload the page."
            )
        if memory.superseded_by is not None:
            raise BadArgument(f"{memory_id} has been replaced by {memory.superseded_by}: change that one.")
    return [found[memory_id] for memory_id in dict.fromkeys(ids)]


MUTATIONS: dict[str, RequestHandler] = {
    "add": add_memory,
    "edit": edit_or_replace_memory,
    "merge": merge_memories,
    "delete": delete_memories,
    "restore": restore_deleted,
    "revert": revert_memory,
    "keep": keep_both_memories,
    "keep_captured": keep_turns,
    "drop_captured": drop_turns,
}
"""Address below ``api/`` → the function that answers it."""
