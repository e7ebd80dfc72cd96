"""Embeddings that are missing: of memories stored before the model was there, or of another model.

The backlog is worked off in batches, each one commit, so it can be stopped at any moment and goes on where
it was, in this process or in another.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from .embedder import Embedder
from .files import locked_if_free
from .progress import Progress
from .store import Store
from .vector_search import pack

LOCK = "embed.lock"
BATCH = 32  # passages embedded between two commits


class Backlog:
    """The passages of one data directory that lack an embedding of the model in use."""

    def __init__(
        self,
        directory: Path,
        open_store: Callable[[], Store],
        write: Callable[[], AbstractContextManager[Store]],
    ) -> None:
        """``open_store`` gives a connection for reading, ``write`` a transaction."""
        self._directory = directory
        self._open_store = open_store
        self._write = write
        self._due = threading.Event()
        self._due.set()  # another process may have ended before it embedded everything
        self.size = 0

    def grow(self) -> None:
        """Say that a memory was stored without an embedding."""
        self._due.set()

    def work(self, embedder: Embedder, progress: Progress) -> None:
        """Embed what is missing, if anything is and no other process is at it; ``size`` says what is left.

        Raises:
            Stopped: ``progress`` asked for it.
        """
        if not self._due.is_set():
            return
        with locked_if_free(self._directory / LOCK) as held:
            if held:
                self._due.clear()
                self.work_all(embedder, progress)

    def work_all(self, embedder: Embedder, progress: Progress) -> None:
        """Embed what is missing, whoever else is at it: a passage embedded twice is kept once."""
        identity = embedder.identity
        with contextlib.closing(self._open_store()) as store:
            model = store.embeddings.number_of(identity.fingerprint) or 0
            have, total = store.embeddings.counts(model)
            self.size = total - have
            while batch := store.embeddings.missing(model, BATCH) if self.size > 0 else []:
                try:
                    progress(total - self.size, total)
                except BaseException:
                    self._due.set()
                    raise
                vectors = pack(embedder.embed_documents([text for _, text in batch]))
                with self._write() as writer:
                    model = writer.embeddings.register(identity)
                    writer.embeddings.add(model, zip((chunk for chunk, _ in batch), vectors, strict=True))
                self.size = max(0, self.size - len(batch))
        self.size = 0
        progress(total, total)
