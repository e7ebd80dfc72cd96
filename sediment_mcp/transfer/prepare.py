"""Turn what a format has read into a memory to be stored: its owner, its tags, its id."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sediment_mcp.domain.captured import NEUTRAL_IMPORTANCE
from sediment_mcp.domain.duplicates import compute_exact_hash
from sediment_mcp.domain.memory import NewMemory
from sediment_mcp.domain.merging import append_tags
from sediment_mcp.operations.store_memory import build_memory, check_secrets, new_memory, owner_of
from sediment_mcp.storage.sql.memories import ID_ALPHABET, ID_LENGTH
from sediment_mcp.system.project_root import find_project_of_folder
from sediment_mcp.system.timestamps import isoformat
from sediment_mcp.transfer.formats.sediment_jsonl import ExportedMemory
from sediment_mcp.transfer.records import MemoryRecord, Origin

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.operations.arguments import OwnScope, StoreMemory

MOST_AHEAD = timedelta(days=366)  # an appointment, and no time to come that keeps a memory the newest
MOST_SKEW = timedelta(days=1)  # of another machine's clock and time zone
STORED_TIMES = ("created_at", "changed_at", "deleted_at", "restored_at")
TRUST = "--format sediment says that it is an export of your own."
ID_BYTES = 16  # of the digest that an id is derived from


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the user wants of all that is imported.

    Attributes:
        project: the project in use, if one is known.
        scope: the scope of all memories; None: what each states itself, else that of a store. What is for
            the team is imported into its store, so this says only that it belongs to no project.
        tags: tags to add to everything.
        dry_run: change nothing, only report.
        trusted: the source is an export of the user's own, as the user says: importance, projects and times
            to come are taken over as they are.
        rules: retention rules are taken over too.
    """

    project: str | None = None
    scope: OwnScope | None = None
    tags: tuple[str, ...] = ()
    dry_run: bool = False
    trusted: bool = False
    rules: bool = False


@dataclass(frozen=True, slots=True)
class PreparedMemory:
    """A memory ready to be imported.

    Attributes:
        location: its place in the source.
        id: the id that it has, or gets.
        former_id: the id that it got at an import by an earlier version, if it is another one.
        memory: what is to be stored.
        occurred_at: the time that it states itself, if any.
        notes: sentences on what was changed, and on secrets in it.
        exported: its line, if it comes from an export of ours.
        is_turn: its source names it, so that it is known again whatever its text is by now.
    """

    location: str
    id: str
    former_id: str | None
    memory: NewMemory
    occurred_at: datetime | None
    notes: tuple[str, ...]
    exported: ExportedMemory | None = None
    is_turn: bool = False


def prepare_memory(app: Application, record: MemoryRecord, options: ImportOptions) -> PreparedMemory:
    """Prepare a record, without any lock.

    Raises:
        BadArgument: it cannot be stored, as when it holds a secret and those are refused.
    """
    arguments = _apply_options(record.arguments, options)
    arguments, limits = (arguments, ()) if options.trusted else _limit(arguments, app.now())
    notes = (*record.notes, *limits, *check_secrets(app, arguments))
    if isinstance(arguments, ExportedMemory):
        return prepare_exported(record.location, arguments, _find_exported_owner(arguments, options), notes)
    memory = new_memory(arguments, _find_owner(arguments, record.origin, options), app.now())
    if record.origin is not None and record.origin.key is not None:
        memory_id = derive_turn_id(record.origin.key)
        memory = replace(memory, id=memory_id)
        return PreparedMemory(
            record.location, memory_id, None, memory, arguments.occurred_at, notes, is_turn=True
        )
    memory_id = derive_id(memory, arguments.occurred_at, compute_exact_hash(memory.content))
    former_id = derive_id(memory, arguments.occurred_at, memory.content_hash)
    memory = replace(memory, id=memory_id)
    return PreparedMemory(record.location, memory_id, former_id, memory, arguments.occurred_at, notes)


def prepare_exported(
    location: str, arguments: ExportedMemory, project: str | None, notes: tuple[str, ...] = ()
) -> PreparedMemory:
    """Prepare an exported memory as it is, even if expired, superseded or deleted."""
    memory = replace(
        build_memory(arguments, project, arguments.created_at),
        changed_at=_find_latest_change(arguments),
        id=arguments.id,
        superseded_by=arguments.superseded_by,
        deleted_at=arguments.deleted_at,
        restored_at=arguments.restored_at,
    )
    return PreparedMemory(location, arguments.id, None, memory, memory.occurred_at, notes, arguments)


def _find_exported_owner(arguments: ExportedMemory, options: ImportOptions) -> str | None:
    return arguments.project if options.scope is None else owner_of(options.scope, options.project)


def _find_owner(arguments: StoreMemory, origin: Origin | None, options: ImportOptions) -> str | None:
    """Return the project: by the scope that the user wants, else by the source's folder."""
    if origin is None or options.scope is not None:
        return owner_of(arguments.scope, options.project)
    return _find_project(origin.folder) if origin.folder else None


@functools.lru_cache(maxsize=1000)
def _find_project(folder: str) -> str | None:
    return find_project_of_folder(folder)


def _apply_options(arguments: StoreMemory, options: ImportOptions) -> StoreMemory:
    tags = list(append_tags(arguments.tags, options.tags)) if options.tags else arguments.tags
    return arguments.replace(tags=tags, scope=options.scope or arguments.scope)


def _limit(arguments: StoreMemory, now: datetime) -> tuple[StoreMemory, tuple[str, ...]]:
    """Return (the memory without what would put it before the user's own, notes on that)."""
    changes: dict[str, Any] = {}
    notes: list[str] = []
    if arguments.importance > NEUTRAL_IMPORTANCE:
        changes["importance"] = NEUTRAL_IMPORTANCE
        notes.append(
            f"says importance {arguments.importance:g} of itself, {NEUTRAL_IMPORTANCE} was taken: {TRUST}"
        )
    if arguments.occurred_at is not None and arguments.occurred_at > now + MOST_AHEAD:
        changes["occurred_at"] = None
        notes.append(f"is of {arguments.occurred_at:%Y-%m-%d}, a time to come, which was left out: {TRUST}")
    if isinstance(arguments, ExportedMemory):
        times = {name: getattr(arguments, name) for name in STORED_TIMES}
        ahead = {name: now for name, time in times.items() if time is not None and time > now + MOST_SKEW}
        changes |= ahead
        notes += (
            [f"says that it was stored or changed in a time to come, now was taken: {TRUST}"] if ahead else []
        )
    return arguments.replace(**changes), tuple(notes)


def _find_latest_change(memory: ExportedMemory) -> datetime:
    """Return when the memory was last changed, as well as its export knows."""
    times = (memory.changed_at or memory.restored_at, memory.created_at, memory.deleted_at)
    return max(time for time in times if time is not None)


def derive_id(memory: NewMemory, occurred_at: datetime | None, text_hash: bytes) -> str:
    """Return an id for a memory without one, derived from its text, its kind and its owner.

    So it is the same memory whenever and wherever it is imported again, also after it was superseded or
    deleted here. For a text of one line with single spaces both hashes of `domain.duplicates` are equal, for
    others version 0.1.0 has derived the id from the hash that is stored.
    """
    key = [text_hash.hex(), memory.kind, memory.project]
    if memory.kind == "episodic":  # two events may have the same words
        key += [memory.session, isoformat(occurred_at)]
    return _encode_id(json.dumps(key))


def rename_erased(memory: PreparedMemory, erased_ids: Container[str]) -> PreparedMemory:
    """Give a memory that was erased for good another id, under which it may be on every device.

    It is the same id wherever and however often it is imported.
    """
    return replace(
        memory,
        id=_find_unerased(memory.id, erased_ids),
        memory=replace(
            memory.memory,
            id=_find_unerased(memory.id, erased_ids),
            superseded_by=memory.memory.superseded_by
            and _find_unerased(memory.memory.superseded_by, erased_ids),
        ),
    )


def _find_unerased(memory_id: str, erased_ids: Container[str]) -> str:
    while memory_id in erased_ids:
        memory_id = _encode_id(json.dumps(["erased", memory_id]))
    return memory_id


def derive_turn_id(key: Sequence[str]) -> str:
    """Return the id of a memory that its source has a name for, such as a turn."""
    return _encode_id(json.dumps(["turn", *key]))


def _encode_id(key: str) -> str:
    digest = hashlib.sha256(key.encode()).digest()
    value = int.from_bytes(digest[:ID_BYTES], "big")
    letters: list[str] = []
    for _ in range(ID_LENGTH):
        value, letter = divmod(value, len(ID_ALPHABET))
        letters.append(ID_ALPHABET[letter])
    return "".join(letters)
