"""Search by meaning: the snapshot and its tail as one, as of the newest change, for one model."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.indexes import usearch_index
from sediment_mcp.indexes.memtable import VectorTail
from sediment_mcp.indexes.protocols import Leg
from sediment_mcp.indexes.usearch_index import VectorHit, VectorIndex
from sediment_mcp.storage.sql.memories import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sediment_mcp.indexes.usearch_index import Rows

GROWTH = 4  # how much more is asked of the snapshot when what has changed since takes the best places


class VectorSearch(Leg[VectorIndex]):
    """One process's view of all embeddings of one model."""

    def __init__(self, directory: Path, identity: ModelIdentity) -> None:
        self.identity = identity
        super().__init__(directory, index_name(identity.fingerprint))

    def _stamp(self) -> Hashable:
        return usearch_index.stamp_of(self.directory, self.identity.fingerprint)

    def _open_snapshot(self) -> VectorIndex:
        return VectorIndex(self.directory, self.identity.fingerprint, self.identity.dimension)

    def _empty_tail(self) -> None:
        self._tail = VectorTail(self.identity.dimension)
        self._outdated = 0  # embeddings of the snapshot for which the tail speaks
        self._needs_unreachable = self._snapshot is not None

    @property
    def is_holding(self) -> bool:
        return len(self._tail) > 0

    def read(self, store: Store) -> None:
        newest = store.seq()
        model = store.embeddings.number_of(self.identity.fingerprint)
        if model is None or (newest == self.seen and not self._needs_unreachable):
            return
        if self._snapshot is not None and self._needs_unreachable:
            self._put(store.embeddings.of(model, self._snapshot.unreachable))
            self._needs_unreachable = False
        self._put(store.embeddings.since(model, self.seen))
        self._tail.forget(store.embeddings.deleted(self.seen))
        self._outdated = self._snapshot.held(self._tail.dirty) if self._snapshot is not None else 0
        self.seen = newest

    def _put(self, vectors: dict[int, bytes]) -> None:
        if vectors:
            self._tail.put(list(vectors), unpack(list(vectors.values())))

    def search(
        self, vector: NDArray[np.float32], limit: int, admitted: NDArray[np.bool_] | None = None
    ) -> list[VectorHit]:
        """The nearest chunks by cosine, best first; with ``admitted`` (see `columns`) only those for whose
        number it holds. Exact as of the last `read` where there is no snapshot, and where ``admitted`` leaves
        few of it or HNSW finds too few."""
        hits = self._tail.search(vector, limit, admitted)
        if self._snapshot is not None:
            hits = [*hits, *self._in_snapshot(self._snapshot, vector, limit, admitted)]
        return heapq.nlargest(limit, hits, key=lambda hit: (hit.cosine, hit.chunk))

    def _in_snapshot(
        self,
        snapshot: VectorIndex,
        vector: NDArray[np.float32],
        limit: int,
        admitted: NDArray[np.bool_] | None,
    ) -> list[VectorHit]:
        """The snapshot's hits without those for which the tail speaks. They may be many,
        but few of them are among the best, so more is asked only where too few are left."""
        dirty, fetched = self._tail.dirty, limit
        while True:
            found = snapshot.search(vector, fetched, admitted)
            kept = [hit for hit in found if hit.chunk not in dirty]
            if len(kept) >= limit or len(found) < fetched or fetched - limit >= self._outdated:
                return kept
            fetched = min(fetched * GROWTH, limit + self._outdated)

    def rows(self, chunks: Sequence[int]) -> Rows:
        """The embeddings of those of the chunks that have one as of the last `read`, in any order."""
        import numpy as np

        held, vectors = self._tail.rows(chunks)
        if self._snapshot is None:
            return held, vectors
        dirty = self._tail.dirty
        more, others = self._snapshot.rows([chunk for chunk in chunks if chunk not in dirty])
        return [*held, *more], np.concatenate([vectors, others])


def index_name(fingerprint: str) -> str:
    """How the system of record calls the snapshots of this model."""
    return f"vectors {fingerprint}"


def pack(vectors: NDArray[np.float32]) -> list[bytes]:
    """Rows of shape (n, dimension) as little-endian float16, the form in which they are kept."""
    return [row.tobytes() for row in vectors.astype("<f2")]


def unpack(vectors: Sequence[bytes]) -> NDArray[np.float32]:
    """The inverse of `pack`, of shape (n, dimension)."""
    import numpy as np

    return np.frombuffer(b"".join(vectors), "<f2").reshape(len(vectors), -1).astype(np.float32)


def are_unit_vectors(vectors: Sequence[bytes]) -> bool:
    """Whether these are packed vectors of length one, to the precision of float16: nothing else may enter an
    index, which a single "not a number" would spoil."""
    import numpy as np

    lengths = np.linalg.norm(unpack(vectors), axis=1)
    return bool(np.all(np.abs(lengths - 1) < 0.01))
