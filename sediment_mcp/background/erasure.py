"""What an erasure leaves behind its rows: pieces in the file, words in the index, copies in backups.

The rows are gone, which nothing here can undo; so where it fails it says so in the log, and the background
tries again.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from sediment_mcp.errors import DamagedSnapshot, StorageError

if TYPE_CHECKING:
    from sediment_mcp.background.backups import Backups
    from sediment_mcp.indexes.indexer import CatchUp
    from sediment_mcp.storage.sql.memories import Store

logger = logging.getLogger(__name__)


class Erasing:
    """Takes what has been erased out of everything that is not a row."""

    def __init__(self, catch_up: CatchUp, backups: Backups) -> None:
        self._catch_up = catch_up
        self._backups = backups

    def in_file(self, writer: Store) -> None:
        """Write the database anew; under the write lock."""
        try:
            writer.erase_remains()
        except StorageError as error:  # the disk may have no room for it
            logger.warning("Pieces of what was erased may stay in the database until a later try: %s", error)

    def elsewhere(self) -> None:
        """Let no erased word stay in the text index, and nothing erased in the backups."""
        self._in_index()
        self.in_backups()

    def in_backups(self) -> None:
        """Let nothing erased stay in the backups."""
        try:
            self._backups.forget_erased()
        except StorageError as error:
            logger.warning("The backups still hold what was erased, until a later try: %s", error)

    def _in_index(self) -> None:
        """Where the index cannot be written, as on a full disk, do without it for the time being."""
        try:
            self._catch_up.forget_erased_words()
        except (DamagedSnapshot, StorageError) as error:
            logger.warning("%s", error)
            with contextlib.suppress(StorageError):
                self._catch_up.remove_text()
