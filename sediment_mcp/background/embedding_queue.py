"""Embed the chunks that lack an embedding of the current model.

They were stored before the model was available, or embedded by another model.

The queue is processed in batches, each one commit, so it can be stopped at any moment and continues from
there, in this process or in another. A batch is large and embedded by length, in pieces: the model pads the
texts that it reads together to the longest of them, and padding takes as long as text.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from sediment_mcp.embeddings.codec import encode_vectors
from sediment_mcp.embeddings.protocols import Embedder
from sediment_mcp.errors import ModelFailed
from sediment_mcp.storage.protocols import MemoryStorage, ReadSession
from sediment_mcp.system.locks import locked_if_free
from sediment_mcp.system.progress import Progress, log_progress

logger = logging.getLogger(__name__)

LOCK = "embed.lock"
STOP_CHECK_EVERY = 64  # chunks embedded between two checks whether to stop
CHECK_EVERY = 256  # embeddings checked between two commits
LOG_FROM = 100  # progress is logged from this number of chunks on, some seconds of work


class EmbeddingQueue:
    """The chunks of one store that lack an embedding of the model in use."""

    def __init__(self, directory: Path, storage: MemoryStorage, commit_every: int) -> None:
        """Commit after every ``commit_every`` chunks."""
        self._lock = directory / LOCK
        self._storage = storage
        self._commit_every = commit_every
        self._complete: tuple[Hashable, int] = (
            None,
            0,
        )  # in this database no chunk up to this change lacks one
        self._checked: tuple[Hashable, int] = (None, 0)  # up to this change all are of readable texts
        self._failed: set[int] = set()  # chunks that the model fails on, until the process ends
        self.size = 0

    def run(self, embedder: Embedder, progress: Progress) -> None:
        """Embed the chunks that lack an embedding, unless another process is doing it.

        Afterwards ``size`` is how many are left.

        Raises:
            Stopped: ``progress`` asked for it.
        """
        with self._storage.connect() as session:
            newest, store_id = session.changes.seq(), session.store_id
            model_key = session.embeddings.model_key(embedder.identity.fingerprint)
            if self._complete[0] != store_id or newest < self._complete[1]:  # the database was replaced
                self._complete = (store_id, 0)
                self._failed.clear()
            is_due = session.embeddings.is_missing_since(model_key, self._complete[1])
        if is_due:
            with locked_if_free(self._lock) as is_held:
                if not is_held:
                    return
                self.run_all(embedder, progress)
        self._complete = (store_id, newest)
        self._drop_unreadable(embedder, progress)

    def _drop_unreadable(self, embedder: Embedder, progress: Progress) -> None:
        """Take away embeddings of texts that the model cannot read.

        Version 0.1.0 made some, and imported ones may be its own. Each is looked at once, which only
        takes a tokenizer; how far is recorded with every commit.
        """
        with self._storage.connect() as session:
            model_key = session.embeddings.model_key(embedder.identity.fingerprint)
            if model_key is None:
                return
            checked = session.embeddings.checked_seq(model_key)
            if self._checked[0] == (session.store_id, model_key):
                checked = max(checked, self._checked[1])
            while batch := session.embeddings.unchecked(model_key, checked, CHECK_EVERY):
                unreadable = [chunk_id for chunk_id, _, text in batch if not embedder.can_read(text)]
                checked = batch[-1][1]
                if unreadable or len(batch) >= CHECK_EVERY:
                    with self._storage.write() as writer:
                        session.assert_current()
                        if unreadable:
                            writer.embeddings.mark_unreadable(model_key, unreadable)
                        writer.embeddings.set_checked_seq(model_key, checked)
                self._checked = ((session.store_id, model_key), checked)
                progress(0, 0)

    def run_all(self, embedder: Embedder, progress: Progress) -> None:
        """Embed the chunks that lack an embedding, even if another process is doing it too.

        A chunk that is embedded twice is stored once.
        """
        fingerprint = embedder.identity.fingerprint
        with self._storage.connect() as session:
            model_key = session.embeddings.model_key(fingerprint)
            embedded, total = session.embeddings.count_embedded(model_key)
            self.size = total - embedded - len(self._failed)
            if self.size > LOG_FROM:
                progress = log_progress(f"Passages embedded with {embedder.identity.name}", logger, progress)
            while batch := self._read_next_batch(session, model_key):
                self._embed(session, batch, embedder, lambda done: progress(total - self.size + done, total))
                model_key = session.embeddings.model_key(fingerprint)
                self.size = max(0, self.size - len(batch))
        self.size = 0
        progress(total, total)

    def _read_next_batch(self, session: ReadSession, model_key: int | None) -> list[tuple[int, str]]:
        """Return the (chunk id, text) pairs to embed before the next commit."""
        if self.size <= 0:
            return []
        missing = session.embeddings.missing(model_key, self._commit_every + len(self._failed))
        return [chunk for chunk in missing if chunk[0] not in self._failed][: self._commit_every]

    def _embed(
        self,
        session: ReadSession,
        batch: Sequence[tuple[int, str]],
        embedder: Embedder,
        report: Callable[[int], None],
    ) -> None:
        """Embed (chunk id, text) pairs and commit them together, even if ``report`` stops it.

        The pairs were read from ``session``.
        """
        by_length = sorted(batch, key=lambda chunk: len(chunk[1]))
        vectors: dict[int, bytes] = {}
        try:
            for start in range(0, len(batch), STOP_CHECK_EVERY):
                report(start)
                vectors |= self._encode(embedder, by_length[start : start + STOP_CHECK_EVERY])
        finally:
            if vectors:
                with self._storage.write() as writer:
                    session.assert_current()
                    writer.embeddings.add(writer.embeddings.register(embedder.identity), vectors.items())

    def _encode(self, embedder: Embedder, chunks: Sequence[tuple[int, str]]) -> dict[int, bytes]:
        """Return the vectors by chunk id, without chunks that the model fails on.

        These must not block the others.
        """
        try:
            vectors = encode_vectors(embedder.embed_documents([text for _, text in chunks]))
        except ModelFailed:
            if len(chunks) == 1:
                logger.exception("The embedding model failed on a passage, which is found by its words alone")
                self._failed.add(chunks[0][0])
                return {}
            return {
                chunk_id: vector
                for chunk in chunks
                for chunk_id, vector in self._encode(embedder, [chunk]).items()
            }
        return {chunk_id: vector for (chunk_id, _), vector in zip(chunks, vectors, strict=True)}
