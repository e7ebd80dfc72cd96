"""Name, write, map and delete the files of one model's vector index in a data directory.

Both files of a snapshot are arrays in NumPy's ``.npy`` format. What the header must be is known from the
pointer, so it is compared instead of parsed, and mapping a file takes the same time whatever its size.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class VectorFiles:
    """The files of one model: a pointer, and the codes and the matrix of each snapshot.

    Their names differ from those of earlier formats, so that a server of an earlier version may run beside
    this one: neither treats the other's snapshot as a damaged one of its own.
    """

    def __init__(self, directory: Path, fingerprint: str) -> None:
        self._directory = directory
        name = fingerprint[:12]
        self._stem = f"vectors-3-{name}"
        self._earlier_stems = (f"vectors-2-{name}", f"vectors-{name}")

    @property
    def pointer(self) -> Path:
        """The file that names the newest snapshot."""
        return self._directory / f"{self._stem}.json"

    def of_snapshot(self, token: int) -> tuple[Path, Path]:
        """Return the paths of a new snapshot's codes and matrix."""
        path = self._directory / f"{self._stem}-{token:016x}.codes"
        return path, path.with_suffix(".npy")

    def find(self, name: str) -> Path:
        """Return the path of a snapshot's file of this name, which cannot lead out of the directory."""
        return self._directory / Path(name).name

    def remove_old(self, current: Iterable[str]) -> None:
        """Delete all files but the ``current`` ones, unfinished ones included.

        Readers keep the files that they have mapped.
        """
        files = self._directory.glob(f"{self._stem}-*")
        _delete(file for file in files if file.name not in current)
        self.remove_earlier_formats()

    def has_earlier_format(self) -> bool:
        """Return True if there are files of an earlier format, which this version does not read."""
        return any(self._glob_earlier_formats())

    def remove_earlier_formats(self) -> None:
        """Delete files of earlier formats."""
        _delete(self._glob_earlier_formats())

    def _glob_earlier_formats(self) -> list[Path]:
        return [file for stem in self._earlier_stems for file in self._directory.glob(f"{stem}*")]


def get_temporary_path(path: Path) -> Path:
    """Return the path under which a file is written before it is renamed."""
    return path.with_name(f"{path.name}.tmp")


def build_header(record_type: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return the header of a ``.npy`` file; its length does not depend on the first axis."""
    header = {
        "descr": np.lib.format.dtype_to_descr(record_type), "fortran_order": False, "shape": shape,
    }  # fmt: skip
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def map_array(path: Path, record_type: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Map a file that holds an array of this type and shape.

    Raises:
        OSError: it cannot be read.
        ValueError: it is a file of something else, or of another length.
    """
    header = build_header(record_type, shape)
    with path.open("rb") as file:
        if file.read(len(header)) != header:
            raise ValueError(f"{path.name} does not hold what the pointer says")
        size = file.seek(0, io.SEEK_END) - len(header)
        if size != record_type.itemsize * int(np.prod(shape)):
            raise ValueError(f"{path.name} has lost a part")
        if not size:  # nothing cannot be mapped
            return np.empty(shape, record_type)
        mapped = np.memmap(file, record_type, mode="r", offset=len(header), shape=shape)
        return mapped.view(np.ndarray)  # each slice of a memmap costs microseconds more


def _delete(files: Iterable[Path]) -> None:
    for file in files:
        with contextlib.suppress(OSError):  # Windows keeps a mapped file; the next snapshot tries again
            file.unlink()
