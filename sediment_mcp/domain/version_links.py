"""Reconcile the links between versions, so that machines that exchange exports agree.

Ids are random, so the same id is the same memory; its text, kind and scope never change. What does change
comes out the same whoever imports from whom, and however often:

    attributes         tags, metadata, importance, occurrence, expiry, deleted or not: as a whole those of the
                       side that was changed last, so that what was removed there stays removed
                       (`domain.merging.combine` with the precedence "newest")
    restored at        the later of both; a memory's age counts from it
    superseded by      whoever says so, unless the other side was restored after the last change that this one
                       knows of; if both do and name different ones, `resolve_links` chooses

"Last" is what the machines' own clocks say (`Memory.changed_at`): of two changes that know nothing of each
other, that of a machine whose clock is an hour ahead counts as an hour later. A change of what has come from
the other machine always counts as later than that, however wrong the clocks are.

Two sides of the very same moment, as from a time when changes were not dated, are combined with the
precedence "symmetric", so that no side's part is lost. So are two memories that turn out to be one.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import datetime
from typing import Protocol


class Restorable(Protocol):
    """What `is_restored_since` reads of a `Memory` or a `NewMemory`."""

    @property
    def superseded_by(self) -> str | None:
        """Return the id of what superseded it, if anything."""
        ...

    @property
    def restored_at(self) -> datetime | None:
        """Return when it was last restored, if ever."""
        ...

    @property
    def changed_at(self) -> datetime:
        """Return when somebody last changed it."""
        ...


def is_restored_since(one: Restorable, other: Restorable) -> bool:
    """Return True if one side is current by a restoring that the other does not know of."""
    if one.superseded_by is not None or other.superseded_by is None or one.restored_at is None:
        return False
    return one.restored_at > other.changed_at


def resolve_links(
    links: Mapping[str, str], incoming: Mapping[str, str], known: Container[str]
) -> dict[str, str | None]:
    """Return the links between versions that an import changes: memory id -> successor's id.

    None for a successor says that the memory is current. Of two that superseded the same memory, the one that
    is ``known`` is chosen, else the greater id: it only decides in whose history the old one stands, both
    stay current. Where links lead in a circle, as when each machine replaced the one by the other, the memory
    with the greatest id in it stays current.

    Args:
        links: memory id -> successor's id, as it is here.
        incoming: the same, as the import says.
        known: ids of memories that exist here.
    """
    final: dict[str, str | None] = dict(links)
    for memory_id, new in incoming.items():
        old = links.get(memory_id)
        both = (new,) if old is None else (old, new)
        final[memory_id] = max(both, key=lambda successor: (successor in known, successor))
    followed: set[str] = set()
    for memory_id in incoming:
        last = _find_greatest_of_circle(final, memory_id, followed)
        if last is not None:
            final[last] = None
    touched = {*incoming, *(memory_id for memory_id in links if final[memory_id] is None)}
    return {memory_id: final[memory_id] for memory_id in touched if final[memory_id] != links.get(memory_id)}


def _find_greatest_of_circle(links: Mapping[str, str | None], start: str, followed: set[str]) -> str | None:
    """Return the greatest id of the circle that the links from ``start`` lead into, if any.

    Ids ``followed`` by an earlier call lead into no circle any more, and are not followed again: a chain of
    versions takes time proportional to its length. The ids on the way are added.
    """
    path: list[str] = []
    memory_id: str | None = start
    while memory_id is not None and memory_id not in followed:
        followed.add(memory_id)
        path.append(memory_id)
        memory_id = links.get(memory_id)
    return max(path[path.index(memory_id) :]) if memory_id in path else None
