"""The versions of a memory: what replaced what, and how an old text becomes the current one again.

A chain only ever grows. Reverting adds a new version with the old text, so that the history still tells what
was believed when; deleting the current version revives none before it.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from typing_extensions import TypedDict  # the results below extend those of the contract

from sediment_mcp.domain.duplicates import text_key
from sediment_mcp.domain.filters import admits
from sediment_mcp.domain.memory import Filters, Memory
from sediment_mcp.domain.retention import end_of_returned
from sediment_mcp.errors import BadArgument, UnknownMemory, shown
from sediment_mcp.operations.arguments import MemoryResult
from sediment_mcp.operations.results import described, iso
from sediment_mcp.storage.sql.memories import Draft

if TYPE_CHECKING:
    from sediment_mcp.app import Library
    from sediment_mcp.storage.sql.memories import Store

State = Literal["current", "superseded", "expired", "deleted"]


class Version(MemoryResult):
    """One version, whole, and what has become of it."""

    state: State
    deleted_at: str | None


class HistoryResult(TypedDict):
    """All versions, oldest first; ``current`` is the one that is found, null if there is none."""

    versions: list[Version]
    current: str | None


class RevertResult(TypedDict):
    """``id`` is the current version now: a new one, or one that had the very text of ``reverted_to``."""

    id: str
    reverted_to: str
    superseded: str | None


def history(library: Library, identity: str) -> HistoryResult:
    """The chain that a memory belongs to; any member's id leads to it, an erased one's too.

    Raises:
        UnknownMemory: the id names nothing of which anything is left.
    """
    with library.read() as store:
        chain = in_order(store.versions(identity))
    if not chain:
        raise _unknown(identity)
    now = library.now()
    versions = [_version(memory, now) for memory in chain]
    current = [version["id"] for version in versions if version["state"] == "current"]
    return HistoryResult(versions=versions, current=current[0] if current else None)


def in_order(versions: Sequence[Memory]) -> list[Memory]:
    """Oldest first, and each after everything that it replaced."""
    waiting = Counter(memory.superseded_by for memory in versions)
    known = {memory.id: memory for memory in versions}
    ready = [(memory.number, memory.id) for memory in versions if not waiting[memory.id]]
    heapq.heapify(ready)
    ordered: list[Memory] = []
    while ready:
        memory = known[heapq.heappop(ready)[1]]
        ordered.append(memory)
        waiting[memory.superseded_by] -= 1
        if memory.superseded_by in known and not waiting[memory.superseded_by]:
            heapq.heappush(ready, (known[memory.superseded_by].number, memory.superseded_by))
    return ordered


def left_behind(library: Library, ids: Sequence[str]) -> dict[str, str]:
    """For each of these current memories that has a history: the id of the version before it."""
    with library.read() as store:
        return dict(_before(store, ids))


def _before(store: Store, ids: Sequence[str]) -> Iterator[tuple[str, str]]:
    for identity in ids:
        chain = {memory.id: memory for memory in in_order(store.versions(identity))}
        older = [m.id for m in chain.values() if m.superseded_by == identity and m.deleted_at is None]
        if older and identity in chain and chain[identity].superseded_by is None:
            yield identity, older[-1]


def revert(library: Library, identity: str) -> RevertResult:
    """Make the text of an old version the current one again: as a new version that supersedes the present
    one, which stays as history, be it deleted or not. Nothing is embedded anew.

    Raises:
        UnknownMemory, BadArgument: the id names no old version; nothing was changed.
    """
    now = library.now()
    with library.write() as store:
        chain = in_order(store.versions(identity))
        old = next((memory for memory in chain if memory.id == identity), None)
        if old is None:
            raise _unknown(identity)
        last = chain[-1]
        _check(old, last, now)
        new = _same_text(store, old, now) or _again(store, old, now)
        if last.superseded_by is None:
            store.update(replace(last, superseded_by=new.id))
        else:  # what had replaced it is erased
            store.pass_on(last.superseded_by, new.id)
    return RevertResult(
        id=new.id, reverted_to=identity, superseded=last.id if last.superseded_by is None else None
    )


def _check(old: Memory, last: Memory, now: datetime) -> None:
    if old.deleted_at is not None:
        raise BadArgument(f"{old.id} is deleted: bring it back with sediment-mcp restore {old.id}.")
    if old.superseded_by is None:
        raise BadArgument(f"{old.id} is the current version already: give the id of an older one.")
    if _state(last, now) == "current" and text_key(last.content) == text_key(old.content):
        raise BadArgument(f"The current version, {last.id}, has this very text already: nothing was changed.")


def _same_text(store: Store, old: Memory, now: datetime) -> Memory | None:
    """A current memory outside the chain that says the same; of events there may be two."""
    if old.kind == "episodic":
        return None
    found = store.with_text(text_key(old.content), old.kind, old.project, now)
    return found[0] if found else None


def _again(store: Store, old: Memory, now: datetime) -> Memory:
    """Store an old version's text, attributes and embeddings once more."""
    chunks = store.chunks_of([old.number])
    memory, added = store.add(
        Draft(
            content=old.content,
            text_key=text_key(old.content),
            spans=tuple((chunk.start, chunk.end) for chunk in chunks),
            kind=old.kind,
            tags=old.tags,
            project=old.project,
            session=old.session,
            importance=old.importance,
            metadata=old.metadata,
            occurred_at=old.occurred_at,
            created_at=now,
            changed_at=now,
            expires_at=end_of_returned(old.kind, old.expires_at, now),
        )
    )
    store.embeddings.copy(zip((chunk.number for chunk in chunks), added, strict=True))
    return memory


def _version(memory: Memory, now: datetime) -> Version:
    whole = described(memory, memory.content, truncated=False)
    return Version(**whole, state=_state(memory, now), deleted_at=iso(memory.deleted_at))


def _state(memory: Memory, now: datetime) -> State:
    if memory.deleted_at is not None:
        return "deleted"
    if not admits(Filters(include_superseded=True), memory, now):
        return "expired"
    return "current" if memory.superseded_by is None else "superseded"


def _unknown(identity: str) -> UnknownMemory:
    return UnknownMemory(
        f"{shown(identity)} names no memory: look it up with sediment-mcp list --include-superseded, "
        "or with list --deleted."
    )
