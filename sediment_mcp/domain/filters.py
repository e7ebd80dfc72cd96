"""Which memories a filter lets through: the same rule once in SQL and once in Python.

The text index states the rule a third time, in its own query language, and `columns` a fourth time, over
arrays; a property test holds the four together.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sediment_mcp.domain.memory import Filters, Memory

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TAGGED = "memories.number IN (SELECT memory FROM tags WHERE tag = ?)"
HAS_TAG = "EXISTS (SELECT 1 FROM tags WHERE tag = ? AND tags.memory = memories.number)"
MICROSECOND = timedelta(microseconds=1)
NEVER = 2**62  # the expiry of what does not expire
LIVE = 1  # a memory's standing: 0 deleted, 1 superseded, 2 current
STANDING = (
    f"CASE WHEN deleted_at IS NOT NULL THEN 0 WHEN superseded_by IS NULL THEN {LIVE + 1} ELSE {LIVE} END"
)


def micros(time: datetime) -> int:
    """Microseconds since 1970 in UTC: how the database and the indexes hold a time."""
    return (time - EPOCH) // MICROSECOND


def time_of(value: int) -> datetime:
    return EPOCH + value * MICROSECOND


def is_narrow(filters: Filters) -> bool:
    """Whether the filter asks for more than "live and current", which most memories are."""
    return filters != Filters(project=filters.project, include_superseded=filters.include_superseded)


def condition(filters: Filters, now: datetime, *, few: bool = False) -> tuple[str, list[object]]:
    """An SQL condition over ``memories`` with its parameters; ``few`` says that it only has to sift rows
    already chosen by number, which SQLite would otherwise rather look for among all with the tag."""
    rule, values = attributes(filters, few=few)
    return f"deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?) AND {rule}", [micros(now), *values]


def attributes(filters: Filters, *, few: bool = False) -> tuple[str, list[object]]:
    """The part of `condition` that asks what a memory is, and not whether it is deleted or expired."""
    clauses: list[str] = []
    values: list[object] = []

    def add(clause: str, *value: object) -> None:
        clauses.append(clause)
        values.extend(value)

    if not filters.include_superseded:
        add("superseded_by IS NULL")
    if filters.scope == "project":
        add("project = ?", filters.project)
    elif filters.scope == "global":
        add("project IS NULL")
    if filters.kind is not None:
        add("kind = ?", filters.kind)
    if filters.session is not None:
        add("session = ?", filters.session)
    if filters.since is not None:
        add("occurred_at >= ?", micros(filters.since))
    if filters.until is not None:
        add("occurred_at <= ?", micros(filters.until))
    for tag in filters.tags:
        add(HAS_TAG if few else TAGGED, tag)
    return " AND ".join(clauses) or "TRUE", values


def admits(filters: Filters, memory: Memory, now: datetime) -> bool:
    """Whether the memory may be found."""
    return (
        memory.deleted_at is None
        and (memory.expires_at is None or memory.expires_at > now)
        and (filters.include_superseded or memory.superseded_by is None)
        and (filters.scope != "project" or memory.project == filters.project)
        and (filters.scope != "global" or memory.project is None)
        and filters.kind in (None, memory.kind)
        and filters.session in (None, memory.session)
        and (filters.since is None or memory.occurred_at >= filters.since)
        and (filters.until is None or memory.occurred_at <= filters.until)
        and set(filters.tags) <= set(memory.tags)
    )
