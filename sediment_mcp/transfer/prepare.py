"""From what a format has read to what can be stored: whose it is, and which id it has."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from sediment_mcp.domain.chunking import split
from sediment_mcp.domain.duplicates import both_tags, text_key
from sediment_mcp.operations.results import iso
from sediment_mcp.operations.tools import new_draft, owner, secret_warnings
from sediment_mcp.storage.sql.memories import ID_ALPHABET, ID_LENGTH, Draft
from sediment_mcp.transfer.formats.sediment_jsonl import ExportedMemory
from sediment_mcp.transfer.records import Record

if TYPE_CHECKING:
    from sediment_mcp.app import Library


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user wants of all that is taken in: whose it is (``scope`` None: as it says itself, or else as
    with a store), tags to add, and whether to only look (``dry``)."""

    project: str | None = None
    scope: Literal["project", "global"] | None = None
    tags: tuple[str, ...] = ()
    dry: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    """A memory about to be taken in; ``occurred_at`` is the time that it brings, if any, ``exported`` is its
    line if it comes from an export of ours."""

    place: str
    id: str
    draft: Draft
    occurred_at: datetime | None
    notes: tuple[str, ...]
    exported: ExportedMemory | None


def arrival(library: Library, record: Record, choices: Choices) -> Arrival:
    """Prepare a record, without any lock.

    Raises:
        BadArgument: it cannot be stored, as when it holds a secret and those are refused.
    """
    arguments = record.arguments
    tags = list(both_tags(arguments.tags, choices.tags)) if choices.tags else arguments.tags
    arguments = arguments.model_copy(update={"tags": tags, "scope": choices.scope or arguments.scope})
    notes = (*record.notes, *secret_warnings(library, arguments))
    if isinstance(arguments, ExportedMemory):
        draft = _as_it_was(arguments, choices)
        return Arrival(record.place, arguments.id, draft, draft.occurred_at, notes, arguments)
    draft = new_draft(arguments, owner(arguments.scope, choices.project), library.now())
    identity = derived_id(draft, arguments.occurred_at)
    draft = replace(draft, id=identity)
    return Arrival(record.place, identity, draft, arguments.occurred_at, notes, None)


def _as_it_was(memory: ExportedMemory, choices: Choices) -> Draft:
    """Nothing of it changes, be it expired, superseded or deleted."""
    created_at: datetime = memory.created_at
    return Draft(
        content=memory.content,
        text_key=text_key(memory.content),
        spans=tuple(split(memory.content)),
        kind=memory.kind,
        tags=tuple(dict.fromkeys(memory.tags)),
        project=memory.project if choices.scope is None else owner(choices.scope, choices.project),
        session=memory.session,
        importance=memory.importance,
        metadata=memory.metadata,
        occurred_at=memory.occurred_at or created_at,
        created_at=created_at,
        changed_at=_last_change(memory),
        expires_at=memory.expires_at,
        id=memory.id,
        superseded_by=memory.superseded_by,
        deleted_at=memory.deleted_at,
        restored_at=memory.restored_at,
    )


def _last_change(memory: ExportedMemory) -> datetime:
    """When it was last changed. An export from before this was kept gives the best it knows, as a database of
    that age does."""
    moments = (memory.changed_at or memory.restored_at, memory.created_at, memory.deleted_at)
    return max(moment for moment in moments if moment is not None)


def derived_id(draft: Draft, occurred_at: datetime | None) -> str:
    """The id of something that brings none: made from its text, its kind and whose it is, so that it is the
    same memory whenever and wherever it is taken in again, also after it was superseded or deleted here."""
    what = [draft.text_key.hex(), draft.kind, draft.project]
    if draft.kind == "episodic":  # the same words may tell of two events
        what += [draft.session, iso(occurred_at)]
    value = int.from_bytes(hashlib.sha256(json.dumps(what).encode()).digest()[:16], "big")
    letters: list[str] = []
    for _ in range(ID_LENGTH):
        value, letter = divmod(value, len(ID_ALPHABET))
        letters.append(ID_ALPHABET[letter])
    return "".join(letters)
