"""The versions of a memory: list them, and make an old one current again.

The versions form a chain, in which each names the one that replaced it. A chain only ever grows: reverting
adds a new version with the old text, so that the history still tells which text was current when. Deleting
the current version makes no older one current.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING

from sediment_mcp.domain.duplicates import compute_content_hash, is_same_text
from sediment_mcp.domain.memory import Memory, NewMemory
from sediment_mcp.domain.retention import renew_expiry
from sediment_mcp.errors import BadArgument, UnknownMemory
from sediment_mcp.operations.results import (
    HistoryResult,
    RevertResult,
    VersionResult,
    VersionState,
    build_result,
    describe_memory,
)
from sediment_mcp.operations.stores import divide_ids, find_store
from sediment_mcp.system.text import format_value
from sediment_mcp.system.timestamps import isoformat_to_second

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.storage.protocols import ReadSession, WriteSession


def history(app: Application, memory_id: str, project: str | None = None) -> HistoryResult:
    """Return the chain of versions that a memory belongs to.

    The id of any version will do, that of an erased one too. ``project`` is the one of the caller.

    Raises:
        UnknownMemory: the id names no memory, and no version of its chain is left.
    """
    app = find_store(app, memory_id)
    with app.storage.read() as session:
        chain = sort_versions(session.versions(memory_id))
    if not chain:
        raise _build_unknown_memory(memory_id)
    now = app.now()
    versions = [_describe_version(memory, project, now, of_team=app.is_team) for memory in chain]
    current = [version["id"] for version in versions if version["state"] == "current"]
    return build_result(HistoryResult, versions=versions, current=current[0] if current else None)


def sort_versions(versions: Sequence[Memory]) -> list[Memory]:
    """Sort versions oldest first, and each after everything that it replaced."""
    waiting = Counter(memory.superseded_by for memory in versions)
    known = {memory.id: memory for memory in versions}
    ready = [(memory.key, memory.id) for memory in versions if not waiting[memory.id]]
    heapq.heapify(ready)
    ordered: list[Memory] = []
    while ready:
        memory = known[heapq.heappop(ready)[1]]
        ordered.append(memory)
        waiting[memory.superseded_by] -= 1
        if memory.superseded_by in known and not waiting[memory.superseded_by]:
            heapq.heappush(ready, (known[memory.superseded_by].key, memory.superseded_by))
    return ordered


def previous_versions(app: Application, ids: Sequence[str]) -> dict[str, str]:
    """Return the id of the version before, for each of these current memories that has one."""
    previous: dict[str, str] = {}
    for store, known in divide_ids(app, ids, lambda memory: memory.deleted_at is None):
        with store.storage.read() as session:
            previous |= _find_previous(session, known)
    return previous


def _find_previous(session: ReadSession, ids: Sequence[str]) -> Iterator[tuple[str, str]]:
    found = session.get(ids)
    for memory_id in ids:
        if memory_id not in found or found[memory_id].superseded_by is not None:
            continue  # so a chain is read once, whatever number of its versions is asked for
        chain = sort_versions(session.versions(memory_id))
        older = [m.id for m in chain if m.superseded_by == memory_id and m.deleted_at is None]
        if older:
            yield memory_id, older[-1]


def revert(app: Application, memory_id: str) -> RevertResult:
    """Make the text of an old version the current one again, as a new version.

    It supersedes the present version, deleted or not, which stays as history. Embeddings are copied, not
    computed anew.

    Raises:
        UnknownMemory, BadArgument: the id names no old version; nothing was changed.
    """
    app, now = find_store(app, memory_id), app.now()
    with app.storage.write() as session:
        chain = sort_versions(session.versions(memory_id))
        old = next((memory for memory in chain if memory.id == memory_id), None)
        if old is None:
            raise _build_unknown_memory(memory_id)
        last = chain[-1]
        _check_can_revert(old, last, now)
        new = _find_same_text(session, old, last, now) or _store_again(session, old, now)
        if last.superseded_by is None:
            session.update(replace(last, superseded_by=new.id))
        else:  # the memory that had replaced it is erased
            session.reassign_successor(last.superseded_by, new.id)
    superseded = last.id if last.superseded_by is None else None
    return build_result(RevertResult, id=new.id, reverted_to=memory_id, superseded=superseded)


def _check_can_revert(old: Memory, last: Memory, now: datetime) -> None:
    if old.deleted_at is not None:
        raise BadArgument(f"{old.id} is deleted: bring it back with sediment-mcp restore {old.id}.")
    if old.superseded_by is None:
        raise BadArgument(f"{old.id} is the current version already: give the id of an older one.")
    if _describe_state(last, now) == "current" and _says_the_same(last, old):
        raise BadArgument(f"The current version, {last.id}, has this very text already: nothing was changed.")


def _says_the_same(one: Memory, other: Memory) -> bool:
    attributes = attrgetter("content", "tags", "session", "importance", "metadata")
    return attributes(one) == attributes(other)


def _find_same_text(session: ReadSession, old: Memory, last: Memory, now: datetime) -> Memory | None:
    """Return a current memory outside the chain that has the same text.

    The chain ends with ``last``. None for an episodic memory: two events may be told in the same words.
    """
    if old.kind == "episodic":
        return None
    found = session.find_by_content_hash(compute_content_hash(old.content), old.kind, old.project, now)
    return next((m for m in found if m.id != last.id and is_same_text(m.content, old.content)), None)


def _store_again(session: WriteSession, old: Memory, now: datetime) -> Memory:
    """Store an old version's text, attributes, embeddings and token vectors once more."""
    chunks = session.chunks_of([old.key])
    memory, added = session.add(
        NewMemory.copy_of(
            old,
            content_hash=compute_content_hash(old.content),
            spans=tuple((chunk.start, chunk.end) for chunk in chunks),
            id=None,
            created_at=now,
            changed_at=now,
            expires_at=renew_expiry(old.kind, old.expires_at, now),
            superseded_by=None,
            deleted_at=None,
            restored_at=None,
        )
    )
    pairs = list(zip((chunk.id for chunk in chunks), added, strict=True))
    session.embeddings.copy(pairs)
    session.token_vectors.copy(pairs)
    return memory


def _describe_version(memory: Memory, project: str | None, now: datetime, *, of_team: bool) -> VersionResult:
    return build_result(
        VersionResult,
        **describe_memory(memory, memory.content, project, of_team=of_team),
        state=_describe_state(memory, now),
        deleted_at=isoformat_to_second(memory.deleted_at),
    )


def _describe_state(memory: Memory, now: datetime) -> VersionState:
    """Return the state in the words of a history, where a live version is the "current" one."""
    state = memory.state(now)
    return "current" if state == "live" else state


def _build_unknown_memory(memory_id: str) -> UnknownMemory:
    return UnknownMemory(
        f"{format_value(memory_id)} names no memory: look it up with sediment-mcp list --include-superseded, "
        "or with list --deleted."
    )
