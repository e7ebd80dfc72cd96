"""The parts of a process that work on indexes and embeddings.

They are built at first use, because they import numpy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from sediment_mcp.background.audit import ReadAudit
from sediment_mcp.background.backups import Backups
from sediment_mcp.background.embedding_queue import EmbeddingQueue
from sediment_mcp.background.erasure import Erasure
from sediment_mcp.background.jobs import Job
from sediment_mcp.background.retention import Retention
from sediment_mcp.config import Config
from sediment_mcp.embeddings.loader import ModelLoader
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.errors import DiskFull
from sediment_mcp.indexes.indexer import Indexer
from sediment_mcp.search.retriever import Retriever
from sediment_mcp.storage.protocols import MemoryStorage
from sediment_mcp.system.allocator import limit_pools
from sediment_mcp.system.progress import Progress

if TYPE_CHECKING:
    from sediment_mcp.embeddings.reranker import Reranker
    from sediment_mcp.system.directory_encryption import DirectoryEncryption

TURN_SECONDS = 0.1  # between two looks whether the process ends, while another store writes its indexes
_WRITING = threading.Lock()
"""Held while one store of the process writes its indexes: all at once they would slow every call down."""


class Services:
    """The indexer, the retriever, and the background work of one data directory."""

    def __init__(
        self,
        config: Config,
        storage: MemoryStorage,
        model: ModelLoader,
        backups: Backups | None,
        clock: Callable[[], datetime],
        *,
        encryption: DirectoryEncryption,
        audit: ReadAudit,
        reranker: Reranker | None = None,
    ) -> None:
        limit_pools()
        directory, tuning = config.store_dir, config.tuning
        self._model = model
        self._storage = storage
        self._exact_search_limit = tuning.exact_search_limit
        self.indexer = Indexer(directory, storage, tuning.lock_timeout, encryption)
        self.retriever = Retriever(
            directory, storage, model, self.indexer, encryption,
            clock=clock, tuning=tuning, reranker=reranker,
        )  # fmt: skip
        self.embedding_queue = EmbeddingQueue(directory, storage, tuning.commit_every)
        self.erasure = Erasure(directory, storage, self.indexer, backups, encryption)
        self.retention = Retention(
            directory, storage, self.indexer, clock, tuning, purge_queries=self.erasure.purge_queries
        )
        self.jobs: tuple[Job, ...] = (
            Job("embed missing chunks", self._embed_missing),
            Job("finish secure erases", self.erasure.run, only_resident=True),
            Job("remove what has ended", self._remove_due, only_resident=True),
            Job("write index snapshots", self._write_in_turn),
            Job("verify the text index", self.indexer.verify_text, only_resident=True),
            Job("write the audit", audit.run, only_resident=True),
        )
        if backups is not None:
            self.jobs += (Job("make backups", lambda _: backups.run(), only_resident=True),)

    def close(self) -> None:
        """Close the connections."""
        self.retriever.close()

    def write_due_snapshots(self, progress: Progress) -> None:
        """Write the index snapshots that lag behind, unless another process is writing them."""
        self.retriever.write_due_snapshots(self._ready_model, progress)

    def rebuild_vectors(self, model: ModelIdentity, progress: Progress) -> None:
        """Write the model's vector index anew; delete it if there are few enough embeddings without.

        Queries use the old one until the new one is there, unless the disk has no room for both.

        Raises:
            Busy: another process is writing the index for too long.
            Stopped: ``progress`` asked for it.
        """
        limit = self._exact_search_limit
        with self._storage.connect() as session:
            model_key = session.embeddings.model_key(model.fingerprint)
            count = 0 if model_key is None else session.embeddings.count_since(model_key, 0, limit)
        if count < limit:
            self.indexer.remove_vectors(model)
            return
        try:
            self.indexer.write_vectors(model, rebuild=True, progress=progress)
        except DiskFull:
            self.indexer.remove_vectors(model)
            self.indexer.write_vectors(model, rebuild=True, progress=progress)

    @property
    def _ready_model(self) -> ModelIdentity | None:
        """The model in use, once it is loaded."""
        embedder = self._model.ready
        return None if embedder is None else embedder.identity

    def _write_in_turn(self, progress: Progress) -> None:
        """Write the index snapshots that lag behind, once no other store of this process does.

        Raises:
            Stopped: ``progress`` asked for it.
        """
        while not _WRITING.acquire(timeout=TURN_SECONDS):
            progress(0, 0)
        try:
            self.write_due_snapshots(progress)
        finally:
            _WRITING.release()

    def _embed_missing(self, progress: Progress) -> None:
        if (embedder := self._model.ready) is not None:
            self.embedding_queue.run(embedder, progress)

    def _remove_due(self, progress: Progress) -> None:
        self.retention.run_if_due(self._ready_model, progress)
