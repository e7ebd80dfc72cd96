"""The text index of an encrypted data directory: one file, read into memory when opened.

Tantivy can only open an index that lies open on a disk. So the words are kept as arrays (`term_arrays`),
which are read and decrypted in tens of milliseconds, and written whole each time: nothing that was taken out
is left in the file.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sediment_mcp.errors import DamagedFile, DamagedSnapshot
from sediment_mcp.indexes.analyzer import ANALYZER_NAME
from sediment_mcp.indexes.array_files import view_bytes
from sediment_mcp.indexes.index_files import ENCRYPTED_TEXT
from sediment_mcp.indexes.protocols import IndexedChunk
from sediment_mcp.indexes.term_arrays import ARRAYS, TermArrays, TermSearch, build_arrays, merge_arrays
from sediment_mcp.storage.table_protocols import SnapshotId
from sediment_mcp.system.encrypted_file import EncryptedReader, EncryptedWriter
from sediment_mcp.system.files import open_replacement, read_stamp

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sediment_mcp.system.directory_encryption import DirectoryEncryption

SETTINGS = f"terms-1 {ANALYZER_NAME}"
SIZE_BYTES = 8  # of the number that says how long the description of the arrays is


class EncryptedTextIndex(TermSearch):
    """An open snapshot, which does not change when others write a new one."""

    def __init__(self, directory: Path, encryption: DirectoryEncryption) -> None:
        """Read the snapshot.

        Raises:
            DamagedSnapshot: there is none, or it is damaged.
            KeyUnavailable: there is no key.
        """
        with _translate_damage(), (directory / ENCRYPTED_TEXT).open("rb") as file:
            reader = EncryptedReader(file, encryption, ENCRYPTED_TEXT)
            about = _read_description(reader)
            self.snapshot = SnapshotId(int(about["seq"]), int(about["token"]))
            super().__init__(TermArrays(**{name: _read_array(reader, *about[name]) for name in ARRAYS}))
            reader.finish()


class EncryptedTextWriter:
    """The file of the text index in an encrypted data directory.

    All methods but `open` and `stamp` need the index lock.
    """

    def __init__(self, directory: Path, encryption: DirectoryEncryption) -> None:
        self._directory, self._encryption = directory, encryption
        self._path = directory / ENCRYPTED_TEXT

    def stamp(self) -> tuple[int, int, int]:
        """Return a value that changes whenever the snapshot on disk is replaced.

        Raises:
            OSError: there is none.
        """
        return read_stamp(self._path)

    def open(self) -> EncryptedTextIndex:
        """Open the newest snapshot.

        Raises:
            DamagedSnapshot: there is none, or it is damaged.
        """
        return EncryptedTextIndex(self._directory, self._encryption)

    def exists(self) -> bool:
        """Return True if there is a snapshot, sound or not."""
        return self._path.exists()

    def built_seq(self) -> int:
        """Return the change that the snapshot has reached; 0 if unknown.

        It is written whole each time, so nothing that was erased before is in the file.
        """
        with contextlib.suppress(DamagedSnapshot), _translate_damage(), self._path.open("rb") as file:
            return int(_read_description(EncryptedReader(file, self._encryption, ENCRYPTED_TEXT))["seq"])
        return 0

    def write(
        self,
        base: EncryptedTextIndex | None,
        added: Iterable[IndexedChunk],
        removed: Iterable[int],
        snapshot: SnapshotId,
    ) -> None:
        """Write ``snapshot`` from ``base``, or from an empty index; see `IndexWriter.write`."""
        arrays = build_arrays(added)
        if base is not None:
            arrays = merge_arrays(base.arrays, removed, arrays)
        columns: dict[str, NDArray[Any]] = {name: getattr(arrays, name) for name in ARRAYS}
        about: dict[str, Any] = {name: (array.dtype.str, array.shape) for name, array in columns.items()}
        about |= {"settings": SETTINGS, "seq": snapshot.seq, "token": snapshot.token}
        description = json.dumps(about).encode()
        with open_replacement(self._path) as file:
            writer = EncryptedWriter(file, self._encryption, ENCRYPTED_TEXT)
            writer.write(len(description).to_bytes(SIZE_BYTES, "little") + description)
            for array in columns.values():
                writer.write(view_bytes(array))
            writer.finish()
        self._remove_unfinished()

    def remove(self) -> None:
        """Delete the snapshot."""
        self._path.unlink(missing_ok=True)
        self._remove_unfinished()

    def _remove_unfinished(self) -> None:
        for file in self._directory.glob(f"{ENCRYPTED_TEXT}.*"):  # of a process that was killed
            file.unlink(missing_ok=True)


def _read_description(reader: EncryptedReader) -> dict[str, Any]:
    size = int.from_bytes(reader.read(SIZE_BYTES), "little")
    about: dict[str, Any] = json.loads(reader.read(size))
    if about["settings"] != SETTINGS:
        raise DamagedSnapshot("The text index was written with other settings: it is rebuilt.")
    return about


def _read_array(reader: EncryptedReader, dtype: str, shape: list[int]) -> NDArray[Any]:
    array = np.empty(shape, dtype)
    reader.read_into(view_bytes(array))
    return array


@contextlib.contextmanager
def _translate_damage() -> Generator[None]:
    """Raise DamagedSnapshot if the file is missing, damaged or malformed."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, DamagedFile) as error:
        raise DamagedSnapshot(f"The text index cannot be used ({error}): it is rebuilt.") from error
