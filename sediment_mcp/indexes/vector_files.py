"""Name and delete the files of one model's vector index, and say of which kind they are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from sediment_mcp.indexes.array_files import ArrayFiles, EncryptedArrayFiles, PlainArrayFiles
from sediment_mcp.system.directory_encryption import DirectoryEncryption


class VectorFiles:
    """The files of one model: a pointer, and the codes and the matrix of each snapshot.

    Their names differ from those of earlier formats, so that a server of an earlier version may run beside
    this one: neither treats the other's snapshot as a damaged one of its own.
    """

    def __init__(
        self, directory: Path, fingerprint: str, encryption: DirectoryEncryption | None = None
    ) -> None:
        """Name files in a directory of this encryption; without one, of the directory's own."""
        self._directory = directory
        self._encryption = encryption or DirectoryEncryption(directory)
        name = fingerprint[:12]
        self._stem = f"vectors-3-{name}"
        self._earlier_stems = (f"vectors-2-{name}", f"vectors-{name}")

    @property
    def is_encrypted(self) -> bool:
        """Whether the files are now to be encrypted; those of the other kind are not used any more."""
        return self._encryption.encrypts

    @property
    def kind(self) -> ArrayFiles:
        """What writes and reads files of the kind that they are now to be of."""
        return EncryptedArrayFiles(self._encryption) if self.is_encrypted else PlainArrayFiles()

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


def _delete(files: Iterable[Path]) -> None:
    for file in files:
        with contextlib.suppress(OSError):  # Windows keeps a mapped file; the next snapshot tries again
            file.unlink()
