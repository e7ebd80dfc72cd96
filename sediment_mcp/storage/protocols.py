"""The storage interface: what the rest of the package knows of the system of record.

Its terms are memories, chunks and embeddings, not tables.

A backend implements `MemoryStorage`. The statements that backends share are in `storage.sql`; SQLite is
`storage.sqlite`. Backup, salvage, file replacement and the doctor's file checks are capabilities of SQLite
alone and not part of this interface.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import Chunk, FoundChunk, Kind, Memory, NewMemory
from sediment_mcp.storage.model_protocols import (
    EmbeddingReader,
    EmbeddingTable,
    TokenVectorReader,
    TokenVectorTable,
)
from sediment_mcp.storage.table_protocols import (
    AuditReader,
    AuditTable,
    BulkReader,
    ChangeFeed,
    KeptPairsReader,
    KeptPairsTable,
    RetentionReader,
    RetentionTable,
    SnapshotReader,
    SnapshotRegistry,
    Statistics,
)


class StoredMemory(NamedTuple):
    """A memory as it was stored, with the ids of its chunks."""

    memory: Memory
    chunk_ids: list[int]


class ReadSession(Protocol):
    """What one connection sees of the memories.

    Not thread-safe.
    """

    @property
    def store_id(self) -> Hashable:
        """An identity that differs from that of any other database that may replace this one."""
        ...

    @property
    def is_synced(self) -> bool:
        """Whether the memories are synchronized with other devices."""
        ...

    @property
    def changes(self) -> ChangeFeed:
        """The change sequence."""
        ...

    @property
    def embeddings(self) -> EmbeddingReader:
        """The embeddings of chunks."""
        ...

    @property
    def token_vectors(self) -> TokenVectorReader:
        """The token vectors of chunks."""
        ...

    @property
    def retention(self) -> RetentionReader:
        """The rules of retention."""
        ...

    @property
    def kept_pairs(self) -> KeptPairsReader:
        """The similar memories that may both stay."""
        ...

    @property
    def audit(self) -> AuditReader:
        """Who stored, changed, deleted or was shown what."""
        ...

    @property
    def snapshots(self) -> SnapshotReader:
        """The index snapshots of this database."""
        ...

    @property
    def statistics(self) -> Statistics:
        """Counts of memories."""
        ...

    @property
    def bulk(self) -> BulkReader:
        """All memories."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all reads inside see the same moment."""
        ...

    def prefetch(self, *reads: Callable[[], object]) -> bool:
        """Read at once what the calls will ask for, where a round trip costs time.

        Inside a transaction. Returns whether it was done. The caller makes the same calls again, and gets
        their answers. Here they find nothing, so they must do nothing but read, and not fail for it.
        """
        ...

    def assert_current(self) -> None:
        """Check that this is still the database that was opened.

        Raises:
            StorageError: another one has replaced it.
        """
        ...

    def get(self, ids: Sequence[str]) -> dict[str, Memory]:
        """Return the memories with these ids, deleted and expired ones included."""
        ...

    def get_by_keys(self, keys: Sequence[int], filters: Filters, now: datetime) -> list[Memory]:
        """Return the memories with these keys that are live and pass the filters."""
        ...

    def find_by_content_hash(
        self, content_hash: bytes, kind: Kind, project: str | None, now: datetime
    ) -> list[Memory]:
        """Return the live, current memories with this hash, kind and project, oldest first."""
        ...

    def page(
        self,
        filters: Filters,
        now: datetime,
        order: Literal["newest", "oldest"],
        limit: int | None,
        after: tuple[int, int] | None = None,
    ) -> list[Memory]:
        """Return memories by ``occurred_at``, starting after the (microseconds, key) ``after``."""
        ...

    def count(self, filters: Filters, now: datetime) -> int:
        """Return how many memories are live and pass the filters."""
        ...

    def list_deleted(self, limit: int) -> list[Memory]:
        """Return deleted memories that can still be restored, the last deleted first."""
        ...

    def versions(self, memory_id: str) -> list[Memory]:
        """Return the stored versions of the memory with this id, deleted ones included.

        These are the memories that it superseded, directly or not, and those that superseded it.
        """
        ...

    def resolve_chunks(
        self, chunk_ids: Sequence[int], filters: Filters, now: datetime
    ) -> list[tuple[Memory, Chunk]]:
        """Return (memory, chunk) of those of the chunks whose memory passes the filters.

        The memory must also be live.
        """
        ...

    def chunks_of(self, memory_keys: Sequence[int]) -> list[Chunk]:
        """Return all chunks of these memories."""
        ...

    def find_chunks(self, chunk_ids: Sequence[int], filters: Filters, now: datetime) -> list[FoundChunk]:
        """Return those of the chunks whose memory is live and passes the filters."""
        ...

    def find_chunks_of(self, memory_keys: Sequence[int], filters: Filters, now: datetime) -> list[FoundChunk]:
        """Return all chunks of those of the memories that are live and pass the filters."""
        ...

    def session_neighbours(self, memory_keys: Sequence[int], distance: int) -> dict[int, list[int]]:
        """Return for each memory that has a session the keys around it in time, its own included."""
        ...

    def erased_ids(self) -> set[str]:
        """Return the ids of all permanently erased memories, which are kept for good."""
        ...


class WriteSession(ReadSession, Protocol):
    """One write transaction, which exists only while the write lock is held."""

    @property
    def embeddings(self) -> EmbeddingTable:
        """The embeddings of chunks."""
        ...

    @property
    def token_vectors(self) -> TokenVectorTable:
        """The token vectors of chunks."""
        ...

    @property
    def retention(self) -> RetentionTable:
        """The rules of retention."""
        ...

    @property
    def kept_pairs(self) -> KeptPairsTable:
        """The similar memories that may both stay."""
        ...

    @property
    def audit(self) -> AuditTable:
        """Who stored, changed, deleted or was shown what."""
        ...

    @property
    def snapshots(self) -> SnapshotRegistry:
        """The index snapshots of this database."""
        ...

    def add(self, memory: NewMemory) -> StoredMemory:
        """Insert a memory with its chunks."""
        ...

    def update(self, memory: Memory, changed_at: datetime | None = None) -> None:
        """Write a memory's attributes; ``changed_at`` is set if it is being changed now."""
        ...

    def restore(self, memory: Memory, now: datetime) -> None:
        """Take a memory out of the trash."""
        ...

    def erase(self, memory: Memory) -> None:
        """Erase a memory permanently, keeping only its chunk ids for the indexes to remove."""
        ...

    def record_erased(self, ids: Iterable[str]) -> None:
        """Record ids of erased memories, for good."""
        ...

    def move_project(self, old: str, new: str) -> int:
        """Move everything of one project to another; return how many memories that is."""
        ...

    def reassign_successor(self, old_id: str, new_id: str) -> None:
        """Make the memories superseded by ``old_id`` superseded by ``new_id``."""
        ...


class SessionReader(Protocol):
    """A connection for reading that is kept open over many calls.

    May be used from any thread.
    """

    def session(self) -> AbstractContextManager[ReadSession]:
        """Lend the session to one thread at a time.

        It is a new session if the database was replaced in the meantime.
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class MemoryStorage(Protocol):
    """The storage of all memories.

    May be used from any thread and by any number of processes.
    """

    @property
    def is_read_only(self) -> bool:
        """Whether it was found that the storage may only be read."""
        ...

    def open(self) -> None:
        """Open the storage, unless it is open.

        Raises:
            StorageError: it cannot be opened, or was closed before.
        """
        ...

    def read(self) -> AbstractContextManager[ReadSession]:
        """Open a read transaction, whose reads all see the same moment."""
        ...

    def write(self, *, secure_erase: bool = False) -> AbstractContextManager[WriteSession]:
        """Write in one transaction, durable when the block ends.

        With ``secure_erase`` no erased text stays in the files of the storage.

        Raises:
            Busy: another thread or process holds the write lock for too long.
            StorageError: the storage cannot be written; nothing was.
        """
        ...

    def connect(self) -> AbstractContextManager[ReadSession]:
        """Open a separate connection for long work, whose reads each see the newest commit."""
        ...

    def reader(self) -> SessionReader:
        """Return a connection that is kept open over many calls."""
        ...

    def lease(self, name: str, now: datetime) -> AbstractContextManager[bool]:
        """Hold what one process of all machines does at a time; False if another one holds it.

        Between the processes of one machine a file lock decides before. A lease ends by itself some minutes
        after ``now``, because its holder may have died.
        """
        ...

    def finish_secure_erase(self) -> None:
        """Finish a secure erase that another process left unfinished.

        That process was killed, or could not write.
        """
        ...

    def close(self) -> None:
        """Let a running write finish, and close; takes at most about a second."""
        ...
