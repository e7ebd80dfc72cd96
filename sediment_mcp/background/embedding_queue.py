"""Embed the chunks that lack an embedding, or token vectors, of the current model.

They were stored before the model was available, embedded by another model, or by a version of this package
that kept no token vectors. Embeddings come first: without one, a chunk is found by its words alone.

The queue is processed in batches, each one commit, so it can be stopped at any moment and continues from
there, in this process or in another. A batch is large and embedded by length, in pieces: the model pads the
texts that it reads together to the longest of them, and padding takes as long as text.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

from sediment_mcp.embeddings.loader import embed_texts
from sediment_mcp.embeddings.protocols import Embedder, ModelIdentity
from sediment_mcp.errors import ModelFailed
from sediment_mcp.storage.model_protocols import ModelTable, ModelTableReader
from sediment_mcp.storage.protocols import MemoryStorage, ReadSession, WriteSession
from sediment_mcp.system.locks import locked_if_free
from sediment_mcp.system.progress import Progress, log_progress

logger = logging.getLogger(__name__)

LOCK = "embed.lock"
STOP_CHECK_EVERY = 64  # chunks embedded between two checks whether to stop
CHECK_EVERY = 256  # embeddings checked between two commits
LOG_FROM = 100  # progress is logged from this number of chunks on, some seconds of work

Made = dict[int, tuple[bytes, bytes]]
"""By chunk id the embedding and the token vectors, encoded for storage."""


class EmbeddingQueue:
    """The chunks of one store that lack an embedding, or token vectors, of the model in use."""

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
            if self._complete[0] != store_id or newest < self._complete[1]:  # the database was replaced
                self._complete = (store_id, 0)
                self._failed.clear()
            is_due = any(
                table.is_missing_since(table.model_key(model.fingerprint), self._complete[1])
                for model, table in _list_tables(session, embedder)
            )
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
                            _mark_unreadable(writer, embedder, unreadable)
                        writer.embeddings.set_checked_seq(model_key, checked)
                self._checked = ((session.store_id, model_key), checked)
                progress(0, 0)

    def run_all(self, embedder: Embedder, progress: Progress) -> None:
        """Embed the chunks that lack something, even if another process is doing it too.

        A chunk that is embedded twice is stored once.
        """
        with self._storage.connect() as session:
            for model, table in _list_tables(session, embedder):
                self._fill(session, model, table, embedder, progress)

    def drop_damaged(self) -> None:
        """Remove token vectors that are damaged, so that they are made anew."""
        with self._storage.connect() as session:
            if session.token_vectors.count_damaged():
                with self._storage.write() as writer:
                    session.assert_current()
                    writer.token_vectors.drop_damaged()

    def _fill(
        self,
        session: ReadSession,
        model: ModelIdentity,
        table: ModelTableReader,
        embedder: Embedder,
        progress: Progress,
    ) -> None:
        """Embed the chunks without a row in a table of ``session``, as many as there are now."""
        embedded, total = table.count_embedded(table.model_key(model.fingerprint))
        left = total - embedded - len(self._failed)
        is_embedding = model == embedder.identity
        if left > LOG_FROM:
            what = "embedded" if is_embedding else "given token vectors"
            progress = log_progress(f"Passages {what} with {model.name}", logger, progress)
        while left > 0 and (batch := self._read_next_batch(table, model)):
            if is_embedding:
                self.size = left
            self._embed(session, batch, embedder, progress, (total - left, total))
            left -= len(batch)
        self.size = 0
        progress(total, total)

    def _read_next_batch(self, table: ModelTableReader, model: ModelIdentity) -> list[tuple[int, str]]:
        """Return the (chunk id, text) pairs to embed before the next commit."""
        limit = self._commit_every + len(self._failed)
        missing = table.missing(table.model_key(model.fingerprint), limit)
        return [chunk for chunk in missing if chunk[0] not in self._failed][: self._commit_every]

    def _embed(
        self,
        session: ReadSession,
        batch: Sequence[tuple[int, str]],
        embedder: Embedder,
        progress: Progress,
        reached: tuple[int, int],
    ) -> None:
        """Embed (chunk id, text) pairs and commit them together, even if ``progress`` stops it.

        The pairs were read from ``session``. What a chunk has already is kept. ``reached`` says how many
        chunks were done before, and how many there are.
        """
        by_length = sorted(batch, key=lambda chunk: len(chunk[1]))
        made: Made = {}
        try:
            for start in range(0, len(batch), STOP_CHECK_EVERY):
                progress(reached[0] + start, reached[1])
                made |= self._make(embedder, by_length[start : start + STOP_CHECK_EVERY])
        finally:
            if made:
                with self._storage.write() as writer:
                    session.assert_current()
                    _add(writer.embeddings, embedder.identity, ((one, made[one][0]) for one in made))
                    if embedder.token_identity is not None:
                        _add(
                            writer.token_vectors,
                            embedder.token_identity,
                            ((one, made[one][1]) for one in made),
                        )

    def _make(self, embedder: Embedder, chunks: Sequence[tuple[int, str]]) -> Made:
        """Return what the model makes of chunks, without those that it fails on.

        These must not block the others.
        """
        try:
            made = embed_texts(embedder, [text for _, text in chunks])
        except ModelFailed:
            if len(chunks) == 1:
                logger.exception("The embedding model failed on a passage, which is found by its words alone")
                self._failed.add(chunks[0][0])
                return {}
            return {
                chunk_id: one for chunk in chunks for chunk_id, one in self._make(embedder, [chunk]).items()
            }
        pairs = zip(made.vectors, made.tokens, strict=True)
        return {chunk_id: pair for (chunk_id, _), pair in zip(chunks, pairs, strict=True)}


def _list_tables(session: ReadSession, embedder: Embedder) -> list[tuple[ModelIdentity, ModelTableReader]]:
    """Return what the model makes of chunks, and where it is kept; the embeddings come first."""
    tables: list[tuple[ModelIdentity, ModelTableReader]] = [(embedder.identity, session.embeddings)]
    if embedder.token_identity is not None:
        tables.append((embedder.token_identity, session.token_vectors))
    return tables


def _mark_unreadable(writer: WriteSession, embedder: Embedder, chunk_ids: Sequence[int]) -> None:
    """Take away what the model made of chunks that it cannot read."""
    writer.embeddings.mark_unreadable(writer.embeddings.register(embedder.identity), chunk_ids)
    if embedder.token_identity is not None:
        model_key = writer.token_vectors.register(embedder.token_identity)
        writer.token_vectors.mark_unreadable(model_key, chunk_ids)


def _add(table: ModelTable, model: ModelIdentity, vectors: Iterable[tuple[int, bytes]]) -> None:
    table.add(table.register(model), vectors)
