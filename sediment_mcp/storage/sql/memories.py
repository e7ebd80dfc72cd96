"""Memories and their chunks in SQL: reading, adding, changing and erasing them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import Chunk, FoundChunk, Kind, Memory, NewMemory
from sediment_mcp.domain.retention import renew_expiry
from sediment_mcp.domain.tags import fold_tag
from sediment_mcp.storage.protocols import StoredMemory
from sediment_mcp.storage.sql.audit import SqlAudit
from sediment_mcp.storage.sql.database import Database, batched, batched_evenly, placeholders
from sediment_mcp.storage.sql.fields import (
    CONTENT_COLUMNS,
    CONTENT_HASH_COLUMN,
    MEMORY_WIDTH,
    MUTABLE_FIELDS,
    SELECT_CHUNK,
    SELECT_FOUND_CHUNK,
    SELECT_MEMORY,
    decode_memory,
    encode_content,
    encode_mutable,
)
from sediment_mcp.storage.sql.filters import live_condition
from sediment_mcp.system.timestamps import to_micros

ID_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # no characters that look alike, no leading dash
ID_LENGTH = 12  # 31^12, 59 bits: a clash needs hundreds of millions of memories
LAST_MOMENT = to_micros(datetime.max.replace(tzinfo=UTC)) - 1
CONTENT_NAMES = ", ".join(CONTENT_COLUMNS)
MUTABLE_ASSIGNMENTS = ", ".join(f"{field.column} = ?" for field in MUTABLE_FIELDS)


class MemoryReader:
    """Memories and chunks, as one connection sees them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, ids: Sequence[str]) -> dict[str, Memory]:
        """Return the memories with these ids, deleted and expired ones included."""
        return {
            memory.id: memory
            for batch in batched(ids)
            for memory in self._select(f"memories.id IN ({placeholders(batch)})", batch)
        }

    def get_by_keys(self, keys: Sequence[int], filters: Filters, now: datetime) -> list[Memory]:
        """Return the memories with these keys that are live and pass the filters."""
        rule, values = live_condition(self._database.dialect, filters, now, by_key=True)
        return [
            memory
            for batch in batched(keys)
            for memory in self._select(
                f"memories.number IN ({placeholders(batch)}) AND {rule}", (*batch, *values)
            )
        ]

    def find_by_content_hash(
        self, content_hash: bytes, kind: Kind, project: str | None, now: datetime
    ) -> list[Memory]:
        """Return the live, current memories with this hash, kind and project, oldest first."""
        rule, values = live_condition(self._database.dialect, Filters(kind=kind), now)
        same = self._database.dialect.is_same
        return self._select(
            f"{CONTENT_HASH_COLUMN} = ? AND project {same} ? AND {rule} ORDER BY memories.number",
            (content_hash, project, *values),
        )

    def page(
        self,
        filters: Filters,
        now: datetime,
        order: Literal["newest", "oldest"],
        limit: int | None,
        after: tuple[int, int] | None = None,
    ) -> list[Memory]:
        """Return memories by ``occurred_at``; all of them without a ``limit``.

        ``after`` is the (microseconds, key) of the last memory of the page before.
        """
        rule, values = live_condition(self._database.dialect, filters, now)
        sign, direction = ("<", "DESC") if order == "newest" else (">", "ASC")
        if after is not None:
            rule, values = f"{rule} AND (occurred_at, memories.number) {sign} (?, ?)", [*values, *after]
        rule = f"{rule} ORDER BY occurred_at {direction}, memories.number {direction}"
        return (
            self._select(rule, values) if limit is None else self._select(f"{rule} LIMIT ?", [*values, limit])
        )

    def count(self, filters: Filters, now: datetime) -> int:
        """Return how many memories are live and pass the filters."""
        rule, values = live_condition(self._database.dialect, filters, now)
        return self._database.scalar(f"SELECT COUNT(*) FROM memories WHERE {rule}", values)

    def list_deleted(self, limit: int) -> list[Memory]:
        """Return deleted memories that can still be restored, the last deleted first."""
        return self._select("deleted_at IS NOT NULL ORDER BY deleted_at DESC LIMIT ?", (limit,))

    def versions(self, memory_id: str) -> list[Memory]:
        """Return the stored versions of the memory with this id, deleted ones included.

        These are the memories that it superseded, directly or not, and those that superseded it.
        """
        return self._select(
            "memories.id IN (WITH RECURSIVE "
            f"forward (id) AS (SELECT {self._database.dialect.text_value} UNION "
            "SELECT superseded_by FROM memories JOIN forward USING (id) WHERE superseded_by IS NOT NULL), "
            "chain (id) AS (SELECT id FROM forward UNION SELECT memories.id FROM memories "
            "JOIN chain ON memories.superseded_by = chain.id) SELECT id FROM chain) ORDER BY memories.number",
            (memory_id,),
        )

    def resolve_chunks(
        self, chunk_ids: Sequence[int], filters: Filters, now: datetime
    ) -> list[tuple[Memory, Chunk]]:
        """Return (memory, chunk) of those of the chunks whose memory passes the filters.

        The memory must also be live.
        """
        rule, values = live_condition(self._database.dialect, filters, now, by_key=True)
        return [
            (decode_memory(row), Chunk(*row[MEMORY_WIDTH:]))
            for batch in batched(chunk_ids)
            for row in self._database.rows(
                f"SELECT {SELECT_MEMORY}, {SELECT_CHUNK} FROM chunks "
                "JOIN memories ON memories.number = chunks.memory "
                f"WHERE chunks.number IN ({placeholders(batch)}) AND {rule}",
                (*batch, *values),
            )
        ]

    def chunks_of(self, memory_keys: Sequence[int]) -> list[Chunk]:
        """Return all chunks of these memories."""
        return [
            Chunk(*row)
            for batch in batched(memory_keys)
            for row in self._database.rows(
                f"SELECT {SELECT_CHUNK} FROM chunks WHERE memory IN ({placeholders(batch)})", batch
            )
        ]

    def find_chunks(self, chunk_ids: Sequence[int], filters: Filters, now: datetime) -> list[FoundChunk]:
        """Return those of the chunks whose memory is live and passes the filters."""
        return self._find_chunks("number", chunk_ids, filters, now)

    def find_chunks_of(self, memory_keys: Sequence[int], filters: Filters, now: datetime) -> list[FoundChunk]:
        """Return all chunks of those of the memories that are live and pass the filters."""
        return self._find_chunks("memory", memory_keys, filters, now)

    def _find_chunks(
        self, column: str, keys: Sequence[int], filters: Filters, now: datetime
    ) -> list[FoundChunk]:
        rule, values = live_condition(self._database.dialect, filters, now, by_key=True)
        return [
            FoundChunk._make(row)
            for batch in batched_evenly(keys)
            for row in self._database.rows(
                f"SELECT {SELECT_FOUND_CHUNK} FROM chunks JOIN memories ON memories.number = chunks.memory "
                f"WHERE chunks.{column} IN ({placeholders(batch)}) AND {rule}",
                (*batch, *values),
            )
        ]

    def session_neighbours(self, memory_keys: Sequence[int], distance: int) -> dict[int, list[int]]:
        """Return for each memory that has a session the keys around it in time, its own included.

        There are at most ``distance`` before it and as many after it.
        """
        words = self._database.dialect
        before, after = (
            f"(SELECT {words.joined_keys} FROM (SELECT number FROM memories WHERE session = own.session "
            f"AND deleted_at IS NULL AND project {words.is_same} own.project "
            f"AND (occurred_at, number) {sign} (own.occurred_at, own.number) "
            f"ORDER BY occurred_at {direction}, number {direction} LIMIT {distance}) AS near)"
            for sign, direction in (("<", "DESC"), (">", "ASC"))
        )
        sql = (
            f"SELECT own.number, {before}, {after} FROM memories AS own "
            "WHERE own.session IS NOT NULL AND own.number IN"
        )
        return {
            key: [*_split_keys(earlier)[::-1], key, *_split_keys(later)]
            for batch in batched_evenly(memory_keys)
            for key, earlier, later in self._database.rows(f"{sql} ({placeholders(batch)})", batch)
        }

    def erased_ids(self) -> set[str]:
        """Return the ids of all permanently erased memories, which are kept for good."""
        return {row[0] for row in self._database.rows("SELECT id FROM erased")}

    def _select(self, rule: str, values: Sequence[object]) -> list[Memory]:
        sql = f"SELECT {SELECT_MEMORY} FROM memories WHERE {rule}"
        return [decode_memory(row) for row in self._database.rows(sql, values)]


class MemoryWriter(MemoryReader):
    """Changes to memories; every method needs a transaction."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.audit = SqlAudit(database)

    def add(self, memory: NewMemory) -> StoredMemory:
        """Insert a memory with its chunks."""
        memory_id = memory.id or "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))
        self.audit.record("store", [memory_id])
        seq, content = self._database.next_seq(), encode_content(memory)
        key = self._database.insert_numbered(
            "memories", f"id, seq, {CONTENT_NAMES}", (memory_id, seq, *content)
        )
        self._add_tags(key, memory.tags)
        chunk_ids = [
            self._database.insert_numbered("chunks", 'memory, start, "end"', (key, *span))
            for span in memory.spans
        ]
        return StoredMemory(decode_memory((key, memory_id, seq, *content[1:])), chunk_ids)

    def update(self, memory: Memory, changed_at: datetime | None = None) -> None:
        """Write a memory's attributes; its text never changes.

        ``changed_at`` is set if it is being changed now: the change then counts as later than every change
        recorded before, whatever the clock says. Without it, the memory's own time of change is written.
        """
        self.audit.record("change" if memory.deleted_at is None else "delete", [memory.id])
        self._update(memory, changed_at)

    def _update(self, memory: Memory, changed_at: datetime | None) -> None:
        changed = (to_micros(memory.changed_at), 0) if changed_at is None else (to_micros(changed_at), 1)
        self._database.execute(
            f"UPDATE memories SET seq = ?, {MUTABLE_ASSIGNMENTS}, changed_at = {self.later_change} "
            f"WHERE number = ? AND {self._own_rows}",
            (self._database.next_seq(), *encode_mutable(memory), *changed, memory.key),
        )
        self._database.execute(f"DELETE FROM tags WHERE memory = ? AND {self._own_rows}", (memory.key,))
        self._add_tags(memory.key, memory.tags)

    @property
    def later_change(self) -> str:
        """The SQL for the time of a change, which takes two values.

        With (now, 1) it is later than every time of change recorded before.
        """
        words = self._database.dialect
        return f"{words.greatest}(?, {words.least}(changed_at, {LAST_MOMENT}) + ?)"

    def restore(self, memory: Memory, now: datetime) -> None:
        """Take a memory out of the trash.

        Its age is counted from now, because a retention rule would otherwise delete it again at once.
        """
        self.audit.record("restore", [memory.id])
        expires_at = renew_expiry(memory.kind, memory.expires_at, now)
        self._update(replace(memory, deleted_at=None, restored_at=now, expires_at=expires_at), now)

    def erase(self, memory: Memory) -> None:
        """Erase a memory permanently, keeping only its chunk ids for the indexes to remove.

        The memories that it superseded are kept as versions of its own successor, or else of its erased id.
        """
        self.audit.record("erase", [memory.id])
        seq = self._database.next_seq()
        if memory.superseded_by is not None:
            self.reassign_successor(memory.id, memory.superseded_by)
        self._database.execute(
            "INSERT INTO tombstones SELECT number, memory, ? FROM chunks WHERE memory = ?",
            (seq, memory.key),
        )
        self._database.execute(f"DELETE FROM memories WHERE number = ? AND {self._own_rows}", (memory.key,))
        self.record_erased([memory.id])

    def record_erased(self, ids: Iterable[str]) -> None:
        """Record ids of erased memories for good, because backups and other devices may hold them."""
        self._database.execute_many(
            "INSERT INTO erased VALUES (?) ON CONFLICT DO NOTHING", [(memory_id,) for memory_id in ids]
        )

    def move_project(self, old: str, new: str) -> int:
        """Move everything of one project to another; return how many memories that is.

        Each counts as changed for the indexes. Its time of change stays, because a project is no attribute
        that two machines agree on.
        """
        rows = self._database.rows("SELECT number, id FROM memories WHERE project = ? ORDER BY seq", (old,))
        self.assign_project([row[1] for row in rows], [row[0] for row in rows], new)
        return len(rows)

    def assign_project(self, memory_ids: Sequence[str], keys: Sequence[int], project: str | None) -> None:
        """Let single memories belong to a project, or to none; see `move_project`."""
        self.audit.record("move", memory_ids)
        self._database.execute_many(
            f"UPDATE memories SET project = ?, seq = ? WHERE number = ? AND {self._own_rows}",
            [(project, self._database.next_seq(), key) for key in keys],
        )

    def reassign_successor(self, old_id: str, new_id: str) -> None:
        """Make what ``old_id`` superseded superseded by ``new_id``, which is a change of each."""
        self._database.execute(
            f"UPDATE memories SET superseded_by = ?, seq = ? WHERE superseded_by = ? AND {self._own_rows}",
            (new_id, self._database.next_seq(), old_id),
        )

    def _add_tags(self, key: int, tags: Iterable[str]) -> None:
        rows: list[Sequence[object]] = [(tag, key) for tag in tags]
        if self._database.dialect.keeps_folded_tags:
            rows = [(tag, key, fold_tag(tag)) for tag in tags]
        for row in rows:
            self._database.execute(
                f"INSERT INTO tags VALUES ({placeholders(row)}) ON CONFLICT DO NOTHING", row
            )

    @property
    def _own_rows(self) -> str:
        return self._database.dialect.own_rows


def _split_keys(text: str | None) -> list[int]:
    return list(map(int, text.split(","))) if text else []
