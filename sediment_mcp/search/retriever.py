"""Find the memories that answer a query, as of the newest change of any process.

It uses a separate read connection and `IndexView`, so that a query does not wait for other reads of the
process.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import Chunk, Memory, ScoredMemory
from sediment_mcp.embeddings.codec import decode_vectors
from sediment_mcp.embeddings.loader import EmbeddedQuery, ModelLoader
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.errors import DamagedSnapshot, StorageError
from sediment_mcp.indexes.indexer import Indexer
from sediment_mcp.search.index_view import IndexView, Query
from sediment_mcp.search.ranking import rank, read_asking
from sediment_mcp.search.reranking import MAX_RERANKED, append_next, is_unsure, rerank
from sediment_mcp.storage.protocols import MemoryStorage, ReadSession
from sediment_mcp.system.progress import Progress
from sediment_mcp.system.time_zone import to_local
from sediment_mcp.tuning import Tuning

if TYPE_CHECKING:
    from sediment_mcp.embeddings.reranker import Reranker
    from sediment_mcp.search.related import RelatedMemory
    from sediment_mcp.system.directory_encryption import DirectoryEncryption

logger = logging.getLogger(__name__)

FoundT = TypeVar("FoundT")
INDEXES = 2  # of words and of vectors, each of which may turn out to be damaged

EMBEDDING_FAILED = (
    "The embedding model failed on this text: it was searched by its words; see the server's log."
)
UNREADABLE = (
    "The embedding model's vocabulary does not cover this query, so it was searched by its words alone: "
    "ask with the words that the memory uses, or choose a multilingual model."
)


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The memories that answer a query, best first.

    ``is_semantic`` says whether embeddings were compared, ``problem`` why not; ``problem`` is empty else.
    ``note`` says why the order is not the reranker's; empty where it is, or where that was said before.
    """

    memories: list[ScoredMemory]
    is_semantic: bool
    problem: str
    note: str = ""


class Retriever:
    """Finds candidates in both indexes.

    May be used from any thread.
    """

    def __init__(
        self,
        directory: Path,
        storage: MemoryStorage,
        model: ModelLoader,
        indexer: Indexer,
        encryption: DirectoryEncryption,
        *,
        clock: Callable[[], datetime],
        tuning: Tuning,
        reranker: Reranker | None = None,
    ) -> None:
        self._directory = directory
        self._storage = storage
        self._model = model
        self._indexer = indexer
        self._now = clock
        self._tuning = tuning
        self._reranker = reranker
        self._reader = storage.reader()
        self._encryption = encryption
        self._view = IndexView(directory, tuning, encryption)
        self._viewed: ReadSession | None = None

    def close(self) -> None:
        """Close the reading connection."""
        self._reader.close()

    # --- queries --------------------------------------------------------------------------------

    def retrieve(
        self,
        text: str,
        filters: Filters,
        limit: int,
        *,
        embed: Callable[[str], EmbeddedQuery | None] | None = None,
        others: int = 0,
    ) -> Retrieval:
        """Return the ``limit`` memories that answer a query best.

        ``embed`` embeds the query where it is asked of several stores, which hold ``others`` chunks beside
        those here.
        """
        embedded = (embed or self.embed)(text)
        model = self._ready_model
        now = self._now()
        asking = read_asking(text, project=filters.project, now=to_local(now))
        query = Query(text, embedded, filters, now, limit, asking)
        found = self._find_memories(model, query, others, may_write_index=True)
        if found is None:
            self._catch_up(model)
            found = self._find_memories(model, query, others, may_write_index=False)
        memories, note = found or [], ""
        if self._reranker is not None:
            memories, note = rerank(self._reranker, text, asking, memories)
        problem = UNREADABLE if embedded is not None else self._model.problem or EMBEDDING_FAILED
        is_semantic = query.vector is not None
        return Retrieval(memories[:limit], is_semantic, "" if is_semantic else problem, note)

    def embed(self, text: str) -> EmbeddedQuery | None:
        """Return what the model makes of a query; None without a model, or if it fails."""
        return self._model.embed_query(text)

    def count_chunks(self) -> int:
        """Return among how many chunks a query searches now."""
        model = self._ready_model
        count = self._count_chunks(model, may_write_index=True)
        if count is None:
            self._catch_up(model)
            count = self._count_chunks(model, may_write_index=False)
        return count or 0

    def _count_chunks(self, model: ModelIdentity | None, *, may_write_index: bool) -> int | None:
        """Return the number of chunks; None means that the text index should be written first."""
        with self._lend_current_view(model) as (session, view), session.snapshot():
            session.prefetch(lambda: view.read_ahead(session))
            if may_write_index and view.is_far_behind(session):
                return None
            view.apply_changes(session)
            return view.text.count

    def _find_memories(
        self, model: ModelIdentity | None, query: Query, others: int, *, may_write_index: bool
    ) -> list[ScoredMemory] | None:
        """Return the best memories; None means that the text index should be written first."""
        with self._lend_current_view(model) as (session, view):
            return _search_undamaged(
                lambda: self._search(session, view, query, others, may_write_index=may_write_index)
            )

    @property
    def _ready_model(self) -> ModelIdentity | None:
        """The model in use, once it is loaded."""
        embedder = self._model.ready
        return None if embedder is None else embedder.identity

    def _search(
        self, session: ReadSession, view: IndexView, query: Query, others: int, *, may_write_index: bool
    ) -> list[ScoredMemory] | None:
        with session.snapshot():
            session.prefetch(lambda: view.read_ahead(session))
            if may_write_index and view.is_far_behind(session):
                return None
            view.apply_changes(session)
            candidates = view.find_candidates(session, query)
            count = view.text.count + others
            ranked = rank(candidates, query.asking, limit=query.limit, count=count)
            if self._reranker is not None and is_unsure(ranked, query.asking):
                deeper = rank(candidates, query.asking, limit=MAX_RERANKED, count=count)
                ranked = append_next(ranked, deeper)
            chunks = [candidates.chunks[one.position] for one in ranked]
            keys = [chunk.memory_key for chunk in chunks]
            memories = {memory.key: memory for memory in session.get_by_keys(keys, query.filters, query.now)}
        return [
            ScoredMemory(
                memories[chunk.memory_key], (chunk.start, chunk.end), one.score, one.match, one.signals
            )
            for chunk, one in zip(chunks, ranked, strict=True)
        ]

    def _catch_up(self, model: ModelIdentity | None) -> None:
        """Write the text index if it lacks too much, unless another process has done it meanwhile."""
        with contextlib.suppress(StorageError, DamagedSnapshot):  # the memtable answers too, only slower
            self._indexer.write_text(skip_if=lambda: not self._is_far_behind(model))

    def _is_far_behind(self, model: ModelIdentity | None) -> bool:
        with self._lend_current_view(model) as (session, view):
            return view.is_far_behind(session)

    def nearest(
        self, model: ModelIdentity, vector: bytes, filters: Filters, min_cosine: float
    ) -> list[tuple[Memory, Chunk, float]]:
        """Return the memories with at least this cosine to an encoded vector.

        Each comes with its best chunk.
        """
        with self._lock_view() as (session, view):
            view.reload_vectors(session, model)
            (decoded,) = decode_vectors([vector])
            with session.snapshot():
                return _search_undamaged(
                    lambda: view.nearest(session, decoded, filters, self._now(), min_cosine)
                )

    def find_related(self, memory_id: str, filters: Filters) -> list[RelatedMemory] | None:
        """Return the memories that are related to one, the nearest first; None if that is not there.

        No model is loaded for it: the embeddings compared are those that the memories have.
        """
        from sediment_mcp.search.related import find_related  # which a query does not need

        model = self._ready_model or self._find_stored_model()
        if self._is_far_behind(model):
            self._catch_up(model)
        with self._lend_current_view(model) as (session, view), session.snapshot():
            memory = session.get([memory_id]).get(memory_id)
            if memory is None or memory.state(self._now()) not in ("live", "superseded"):
                return None
            view.apply_changes(session)
            return _search_undamaged(lambda: find_related(session, view, memory, filters, self._now()))

    def _find_stored_model(self) -> ModelIdentity | None:
        """Return the model of which there are most embeddings, while none is loaded."""
        with self._lock_view() as (session, view):
            if view.vectors is not None:
                return view.vectors.model
            stored = max(session.embeddings.models(), key=lambda stored: stored.count, default=None)
        return None if stored is None else stored.model

    # --- for the background worker -----------------------------------------------------------------

    def write_due_snapshots(self, model: ModelIdentity | None, progress: Progress) -> None:
        """Write the index snapshots that lag behind, unless another process is writing them.

        Raises:
            Stopped: ``progress`` asked for it.
        """
        with self._lend_current_view(model) as (session, view):
            with session.snapshot():
                view.drop_erased(session)
            is_text_due, are_vectors_due = view.is_text_due(session), view.are_vectors_due(session)
        if is_text_due:
            self._indexer.write_text(wait=False, progress=progress)
        if are_vectors_due and model is not None:
            self._indexer.write_vectors(model, wait=False, progress=progress)

    # --- the view ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _lend_current_view(self, model: ModelIdentity | None) -> Generator[tuple[ReadSession, IndexView]]:
        """Lend the session and the view with the newest snapshots, to one thread at a time."""
        with self._lock_view() as (session, view):
            view.reload(session, model)
            yield session, view

    @contextlib.contextmanager
    def _lock_view(self) -> Generator[tuple[ReadSession, IndexView]]:
        self._storage.open()
        with self._reader.session() as session:
            if session is not self._viewed:  # the database was replaced
                self._view = IndexView(self._directory, self._tuning, self._encryption)
                self._viewed = session
            yield session, self._view


def _search_undamaged(search: Callable[[], FoundT]) -> FoundT:
    """Search, and again without a snapshot that turned out to be damaged and was rejected."""
    for _ in range(INDEXES):
        try:
            return search()
        except DamagedSnapshot as error:  # the background worker rewrites it
            logger.warning("%s", error)
    return search()
