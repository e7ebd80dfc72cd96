"""The vector index: HNSW over embeddings, in a usearch snapshot that is immutable once it has its name.

A pointer file ``vectors-<model>.json`` names the snapshot and carries its sequence, token and checksum.
The settings are those that measurements chose: float16 loses nothing on real embeddings, connectivity 16
and expansion 64 are the knee of build time against recall, and expansion 256 or more is spent on search.

usearch's edges, all met in practice: what is removed may leave its vector in the file; ``save`` truncates
in place without a sync, and whoever has the file mapped dies, so a snapshot is written beside and renamed;
one flipped bit can crash a reader, so its checksum is verified first; the search expansion is not stored;
HNSW can fail to reach a stored vector at all, so those are listed in the pointer and searched exactly by the
tail; and it cannot search among a chosen few, so these are compared in the file's own matrix (the numbers of
rows and of bytes in each, then the rows), behind which, after usearch's part, stands the chunk of each row.
Its Linux wheel brings a C++ library of its own, and onnxruntime crashes when it is imported after that: so
this module imports usearch on first use, which is when there is a model, never before.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.system.files import make_private, publish, read_record, stamp, write_record
from sediment_mcp.system.progress import Progress, unwatched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from usearch.index import Index

    Rows = tuple[list[int], NDArray[np.float32]]  # chunks, and their vectors of shape (n, dimension)

SETTINGS = "usearch-3 cos f16 connectivity-16 expansion-64"
CONNECTIVITY, EXPANSION_ADD, EXPANSION_SEARCH = 16, 64, 256
EXPANSION_SHARE, EXPANSION_MOST = 100, 2048  # of a large index a search visits this part: see `_expansion`
REACH = 50  # a vector that its own embedding does not find among so many is unreachable
READ_BYTES = 1 << 20
BATCH = 200  # vectors between two reports of progress, a tenth of a second
EXACTLY = 20_000  # vectors that a filter leaves; so many are compared in 4 ms
OVERFETCH = 2  # beyond that HNSW is asked for so many times what should hold enough
COMPARED = 8192  # vectors at a time, 6 MB
HEADER = 8  # bytes before the matrix


@dataclass(frozen=True, slots=True)
class VectorHit:
    chunk: int
    cosine: float


class VectorIndex:
    """An open snapshot of one model's embeddings. ``unreachable`` lists the chunks that HNSW cannot find,
    ``removed`` those that were taken out but whose vectors may still be in the file, and ``built`` is the
    change from which it was written anew."""

    def __init__(self, directory: Path, fingerprint: str, dimension: int) -> None:
        """Open the snapshot that the model's pointer names.

        Raises:
            DamagedSnapshot: there is none, or it cannot be trusted.
        """
        path = _pointer(directory, fingerprint)
        try:
            pointer = read_record(path)
            if pointer["settings"] != SETTINGS or pointer["fingerprint"] != fingerprint:
                raise DamagedSnapshot("The vector index was written with other settings: it is rebuilt.")
            file = directory / Path(pointer["file"]).name
            if _checksum(file) != pointer["crc32"]:
                raise DamagedSnapshot(f"The vector index's file {file.name} is damaged: it is rebuilt.")
            self._index = _new_index(dimension)
            self._index.view(str(file))
            self._index.expansion_search = _expansion(len(self._index))
            self._matrix = _matrix(file)
            self._chunks = _chunks_by_row(file, len(self._matrix))
            self.seq, self.token = int(pointer["seq"]), int(pointer["token"])
            self.unreachable: list[int] = [int(chunk) for chunk in pointer["unreachable"]]
            self.removed = {int(chunk) for chunk in pointer.get("removed", ())}
            self.built = int(pointer.get("built", 0))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise DamagedSnapshot(f"The vector index cannot be used ({error}): it is rebuilt.") from error

    @property
    def count(self) -> int:
        return len(self._index)

    def held(self, chunks: Iterable[int]) -> int:
        """How many of these chunks the snapshot holds."""
        import numpy as np

        keys = np.fromiter(chunks, np.uint64)
        return int(np.count_nonzero(self._index.contains(keys))) if len(keys) else 0

    def rows(self, chunks: Sequence[int]) -> Rows:
        """The vectors of those of these chunks that the snapshot holds."""
        import numpy as np

        wanted = np.array(chunks, np.int64)
        rows = self._rows.take(wanted, mode="clip")
        held = rows >= 0
        return wanted[held].tolist(), self._matrix[rows[held]].astype(np.float32)

    @functools.cached_property
    def _rows(self) -> NDArray[np.int32]:
        """The row of each chunk by its number, -1 for those that are not held, first and last among them."""
        import numpy as np

        rows = np.full(int(self._chunks.max(initial=0)) + 2, -1, np.int32)
        rows[self._chunks] = np.arange(len(self._chunks))
        rows[0] = -1
        return rows

    def search(
        self, vector: NDArray[np.float32], limit: int, admitted: NDArray[np.bool_] | None = None
    ) -> list[VectorHit]:
        """The nearest chunks by cosine, best first; with ``admitted`` (see `columns`) only those for whose
        number it holds, exactly where HNSW alone would miss some."""
        limit = min(limit, self.count)
        if limit < 1:
            return []
        if admitted is None:
            return _hits(*self._nearest(vector, limit))
        import numpy as np

        rows = np.flatnonzero(admitted.take(self._chunks, mode="clip"))
        if len(rows) > EXACTLY:
            wide = OVERFETCH * limit * len(self._chunks) // len(rows)
            chunks, cosines = self._nearest(vector, min(self.count, wide))
            kept = admitted.take(chunks, mode="clip")
            if np.count_nonzero(kept) >= limit:
                return _hits(chunks[kept][:limit], cosines[kept][:limit])
        return self._exactly(vector, limit, rows)

    def _nearest(
        self, vector: NDArray[np.float32], limit: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        found = self._index.search(vector, limit, threads=1)
        return found.keys.astype("int64"), 1 - found.distances

    def _exactly(self, vector: NDArray[np.float32], limit: int, rows: NDArray[np.intp]) -> list[VectorHit]:
        import numpy as np
        from usearch.index import search

        places: list[NDArray[np.intp]] = [np.empty(0, np.intp)]
        cosines: list[NDArray[np.float32]] = [np.empty(0, np.float32)]
        asked = vector.astype(np.float16)
        for start in range(0, len(rows), COMPARED):
            part = rows[start : start + COMPARED]
            compared = self._matrix[part]
            found = search(compared, asked, min(limit, len(part)), exact=True, threads=1)
            places.append(part[found.keys.astype(np.intp)])
            cosines.append(1 - found.distances)
        place, cosine = np.concatenate(places), np.concatenate(cosines)
        top = best(cosine, limit)
        return _hits(self._chunks[place[top]], cosine[top])


def _hits(chunks: NDArray[np.int64], cosines: NDArray[np.float32]) -> list[VectorHit]:
    return list(map(VectorHit, chunks.tolist(), cosines.tolist()))


def best(scores: NDArray[np.float32], limit: int) -> NDArray[np.intp]:
    """The places of the highest scores, highest first."""
    import numpy as np

    if limit < len(scores):
        top = np.argpartition(-scores, limit - 1)[:limit]
        return top[np.argsort(-scores[top], kind="stable")]
    return np.argsort(-scores, kind="stable")


def stamp_of(directory: Path, fingerprint: str) -> object:
    """What tells the snapshot on disk from the one before; raises OSError without one."""
    return stamp(_pointer(directory, fingerprint))


def built_at(directory: Path, fingerprint: str) -> int:
    """The change from which the snapshot was written anew, without opening it; 0 if nobody knows."""
    try:
        return int(_read_pointer(directory, fingerprint).get("built", 0))
    except (OSError, ValueError, TypeError):
        return 0


def is_there(directory: Path, fingerprint: str) -> bool:
    """Whether the model has a snapshot, sound or not."""
    return _pointer(directory, fingerprint).exists()


def write_snapshot(
    directory: Path,
    base: VectorIndex | None,
    vectors: tuple[NDArray[np.int64], NDArray[np.float32]],
    removed: Iterable[int],
    *,
    fingerprint: str,
    seq: int,
    token: int,
    progress: Progress = unwatched,
) -> None:
    """Bring ``base`` to ``seq`` and put the new snapshot in its place: forget the ``removed`` chunks, then
    add ``vectors``, chunk numbers of shape (n,) with unit vectors of shape (n, dimension). The caller holds
    the index lock."""
    chunks, matrix = vectors
    index = _new_index(matrix.shape[1])
    if base is not None:
        index.load(str(directory / _read_pointer(directory, fingerprint)["file"]))
    taken_out = set(base.removed) if base else set[int]()
    for chunk in removed:
        if chunk in index:
            index.remove(chunk)
            taken_out.add(chunk)
    for chunk in chunks.tolist():
        if chunk in index:
            index.remove(chunk)
    unreachable = base.unreachable if base else []
    for start in range(0, len(chunks), BATCH):
        part = slice(start, start + BATCH)
        index.add(chunks[part].astype("uint64"), matrix[part], threads=1)
        progress(min(start + BATCH, len(chunks)) // 2, len(chunks))
    for start in range(0, len(chunks), BATCH):
        part = slice(start, start + BATCH)
        unreachable = [*unreachable, *_unreachable(index, chunks[part], matrix[part])]
        progress((len(chunks) + min(start + BATCH, len(chunks))) // 2, len(chunks))
    file = directory / f"{_stem(fingerprint)}-{token:016x}.usearch"
    temporary = file.with_suffix(".tmp")
    index.save(str(temporary))
    chunks_of_rows = _chunks_of_rows(index, _matrix(temporary))
    with temporary.open("ab") as end:
        end.write(chunks_of_rows.tobytes())
    make_private(temporary)
    publish(temporary, file)
    pointer = {
        "file": file.name,
        "settings": SETTINGS,
        "fingerprint": fingerprint,
        "seq": seq,
        "token": token,
        "crc32": _checksum(file),
        "unreachable": sorted({chunk for chunk in unreachable if chunk in index}),
        "removed": sorted(taken_out),
        "built": base.built if base else seq,
    }
    write_record(_pointer(directory, fingerprint), pointer)
    remove_old(directory, fingerprint)


def _unreachable(index: Index, chunks: NDArray[np.int64], matrix: NDArray[np.float32]) -> list[int]:
    """Those whose own embedding does not find them. Nearly all are found by a narrow search, four times as
    cheap; a wider one visits all that a narrower does, so only the others need it, and those with so many
    equals that a wider one may find others in their place."""
    if not len(chunks):
        return []
    count = min(REACH, len(index))
    index.expansion_search = count
    found = index.search(matrix, count, threads=1)  # one vector alone has a result of other shape
    index.expansion_search = EXPANSION_SEARCH
    keys, distances = found.keys.reshape(-1, count), found.distances.reshape(-1, count)
    is_there = (keys == chunks[:, None]).any(axis=1) & (distances[:, -1] > distances[:, 0])
    return [
        int(chunk)
        for chunk, vector in zip(chunks[~is_there], matrix[~is_there], strict=True)
        if int(chunk) not in index.search(vector, count, threads=1).keys
    ]


def _matrix(file: Path) -> NDArray[np.float16]:
    """The vectors as they lie in usearch's file, mapped; rows that were taken out lie there too.

    Raises:
        ValueError: this is not how it is laid out.
    """
    import numpy as np

    rows, size = np.fromfile(file, "<u4", 2).tolist()
    if HEADER + rows * size > file.stat().st_size:
        raise ValueError("it ends before its vectors do")
    if rows == 0:
        return np.empty((0, size // 2), "<f2")
    return np.memmap(file, "<f2", "r", offset=HEADER, shape=(rows, size // 2))


def _chunks_by_row(file: Path, rows: int) -> NDArray[np.int64]:
    """The chunk of each row of the matrix, 0 for those that hold none."""
    import numpy as np

    return np.fromfile(file, "<i8", rows, offset=file.stat().st_size - 8 * rows)


def _chunks_of_rows(index: Index, matrix: NDArray[np.float16]) -> NDArray[np.int64]:
    """The chunk of each row, found by its vector, because usearch does not tell; 0 for rows that hold none.
    Of equal vectors it does not matter which is which."""
    import numpy as np

    rows: dict[int, list[int]] = {}
    for row, vector in enumerate(matrix):
        rows.setdefault(hash(vector.tobytes()), []).append(row)
    chunks, keys = np.zeros(len(matrix), "<i8"), np.asarray(index.keys, np.uint64)
    for start in range(0, len(keys), BATCH):
        part = keys[start : start + BATCH]
        vectors = np.asarray(index.get(part), "<f2")
        for chunk, vector in zip(part.tolist(), vectors, strict=True):
            chunks[rows[hash(vector.tobytes())].pop()] = chunk
    return chunks


def _expansion(count: int) -> int:
    """How widely to search among so many: a fixed width loses what it must not as an index grows (recall@10
    at 300,000 is .91 with 256 and .99 with 2,048, which costs 3 ms more)."""
    return max(EXPANSION_SEARCH, min(EXPANSION_MOST, count // EXPANSION_SHARE))


def _new_index(dimension: int) -> Index:
    from usearch.index import Index

    return Index(
        ndim=dimension,
        metric="cos",
        dtype="f16",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=EXPANSION_SEARCH,
    )


def remove(directory: Path, fingerprint: str) -> None:
    """Delete the model's snapshot, so that its embeddings are searched exactly until there is a new one."""
    _pointer(directory, fingerprint).unlink(missing_ok=True)
    _remove_files(directory, fingerprint, but=None)


def remove_old(directory: Path, fingerprint: str) -> None:
    """Delete the model's snapshots that the pointer does not name, half-written ones too; readers keep what
    they have mapped."""
    _remove_files(directory, fingerprint, but=_read_pointer(directory, fingerprint)["file"])


def _remove_files(directory: Path, fingerprint: str, but: str | None) -> None:
    for file in directory.glob(f"{_stem(fingerprint)}-*"):
        if file.name != but:
            try:
                file.unlink()
            except OSError:
                continue  # Windows keeps a mapped file; the next snapshot tries again


def _read_pointer(directory: Path, fingerprint: str) -> dict[str, Any]:
    return read_record(_pointer(directory, fingerprint))


def _pointer(directory: Path, fingerprint: str) -> Path:
    return directory / f"{_stem(fingerprint)}.json"


def _stem(fingerprint: str) -> str:
    return f"vectors-{fingerprint[:12]}"


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            checksum = zlib.crc32(block, checksum)
    return checksum
