"""Filters as SQL conditions over the table ``memories``.

The rules themselves are in `domain.filters`.
"""

from __future__ import annotations

from datetime import datetime

from sediment_mcp.domain.filters import CURRENT, DELETED, SUPERSEDED, Filters
from sediment_mcp.domain.tags import fold_tag
from sediment_mcp.storage.sql.database import Dialect
from sediment_mcp.system.timestamps import to_micros

STANDING = (
    f"CASE WHEN deleted_at IS NOT NULL THEN {DELETED} WHEN superseded_by IS NULL THEN {CURRENT} "
    f"ELSE {SUPERSEDED} END"
)
"""A memory's standing regardless of the time, as one of the numbers of `domain.filters`."""


def tag_condition(dialect: Dialect) -> str:
    """Return the condition that a memory has a tag in any spelling; it takes the folded tag."""
    return f"memories.number IN ({dialect.tagged})"


def live_condition(
    dialect: Dialect, filters: Filters, now: datetime, *, by_key: bool = False
) -> tuple[str, list[object]]:
    """Return the condition, with its values, for live memories that pass the filters.

    A memory is live as of ``now``.

    ``by_key`` says that the rows are already chosen by their key and the condition only filters them;
    otherwise SQLite may search all memories with the tag instead.
    """
    rule, values = attribute_condition(dialect, filters, by_key=by_key)
    return f"deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?) AND {rule}", [
        to_micros(now),
        *values,
    ]


def attribute_condition(
    dialect: Dialect, filters: Filters, *, by_key: bool = False
) -> tuple[str, list[object]]:
    """Return `live_condition` without its test for deleted and expired memories."""
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
        add("occurred_at >= ?", to_micros(filters.since))
    if filters.until is not None:
        add("occurred_at <= ?", to_micros(filters.until))
    has_tag = tag_condition(dialect)
    if by_key:
        has_tag = f"EXISTS (SELECT 1 FROM tags WHERE tags.memory = memories.number AND {dialect.has_tag})"
    for tag in filters.tags:
        add(has_tag, fold_tag(tag))
    return " AND ".join(clauses) or "TRUE", values
