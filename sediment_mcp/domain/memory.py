"""Memories and their chunks, as frozen values.

Times are timezone-aware and in UTC everywhere; only arguments and results convert them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

MAX_TAGS = 20
MAX_TAG = 64  # characters
MAX_METADATA_BYTES = 4096

TEAM: Final = "team"
"""The scope of what the whole team shares; its memories are a store of their own."""

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


class FoundChunk(NamedTuple):
    """A chunk that may answer a query, with what ranking needs to know of its memory.

    It is ``content[start:end]`` of the memory, in characters. ``occurred_at`` is in microseconds since 1970.
    A `Memory` is read for those that are shown alone, because most are not.
    """

    chunk_id: int
    memory_key: int
    start: int
    end: int
    content: str
    occurred_at: int
    importance: float
    project: str | None

    @property
    def text(self) -> str:
        """The text of the chunk."""
        return self.content[self.start : self.end]


@dataclass(frozen=True, slots=True)
class ScoredMemory:
    """A memory that answers a query.

    ``passage`` is the span of its best chunk, ``score`` is between 0 and 1, and ``signals`` are its parts.
    ``store`` is the place of its store among those that were searched together.
    """

    memory: Memory
    passage: tuple[int, int]
    score: float
    match: Match
    signals: Mapping[str, float] = field(default_factory=dict[str, float])
    store: int = 0
