"""The vector index: embeddings in immutable snapshots, found by their binary codes.

A pointer file ``vectors-3-<model>.json`` names the snapshot's two files and carries its sequence and token:
the codes (`binary_codes`) propose the vectors that may be nearest, and the matrix (`vector_matrix`) holds
the vectors themselves, with which those are compared exactly. Both files are mapped, so all processes share
them; in an encrypted directory all three are encrypted, and each process reads them into its memory.

A damaged snapshot gives no wrong answers: the codes are checked whole when they are opened, each vector when
it is read, and nothing in either file is a position or a length that is followed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.indexes.array_files import get_temporary_path
from sediment_mcp.indexes.binary_codes import BinaryCodes, write_codes
from sediment_mcp.indexes.protocols import VectorHit
from sediment_mcp.indexes.vector_files import VectorFiles
from sediment_mcp.indexes.vector_matrix import VectorMatrix, select_top, write_matrix
from sediment_mcp.storage.table_protocols import SnapshotId
from sediment_mcp.system.files import make_private, publish, read_stamp

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sediment_mcp.indexes.filter_mask import FilterMask
    from sediment_mcp.indexes.protocols import ChunkVectors
    from sediment_mcp.indexes.vector_matrix import Vectors
    from sediment_mcp.system.directory_encryption import DirectoryEncryption

SETTINGS = "binary-1 matrix-2"
CENTER_TYPE = "<f4"
MIN_COMPARED, COMPARED_PER_HIT = 1000, 8  # vectors compared for a search, and for each hit that is wanted
COMPARED_PER_ROOT = (
    4  # times the root of the number of vectors: a large index has more that are about as near
)
WRITE_ROWS = 4096  # rows of a base that are written at a time, 3 MB
VERIFY_ROWS = 4096


class QuantizedIndex:
    """An open snapshot of one model's embeddings."""

    def __init__(
        self,
        directory: Path,
        fingerprint: str,
        dimension: int,
        *,
        encryption: DirectoryEncryption | None = None,
        min_compared: int = MIN_COMPARED,
    ) -> None:
        """Open the snapshot that the model's pointer names; see `VectorFiles`.

        A search compares ``min_compared`` vectors or more.

        Raises:
            DamagedSnapshot: there is none, or it is damaged.
        """
        self._min_compared = min_compared
        try:
            files = VectorFiles(directory, fingerprint, encryption)
            kind = files.kind
            pointer = kind.read_record(files.pointer)
            if pointer["settings"] != SETTINGS or pointer["fingerprint"] != fingerprint:
                raise DamagedSnapshot("The vector index was written with other settings: it is rebuilt.")
            self.snapshot = SnapshotId(int(pointer["seq"]), int(pointer["token"]))
            center = np.frombuffer(base64.b64decode(pointer["center"]), CENTER_TYPE)
            if len(center) != dimension:
                raise ValueError(f"it is of {len(center)} dimensions")
            self._codes = BinaryCodes(
                files.find(pointer["codes"]), int(pointer["count"]), center,
                int(pointer["codes_checksum"]), kind,
            )  # fmt: skip
            self._matrix = VectorMatrix(files.find(pointer["matrix"]), self._codes.chunk_ids, dimension, kind)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedSnapshot(f"The vector index cannot be used ({error}): it is rebuilt.") from error

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self._codes)

    def count_contained(self, chunk_ids: Iterable[int]) -> int:
        """Return how many of the given chunks are in the snapshot."""
        return len(self._codes.find_rows(chunk_ids))

    def vectors(self, chunk_ids: Sequence[int]) -> ChunkVectors:
        """Return the vectors of the given chunks that are in the snapshot, in their order.

        Raises:
            DamagedSnapshot: one of them is damaged.
        """
        rows = self._codes.find_rows(chunk_ids)
        return self._codes.chunk_ids[rows].tolist(), self._matrix.read_rows(rows)

    def search(
        self, vector: NDArray[np.float32], limit: int, mask: FilterMask | None = None
    ) -> list[VectorHit]:
        """Return the nearest chunks by cosine, best first; with a mask only those that it allows.

        Raises:
            DamagedSnapshot: a vector that is compared is damaged.
        """
        allowed = None if mask is None else np.flatnonzero(mask.allows(self._codes.chunk_ids))
        count = len(self) if allowed is None else len(allowed)
        compared = max(self._min_compared, COMPARED_PER_HIT * limit, COMPARED_PER_ROOT * isqrt(count))
        if count > compared:
            rows = self._codes.find_nearest(vector, compared, allowed)
        else:
            rows = np.arange(count) if allowed is None else allowed
        cosines = self._matrix.compare(rows, vector)
        top = select_top(cosines, limit)
        return list(map(VectorHit, self._codes.chunk_ids[rows[top]].tolist(), cosines[top].tolist()))

    def verify(self) -> None:
        """Read all vectors.

        Raises:
            DamagedSnapshot: one of them is damaged.
        """
        for rows in self._matrix.iterate_rows(VERIFY_ROWS):
            self._matrix.read_halves(rows)

    def merge(self, added: Vectors, removed: Iterable[int]) -> Iterator[Vectors]:
        """Yield the blocks of a snapshot written on this one; ``added`` replaces what is here.

        Raises:
            DamagedSnapshot: a vector that is kept is damaged.
        """
        chunk_ids, vectors = added
        gone = np.concatenate([chunk_ids, np.fromiter(removed, np.int64)])
        kept = np.flatnonzero(~np.isin(self._codes.chunk_ids, gone))
        merged = np.concatenate([self._codes.chunk_ids[kept], chunk_ids])
        order = np.argsort(merged, kind="stable")
        for start in range(0, len(order), WRITE_ROWS):
            positions = order[start : start + WRITE_ROWS]
            is_kept = positions < len(kept)
            block = np.empty((len(positions), vectors.shape[1]), np.float16)
            block[is_kept] = self._matrix.read_halves(kept[positions[is_kept]])
            block[~is_kept] = vectors[positions[~is_kept] - len(kept)]
            yield merged[positions], block


class QuantizedWriter:
    """The files of one model's vector index.

    All methods but `open` and `stamp` need the index lock.
    """

    def __init__(
        self,
        directory: Path,
        fingerprint: str,
        dimension: int,
        encryption: DirectoryEncryption | None = None,
    ) -> None:
        """Look at nothing yet; see `VectorFiles`."""
        self._directory = directory
        self._fingerprint = fingerprint
        self._dimension = dimension
        self._encryption = encryption
        self.files = VectorFiles(directory, fingerprint, encryption)

    @property
    def name(self) -> str:
        """The name of this model's snapshots in the system of record."""
        return f"vectors {self._fingerprint}"

    def stamp(self) -> object:
        """Return a value that changes with the snapshot on disk, and with the kind it is to be of.

        Raises:
            OSError: there is none.
        """
        return read_stamp(self.files.pointer), self.files.is_encrypted

    def open(self) -> QuantizedIndex:
        """Open the newest snapshot.

        Raises:
            DamagedSnapshot: there is none, or it is damaged.
        """
        return QuantizedIndex(
            self._directory, self._fingerprint, self._dimension, encryption=self._encryption
        )

    def exists(self) -> bool:
        """Return True if the model has a snapshot, sound or not."""
        return self.files.pointer.exists()

    def built_seq(self) -> int:
        """Return the change that the snapshot has reached; 0 if unknown.

        It is written whole each time, so nothing that was erased before is in the files. It is not opened.
        """
        try:
            return int(self.files.kind.read_record(self.files.pointer)["seq"])
        except (OSError, ValueError, TypeError, KeyError):
            return 0

    def write(
        self,
        base: QuantizedIndex | None,
        added: Iterable[Vectors],
        removed: Iterable[int],
        snapshot: SnapshotId,
    ) -> None:
        """Write ``snapshot`` from ``base`` or an empty index, and replace the old files.

        The ``removed`` chunks are taken out, and ``added`` is added: blocks of chunk ids of shape (n,) with
        unit vectors of shape (n, dimension), without a base in the order of chunk ids. Errors that occur
        while the blocks are read are passed on unchanged.

        Raises:
            DamagedSnapshot: the base cannot be used.
            OSError: a file cannot be written.
        """
        blocks = added
        if base is not None:
            blocks = base.merge(_join(added, self._dimension), removed)
        kind = self.files.kind
        codes, matrix = self.files.of_snapshot(snapshot.token)
        chunk_ids = write_matrix(get_temporary_path(matrix), blocks, self._dimension, kind)
        written = VectorMatrix(get_temporary_path(matrix), chunk_ids, self._dimension, kind)
        center, checksum = write_codes(get_temporary_path(codes), written, chunk_ids, self._dimension, kind)
        del written  # Windows cannot rename a mapped file
        for path in (codes, matrix):
            make_private(get_temporary_path(path))
            publish(get_temporary_path(path), path)
        pointer = {
            "codes": codes.name,
            "codes_checksum": checksum,
            "matrix": matrix.name,
            "count": len(chunk_ids),
            "center": base64.b64encode(center.astype(CENTER_TYPE).tobytes()).decode(),
            "settings": SETTINGS,
            "fingerprint": self._fingerprint,
            "seq": snapshot.seq,
            "token": snapshot.token,
        }
        kind.write_record(self.files.pointer, pointer)
        self.files.remove_old({codes.name, matrix.name})

    def remove(self) -> None:
        """Delete the model's snapshot; until there is a new one, search is exact."""
        self.files.pointer.unlink(missing_ok=True)
        self.files.remove_old(())


def _join(blocks: Iterable[Vectors], dimension: int) -> Vectors:
    chunk_ids, vectors = [np.empty(0, np.int64)], [np.empty((0, dimension), np.float16)]
    for block_ids, block in blocks:
        chunk_ids.append(block_ids)
        vectors.append(block)
    return np.concatenate(chunk_ids), np.concatenate(vectors)
