"""Search by meaning: snapshot and memtable as one, as of the newest change."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.embeddings.codec import decode_vectors
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.indexes.protocols import SnapshotReader, VectorHit, VectorIndex, fetch_until
from sediment_mcp.indexes.quantized_index import QuantizedWriter
from sediment_mcp.indexes.vector_memtable import VectorMemtable
from sediment_mcp.storage.protocols import ReadSession

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sediment_mcp.indexes.filter_mask import FilterMask
    from sediment_mcp.indexes.protocols import ChunkVectors
    from sediment_mcp.system.directory_encryption import DirectoryEncryption


class VectorSearch(SnapshotReader[VectorIndex]):
    """Searches all embeddings of one model, for one process."""

    def __init__(self, directory: Path, model: ModelIdentity, encryption: DirectoryEncryption) -> None:
        self.model = model
        super().__init__(QuantizedWriter(directory, model.fingerprint, model.dimension, encryption))

    def _clear_memtable(self) -> None:
        self._memtable = VectorMemtable(self.model.dimension)
        self._outdated_count = 0  # embeddings of the snapshot that are out of date

    @property
    def has_memtable_rows(self) -> bool:
        """Whether the memtable contains anything."""
        return len(self._memtable) > 0

    @property
    def snapshot_count(self) -> int:
        """The number of chunks in the snapshot; 0 without one."""
        return len(self._snapshot) if self._snapshot is not None else 0

    def read_ahead(self, session: ReadSession) -> None:
        """Ask for what `apply_changes` reads first; see `ReadSession.prefetch`."""
        model = session.embeddings.model_key(self.model.fingerprint)
        if model is not None:
            session.embeddings.since(model, self.applied_seq)
            session.embeddings.removed_since(model, self.applied_seq)

    def apply_changes(self, session: ReadSession) -> None:
        """Apply all changes since the snapshot, or since the last call."""
        newest = session.changes.seq()
        if newest == self.applied_seq:
            return
        model = session.embeddings.model_key(self.model.fingerprint)
        if model is None:
            return
        self._put(session.embeddings.since(model, self.applied_seq))
        self._memtable.drop(session.embeddings.removed_since(model, self.applied_seq))
        if self._snapshot is not None:
            self._outdated_count = self._snapshot.count_contained(self._memtable.dirty_chunk_ids)
        self.applied_seq = newest

    def _put(self, encoded: dict[int, bytes]) -> None:
        if encoded:
            self._memtable.put(list(encoded), decode_vectors(list(encoded.values())))

    def search(
        self, vector: NDArray[np.float32], limit: int, mask: FilterMask | None = None
    ) -> list[VectorHit]:
        """Return the nearest chunks by cosine, best first; with a mask only those that it allows.

        The search is exact as of `apply_changes` if there is no snapshot, or if the mask allows few of its
        vectors.

        Raises:
            DamagedSnapshot: the snapshot turns out to be damaged, and is not used any more.
        """
        hits = self._memtable.search(vector, limit, mask)
        if self._snapshot is not None:
            with self._rejecting_damage():
                hits = [*hits, *self._search_snapshot(self._snapshot, vector, limit, mask)]
        return heapq.nlargest(limit, hits, key=lambda hit: (hit.cosine, hit.chunk_id))

    def _search_snapshot(
        self, snapshot: VectorIndex, vector: NDArray[np.float32], limit: int, mask: FilterMask | None
    ) -> list[VectorHit]:
        """Return the snapshot's hits without those that are out of date.

        Many may be out of date, but few of them are among the best, so more hits are fetched only if too few
        are left.
        """
        dirty = self._memtable.dirty_chunk_ids

        def keep_current(hits: list[VectorHit]) -> list[VectorHit]:
            return [hit for hit in hits if hit.chunk_id not in dirty]

        hits = fetch_until(
            lambda count: snapshot.search(vector, count, mask),
            lambda hits: len(keep_current(hits)) >= limit,
            first=limit,
            max_count=limit + self._outdated_count,
        )
        return keep_current(hits)

    def vectors(self, chunk_ids: Sequence[int]) -> ChunkVectors:
        """Return the embeddings of the given chunks, as of `apply_changes`, in any order.

        Chunks without an embedding are left out.

        Raises:
            DamagedSnapshot: the snapshot turns out to be damaged, and is not used any more.
        """
        held, vectors = self._memtable.vectors(chunk_ids)
        if self._snapshot is None:
            return held, vectors
        dirty = self._memtable.dirty_chunk_ids
        others = [chunk_id for chunk_id in chunk_ids if chunk_id not in dirty]
        with self._rejecting_damage():
            held_by_snapshot, snapshot_vectors = self._snapshot.vectors(others)
        return [*held, *held_by_snapshot], np.concatenate([vectors, snapshot_vectors])
