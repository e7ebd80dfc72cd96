"""The matrix file of a snapshot: its vectors in our own format, each with a checksum.

The file holds one record a chunk, in the order of chunk ids: the id, the vector as float16, and a checksum.
It is mapped, and what is read of it is checked as it is read: so opening it takes the same time whatever its
size, and a damaged vector is never compared. It is written anew with each snapshot, so nothing that was
taken out is left in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.indexes.array_files import PlainArrayFiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sediment_mcp.indexes.array_files import ArrayFiles

    Vectors = tuple[NDArray[np.int64], NDArray[np.float16]]
    """Chunk ids of shape (n,), and their unit vectors of shape (n, dimension)."""

WORD = np.dtype("<u8")
HALVES_PER_WORD = 4  # float16 values in eight bytes
ROW_SUM = np.uint64(0x9E3779B97F4A7C15)  # of the words of a record, its checksum among them; not zero
COMPARED_ROWS = 512  # compared at a time: as float32 they fit into a processor's cache
SIGN_AND_REST = np.int32(-0x70000001)  # the sign bit of a float32, and all but the three highest others
HALF_SCALE = np.float32(2.0**112)  # between the exponents of float16 and of float32


class VectorMatrix:
    """The vectors of a snapshot's chunks, whose ids ``chunk_ids`` are, ascending, of shape (n,)."""

    def __init__(
        self, path: Path, chunk_ids: NDArray[np.int64], dimension: int, kind: ArrayFiles | None = None
    ) -> None:
        """Map the file, or read it if it is of another ``kind``.

        Raises:
            OSError: it cannot be read.
            ValueError: it has another format or size.
        """
        self._path, self._chunk_ids, self._dimension = path, chunk_ids, dimension
        records = (kind or PlainArrayFiles()).load(path, _build_record_type(dimension), (len(chunk_ids),))
        self._words = records.view(WORD).reshape(len(chunk_ids), records.dtype.itemsize // WORD.itemsize)

    def read_halves(self, rows: NDArray[np.intp] | slice) -> NDArray[np.float16]:
        """Return the vectors in these rows, of shape (n, dimension), after checking them.

        Raises:
            DamagedSnapshot: one of them is not what was written.
        """
        words = np.ascontiguousarray(self._words[rows])
        is_sound = np.add.reduce(words, axis=1) == ROW_SUM
        is_own = words[:, 0].view(np.int64) == self._chunk_ids[rows]
        if not np.all(is_sound & is_own):
            raise DamagedSnapshot(f"The vector index's file {self._path.name} is damaged: it is rebuilt.")
        return words.view("<f2")[:, HALVES_PER_WORD : HALVES_PER_WORD + self._dimension]

    def read_rows(self, rows: NDArray[np.intp] | slice) -> NDArray[np.float32]:
        """Return the vectors in these rows as float32; see `read_halves`."""
        return _widen(self.read_halves(rows))

    def compare(self, rows: NDArray[np.intp], vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cosines of the vectors in these rows with a unit vector; see `read_halves`."""
        cosines = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), COMPARED_ROWS):
            part = slice(start, start + COMPARED_ROWS)
            cosines[part] = self.read_rows(rows[part]) @ vector
        return cosines

    def iterate_rows(self, count: int) -> Iterator[slice]:
        """Yield all rows, in slices of ``count``."""
        for start in range(0, len(self._chunk_ids), count):
            yield slice(start, min(start + count, len(self._chunk_ids)))


def write_matrix(
    path: Path, blocks: Iterable[Vectors], dimension: int, kind: ArrayFiles
) -> NDArray[np.int64]:
    """Write blocks of vectors, their chunk ids ascending, as one file, and return the ids.

    The caller publishes the file.
    """
    record_type, chunk_ids = _build_record_type(dimension), [np.empty(0, np.int64)]

    def build_records() -> Iterator[NDArray[np.void]]:
        for block_ids, vectors in blocks:
            records = np.zeros(len(block_ids), record_type)
            records["chunk_id"] = block_ids
            records["vector"][:, :dimension] = vectors
            words = records.view(WORD).reshape(len(records), -1)
            records["checksum"] = ROW_SUM - np.add.reduce(words, axis=1)
            yield records
            chunk_ids.append(block_ids)

    kind.write(path, record_type, build_records(), lambda: (sum(map(len, chunk_ids)),))
    return np.concatenate(chunk_ids)


def select_top(scores: NDArray[np.float32], limit: int) -> NDArray[np.intp]:
    """Return the positions of the highest scores, highest first."""
    if limit < len(scores):
        top = np.argpartition(-scores, limit - 1)[:limit]
        return top[np.argsort(-scores[top], kind="stable")]
    return np.argsort(-scores, kind="stable")


def _widen(halves: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return finite float16 values as float32, in a third of the time that NumPy takes."""
    # The exponent of a float16 has five bits, that of a float32 eight: with its bits moved into place, a
    # value is too small by the difference of the two biases. The shift leaves copies of the sign in between.
    bits = halves.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= SIGN_AND_REST
    values = bits.view(np.float32)
    values *= HALF_SCALE
    return values


def _build_record_type(dimension: int) -> np.dtype[np.void]:
    """Return the type of a record, whose size is a whole number of words."""
    padded = -(-dimension // HALVES_PER_WORD) * HALVES_PER_WORD
    return np.dtype([("chunk_id", "<i8"), ("vector", "<f2", (padded,)), ("checksum", WORD)])
