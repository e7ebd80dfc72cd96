"""Filters: which memories may be found, as a value and as a rule in Python.

The same rule is written in SQL (`storage.sql.filters`), in the query language of the text index
(`indexes.tantivy_index`) and over arrays of memories (`indexes.filter_mask`) and of chunks
(`indexes.term_arrays`), because each engine can only filter in its own terms. A property test checks that the
five agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sediment_mcp.domain.memory import Kind, Memory
from sediment_mcp.domain.tags import fold_tag

NEVER = 2**62
"""The expiry, in microseconds, of a memory that does not expire: indexes need a number for each."""
DELETED, SUPERSEDED, CURRENT = range(3)
"""The state of a memory in storage and indexes, without regard to its expiry."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which memories may be found; None, or an empty tuple, means "any".

    ``scope`` "project" is ``project``'s own memories, "global" those that belong to no project.
    ``since`` and ``until`` are inclusive bounds on ``occurred_at``. All ``tags`` must be on the memory, as
    `domain.tags.fold_tag` compares them.
    """

    scope: Literal["all", "project", "global"] = "all"
    project: str | None = None
    kind: Kind | None = None
    session: str | None = None
    tags: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    include_superseded: bool = False


def is_narrow(filters: Filters) -> bool:
    """Return True if the filters ask for more than the state of a memory."""
    return filters != Filters(project=filters.project, include_superseded=filters.include_superseded)


def matches(filters: Filters, memory: Memory, now: datetime) -> bool:
    """Return True if the memory is live at ``now`` and passes every filter."""
    return (
        memory.state(now) in (("live", "superseded") if filters.include_superseded else ("live",))
        and (filters.scope != "project" or memory.project == filters.project)
        and (filters.scope != "global" or memory.project is None)
        and filters.kind in (None, memory.kind)
        and filters.session in (None, memory.session)
        and (filters.since is None or memory.occurred_at >= filters.since)
        and (filters.until is None or memory.occurred_at <= filters.until)
        and (not filters.tags or set(map(fold_tag, filters.tags)) <= set(map(fold_tag, memory.tags)))
    )
