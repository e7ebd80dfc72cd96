"""One memory in two states: the rule by which two machines that exchange exports come to agree.

Ids are random, so the same id is the same memory; its text, kind and scope never change. What does change
is joined so that nobody's part is lost, and so that it does not matter who imports from whom, or how often:

    tags, metadata     all of both; of two values of one key the same one on every machine
    importance, times  the higher importance, the later occurrence, the later end ("never" is the latest)
    deleted?           what happened last: the later of the two deletions, or a later restore
    replaced by        whoever says so; if both do and name different ones, `settled` chooses
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..duplicates import both_metadata, later_end
from ..memory import MAX_TAGS, Memory

if TYPE_CHECKING:
    from ..store import Draft


def joined(here: Memory, there: Memory | Draft) -> Memory:
    """``here`` with what ``there`` adds; the links between versions are left to `settled`."""
    restored_at = _later(here.restored_at, there.restored_at)
    deleted_at = _later(here.deleted_at, there.deleted_at)
    is_deleted = deleted_at is not None and (restored_at is None or deleted_at >= restored_at)
    return replace(
        here,
        tags=_joined_tags(here.tags, there.tags),
        metadata=_joined_metadata(here.metadata, there.metadata),
        importance=max(here.importance, there.importance),
        occurred_at=max(here.occurred_at, there.occurred_at),
        expires_at=later_end(here.expires_at, there.expires_at),
        deleted_at=deleted_at if is_deleted else None,
        restored_at=restored_at,
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
