"""Memories and their chunks, as frozen values.

Times are timezone-aware and in UTC everywhere; only arguments and results convert them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_TAGS = 20
MAX_TAG = 64  # characters
MAX_METADATA_BYTES = 4096

Kind = Literal["semantic", "episodic", "procedural", "working"]
Match = Literal["strong", "weak"]
State = Literal["live", "superseded", "expired", "deleted"]


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory as it is stored in the database.

    ``key`` is internal to the database and never leaves the process; hosts and users see ``id``.
    ``project`` is None for a global memory. ``seq`` is the change that last touched the memory.
    ``restored_at`` is when it was last taken out of the trash, ``changed_at`` when somebody last stored it
    (again), corrected its attributes, deleted or restored it. Being superseded is no such change, and
    neither is what retention does.
    """

    key: int
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

    def state(self, now: datetime) -> State:
        """Return the state of the memory at ``now``; see `find_state`."""
        return find_state(
            is_deleted=self.deleted_at is not None,
            is_superseded=self.superseded_by is not None,
            expires_at=self.expires_at,
            now=now,
        )


def find_state(*, is_deleted: bool, is_superseded: bool, expires_at: datetime | None, now: datetime) -> State:
    """Return the state of a memory, the first that is true where several are.

    The order is "deleted", "expired", "superseded". A memory is expired from ``expires_at`` on. The
    statistics have the same rule in SQL.
    """
    if is_deleted:
        return "deleted"
    if expires_at is not None and expires_at <= now:
        return "expired"
    return "superseded" if is_superseded else "live"


@dataclass(frozen=True, slots=True)
class NewMemory:
    """A memory before it is stored: without a key and a place in the change sequence.

    ``content_hash`` serves to find the same text again, ``spans`` are its chunks. It has no id either, unless
    it is imported with an id, and with its state, from another database.
    """

    content: str
    content_hash: bytes
    spans: tuple[tuple[int, int], ...]
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
    id: str | None = None
    superseded_by: str | None = None
    deleted_at: datetime | None = None
    restored_at: datetime | None = None

    @classmethod
    def copy_of(cls, memory: Memory, **changes: Any) -> NewMemory:
        """Return a memory to be stored with all attributes of another one but ``changes``."""
        shared = _names_of(cls) & _names_of(Memory)
        return cls(**{name: getattr(memory, name) for name in shared} | changes)


def _names_of(kind: type[Memory | NewMemory]) -> set[str]:
    return {field.name for field in fields(kind)}


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a memory that is indexed and embedded by itself.

    It is ``content[start:end]``, in characters.
    """

    id: int
    memory_key: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A memory that may answer a query, with what ranking needs to know of it.

    Of its best chunk: ``cosine`` (None: no embedding yet), ``bm25`` (0: no term in common), ``coverage``,
    the share (0 to 1) of the query's term weight (idf) that the chunk holds, ``phrase`` (0 to 1), how far it
    holds the query's own wording (see `search.phrase_match`). ``context_cosine`` and
    ``context_bm25`` are those of the chunk together with its neighbours in the session; None means that they
    are the same. ``neighbours`` are the keys of the memories next to this one in its session, by distance:
    ``neighbours[0]`` those at distance one, ``neighbours[1]`` at distance two. ``terms`` is the length of the
    chunk in terms, ``vector`` its embedding, a unit vector (None: as for ``cosine``).
    """

    memory: Memory
    cosine: float | None = None
    bm25: float = 0.0
    coverage: float = 0.0
    phrase: float = 0.0
    context_cosine: float | None = None
    context_bm25: float | None = None
    passage: tuple[int, int] | None = None
    neighbours: tuple[tuple[int, ...], ...] = ()
    terms: int = 0
    vector: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ScoredMemory:
    """A ranked candidate; ``score`` is between 0 and 1, and ``signals`` are its parts."""

    candidate: Candidate
    score: float
    match: Match
    signals: Mapping[str, float] = field(default_factory=dict[str, float])
