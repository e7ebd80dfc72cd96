"""The text index of a data directory, of the kind that is due: tantivy's, or encrypted.

When a directory is encrypted or decrypted beside running servers, what is there of the other kind is not used
any more, and deleted once there is a snapshot of the right one.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.indexes.index_files import ENCRYPTED_TEXT
from sediment_mcp.indexes.protocols import IndexedChunk
from sediment_mcp.indexes.segment_checksums import verify_checksums
from sediment_mcp.indexes.tantivy_index import INDEX_NAME, POINTER, TantivyIndex, TantivyWriter
from sediment_mcp.storage.table_protocols import SnapshotId

if TYPE_CHECKING:
    from sediment_mcp.indexes.encrypted_text_index import EncryptedTextIndex, EncryptedTextWriter
    from sediment_mcp.system.directory_encryption import DirectoryEncryption

    StoredTextIndex = TantivyIndex | EncryptedTextIndex
    """An open snapshot of either kind."""


class TextWriter:
    """The files of the text index in a data directory, of either kind.

    All methods but `open` and `stamp` need the index lock.
    """

    name = INDEX_NAME

    def __init__(self, directory: Path, encryption: DirectoryEncryption) -> None:
        self._directory, self._encryption = directory, encryption
        self._plain = TantivyWriter(directory)

    @functools.cached_property
    def _encrypted(self) -> EncryptedTextWriter:
        from sediment_mcp.indexes.encrypted_text_index import EncryptedTextWriter  # for those who encrypt

        return EncryptedTextWriter(self._directory, self._encryption)

    @property
    def _has_encrypted(self) -> bool:
        return (self._directory / ENCRYPTED_TEXT).exists()

    @property
    def is_encrypted(self) -> bool:
        """Whether the index is now to be encrypted, and so written whole each time."""
        return self._encryption.encrypts

    @property
    def _current(self) -> TantivyWriter | EncryptedTextWriter:
        return self._encrypted if self.is_encrypted else self._plain

    def stamp(self) -> Hashable:
        """Return a value that changes with the snapshot on disk, and with the kind it is to be of.

        Raises:
            OSError or ValueError: there is none.
        """
        current = self._current
        return current is self._plain, current.stamp()

    def open(self) -> StoredTextIndex:
        """Open the newest snapshot of the right kind.

        Raises:
            DamagedSnapshot: there is none, or it is damaged.
        """
        return self._current.open()

    def has_snapshot(self) -> bool:
        """Return True if there is a finished snapshot of the right kind, sound or not."""
        return self._has_encrypted if self.is_encrypted else (self._directory / POINTER).exists()

    def exists(self) -> bool:
        """Return True if there are any files of the index, of either kind."""
        return self._plain.exists() or self._has_encrypted

    def built_seq(self) -> int:
        """Return the change at which the snapshot was last written whole; 0 if unknown.

        It is unknown while there are files of the other kind, too.
        """
        has_other = self._plain.exists() if self.is_encrypted else self._has_encrypted
        return 0 if has_other else self._current.built_seq()

    def write(
        self,
        base: StoredTextIndex | None,
        added: Iterable[IndexedChunk],
        removed: Iterable[int],
        snapshot: SnapshotId,
    ) -> None:
        """Write ``snapshot`` from ``base``, or from an empty index; see `IndexWriter.write`."""
        if self.is_encrypted:
            if isinstance(base, TantivyIndex):
                raise _describe_other_kind()
            self._encrypted.write(base, added, removed, snapshot)
            self._plain.remove()
        else:
            if not isinstance(base, TantivyIndex | None):
                raise _describe_other_kind()
            self._plain.write(base, added, removed, snapshot)
            self._remove_encrypted()

    def verify(self) -> None:
        """Read all files of the snapshot, as far as opening it does not.

        Raises:
            DamagedSnapshot: one is damaged.
        """
        index = self.open()
        if isinstance(index, TantivyIndex):
            verify_checksums(index.folder, whole=True)

    def remove(self) -> None:
        """Delete every text index, sound or not."""
        self._plain.remove()
        self._remove_encrypted()

    def _remove_encrypted(self) -> None:
        if self._has_encrypted:
            self._encrypted.remove()


def _describe_other_kind() -> DamagedSnapshot:
    return DamagedSnapshot("The text index was written before the directory changed: it is rebuilt.")
