"""Interfaces of the derived indexes: snapshots, their writers and their readers.

A snapshot is an index on disk that any process may replace at any moment. Each records the change that it has
reached and the token that identifies it in its database, so that a snapshot of another history, such as a
restored backup's, is rejected.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import Memory
from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.storage.protocols import ReadSession
from sediment_mcp.storage.table_protocols import SnapshotId

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from sediment_mcp.indexes.filter_mask import FilterMask

    ChunkVectors = tuple[list[int], NDArray[np.float32]]
    """Chunk ids, and their unit vectors of shape (n, dimension)."""

MAX_OPEN_ATTEMPTS = 3  # of a snapshot that another process is just replacing
PHRASE_SCORE = 1000.0  # more than BM25 reaches: a chunk that holds a phrase is among the first
FETCH_GROWTH = 4  # the factor by which more hits are fetched if too few were left


# --- values -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IndexedChunk:
    """A chunk in the text index: the attributes of its memory, and the words of its text."""

    chunk_id: int
    memory: Memory
    text: str


class TextHit(NamedTuple):
    """A chunk that holds words of the query, with its memory and its BM25 score."""

    chunk_id: int
    memory_key: int
    score: float


class VectorHit(NamedTuple):
    """A chunk near to the query's vector, with the cosine of the two."""

    chunk_id: int
    cosine: float


# --- snapshots ----------------------------------------------------------------------------------


class Snapshot(Protocol):
    """An open index, which does not change when others write a new snapshot."""

    @property
    def snapshot(self) -> SnapshotId:
        """The change that the index has reached, and its token."""
        ...

    def __len__(self) -> int:
        """Return the number of chunks."""
        ...


class TextIndex(Snapshot, Protocol):
    """An open snapshot of words."""

    @property
    def mean_length(self) -> float:
        """The mean number of terms in a chunk."""
        ...

    def document_frequency(self, term: str) -> int:
        """Return in how many chunks the term occurs."""
        ...

    def search(
        self,
        weights: Mapping[str, float],
        filters: Filters,
        now: datetime,
        limit: int,
        *,
        phrases: Sequence[Sequence[str]] = (),
    ) -> list[TextHit]:
        """Return the chunks that contain any of the weighted terms and pass the filter, best first.

        Each phrase, of two or more terms, that stands in a chunk adds `PHRASE_SCORE`.
        """
        ...


class VectorIndex(Snapshot, Protocol):
    """An open snapshot of one model's embeddings."""

    def search(
        self, vector: NDArray[np.float32], limit: int, mask: FilterMask | None = None
    ) -> list[VectorHit]:
        """Return the nearest chunks by cosine, best first; with a mask only those that it allows."""
        ...

    def vectors(self, chunk_ids: Sequence[int]) -> ChunkVectors:
        """Return the vectors of the given chunks that are in the snapshot."""
        ...

    def count_contained(self, chunk_ids: Iterable[int]) -> int:
        """Return how many of the given chunks are in the snapshot."""
        ...


SnapshotT = TypeVar("SnapshotT", bound=Snapshot)
SnapshotT_co = TypeVar("SnapshotT_co", bound=Snapshot, covariant=True)
AddedT_contra = TypeVar("AddedT_contra", contravariant=True)


class SnapshotSource(Protocol[SnapshotT_co]):
    """The files of one index, from which its newest snapshot is opened."""

    @property
    def name(self) -> str:
        """The name of this index in the system of record."""
        ...

    def stamp(self) -> Hashable:
        """Return a value that changes whenever the snapshot on disk is replaced.

        Raises:
            OSError or ValueError: there is none.
        """
        ...

    def open(self) -> SnapshotT_co:
        """Open the newest snapshot.

        Raises:
            DamagedSnapshot: there is none, or it is damaged.
        """
        ...


class IndexWriter(SnapshotSource[SnapshotT], Protocol[SnapshotT, AddedT_contra]):
    """The files of one index, for the process that holds the index's lock."""

    def exists(self) -> bool:
        """Return True if there are any files of the index, sound or not."""
        ...

    def built_seq(self) -> int:
        """Return the change at which the snapshot was last written without a base.

        Memories erased before it are not in the files. It is 0 if unknown. The snapshot is not opened.
        """
        ...

    def write(
        self, base: SnapshotT | None, added: AddedT_contra, removed: Iterable[int], snapshot: SnapshotId
    ) -> None:
        """Write ``snapshot`` from ``base``, or from an empty index.

        The ``removed`` are taken out first, then the ``added`` are added.

        Raises:
            DamagedSnapshot: the base cannot be used, or the engine did not store what it was given.
        """
        ...

    def remove(self) -> None:
        """Delete the index, sound or not."""
        ...


def open_trusted(session: ReadSession, name: str, open_snapshot: Callable[[], SnapshotT]) -> SnapshotT | None:
    """Open a snapshot, or return None if it cannot be used.

    It must be sound and come from this database's own history.
    """
    try:
        index = open_snapshot()
    except DamagedSnapshot:
        return None
    return index if session.snapshots.knows(name, index.snapshot) else None


# --- readers ------------------------------------------------------------------------------------


class SnapshotReader(ABC, Generic[SnapshotT]):
    """Reads one derived index together with the changes that it does not contain yet.

    Not thread-safe. The order matters: `reload` first, then `apply_changes` inside a read transaction, then
    the search inside the same one, so that the database is never older than the snapshot it corrects.
    """

    def __init__(self, source: SnapshotSource[SnapshotT]) -> None:
        self._source = source
        self.is_rejected = False
        self._known_stamp: Hashable = None
        self._start_from(None)

    @abstractmethod
    def _clear_memtable(self) -> None: ...

    @abstractmethod
    def apply_changes(self, session: ReadSession) -> None:
        """Apply all changes since the snapshot, or since the last call."""

    @property
    @abstractmethod
    def has_memtable_rows(self) -> bool:
        """Whether the memtable contains anything."""

    @property
    def snapshot_seq(self) -> int:
        """The change sequence that the snapshot has reached; 0 without one."""
        return self._snapshot.snapshot.seq if self._snapshot is not None else 0

    def _start_from(self, snapshot: SnapshotT | None) -> None:
        self._snapshot: SnapshotT | None = snapshot
        self.applied_seq = self.snapshot_seq
        self._clear_memtable()

    def reload(self, session: ReadSession) -> None:
        """Open the newest snapshot, if it is sound and comes from this database's own history.

        Afterwards `is_rejected` says whether there is a snapshot that cannot be used.
        """
        for _ in range(MAX_OPEN_ATTEMPTS):
            stamp = self._read_stamp()
            if stamp == self._known_stamp:
                return
            snapshot = None
            if stamp is not None:
                snapshot = open_trusted(session, self._source.name, self._source.open)
            self._known_stamp, self.is_rejected = stamp, stamp is not None and snapshot is None
            self._start_from(snapshot)
            if snapshot is not None:
                return

    def reject(self) -> None:
        """Stop using a snapshot that has failed in use, until there is another one."""
        self.is_rejected = True
        self._start_from(None)

    @contextlib.contextmanager
    def _rejecting_damage(self) -> Generator[None]:
        """Reject a snapshot that turns out to be damaged; the caller searches again without it."""
        try:
            yield
        except DamagedSnapshot:
            self.reject()
            raise

    def _read_stamp(self) -> Hashable:
        try:
            return self._source.stamp()
        except (DamagedSnapshot, OSError, ValueError, KeyError, TypeError):
            return None


HitT = TypeVar("HitT")


def fetch_until(
    fetch: Callable[[int], list[HitT]],
    is_enough: Callable[[list[HitT]], bool],
    first: int,
    max_count: int | None = None,
) -> list[HitT]:
    """Fetch the best ``first`` hits, then more until they are enough or there are no more.

    ``fetch`` returns at most as many hits as it is asked for, and fewer only if there are no more.
    ``max_count`` is a number of hits that is always enough (None: there is no such number).
    """
    count = first
    while True:
        hits = fetch(count)
        if is_enough(hits) or len(hits) < count or (max_count is not None and count >= max_count):
            return hits
        count = count * FETCH_GROWTH if max_count is None else min(count * FETCH_GROWTH, max_count)
