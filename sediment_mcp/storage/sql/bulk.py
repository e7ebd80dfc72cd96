"""The system of record as a whole, for those who carry it elsewhere or bring something in: all memories in
their order, all links between versions, and texts that are there twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sediment_mcp.domain.filters import attributes, condition
from sediment_mcp.domain.memory import Filters, Memory
from sediment_mcp.storage.sql.memories import Store

SAME = "text_key, kind, project, " + ", ".join(  # of events there may be two that are told in the same words
    f"CASE kind WHEN 'episodic' THEN {column} END" for column in ("session", "occurred_at")
)


def memories(store: Store, filters: Filters, *, trash: bool) -> Iterator[Memory]:
    """Those that the filter admits, the expired included, and with ``trash`` the deleted too; oldest number
    first, so that whoever adds them in this order keeps it."""
    rule, values = _rule(filters, trash=trash)
    return store.each(f"{rule} ORDER BY memories.number", values)


def count(store: Store, filters: Filters, *, trash: bool) -> int:
    """How many `memories` gives."""
    rule, values = _rule(filters, trash=trash)
    return store.scalar(f"SELECT COUNT(*) FROM memories WHERE {rule}", values)


def _rule(filters: Filters, *, trash: bool) -> tuple[str, list[object]]:
    rule, values = attributes(filters)
    return (rule if trash else f"{rule} AND deleted_at IS NULL"), values


def links(store: Store) -> dict[str, str]:
    """Each superseded memory's id, and the id of what superseded it."""
    return dict(store.rows("SELECT id, superseded_by FROM memories WHERE superseded_by IS NOT NULL", ()))


def twins(store: Store, now: datetime) -> list[list[str]]:
    """The ids of current memories that say the same in the same kind and scope, for each text that is there
    more than once."""
    rule, values = condition(Filters(), now)
    groups = store.rows(
        f"SELECT group_concat(id) FROM memories WHERE {rule} GROUP BY {SAME} HAVING COUNT(*) > 1", values
    )
    return [ids.split(",") for (ids,) in groups]
