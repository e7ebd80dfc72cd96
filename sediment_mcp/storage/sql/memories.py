"""The system of record: what is remembered, and what has changed, in SQL."""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sediment_mcp.domain.filters import NEVER, STANDING, condition, micros, time_of
from sediment_mcp.domain.memory import Chunk, Filters, Kind, Memory
from sediment_mcp.domain.retention import end_of_returned
from sediment_mcp.errors import DamagedDatabase
from sediment_mcp.storage.sql.embeddings import Embeddings
from sediment_mcp.storage.sql.retention import Ages
from sediment_mcp.storage.sql.statistics import Tallies
from sediment_mcp.storage.sqlite.connection import DAMAGED, Database, marks, parts

CLEAN = "clean"  # the counter that says up to which change nothing erased is left in the file
KEPT_TOKENS = 8  # snapshots of one index whose tokens are still known
ID_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that looks like something else, no leading dash
ID_LENGTH = 12  # 31^12, 59 bits: a clash needs hundreds of millions of memories
KNOWN_TAGS = 4096  # lists of tags that are remembered as they stand in a row, because they repeat

MEMORY = (
    "memories.number, memories.id, memories.seq, memories.content, memories.kind, memories.tags, "
    "memories.project, memories.session, memories.importance, memories.metadata, memories.occurred_at, "
    "memories.created_at, memories.expires_at, memories.superseded_by, memories.deleted_at, "
    "memories.restored_at, memories.changed_at"
)
CHUNK = 'chunks.number, chunks.memory, chunks.start, chunks."end"'
CHANGED = f"MAX(?, MIN(changed_at, {micros(datetime.max.replace(tzinfo=UTC)) - 1}) + ?)"
"""The moment of a change, for SQL: (now, 1) is later than any known before, whatever the clock says."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A memory before it has a number and a place in the sequence; and before it has an id, unless it comes
    from elsewhere and brings its own, with what has become of it there."""

    content: str
    text_key: bytes
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
    expires_at: datetime | None
    id: str | None = None
    superseded_by: str | None = None
    deleted_at: datetime | None = None
    restored_at: datetime | None = None


class Store(Database):
    """The memories, their chunks and their embeddings through one connection."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        super().__init__(path, read_only=read_only)
        self.embeddings = Embeddings(self)
        self.ages = Ages(self)
        self.tallies = Tallies(self)

    # --- writing (inside a transaction) -------------------------------------------------------

    def add(self, draft: Draft) -> tuple[Memory, list[int]]:
        """Insert a memory with its chunks; returns it with the numbers of the chunks."""
        identity = draft.id or "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))
        seq = self.next_seq()
        number = self.scalar(
            "INSERT INTO memories (id, seq, content, text_key, kind, tags, project, session, importance, "
            "metadata, occurred_at, created_at, expires_at, superseded_by, deleted_at, restored_at, "
            "changed_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) RETURNING number",
            (identity, seq, draft.content, draft.text_key, draft.kind, _dump(draft.tags), draft.project,
             draft.session, draft.importance, _dump(draft.metadata), micros(draft.occurred_at),
             micros(draft.created_at), _micros(draft.expires_at), draft.superseded_by,
             _micros(draft.deleted_at), _micros(draft.restored_at), micros(draft.changed_at)),
        )  # fmt: skip
        self._write_tags(number, draft.tags)
        chunks = [
            self.scalar(
                'INSERT INTO chunks (memory, start, "end") VALUES (?,?,?) RETURNING number', (number, *span)
            )
            for span in draft.spans
        ]
        return self._one("memories.number = ?", number), chunks

    def update(self, memory: Memory, now: datetime | None = None) -> None:
        """Write a memory's attributes (its text never changes). ``now`` says that this is somebody's own
        change; without, ``memory`` itself knows when it was changed."""
        changed = (micros(memory.changed_at), 0) if now is None else (micros(now), 1)
        self.execute(
            "UPDATE memories SET seq = ?, tags = ?, importance = ?, metadata = ?, occurred_at = ?, "
            f"expires_at = ?, superseded_by = ?, deleted_at = ?, restored_at = ?, changed_at = {CHANGED} "
            "WHERE number = ?",
            (self.next_seq(), _dump(memory.tags), memory.importance, _dump(memory.metadata),
             micros(memory.occurred_at), _micros(memory.expires_at), memory.superseded_by,
             _micros(memory.deleted_at), _micros(memory.restored_at), *changed, memory.number),
        )  # fmt: skip
        self._write_tags(memory.number, memory.tags)

    def restore(self, memory: Memory, now: datetime) -> None:
        """Take a memory out of the trash; its age counts anew, or a rule would put it back at once."""
        expires_at = end_of_returned(memory.kind, memory.expires_at, now)
        self.update(replace(memory, deleted_at=None, restored_at=now, expires_at=expires_at), now)

    def erase(self, memory: Memory) -> None:
        """Remove a memory for good, leaving only the numbers of its chunks for the indexes to forget. What it
        had replaced stays history: of its own successor, or of the id that is no more."""
        seq = self.next_seq()
        if memory.superseded_by is not None:
            self.pass_on(memory.id, memory.superseded_by)
        self.execute(
            "INSERT INTO tombstones SELECT number, memory, ? FROM chunks WHERE memory = ?",
            (seq, memory.number),
        )
        self.execute("DELETE FROM memories WHERE number = ?", (memory.number,))
        self.note_erased([memory.id])

    def note_erased(self, ids: Iterable[str]) -> None:
        """Remember what is gone for good, until no backup holds it."""
        self.execute_many("INSERT OR IGNORE INTO erased VALUES (?)", [(identity,) for identity in ids])

    def pass_on(self, old: str, new: str) -> None:
        """Let the history of one memory be that of another."""
        self.execute("UPDATE memories SET superseded_by = ? WHERE superseded_by = ?", (new, old))

    def _write_tags(self, number: int, tags: Iterable[str]) -> None:
        self.execute("DELETE FROM tags WHERE memory = ?", (number,))
        self.execute_many("INSERT OR IGNORE INTO tags VALUES (?,?)", [(tag, number) for tag in tags])

    # --- reading memories ---------------------------------------------------------------------

    def by_ids(self, ids: Sequence[str]) -> dict[str, Memory]:
        """The memories with these ids, deleted and expired ones included."""
        return {
            memory.id: memory
            for part in parts(ids)
            for memory in self._memories(f"memories.id IN ({marks(part)})", part)
        }

    def versions(self, identity: str) -> list[Memory]:
        """All that is kept of the chain that this id belongs to, deleted and expired memories included."""
        return self._memories(
            "memories.id IN (WITH RECURSIVE "
            "forward (id) AS (SELECT ? UNION SELECT superseded_by FROM memories JOIN forward USING (id) "
            "WHERE superseded_by IS NOT NULL), "
            "chain (id) AS (SELECT id FROM forward UNION SELECT memories.id FROM memories "
            "JOIN chain ON memories.superseded_by = chain.id) SELECT id FROM chain) ORDER BY memories.number",
            (identity,),
        )

    def with_text(self, text_key: bytes, kind: Kind, project: str | None, now: datetime) -> list[Memory]:
        """Live and current memories with this text in the same kind and project, oldest first."""
        rule, values = condition(Filters(kind=kind), now)
        return self._memories(
            f"text_key = ? AND project IS ? AND {rule} ORDER BY memories.number", (text_key, project, *values)
        )

    def page(
        self,
        filters: Filters,
        now: datetime,
        order: Literal["newest", "oldest"],
        limit: int,
        after: tuple[int, int] | None = None,
    ) -> list[Memory]:
        """Memories by ``occurred_at``; ``after`` is the (microseconds, number) of the page before's last."""
        rule, values = condition(filters, now)
        sign, direction = ("<", "DESC") if order == "newest" else (">", "ASC")
        if after is not None:
            rule, values = f"{rule} AND (occurred_at, memories.number) {sign} (?, ?)", [*values, *after]
        return self._memories(
            f"{rule} ORDER BY occurred_at {direction}, memories.number {direction} LIMIT ?", (*values, limit)
        )

    def count(self, filters: Filters, now: datetime) -> int:
        rule, values = condition(filters, now)
        return self.scalar(f"SELECT COUNT(*) FROM memories WHERE {rule}", values)

    def trash(self, limit: int) -> list[Memory]:
        """Deleted memories that can still be restored, the last deleted first."""
        return self._memories("deleted_at IS NOT NULL ORDER BY deleted_at DESC LIMIT ?", (limit,))

    def with_chunks(
        self, chunks: Sequence[int], filters: Filters, now: datetime
    ) -> list[tuple[Memory, Chunk]]:
        """The memories of these chunks that the filter lets through, each with the chunk that led to it."""
        rule, values = condition(filters, now, few=True)
        return [
            (_memory(row), Chunk(*row[17:]))
            for part in parts(chunks)
            for row in self.rows(
                f"SELECT {MEMORY}, {CHUNK} FROM chunks JOIN memories ON memories.number = chunks.memory "
                f"WHERE chunks.number IN ({marks(part)}) AND {rule}",
                (*part, *values),
            )
        ]

    def numbered(self, numbers: Sequence[int], filters: Filters, now: datetime) -> list[Memory]:
        """The memories with these numbers that the filter lets through."""
        rule, values = condition(filters, now, few=True)
        return [
            memory
            for part in parts(numbers)
            for memory in self._memories(f"memories.number IN ({marks(part)}) AND {rule}", (*part, *values))
        ]

    def session_lines(self, memories: Sequence[Memory], distance: int) -> dict[int, list[int]]:
        """For each memory with a session the numbers of those beside it there, itself among them, in the
        order of time: at most ``distance`` before it and as many after it."""
        numbers = [memory.number for memory in memories if memory.session is not None]
        before, after = (
            "(SELECT group_concat(number) FROM (SELECT number FROM memories "
            "WHERE session = own.session AND deleted_at IS NULL AND project IS own.project "
            f"AND (occurred_at, number) {sign} (own.occurred_at, own.number) "
            f"ORDER BY occurred_at {direction}, number {direction} LIMIT {distance}))"
            for sign, direction in (("<", "DESC"), (">", "ASC"))
        )
        sql = f"SELECT own.number, {before}, {after} FROM memories AS own WHERE own.number IN"
        return {
            number: [*_numbers(earlier)[::-1], number, *_numbers(later)]
            for part in parts(numbers)
            for number, earlier, later in self.rows(f"{sql} ({marks(part)})", part)
        }

    def chunks_of(self, memories: Sequence[int]) -> list[Chunk]:
        """All chunks of these memories."""
        return [
            Chunk(*row)
            for part in parts(memories)
            for row in self.rows(f"SELECT {CHUNK} FROM chunks WHERE memory IN ({marks(part)})", part)
        ]

    # --- what has changed, for the indexes ----------------------------------------------------

    def memory_count(self) -> int:
        """All memories, deleted ones included."""
        return self.scalar("SELECT COUNT(*) FROM memories", ())

    def newest(self) -> datetime | None:
        """When the newest memory was stored."""
        ((newest,),) = self.rows("SELECT MAX(created_at) FROM memories", ())
        return None if newest is None else time_of(newest)

    def changed_memories(self, after: int) -> Iterator[Memory]:
        """Memories changed since ``after``, deleted ones included, in the order of their last change."""
        return self.each("seq > ? ORDER BY seq", (after,))

    def each(self, rule: str, values: Sequence[object]) -> Iterator[Memory]:
        """The memories that an SQL condition lets through, one by one."""
        return (_memory(row) for row in self.iterate(f"SELECT {MEMORY} FROM memories WHERE {rule}", values))

    def attributes(self, after: int) -> Iterator[tuple[Any, ...]]:
        """(number, standing, kind, project, session, occurred_at, expires_at) of memories changed since
        ``after``, times in microseconds; of all, an index alone is read."""
        sql = (
            f"SELECT number, {STANDING}, kind, project, session, occurred_at, COALESCE(expires_at, {NEVER}) "
            "FROM memories"
        )
        return self.iterate(f"{sql} WHERE seq > ?", (after,)) if after else self.iterate(sql, ())

    def tagged(self, after: int) -> Iterator[tuple[Any, ...]]:
        """(tag, memory) of memories changed since ``after``."""
        sql = "SELECT tag, memory FROM memories CROSS JOIN tags ON memory = memories.number WHERE seq > ?"
        return self.iterate(sql, (after,)) if after else self.iterate("SELECT tag, memory FROM tags", ())

    def owners(self, after: int) -> Iterator[tuple[Any, ...]]:
        """(chunk, memory) of chunks with a higher number than ``after``."""
        return self.iterate("SELECT number, memory FROM chunks WHERE number > ?", (after,))

    def changed_chunks(self, after: int, most: int) -> int:
        """How many chunks belong to memories changed since ``after``, counted up to ``most``."""
        return self.scalar(
            "SELECT COUNT(*) FROM (SELECT 1 FROM memories JOIN chunks ON memory = memories.number "
            "WHERE memories.seq > ? LIMIT ?)", (after, most),
        )  # fmt: skip

    def settled_chunks(self, until: int) -> int:
        """How many chunks belong to live memories that have not changed after ``until``: a text index that
        has reached it holds them all."""
        return self.scalar(
            "SELECT COUNT(*) FROM memories JOIN chunks ON memory = memories.number "
            "WHERE memories.seq <= ? AND deleted_at IS NULL", (until,),
        )  # fmt: skip

    def erased_since(self, after: int) -> list[tuple[int, int]]:
        """(chunk, memory) of everything erased since ``after``."""
        return [
            (row[0], row[1])
            for row in self.rows("SELECT chunk, memory FROM tombstones WHERE seq > ?", (after,))
        ]

    def has_erased(self, after: int) -> bool:
        """Whether anything was erased since ``after``."""
        return bool(self.rows("SELECT 1 FROM tombstones WHERE seq > ? LIMIT 1", (after,)))

    def has_remains(self) -> bool:
        """Whether pieces of what was erased may still be in the file. SQLite overwrites what is deleted, but
        not the copies that it leaves in the free space of a page when it moves rows from one to another."""
        counted = self.rows("SELECT value FROM counters WHERE name = ?", (CLEAN,))
        return self.has_erased(int(counted[0][0]) if counted else 0)

    def erase_remains(self) -> None:
        """Write the file anew, half a second at 100,000 memories; the caller holds the write lock and no
        transaction is open.

        Raises:
            DiskFull: there is no room for it.
        """
        seq = self.seq()
        self.vacuum()
        with self.transaction():
            self.execute("INSERT OR REPLACE INTO counters VALUES (?,?)", (CLEAN, seq))

    def erased(self) -> set[str]:
        """The ids of all that is gone for good."""
        return {row[0] for row in self.rows("SELECT id FROM erased", ())}

    # --- snapshots ----------------------------------------------------------------------------

    def announce_snapshot(self, index_name: str) -> tuple[int, int]:
        """(token, seq) for a snapshot about to be written; inside a transaction."""
        token, seq = secrets.randbits(62), self.seq()
        self.execute("INSERT INTO snapshots VALUES (?,?,?)", (token, index_name, seq))
        self.execute(
            "DELETE FROM snapshots WHERE index_name = ? AND token NOT IN (SELECT token FROM snapshots "
            "WHERE index_name = ? ORDER BY seq DESC, token = ? DESC LIMIT ?)",
            (index_name, index_name, token, KEPT_TOKENS),
        )  # fmt: skip
        return token, seq

    def knows_snapshot(self, index_name: str, token: int, seq: int) -> bool:
        """Whether a snapshot comes from this database's own history."""
        sql = "SELECT COUNT(*) FROM snapshots WHERE token = ? AND index_name = ? AND seq = ?"
        return self.scalar(sql, (token, index_name, seq)) == 1

    def reached(self, index_name: str) -> int:
        """The change that the newest snapshot of an index was to reach; 0 if there has been none."""
        sql = "SELECT COALESCE(MAX(seq), 0) FROM snapshots WHERE index_name = ?"
        return self.scalar(sql, (index_name,))

    def _memories(self, rule: str, values: Sequence[object]) -> list[Memory]:
        return [_memory(row) for row in self.rows(f"SELECT {MEMORY} FROM memories WHERE {rule}", values)]

    def _one(self, rule: str, value: object) -> Memory:
        return self._memories(rule, (value,))[0]


def _micros(time: datetime | None) -> int | None:
    return None if time is None else micros(time)


def _time(value: int | None) -> datetime | None:
    return None if value is None else time_of(value)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _numbers(text: str | None) -> list[int]:
    return list(map(int, text.split(","))) if text else []


@functools.lru_cache(KNOWN_TAGS)
def _tags(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text != "[]" else ()


def _metadata(text: str) -> dict[str, Any]:
    return json.loads(text) if text != "{}" else {}


def _memory(row: tuple[Any, ...]) -> Memory:
    try:
        return _memory_of(row)
    except (ValueError, TypeError, OverflowError) as error:  # no JSON, no time: a page that was overwritten
        raise DamagedDatabase(DAMAGED) from error


def _memory_of(row: tuple[Any, ...]) -> Memory:
    return Memory(
        number=row[0], id=row[1], seq=row[2], content=row[3], kind=row[4], tags=_tags(row[5]),
        project=row[6], session=row[7], importance=row[8], metadata=_metadata(row[9]),
        occurred_at=time_of(row[10]), created_at=time_of(row[11]),
        expires_at=_time(row[12]), superseded_by=row[13], deleted_at=_time(row[14]),
        restored_at=_time(row[15]),
        changed_at=time_of(max(row[16], row[11], row[14] or 0)),  # an older version beside this one sets none
    )  # fmt: skip
