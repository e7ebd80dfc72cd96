"""Name, verify and delete the files of one model's vector index in a data directory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.indexes.vector_matrix import calculate_checksum


class VectorFiles:
    """The files of one model: a pointer, and usearch's file and the matrix of each snapshot.

    Their names differ from those of version 0.1.0, so that a server of that version may run beside this one:
    neither treats the other's snapshot as a damaged one of its own.
    """

    def __init__(self, directory: Path, fingerprint: str) -> None:
        self._directory = directory
        self._stem = f"vectors-2-{fingerprint[:12]}"
        self._earlier_stem = f"vectors-{fingerprint[:12]}"

    @property
    def pointer(self) -> Path:
        """The file that names the newest snapshot."""
        return self._directory / f"{self._stem}.json"

    def of_snapshot(self, token: int) -> tuple[Path, Path]:
        """Return the paths of a new snapshot's index and matrix."""
        path = self._directory / f"{self._stem}-{token:016x}.usearch"
        return path, path.with_suffix(".npy")

    def verify(self, name: str, checksum: int) -> Path:
        """Return a snapshot's file of this name.

        Raises:
            DamagedSnapshot: its content differs from what was written.
            OSError: it cannot be read.
        """
        file = self._directory / Path(name).name
        if calculate_checksum(file) != checksum:
            raise DamagedSnapshot(f"The vector index's file {file.name} is damaged: it is rebuilt.")
        return file

    def remove_old(self, current: Iterable[str]) -> None:
        """Delete all files but the ``current`` ones, unfinished ones included.

        Readers keep the files that they have mapped.
        """
        files = self._directory.glob(f"{self._stem}-*")
        _delete(file for file in files if file.name not in current)
        self.remove_earlier_format()

    def has_earlier_format(self) -> bool:
        """Return True if there are files of version 0.1.0, which this version does not read."""
        return any(self._directory.glob(f"{self._earlier_stem}*"))

    def remove_earlier_format(self) -> None:
        """Delete files of version 0.1.0."""
        _delete(self._directory.glob(f"{self._earlier_stem}*"))


def get_temporary_path(path: Path) -> Path:
    """Return the path under which a file is written before it is renamed."""
    return path.with_name(f"{path.name}.tmp")


def _delete(files: Iterable[Path]) -> None:
    for file in files:
        with contextlib.suppress(OSError):  # Windows keeps a mapped file; the next snapshot tries again
            file.unlink()
