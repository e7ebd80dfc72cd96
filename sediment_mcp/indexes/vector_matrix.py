"""The matrix file of a snapshot: its vectors in our own format, for exact comparison.

HNSW cannot search among a chosen few, and usearch does not say where in its file a vector lies. The file is
NumPy's ``.npy`` with one record a chunk, in the order of chunk ids: the id, and the vector as float16. It is
written anew with each snapshot, so nothing that was taken out is left in it, and mapped when it is read.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Part = tuple[NDArray[np.int64], Callable[[NDArray[np.intp]], NDArray[Any]]]
    """Chunk ids, and a function that returns vectors of shape (n, dimension) by position."""

WRITE_ROWS = 4096  # rows written at a time, 3 MB
CHECKSUM_BYTES = 1 << 20  # bytes read at a time


class VectorMatrix:
    """The vectors of a snapshot's chunks: ``chunk_ids`` ascending, of shape (n,)."""

    def __init__(self, path: Path, dimension: int) -> None:
        """Map the file.

        Raises:
            OSError: it cannot be read.
            ValueError: it has another format.
        """
        records = np.lib.format.open_memmap(path, mode="r")
        if records.dtype != _build_record_type(dimension) or records.ndim != 1:
            raise ValueError(f"{path.name} is no matrix of {dimension} columns")
        self.chunk_ids: NDArray[np.int64] = np.ascontiguousarray(records["chunk_id"])
        self._vectors: NDArray[np.float16] = records["vector"]

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self.chunk_ids)

    def find_rows(self, chunk_ids: Iterable[int]) -> NDArray[np.intp]:
        """Return the rows of the given chunks that are in the matrix, in their order."""
        wanted = np.fromiter(chunk_ids, np.int64)
        rows = np.searchsorted(self.chunk_ids, wanted)
        inside = rows < len(self)
        rows, wanted = rows[inside], wanted[inside]
        return rows[self.chunk_ids[rows] == wanted]

    def read_rows(self, rows: NDArray[np.intp]) -> NDArray[np.float16]:
        """Copy the vectors in these rows, of shape (n, dimension)."""
        return self._vectors[rows]

    def select_part(self, rows: NDArray[np.intp]) -> Part:
        """Return these rows for `write_matrix`, which reads them piece by piece."""
        return self.chunk_ids[rows], lambda positions: self.read_rows(rows[positions])


def write_matrix(path: Path, parts: Sequence[Part], dimension: int) -> None:
    """Write the vectors of the parts, which share no chunk, as one file.

    The caller publishes it.
    """
    chunk_ids = np.concatenate([np.empty(0, np.int64), *(ids for ids, _ in parts)])
    bounds = np.cumsum([0, *(len(ids) for ids, _ in parts)])
    order, record_type = np.argsort(chunk_ids, kind="stable"), _build_record_type(dimension)
    header = {
        "descr": np.lib.format.dtype_to_descr(record_type), "fortran_order": False, "shape": order.shape,
    }  # fmt: skip
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(order), WRITE_ROWS):
            positions = order[start : start + WRITE_ROWS]
            records = np.zeros(len(positions), record_type)
            records["chunk_id"] = chunk_ids[positions]
            for (_, read_vectors), low, high in zip(parts, bounds[:-1], bounds[1:], strict=True):
                own = (positions >= low) & (positions < high)
                records["vector"][own] = read_vectors(positions[own] - low)
            file.write(records.tobytes())


def calculate_checksum(path: Path) -> int:
    """Return the CRC-32 of a file's content, read in pieces."""
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(CHECKSUM_BYTES):
            checksum = zlib.crc32(block, checksum)
    return checksum


def select_top(scores: NDArray[np.float32], limit: int) -> NDArray[np.intp]:
    """Return the positions of the highest scores, highest first."""
    if limit < len(scores):
        top = np.argpartition(-scores, limit - 1)[:limit]
        return top[np.argsort(-scores[top], kind="stable")]
    return np.argsort(-scores, kind="stable")


def _build_record_type(dimension: int) -> np.dtype[np.void]:
    return np.dtype([("chunk_id", "<i8"), ("vector", "<f2", (dimension,))])
