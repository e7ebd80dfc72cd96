"""The values that travel through the house: frozen, and without behaviour beyond their own data.

Times are timezone-aware and in UTC everywhere inside; only the edges parse and print them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

MAX_TAGS = 20
MAX_TAG = 64  # characters
MAX_METADATA_BYTES = 4096

Kind = Literal["semantic", "episodic", "procedural", "working"]


@dataclass(frozen=True, slots=True)
class Memory:
    """One memory as the system of record holds it.

    ``number`` is the database's own key and never leaves the process; ``id`` is what the world sees.
    ``project`` is None for a global memory. ``seq`` is the change that last touched the memory,
    ``restored_at`` when it was last taken out of the trash, ``changed_at`` when somebody last had a hand in
    it: stored it (again), corrected its attributes, deleted or restored it. What replaced it is no part of
    that, nor is what the house does by itself.
    """

    number: int
    id: str
    seq: int
    content: str
    kind: Kind
    tags: tuple[str, ...]
    project: str | None
    session: str | None
    importance: float
    metadata: Mapping[str, Any]
    occurred_at: datetime
    created_at: datetime
    changed_at: datetime
    expires_at: datetime | None = None
    superseded_by: str | None = None
    deleted_at: datetime | None = None
    restored_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a memory: ``content[start:end]``, in characters."""

    number: int
    memory: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Filters:
    """Which memories may be found. None, or an empty tuple, means "any".

    ``scope`` "project" is ``project``'s own memories, "global" those that belong to no project.
    ``since`` and ``until`` are inclusive bounds on ``occurred_at``.
    """

    scope: Literal["all", "project", "global"] = "all"
    project: str | None = None
    kind: Kind | None = None
    session: str | None = None
    tags: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    include_superseded: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of one memory for one query, before it is ranked.

    Of its best passage: ``cosine`` (None: no embedding yet), ``bm25`` (0: no term in common), ``coverage``,
    the share (0 to 1) of the query's term weight (idf) that the passage holds. ``context_cosine`` and
    ``context_bm25`` are those of the passage together with its neighbours in the session; None
    says that they are the same. ``neighbours`` are the numbers of the memories beside this one in its
    session, by distance: ``neighbours[0]`` those at distance one, ``neighbours[1]`` at distance two.
    """

    memory: Memory
    cosine: float | None = None
    bm25: float = 0.0
    coverage: float = 0.0
    context_cosine: float | None = None
    context_bm25: float | None = None
    passage: tuple[int, int] | None = None
    neighbours: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class ScoredMemory:
    """A candidate with its final ``score`` (0 to 1), the ``signals`` that made it, and its ``match``."""

    candidate: Candidate
    score: float
    match: Literal["strong", "weak"]
    signals: Mapping[str, float] = field(default_factory=dict[str, float])
