"""Find the vectors that may be nearest by one bit a dimension: binary quantization.

Of each vector only the signs are kept, relative to the mean vector, since the vectors of some models all
point into nearly the same direction. The number of bits in which two codes differ grows with the angle of
their vectors (Charikar 2002), so the vectors whose codes differ least from the query's are compared exactly.
A scan costs five nanoseconds a vector, so it grows with their number. At 300,000 it and the comparison take
as long as a search of a graph (HNSW) does, and find more of the nearest; there is nothing to build, and the
file is so small that it is checked whole when it is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from sediment_mcp.indexes.array_files import ArrayFiles
    from sediment_mcp.indexes.vector_matrix import VectorMatrix

WORD = np.dtype("<u8")
WORD_BITS = 64
SCAN_ROWS = 65_536  # scanned at a time, to stay in a processor's cache
SAMPLED_ROWS = 16_384  # from which the distance of the count-th nearest is taken
MAX_SURPLUS = 2  # times as many rows as asked for are found, if many differ in equally many bits
ENCODED_ROWS = 4096  # encoded at a time, 6 MB
MEAN_ROWS = 8192  # of which the mean vector is taken


class BinaryCodes:
    """The codes of a snapshot, and ``chunk_ids``, ascending, of shape (n,).

    The file holds an array of shape (1 + words, n): the ids, then the first word of every code, and so on.
    """

    def __init__(
        self, path: Path, count: int, center: NDArray[np.float32], checksum: int, kind: ArrayFiles
    ) -> None:
        """Load the file and read it once, 60 bytes a vector.

        Raises:
            OSError: it cannot be read.
            ValueError: it is not what was written.
        """
        self._center = center
        table = kind.load(path, WORD, (1 + _count_words(len(center)), count))
        if _calculate_checksum(table) != checksum:
            raise ValueError(f"{path.name} is damaged")
        self.chunk_ids: NDArray[np.int64] = table[0].view(np.int64)
        self._columns: NDArray[np.uint64] = table[1:]

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self.chunk_ids)

    def find_rows(self, chunk_ids: Iterable[int]) -> NDArray[np.intp]:
        """Return the rows of the given chunks that are in the snapshot, in their order."""
        wanted = np.fromiter(chunk_ids, np.int64)
        rows = np.searchsorted(self.chunk_ids, wanted)
        inside = rows < len(self)
        rows, wanted = rows[inside], wanted[inside]
        return rows[self.chunk_ids[rows] == wanted]

    def find_nearest(
        self, vector: NDArray[np.float32], count: int, rows: NDArray[np.intp] | None = None
    ) -> NDArray[np.intp]:
        """Return about ``count`` rows whose codes differ least from the vector's, ascending.

        With ``rows`` only of these.
        """
        columns = self._columns if rows is None else self._columns[:, rows]
        differing = _count_differing_bits(columns, _encode(vector[None], self._center)[:, 0])
        found = _select_lowest(differing, count)
        return found if rows is None else rows[found]


def write_codes(
    path: Path, matrix: VectorMatrix, chunk_ids: NDArray[np.int64], dimension: int, kind: ArrayFiles
) -> tuple[NDArray[np.float32], int]:
    """Write the codes of a matrix, and return their center and the checksum.

    The caller publishes the file.
    """
    count = len(chunk_ids)
    center = np.zeros(dimension, np.float32)
    if count:
        center = matrix.read_rows(slice(None, None, -(-count // MEAN_ROWS))).mean(axis=0)
    table = np.empty((1 + _count_words(dimension), count), WORD)
    table[0] = chunk_ids.view(np.uint64)
    for rows in matrix.iterate_rows(ENCODED_ROWS):
        table[1:, rows] = _encode(matrix.read_rows(rows), center)
    kind.write(path, WORD, [table], lambda: table.shape)
    return center, _calculate_checksum(table)


def _encode(vectors: NDArray[np.float32], center: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return the codes of vectors of shape (n, dimension), of shape (words, n)."""
    signs = np.packbits(vectors > center, axis=1)
    codes = np.zeros((len(vectors), _count_words(len(center)) * WORD.itemsize), np.uint8)
    codes[:, : signs.shape[1]] = signs
    return codes.view(WORD).T


def _count_differing_bits(columns: NDArray[np.uint64], code: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Return for each of n codes, of shape (words, n), in how many bits it differs from one."""
    counts = np.zeros(columns.shape[1], np.uint16)
    for start in range(0, len(counts), SCAN_ROWS):
        part = slice(start, start + SCAN_ROWS)
        for column, word in zip(columns, code, strict=True):
            counts[part] += np.bitwise_count(column[part] ^ word)
    return counts


def _select_lowest(values: NDArray[np.uint16], count: int) -> NDArray[np.intp]:
    """Return about ``count`` positions of the lowest values, by a threshold from a part of them."""
    step = max(1, len(values) // SAMPLED_ROWS)
    frequencies = np.bincount(values[::step])
    threshold = np.searchsorted(np.cumsum(frequencies), count / step)
    found = np.flatnonzero(values <= threshold)
    if len(found) > MAX_SURPLUS * count:  # leave out some of those that differ in as many bits as the last
        is_last = values[found] == threshold
        surplus = np.flatnonzero(is_last)[max(0, MAX_SURPLUS * count - np.count_nonzero(~is_last)) :]
        found = np.delete(found, surplus)
    return found


def _count_words(dimension: int) -> int:
    return -(-dimension // WORD_BITS)


def _calculate_checksum(table: NDArray[np.uint64]) -> int:
    """Return the sum of all words: a single changed word, and any run of zeros, changes it."""
    return int(np.add.reduce(table, axis=None, dtype=np.uint64))
