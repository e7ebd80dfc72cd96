"""The vector index: embeddings in a usearch (HNSW) snapshot that is never changed.

A pointer file ``vectors-<model>.json`` names the snapshot's two files, usearch's own and our matrix of the
same vectors (`vector_matrix`), and carries its sequence, token and both checksums. The settings were
chosen by measurement: float16 loses nothing on real embeddings, connectivity 16 and expansion 64 are the best
compromise of build time and recall, and a search uses expansion 256 or more.

Faults of usearch, all met in practice: a removed vector may stay in its file; ``save`` truncates in place
without a sync, and a process that has the file mapped crashes, so a snapshot is written to a new file and
renamed; one flipped bit can crash a reader, so its checksum is verified first; the search expansion is not
stored; HNSW can fail to reach a stored vector at all, so those are listed in the pointer and searched exactly
by the memtable; and it cannot search among selected vectors only, so these are compared in the matrix. Its
file is read only through its own functions.

Its Linux wheel brings a C++ library of its own, and onnxruntime crashes when it is imported after that: so
this module imports usearch on first use, which is when there is a model, never before.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.indexes.protocols import VectorHit
from sediment_mcp.indexes.vector_files import VectorFiles, get_temporary_path
from sediment_mcp.indexes.vector_matrix import VectorMatrix, calculate_checksum, select_top, write_matrix
from sediment_mcp.storage.table_protocols import SnapshotId
from sediment_mcp.system.files import make_private, publish, read_record, read_stamp, write_record
from sediment_mcp.system.progress import Progress, ignore_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from usearch.index import Index

    from sediment_mcp.indexes.filter_mask import FilterMask
    from sediment_mcp.indexes.protocols import ChunkVectors
    from sediment_mcp.indexes.vector_matrix import Part

    Vectors = tuple[NDArray[np.int64], NDArray[np.float32]]
    """Chunk ids of shape (n,), and their unit vectors of shape (n, dimension)."""

SETTINGS = "usearch-3 cos f16 connectivity-16 expansion-64 matrix-1"
CONNECTIVITY, EXPANSION_ADD, MIN_EXPANSION_SEARCH = 16, 64, 256
EXPANSION_SHARE, MAX_EXPANSION_SEARCH = 100, 2048  # in a large index a search visits one vector in so many
REACH_COUNT = 50  # a vector that is not among so many hits of its own search is unreachable
ADD_COUNT = 200  # vectors added between two reports of progress, 0.1 seconds
EXACT_UP_TO = 20_000  # vectors that pass a filter; comparing so many takes 4 ms
OVERFETCH = 2  # above that, HNSW is asked for so many times the hits expected to be enough
COMPARE_COUNT = 8192  # vectors compared at a time, 6 MB


class UsearchIndex:
    """An open snapshot of one model's embeddings.

    ``unreachable`` lists the chunks that HNSW cannot find, ``removed`` those that were removed but whose
    vectors may still be in usearch's file. ``built_seq`` is the change at which the snapshot was last written
    without a base, and ``file`` is usearch's file.
    """

    def __init__(
        self,
        directory: Path,
        fingerprint: str,
        dimension: int,
        *,
        exact_up_to: int = EXACT_UP_TO,
        compare_count: int = COMPARE_COUNT,
    ) -> None:
        """Open the snapshot that the model's pointer names.

        If a mask allows up to ``exact_up_to`` vectors, all are compared, ``compare_count`` at a time.

        Raises:
            DamagedSnapshot: there is none, or it is damaged.
        """
        self._exact_up_to, self._compare_count = exact_up_to, compare_count
        with _translate_damage((OSError, ValueError, KeyError, TypeError, RuntimeError)):
            files = VectorFiles(directory, fingerprint)
            pointer = read_record(files.pointer)
            if pointer["settings"] != SETTINGS or pointer["fingerprint"] != fingerprint:
                raise DamagedSnapshot("The vector index was written with other settings: it is rebuilt.")
            self.snapshot = SnapshotId(int(pointer["seq"]), int(pointer["token"]))
            self.unreachable: list[int] = [int(chunk_id) for chunk_id in pointer["unreachable"]]
            self.removed = {int(chunk_id) for chunk_id in pointer.get("removed", ())}
            self.built_seq = int(pointer.get("built", 0))
            self.file = files.verify(pointer["file"], pointer["crc32"])
            matrix_file = files.verify(pointer["matrix"], pointer["matrix_crc32"])
            self._index = _create_index(dimension)
            self._index.view(str(self.file))
            self._index.expansion_search = _choose_expansion(len(self._index))
            self.matrix = VectorMatrix(matrix_file, dimension)
            if len(self.matrix) != len(self._index):
                raise ValueError(f"{matrix_file.name} does not belong to it")

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self.matrix)

    def count_contained(self, chunk_ids: Iterable[int]) -> int:
        """Return how many of the given chunks are in the snapshot."""
        return len(self.matrix.find_rows(chunk_ids))

    def vectors(self, chunk_ids: Sequence[int]) -> ChunkVectors:
        """Return the vectors of the given chunks that are in the snapshot, in their order."""
        rows = self.matrix.find_rows(chunk_ids)
        return self.matrix.chunk_ids[rows].tolist(), self.matrix.read_rows(rows).astype(np.float32)

    def search(
        self, vector: NDArray[np.float32], limit: int, mask: FilterMask | None = None
    ) -> list[VectorHit]:
        """Return the nearest chunks by cosine, best first; with a mask only those that it allows.

        With a mask the search is exact if HNSW alone would miss some.
        """
        limit = min(limit, len(self))
        if limit < 1:
            return []
        if mask is None:
            return _to_hits(*self._search_hnsw(vector, limit))
        rows = np.flatnonzero(mask.allows(self.matrix.chunk_ids))
        if len(rows) > self._exact_up_to:
            wide = OVERFETCH * limit * len(self) // len(rows)
            chunk_ids, cosines = self._search_hnsw(vector, min(len(self), wide))
            kept = mask.allows(chunk_ids)
            if np.count_nonzero(kept) >= limit:
                return _to_hits(chunk_ids[kept][:limit], cosines[kept][:limit])
        return self._search_rows(vector, limit, rows)

    def _search_hnsw(
        self, vector: NDArray[np.float32], limit: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        found = self._index.search(vector, limit, threads=1)
        return found.keys.astype("int64"), 1 - found.distances

    def _search_rows(
        self, vector: NDArray[np.float32], limit: int, rows: NDArray[np.intp]
    ) -> list[VectorHit]:
        from usearch.index import search

        best_rows: list[NDArray[np.intp]] = [np.empty(0, np.intp)]
        best_cosines: list[NDArray[np.float32]] = [np.empty(0, np.float32)]
        query = vector.astype(np.float16)
        for start in range(0, len(rows), self._compare_count):
            part = rows[start : start + self._compare_count]
            found = search(self.matrix.read_rows(part), query, min(limit, len(part)), exact=True, threads=1)
            best_rows.append(part[found.keys.astype(np.intp)])
            best_cosines.append(1 - found.distances)
        found_rows, cosines = np.concatenate(best_rows), np.concatenate(best_cosines)
        top = select_top(cosines, limit)
        return _to_hits(self.matrix.chunk_ids[found_rows[top]], cosines[top])


class UsearchWriter:
    """The files of one model's vector index.

    All methods but `open` and `stamp` need the index lock.
    """

    def __init__(self, directory: Path, fingerprint: str, dimension: int) -> None:
        self._directory = directory
        self._fingerprint = fingerprint
        self._dimension = dimension
        self.files = VectorFiles(directory, fingerprint)

    @property
    def name(self) -> str:
        """The name of this model's snapshots in the system of record."""
        return f"vectors {self._fingerprint}"

    def stamp(self) -> object:
        """Return a value that changes whenever the snapshot on disk is replaced.

        Raises:
            OSError: there is none.
        """
        return read_stamp(self.files.pointer)

    def open(self) -> UsearchIndex:
        """Open the newest snapshot.

        Raises:
            DamagedSnapshot: there is none, or it is damaged.
        """
        return UsearchIndex(self._directory, self._fingerprint, self._dimension)

    def exists(self) -> bool:
        """Return True if the model has a snapshot, sound or not."""
        return self.files.pointer.exists()

    def built_seq(self) -> int:
        """Return the change at which the snapshot was last written without a base; 0 if unknown.

        The snapshot is not opened.
        """
        try:
            return int(read_record(self.files.pointer).get("built", 0))
        except (OSError, ValueError, TypeError):
            return 0

    def write(
        self,
        base: UsearchIndex | None,
        added: Vectors,
        removed: Iterable[int],
        snapshot: SnapshotId,
        progress: Progress = ignore_progress,
    ) -> None:
        """Write ``snapshot`` from ``base`` or an empty index, and replace the old files.

        The ``removed`` chunks are taken out first. Then ``added`` is added: chunk ids of shape (n,) with unit
        vectors of shape (n, dimension).

        Raises:
            DamagedSnapshot: the base cannot be used, or usearch fails on the given vectors.
            OSError: a file cannot be written.
        """
        with _translate_damage((ValueError, KeyError, RuntimeError)):
            index = _create_index(self._dimension)
            if base is not None:
                index.load(str(base.file))
            taken_out = _remove_chunks(index, removed, added[0])
            unreachable = {
                *(base.unreachable if base is not None else ()),
                *_add_vectors(index, added, progress),
            }
            unreachable = {chunk_id for chunk_id in unreachable if chunk_id in index}
        file, matrix = self._publish_files(index, base, added, snapshot.token)
        pointer = {
            "file": file.name,
            "crc32": calculate_checksum(file),
            "matrix": matrix.name,
            "matrix_crc32": calculate_checksum(matrix),
            "settings": SETTINGS,
            "fingerprint": self._fingerprint,
            "seq": snapshot.seq,
            "token": snapshot.token,
            "unreachable": sorted(unreachable),
            "removed": sorted(taken_out | (base.removed if base is not None else set())),
            "built": base.built_seq if base is not None else snapshot.seq,
        }
        write_record(self.files.pointer, pointer)
        self.files.remove_old({file.name, matrix.name})

    def _publish_files(
        self, index: Index, base: UsearchIndex | None, added: Vectors, token: int
    ) -> tuple[Path, Path]:
        """Write usearch's file and the matrix under the names of this snapshot, durably."""
        file, matrix = self.files.of_snapshot(token)
        _save_index(index, get_temporary_path(file))
        write_matrix(get_temporary_path(matrix), _select_parts(index, base, added), self._dimension)
        for path in (file, matrix):
            make_private(get_temporary_path(path))
            publish(get_temporary_path(path), path)
        return file, matrix

    def remove(self) -> None:
        """Delete the model's snapshot; until there is a new one, search is exact."""
        self.files.pointer.unlink(missing_ok=True)
        self.files.remove_old(())


def _remove_chunks(index: Index, removed: Iterable[int], replaced: NDArray[np.int64]) -> set[int]:
    """Take the ``removed`` and ``replaced`` chunks out of the index.

    Returns those of the removed chunks that were in it.
    """
    taken_out = {chunk_id for chunk_id in removed if chunk_id in index}
    for chunk_id in [*taken_out, *replaced.tolist()]:
        if chunk_id in index:
            index.remove(chunk_id)
    return taken_out


def _add_vectors(index: Index, added: Vectors, progress: Progress) -> list[int]:
    """Add vectors, then search for each, and return the chunks that cannot be found."""
    chunk_ids, vectors = added
    total = len(chunk_ids)
    parts = [slice(start, min(start + ADD_COUNT, total)) for start in range(0, total, ADD_COUNT)]
    for part in parts:
        index.add(chunk_ids[part].astype("uint64"), vectors[part], threads=1)
        progress(part.stop // 2, total)
    unreachable: list[int] = []
    for part in parts:
        unreachable += _find_unreachable(index, chunk_ids[part], vectors[part])
        progress((total + part.stop) // 2, total)
    return unreachable


def _find_unreachable(index: Index, chunk_ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> list[int]:
    """Return the chunks that a search for their own embedding does not find."""
    # A narrow search takes a quarter of the time and finds nearly all. A wider one visits all that a narrow
    # one does, so it is needed only for the rest, and for vectors with so many equals that it may find
    # others.
    count = min(REACH_COUNT, len(index))
    index.expansion_search = count
    found = index.search(vectors, count, threads=1)  # the result for a single vector has another shape
    index.expansion_search = MIN_EXPANSION_SEARCH
    keys, distances = found.keys.reshape(-1, count), found.distances.reshape(-1, count)
    is_there = (keys == chunk_ids[:, None]).any(axis=1) & (distances[:, -1] > distances[:, 0])
    return [
        int(chunk_id)
        for chunk_id, vector in zip(chunk_ids[~is_there], vectors[~is_there], strict=True)
        if int(chunk_id) not in index.search(vector, count, threads=1).keys
    ]


def _save_index(index: Index, path: Path) -> None:
    """Save the index, and tell a full disk from other failures.

    usearch reports every failure of the disk alike, so the free space is checked.

    Raises:
        DamagedSnapshot: saving failed although there is space.
        OSError: the disk is full.
    """
    try:
        with _translate_damage((RuntimeError, ValueError)):
            index.save(str(path))
    except DamagedSnapshot as error:
        written = path.stat().st_size if path.exists() else 0
        if written + shutil.disk_usage(path.parent).free < index.serialized_length:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


def _select_parts(index: Index, base: UsearchIndex | None, added: Vectors) -> list[Part]:
    """Return the parts of the new matrix: the added vectors, and those kept from the base."""
    chunk_ids, vectors = added
    added_part: Part = chunk_ids, vectors.__getitem__
    if base is None or not len(base):
        return [added_part]
    is_kept = np.asarray(index.contains(base.matrix.chunk_ids.astype(np.uint64)))
    rows = np.flatnonzero(is_kept & ~np.isin(base.matrix.chunk_ids, chunk_ids))
    return [added_part, base.matrix.select_part(rows)]


def _create_index(dimension: int) -> Index:
    from usearch.index import Index

    return Index(
        ndim=dimension,
        metric="cos",
        dtype="f16",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=MIN_EXPANSION_SEARCH,
    )


def _choose_expansion(count: int) -> int:
    """Return the search expansion for an index of so many vectors.

    It grows with the index, because a fixed one finds ever less of a large index.
    """
    # Recall@10 at 300,000 is .91 with 256 and .99 with 2,048, which costs 3 ms more.
    return max(MIN_EXPANSION_SEARCH, min(MAX_EXPANSION_SEARCH, count // EXPANSION_SHARE))


def _to_hits(chunk_ids: NDArray[np.int64], cosines: NDArray[np.float32]) -> list[VectorHit]:
    return list(map(VectorHit, chunk_ids.tolist(), cosines.tolist()))


@contextlib.contextmanager
def _translate_damage(errors: tuple[type[Exception], ...]) -> Generator[None]:
    """Raise DamagedSnapshot for these errors: the snapshot is rebuilt."""
    try:
        yield
    except errors as error:
        raise DamagedSnapshot(f"The vector index cannot be used ({error}): it is rebuilt.") from error
