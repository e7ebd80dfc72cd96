"""One memory in two states: the rule by which two machines that exchange exports come to agree.

Ids are random, so the same id is the same memory; its text, kind and scope never change. What does change
comes out the same whoever imports from whom, and however often:

    attributes         tags, metadata, importance, occurrence, end, deleted or not: as a whole those of the
                       side that was changed last, so that what was taken away there stays away
    restored at        the later of both; a memory's age counts from it
    replaced by        whoever says so; if both do and name different ones, `settled` chooses

"Last" is what the machines' own clocks say (`Memory.changed_at`): of two changes that know nothing of each
other, that of a machine whose clock is an hour ahead counts as an hour later. A change of what has come from
the other machine always counts as later than that, however wrong the clocks are.

Two sides of the very same moment, as from a time when changes were not dated, are put `together`, so that
nobody's part is lost. So are two memories that turn out to be one.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sediment_mcp.domain.duplicates import both_metadata, later_end
from sediment_mcp.domain.memory import MAX_TAGS, Memory

if TYPE_CHECKING:
    from sediment_mcp.storage.sql.memories import Draft


def joined(here: Memory, there: Memory | Draft) -> Memory:
    """``here`` with the attributes of the side that was changed last; the links between versions are left to
    `settled`."""
    if here.changed_at == there.changed_at:
        return together(here, there)
    last = max(here, there, key=lambda side: side.changed_at)
    return replace(
        here,
        tags=last.tags,
        metadata=last.metadata,
        importance=last.importance,
        occurred_at=last.occurred_at,
        expires_at=last.expires_at,
        deleted_at=last.deleted_at,
        restored_at=_later(here.restored_at, there.restored_at),
        changed_at=last.changed_at,
    )


def together(here: Memory, there: Memory | Draft) -> Memory:
    """``here`` with what ``there`` adds: all tags and metadata of both, of two values of one key the same one
    on every machine; the higher importance, the later occurrence, the later end ("never" is the latest), the
    later deletion. Only of metadata that are too large together the order of several joins decides."""
    return replace(
        here,
        tags=_joined_tags(here.tags, there.tags),
        metadata=_joined_metadata(here.metadata, there.metadata),
        importance=max(here.importance, there.importance),
        occurred_at=max(here.occurred_at, there.occurred_at),
        expires_at=later_end(here.expires_at, there.expires_at),
        deleted_at=_later(here.deleted_at, there.deleted_at),
        restored_at=_later(here.restored_at, there.restored_at),
        changed_at=max(here.changed_at, there.changed_at),
    )


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    """The later of two moments; None, "not at all", is earlier than any."""
    return max((time for time in (one, other) if time is not None), default=None)


def _joined_tags(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """All of both; whoever has all of the other's keeps their order, else they stand by the alphabet. So of
    too many the same ones stay on every machine, and stay when they are joined again."""
    first, second = set(one), set(other)
    if first == second:
        return min(one, other)
    if first > second or second > first:
        return one if first > second else other
    return tuple(sorted(first | second)[:MAX_TAGS])


def _joined_metadata(one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    """All of both; if that is too large, one of them."""
    lesser, greater = sorted((one, other), key=_written)
    chosen = {key: max((lesser[key], greater[key]), key=_written) for key in lesser if key in greater}
    both = both_metadata({**lesser, **greater}, chosen)
    return greater if both is None else both


def _written(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def settled(
    links: Mapping[str, str], incoming: Mapping[str, str], known: Container[str]
) -> dict[str, str | None]:
    """What each memory that ``incoming`` speaks of is replaced by, where that differs from ``links``, which
    is what holds here; None says that it is current.

    Of two that replaced the same memory, the one that exists (is ``known``) is chosen, else the greater id:
    it only decides in whose history the old one stands, both stay current. Where links lead in a circle, as
    when each machine replaced the one by the other, the memory with the greatest id in it stays current.
    """
    final: dict[str, str | None] = dict(links)
    for identity, new in incoming.items():
        old = links.get(identity)
        final[identity] = new if old is None else max(old, new, key=lambda one: (one in known, one))
    for identity in incoming:
        for last in _greatest_of_circle(final, identity):
            final[last] = None
    touched = {*incoming, *(identity for identity in links if final[identity] is None)}
    return {identity: final[identity] for identity in touched if final[identity] != links.get(identity)}


def _greatest_of_circle(links: Mapping[str, str | None], start: str) -> Iterable[str]:
    """The greatest id of the circle that the way from ``start`` ends in, if it does."""
    way: dict[str, int] = {}
    place: str | None = start
    while place is not None and place not in way:
        way[place] = len(way)
        place = links.get(place)
    return [] if place is None else [max(list(way)[way[place] :])]
