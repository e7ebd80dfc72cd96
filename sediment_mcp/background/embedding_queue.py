"""Embeddings that are missing: of memories stored before the model was there, or of another model.

The backlog is worked off in batches, each one commit, so it can be stopped at any moment and goes on where
it was, in this process or in another. A batch is large and embedded by length, in pieces: the model pads the
texts that it reads together to the longest of them, and padding takes as long as text.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from sediment_mcp.embeddings.protocols import Embedder
from sediment_mcp.indexes.vector_search import pack
from sediment_mcp.storage.sql.memories import Store
from sediment_mcp.system.files import locked_if_free
from sediment_mcp.system.progress import Progress, logged

logger = logging.getLogger(__name__)

LOCK = "embed.lock"
BATCH = 512  # passages embedded between two commits; one of 32 takes a fifth longer
PIECE = 64  # passages embedded between two looks at whether to stop
NOTEWORTHY = 100  # passages, some seconds of work, from which on progress is logged


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
        self._complete_to = 0  # nothing up to this change lacks an embedding
        self._refused: set[int] = set()  # passages that the model fails on, until the process ends
        self.size = 0

    def start_over(self) -> None:
        """Take nothing for done: the database is another one."""
        self._complete_to = 0
        self._refused.clear()

    def work(self, embedder: Embedder, progress: Progress) -> None:
        """Embed what is missing, if anything is and no other process is at it; ``size`` says what is left.

        Raises:
            Stopped: ``progress`` asked for it.
        """
        with contextlib.closing(self._open_store()) as store:
            newest, model = store.seq(), store.embeddings.number_of(embedder.identity.fingerprint) or 0
            is_due = store.embeddings.lacks(model, self._complete_to)
        if is_due:
            with locked_if_free(self._directory / LOCK) as held:
                if not held:
                    return
                self.work_all(embedder, progress)
        self._complete_to = newest

    def work_all(self, embedder: Embedder, progress: Progress) -> None:
        """Embed what is missing, whoever else is at it: a passage embedded twice is kept once."""
        identity = embedder.identity
        with contextlib.closing(self._open_store()) as store:
            model = store.embeddings.number_of(identity.fingerprint) or 0
            have, total = store.embeddings.counts(model)
            self.size = total - have - len(self._refused)
            if self.size > NOTEWORTHY:
                progress = logged(f"Passages embedded with {identity.name}", logger, progress)
            while batch := self._next(store, model):
                self._embed(store, batch, embedder, lambda done: progress(total - self.size + done, total))
                model = store.embeddings.number_of(identity.fingerprint) or 0
                self.size = max(0, self.size - len(batch))
        self.size = 0
        progress(total, total)

    def _next(self, store: Store, model: int) -> list[tuple[int, str]]:
        """(chunk, text) of what is to be embedded together."""
        if self.size <= 0:
            return []
        missing = store.embeddings.missing(model, BATCH + len(self._refused))
        return [one for one in missing if one[0] not in self._refused][:BATCH]

    def _embedded(self, embedder: Embedder, batch: list[tuple[int, str]]) -> dict[int, bytes]:
        """The vectors by chunk; a passage that the model fails on must not keep the others waiting."""
        try:
            vectors = pack(embedder.embed_documents([text for _, text in batch]))
        except Exception:
            if len(batch) == 1:
                logger.exception("The embedding model failed on a passage, which is found by its words alone")
                self._refused.add(batch[0][0])
                return {}
            return {
                chunk: vector for one in batch for chunk, vector in self._embedded(embedder, [one]).items()
            }
        return {chunk: vector for (chunk, _), vector in zip(batch, vectors, strict=True)}

    def _embed(
        self, store: Store, batch: Sequence[tuple[int, str]], embedder: Embedder, tell: Callable[[int], None]
    ) -> None:
        """Embed (chunk, text) read from ``store`` as one commit, what ``tell`` lets finish if it ends the
        work."""
        by_length = sorted(batch, key=lambda one: len(one[1]))
        done: dict[int, bytes] = {}
        try:
            for start in range(0, len(batch), PIECE):
                tell(start)
                done |= self._embedded(embedder, by_length[start : start + PIECE])
        finally:
            if done:
                with self._write() as writer:
                    store.assert_current()
                    writer.embeddings.add(writer.embeddings.register(embedder.identity), done.items())
