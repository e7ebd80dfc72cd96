"""Purge the remains of secure erases from the text index, the kept queries and backups.

The rows themselves are already erased, so a failure is only logged, and the background worker tries again.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from pathlib import Path

from sediment_mcp.background.backups import Backups
from sediment_mcp.errors import DamagedSnapshot, StorageError
from sediment_mcp.indexes.indexer import Indexer
from sediment_mcp.search.unanswered_queries import drop_queries_about
from sediment_mcp.storage.protocols import MemoryStorage
from sediment_mcp.system.directory_encryption import DirectoryEncryption
from sediment_mcp.system.progress import Progress

logger = logging.getLogger(__name__)


class Erasure:
    """Purges erased memories from all indexes and backups."""

    def __init__(
        self,
        directory: Path,
        storage: MemoryStorage,
        indexer: Indexer,
        backups: Backups | None,
        encryption: DirectoryEncryption,
    ) -> None:
        self._directory = directory
        self._encryption = encryption
        self._storage = storage
        self._indexer = indexer
        self._backups = backups

    def run(self, progress: Progress) -> None:
        """Finish a secure erase that another process left unfinished.

        That process was killed, or could not write.
        """
        self._storage.finish_secure_erase()
        self._indexer.purge_erased_text(wait=False, progress=progress)

    def purge(self, texts: Iterable[str]) -> None:
        """Purge erased memories with these texts from the index, the queries and the backups."""
        self.purge_queries(texts)
        self._purge_text_index()
        self.purge_backups()

    def purge_queries(self, texts: Iterable[str]) -> None:
        """Drop the kept queries that ask for what these texts told."""
        try:
            drop_queries_about(self._directory, texts, self._encryption)
        except (OSError, StorageError) as error:
            logger.warning("The kept questions may still tell of what was erased: %s", error)

    def purge_backups(self) -> None:
        """Purge erased memories from the backups, if this package makes them."""
        if self._backups is None:
            return
        try:
            self._backups.purge_erased()
        except StorageError as error:
            logger.warning("The backups still hold what was erased, until a later try: %s", error)

    def _purge_text_index(self) -> None:
        """Purge the text index, or delete it if it cannot be written, as on a full disk."""
        try:
            self._indexer.purge_erased_text()
        except (DamagedSnapshot, StorageError) as error:
            logger.warning("%s", error)
            with contextlib.suppress(StorageError):
                self._indexer.remove_text()
