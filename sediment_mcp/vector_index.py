"""The vector index: HNSW over embeddings, in a usearch snapshot that is immutable once it has its name.

A pointer file ``vectors-<model>.json`` names the snapshot and carries its sequence, token and checksum.
The settings are those that measurements chose: float16 loses nothing on real embeddings, connectivity 16
and expansion 64 are the knee of build time against recall, and expansion 256 is spent on search.

usearch's edges, all met in practice: what is removed may leave its vector in the file; ``save`` truncates
in place without a sync, and whoever has the file mapped dies, so a snapshot is written beside and renamed;
one flipped bit can crash a reader, so its checksum is verified first; the search expansion is not stored;
and HNSW can fail to reach a stored vector at all, so those are listed in the pointer and searched exactly
by the tail. Its Linux wheel brings a C++ library of its own, and onnxruntime crashes when it is imported
after that: so this module imports usearch on first use, which is when there is a model, never before.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DamagedSnapshot
from .files import make_private, publish, stamp, write_atomically
from .progress import Progress, unwatched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from usearch.index import Index

SETTINGS = "usearch-2 cos f16 connectivity-16 expansion-64"
CONNECTIVITY, EXPANSION_ADD, EXPANSION_SEARCH = 16, 64, 256
REACH = 50  # a vector that its own embedding does not find among so many is unreachable
READ_BYTES = 1 << 20
BATCH = 200  # vectors between two reports of progress, a tenth of a second
OVERFETCH = 4  # a filtered search first asks for so many times what it needs


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
            pointer: dict[str, Any] = json.loads(path.read_bytes())
            if pointer["settings"] != SETTINGS or pointer["fingerprint"] != fingerprint:
                raise DamagedSnapshot("The vector index was written with other settings: it is rebuilt.")
            file = directory / Path(pointer["file"]).name
            if _checksum(file) != pointer["crc32"]:
                raise DamagedSnapshot(f"The vector index's file {file.name} is damaged: it is rebuilt.")
            self._index = _new_index(dimension)
            self._index.view(str(file))
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

    def search(
        self, vector: NDArray[np.float32], limit: int, admitted: NDArray[np.int64] | None = None
    ) -> list[VectorHit]:
        """The nearest chunks by cosine, best first; with ``admitted`` only those among its chunk numbers,
        exactly where HNSW alone would miss some."""
        limit = min(limit, self.count)
        if limit < 1:
            return []
        if admitted is None:
            return self._nearest(vector, limit)
        allowed = set(admitted.tolist())
        wide = self._nearest(vector, min(self.count, limit * OVERFETCH))
        hits = [hit for hit in wide if hit.chunk in allowed][:limit]
        return hits if len(hits) == limit else self._exactly(vector, limit, admitted)

    def _nearest(self, vector: NDArray[np.float32], limit: int) -> list[VectorHit]:
        found = self._index.search(vector, limit, threads=1)
        return [
            VectorHit(int(key), 1.0 - float(distance))
            for key, distance in zip(found.keys, found.distances, strict=True)
        ]

    def _exactly(
        self, vector: NDArray[np.float32], limit: int, admitted: NDArray[np.int64]
    ) -> list[VectorHit]:
        import numpy as np

        keys = admitted.astype(np.uint64)
        keys = keys[self._index.contains(keys)]
        if not len(keys):
            return []
        cosines = np.asarray(self._index.get(keys), dtype=np.float32) @ vector
        return [VectorHit(int(keys[row]), float(cosines[row])) for row in best(cosines, limit)]


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
    except (OSError, ValueError, TypeError, AttributeError):
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
    write_atomically(_pointer(directory, fingerprint), json.dumps(pointer).encode())
    remove_old(directory, fingerprint)


def _unreachable(index: Index, chunks: NDArray[np.int64], matrix: NDArray[np.float32]) -> list[int]:
    return [
        int(chunk)
        for chunk, vector in zip(chunks, matrix, strict=True)
        if int(chunk) not in index.search(vector, min(REACH, len(index)), threads=1).keys
    ]


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
    return json.loads(_pointer(directory, fingerprint).read_bytes())


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
