"""Search recently added embeddings exactly, in memory.

While there are few embeddings, that is all of them. They are found at once, in this process and in every
other, without an index being written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.indexes.protocols import VectorHit
from sediment_mcp.indexes.vector_matrix import select_top

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sediment_mcp.indexes.filter_mask import FilterMask
    from sediment_mcp.indexes.protocols import ChunkVectors

DROPPED = -1  # the chunk id of a row that was dropped


class VectorMemtable:
    """Exact search over the embeddings of recently changed chunks.

    ``dirty_chunk_ids`` holds the chunks whose entries in a snapshot are out of date: those in the memtable,
    and deleted ones.
    """

    def __init__(self, dimension: int) -> None:
        self.dirty_chunk_ids: set[int] = set()
        self._rows: dict[int, int] = {}
        self._chunk_ids: NDArray[np.int64] = np.empty(0, np.int64)
        self._matrix: NDArray[np.float32] = np.empty((0, dimension), np.float32)
        self._used = 0

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self._rows)

    def put(self, chunk_ids: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Add chunks with unit vectors of shape (n, dimension), replacing their earlier ones."""
        self.drop(chunk_ids)
        self._reserve(len(chunk_ids))
        end = self._used + len(chunk_ids)
        self._chunk_ids[self._used : end] = chunk_ids
        self._matrix[self._used : end] = vectors
        self._rows.update(zip(chunk_ids, range(self._used, end), strict=True))
        self._used = end

    def drop(self, chunk_ids: Sequence[int]) -> None:
        """Drop chunks; they stay dirty.

        A dropped row is kept as zeros until the arrays grow the next time.
        """
        self.dirty_chunk_ids.update(chunk_ids)
        for chunk_id in chunk_ids:
            row = self._rows.pop(chunk_id, None)
            if row is not None:
                self._chunk_ids[row], self._matrix[row] = DROPPED, 0

    def vectors(self, chunk_ids: Sequence[int]) -> ChunkVectors:
        """Return the vectors of the given chunks that are in the memtable."""
        held = [chunk_id for chunk_id in chunk_ids if chunk_id in self._rows]
        return held, self._matrix[[self._rows[chunk_id] for chunk_id in held]]

    def search(
        self, vector: NDArray[np.float32], limit: int, mask: FilterMask | None = None
    ) -> list[VectorHit]:
        """Return the nearest chunks by cosine, best first; with a mask only those that it allows."""
        chunk_ids, cosines = self._chunk_ids[: self._used], self._matrix[: self._used] @ vector
        allowed = chunk_ids >= 0 if mask is None else mask.allows(chunk_ids)
        rows = np.flatnonzero(allowed)
        top = rows[select_top(cosines[rows], limit)]
        return [VectorHit(int(chunk_ids[row]), float(cosines[row])) for row in top]

    def _reserve(self, more: int) -> None:
        """Make room for more rows, by doubling the arrays and leaving out dropped rows.

        Doubling makes adding rows one by one take linear time.
        """
        if self._used + more <= len(self._chunk_ids):
            return
        kept = np.flatnonzero(self._chunk_ids[: self._used] >= 0)
        size = max(len(kept) + more, 2 * len(kept))
        chunk_ids = np.full(size, DROPPED, np.int64)
        matrix = np.zeros((size, self._matrix.shape[1]), np.float32)
        chunk_ids[: len(kept)], matrix[: len(kept)] = self._chunk_ids[kept], self._matrix[kept]
        self._chunk_ids, self._matrix, self._used = chunk_ids, matrix, len(kept)
        self._rows = {int(chunk_id): row for row, chunk_id in enumerate(chunk_ids[: len(kept)])}
