"""The tables of the storage interface that a session offers beside the memories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from sediment_mcp.domain.audit import Action, AuditEntry, AuditFilter
from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import Memory
from sediment_mcp.domain.retention import ClockReadings, RetentionCandidate, Rule


@dataclass(frozen=True, slots=True)
class SnapshotId:
    """The change that an index snapshot has reached, and the token that identifies it."""

    seq: int
    token: int


class KeptPair(NamedTuple):
    """Two similar memories that may both stay, by their ids in order.

    ``kept_at`` is in microseconds.
    """

    first_id: str
    second_id: str
    kept_at: int


class ChangeFeed(Protocol):
    """The change sequence: what has changed since a given number."""

    def seq(self) -> int:
        """Return the number of the newest change."""
        ...

    def memories_since(self, seq: int) -> Iterator[Memory]:
        """Yield memories changed since ``seq``, deleted ones included, by their last change."""
        ...

    def attributes_since(self, seq: int) -> Iterator[tuple[Any, ...]]:
        """Yield the attributes that filters need of each memory changed since ``seq``.

        Each row is (key, standing, kind, project, session, occurred_at, expires_at).
        """
        ...

    def tags_since(self, seq: int) -> Iterator[tuple[Any, ...]]:
        """Yield (tag, memory key) of memories changed since ``seq``."""
        ...

    def chunk_owners_after(self, chunk_id: int) -> Iterator[tuple[Any, ...]]:
        """Yield (chunk id, memory key) of chunks with a higher id."""
        ...

    def count_chunks_since(self, seq: int, limit: int) -> int:
        """Return how many chunks belong to memories changed since ``seq``, counted up to ``limit``."""
        ...

    def count_chunks_until(self, seq: int) -> int:
        """Return how many chunks belong to live memories that have not changed after ``seq``."""
        ...

    def erased_since(self, seq: int) -> list[tuple[int, int]]:
        """Return (chunk id, memory key) of everything erased since ``seq``."""
        ...

    def has_erased_since(self, seq: int) -> bool:
        """Return True if anything was erased since ``seq``."""
        ...

    def count_memories(self) -> int:
        """Return the number of all memories, deleted ones included."""
        ...

    def newest_created_at(self) -> datetime | None:
        """Return when the newest memory was stored."""
        ...


class RetentionReader(Protocol):
    """The user's retention rules, the memories that may be due, and the clock's readings."""

    def rules(self) -> list[Rule]:
        """Return the user's rules, by kind and tag."""
        ...

    def readings(self) -> ClockReadings:
        """Return the recorded times at which memories looked due."""
        ...

    def candidates(self, rules: Sequence[Rule], now: datetime) -> list[RetentionCandidate]:
        """Return every memory that may be due: those that have expired or that a rule covers."""
        ...


class RetentionTable(RetentionReader, Protocol):
    """Changes to retention rules and the clock's readings."""

    def set_rule(self, rule: Rule, changed_at: datetime | None = None) -> None:
        """Set the rule of a kind or tag, replacing any earlier one.

        ``changed_at`` is when the user says so, for devices that are synchronized.
        """
        ...

    def clear_rule(self, rule: Rule, changed_at: datetime | None = None) -> None:
        """Remove the rule of a kind or tag; see `set_rule`."""
        ...

    def set_readings(self, readings: ClockReadings) -> None:
        """Replace the recorded clock readings."""
        ...


class KeptPairsReader(Protocol):
    """The similar memories of which a person has said that both may stay."""

    def list_all(self) -> list[KeptPair]:
        """Return all pairs, those that were kept last first."""
        ...


class KeptPairsTable(KeptPairsReader, Protocol):
    """Changes to the kept pairs."""

    def keep(self, first_id: str, second_id: str, now: datetime) -> None:
        """Keep two memories, and forget the oldest pairs if there are too many."""
        ...

    def add(self, pairs: Iterable[KeptPair]) -> None:
        """Add pairs as they are; of one that is there already the later time counts."""
        ...


class AuditReader(Protocol):
    """Who stored, changed, deleted or was shown what."""

    def list_entries(self, wanted: AuditFilter, limit: int) -> list[AuditEntry]:
        """Return the newest entries, the newest first."""
        ...

    def texts(self) -> list[tuple[int, tuple[str, ...], str]]:
        """Return (number, memory ids, text) of each query whose text is kept."""
        ...

    def is_older_than(self, time: datetime) -> bool:
        """Return True if there is an entry from before ``time``."""
        ...


class AuditTable(AuditReader, Protocol):
    """Changes to the audit."""

    def act_for(self, caller: str) -> None:
        """Record what follows as done by somebody else than who calls."""
        ...

    def record(self, action: Action, memory_ids: Iterable[str] = ()) -> None:
        """Check that whoever calls may change memories, and record that it happens.

        Raises:
            NotAllowed: they may only read; nothing is changed.
        """
        ...

    def add(self, entries: Iterable[AuditEntry]) -> None:
        """Add entries as they are."""
        ...

    def clear_texts(self, numbers: Sequence[int] | None = None) -> None:
        """Forget the texts of these queries, or of all; that they were asked stays."""
        ...

    def drop_before(self, time: datetime) -> None:
        """Remove the entries from before ``time``."""
        ...


class SnapshotReader(Protocol):
    """The index snapshots that belong to this database."""

    def knows(self, index_name: str, snapshot: SnapshotId) -> bool:
        """Return True if a snapshot comes from this database's own history."""
        ...

    def reached(self, index_name: str) -> int:
        """Return the change number announced for the newest snapshot of an index, or 0."""
        ...


class SnapshotRegistry(SnapshotReader, Protocol):
    """The index snapshots, with the announcement of new ones."""

    def register(self, index_name: str) -> SnapshotId:
        """Announce a snapshot that is about to be written."""
        ...


class Statistics(Protocol):
    """Counts of memories; live ones unless the method says otherwise."""

    def states(self, now: datetime) -> dict[str, int]:
        """Return how many memories are "live", "superseded", "expired" and "deleted"."""
        ...

    def kinds(self, now: datetime) -> dict[str, int]:
        """Return the number of memories by kind, the largest first."""
        ...

    def projects(self, now: datetime) -> dict[str, int]:
        """Return the number of memories by project, the largest first; "" is global."""
        ...

    def all_by_project(self) -> dict[str, int]:
        """Return the number of memories by project, the largest first; global ones are left out.

        Old versions, the expired and the trash count too.
        """
        ...

    def months(self, now: datetime) -> dict[str, int]:
        """Return the number of memories by the month of storing ("2026-05"), oldest first."""
        ...

    def tags(self, now: datetime, prefix: str = "") -> dict[str, int]:
        """Return the number of memories by tag that begins with ``prefix``, the most used first."""
        ...

    def sessions(self, prefix: str = "") -> list[str]:
        """Return the sessions that begin with ``prefix``, latest first."""
        ...

    def stored_since(self, times: Sequence[datetime], now: datetime) -> list[int]:
        """Return for each time how many memories have been stored since."""
        ...


class BulkReader(Protocol):
    """All memories, for export and import."""

    def memories(self, filters: Filters, *, include_deleted: bool) -> Iterator[Memory]:
        """Yield memories that pass the filters, the expired included, lowest key first."""
        ...

    def count(self, filters: Filters, *, include_deleted: bool) -> int:
        """Return how many memories `memories` yields."""
        ...

    def successors(self) -> dict[str, str]:
        """Return each superseded memory's id with the id of what superseded it."""
        ...

    def repeated_ids(self, now: datetime) -> list[list[str]]:
        """Return the ids of the live memories of each hash of a text that is there more than once."""
        ...
