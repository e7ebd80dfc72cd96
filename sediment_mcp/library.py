"""The composition root: opens everything, closes everything, and says who may write and when.

Two connections serve the calls, one that writes and one that reads, so that a query never waits for
another process's write; a third belongs to the background. A write holds the cross-process lock from BEGIN
to COMMIT, checkpoints included: SQLite up to 3.51.2 can corrupt a database whose checkpoint runs beside
another connection's commit, and the lock is also fairer than SQLite's own waiting.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from . import catch_up, text_index, vector_index
from .config import Config
from .embedder import Embedder, ModelIdentity, load_embedder
from .errors import Busy, StorageError
from .files import locked, locked_if_free, prepare_directory
from .memory import Candidate, Filters
from .progress import Progress, unwatched
from .search import Question, Search
from .store import Store
from .upkeep import Upkeep
from .vector_search import pack
from .warm_up import WarmUp

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

DATABASE = "memories.db"
WRITE_LOCK = "write.lock"
INDEX_LOCK = "index.lock"
EMBED_LOCK = "embed.lock"

MODEL_PATIENCE = 3.0  # seconds that a call waits for the model; the default one takes a third of one
CLOSE_PATIENCE = 0.5  # seconds that the end of the process waits for what is under way
TEXT_TAIL = 256  # passages; an index commit costs the same for one and for hundreds
EXACT_UP_TO = 10_000  # embeddings; exact search takes 2 ms for so many and misses nothing
VECTOR_TAIL = 5_000  # embeddings beyond a snapshot; 0.9 ms more for a query
EMBED_BATCH = 32  # passages embedded between two commits


@dataclass(frozen=True, slots=True)
class Found:
    """Candidates for a question; ``notes`` say what was missing, ``by_meaning`` whether embeddings spoke."""

    candidates: list[Candidate]
    by_meaning: bool
    notes: list[str]


@dataclass(slots=True)
class _Open:
    writer: Store
    reader: Store
    background: Store
    search: Search
    upkeep: Upkeep


class Library:
    """Everything behind the tools. Making one costs nothing: the data directory is opened, and the model
    loaded, at the first operation. May be used from any thread."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        load: Callable[[Config], Embedder] = load_embedder,
        patience: float = MODEL_PATIENCE,
    ) -> None:
        """``patience`` is how long, in seconds, a call waits for the model to load."""
        self.config = config
        self.now = clock
        self.missing_embeddings = 0  # passages, as far as the background knows
        self._patience = patience
        self._warm_up = WarmUp(lambda: load(config))
        self._opening, self._writing, self._reading = threading.Lock(), threading.Lock(), threading.Lock()
        self._background = threading.Lock()
        self._opened: _Open | None = None
        self._embedding_due = threading.Event()
        self._embedding_due.set()  # another process may have ended before it embedded everything
        self._closed = False

    @property
    def database(self) -> Path:
        return self.config.data_dir / DATABASE

    # --- opening and closing ------------------------------------------------------------------

    def _open(self) -> _Open:
        with self._opening:
            if self._closed:
                raise StorageError("sediment-mcp is ending: call again once it has been started anew.")
            if self._opened is None:
                prepare_directory(self.config.data_dir)
                if not Store.is_prepared(self.database):
                    with locked(self.config.data_dir / WRITE_LOCK):
                        Store.prepare(self.database).close()
                self._opened = _Open(
                    writer=Store(self.database),
                    reader=Store(self.database),
                    background=Store(self.database),
                    search=Search(self.config.data_dir),
                    upkeep=Upkeep(self._tend),
                )
                self._opened.upkeep.wake()
            return self._opened

    def close(self) -> None:
        """Let a write that is under way finish, stop the background thread; at most about a second."""
        with self._opening:
            opened, self._opened, self._closed = self._opened, None, True
        if opened is None:
            return
        opened.upkeep.close(CLOSE_PATIENCE)
        # SQLite checkpoints when the last connection closes, which must not run beside another process's
        # commit. Where the lock is not to be had, the connections are left to the end of the process.
        with contextlib.suppress(Busy), locked(self.config.data_dir / WRITE_LOCK, CLOSE_PATIENCE):
            for gate, store in (
                (self._writing, opened.writer),
                (self._reading, opened.reader),
                (self._background, opened.background),
            ):
                if gate.acquire(timeout=CLOSE_PATIENCE):
                    store.close()
                    gate.release()

    # --- reading and writing ------------------------------------------------------------------

    @contextlib.contextmanager
    def write(self, *, erase: bool = False) -> Generator[Store]:
        """One transaction, durable when the block ends. With ``erase`` the log is emptied too, so that no
        deleted text stays in it.

        Raises:
            StorageError: the directory cannot be written, the disk is full, or somebody blocks the lock.
        """
        opened = self._open()
        with self._writing, locked(self.config.data_dir / WRITE_LOCK):
            with opened.writer.transaction():
                yield opened.writer
            if erase:
                opened.writer.empty_log()
            else:
                opened.writer.checkpoint()
        opened.upkeep.wake()

    @contextlib.contextmanager
    def read(self) -> Generator[Store]:
        """One moment of the database."""
        opened = self._open()
        with self._reading, opened.reader.snapshot():
            yield opened.reader

    # --- embedding ----------------------------------------------------------------------------

    def embedder(self) -> Embedder | None:
        """The model, or None if it is not there in time; memories are then found by words."""
        return self._warm_up.embedder(self._patience)

    @property
    def model_problem(self) -> str:
        """Why there is no model; empty once there is one."""
        return self._warm_up.problem

    def embed(self, texts: Sequence[str]) -> tuple[ModelIdentity, list[bytes]] | None:
        """The texts' embeddings as they are kept, or None while there is no model."""
        embedder = self.embedder()
        return (embedder.identity, pack(embedder.embed_documents(texts))) if embedder and texts else None

    # --- finding ------------------------------------------------------------------------------

    def find(self, text: str, filters: Filters, limit: int) -> Found:
        """Candidates for a question, as of the newest change of any process."""
        opened = self._open()
        embedder = self.embedder()
        vector = embedder.embed_query(text) if embedder else None
        identity = embedder.identity if embedder else None
        if self._is_text_far_behind(opened, identity):
            self._write_text_now(opened, identity)
        with self._reading:
            opened.search.reload(opened.reader, identity)
            with opened.reader.snapshot():
                opened.search.read(opened.reader)
                question = Question(text, vector, filters, self.now(), limit)
                candidates = opened.search.find(opened.reader, question)
        return Found(candidates, vector is not None, self._notes(vector))

    def _is_text_far_behind(self, opened: _Open, identity: ModelIdentity | None) -> bool:
        with self._reading:
            opened.search.reload(opened.reader, identity)
            return opened.search.is_far_behind(opened.reader)

    def _write_text_now(self, opened: _Open, identity: ModelIdentity | None) -> None:
        with self._background, locked(self.config.data_dir / INDEX_LOCK):
            if self._is_text_far_behind(opened, identity):  # or another process has done it meanwhile
                catch_up.write_text(self.config.data_dir, opened.background, self._announce)

    def _notes(self, vector: NDArray[np.float32] | None) -> list[str]:
        if vector is None:
            return [self.model_problem]
        if self.missing_embeddings:
            return [f"{self.missing_embeddings} passages are still being embedded and found by words only."]
        return []

    # --- upkeep -------------------------------------------------------------------------------

    def embed_later(self) -> None:
        """Say that there are passages without an embedding."""
        self._embedding_due.set()

    def _tend(self, stop: threading.Event) -> None:
        """What the background thread does when it is woken."""
        opened, embedder = self._opened, self._warm_up.ready
        if opened is None:
            return
        if embedder is not None and self._embedding_due.is_set():
            with locked_if_free(self.config.data_dir / EMBED_LOCK) as held:
                if held:
                    self._embedding_due.clear()
                    self.embed_missing(embedder, stop)
        if not stop.is_set():
            with self._background, locked_if_free(self.config.data_dir / INDEX_LOCK) as held:
                if held:
                    self._write_due_snapshots(opened, embedder.identity if embedder else None)

    def embed_missing(
        self,
        embedder: Embedder,
        stop: threading.Event | None = None,
        progress: Progress = unwatched,
    ) -> None:
        """Embed every passage that has no embedding of this model yet, a batch a commit."""
        opened, identity = self._open(), embedder.identity
        with self._background:
            model = opened.background.embeddings.number_of(identity.fingerprint) or 0
            have, total = opened.background.embeddings.counts(model)
        self.missing_embeddings = total - have
        if total - have > EMBED_BATCH:
            logger.info("Embedding %d of %d passages with %s", total - have, total, identity.name)
        while self.missing_embeddings > 0 and not (stop and stop.is_set()):
            with self._background:
                batch = opened.background.embeddings.missing(model, EMBED_BATCH)
            if not batch:
                break
            vectors = pack(embedder.embed_documents([text for _, text in batch]))
            with self.write() as store:
                model = store.embeddings.register(identity)
                store.embeddings.add(model, zip((chunk for chunk, _ in batch), vectors, strict=True))
            self.missing_embeddings = max(0, self.missing_embeddings - len(batch))
            progress(total - self.missing_embeddings, total)

    def _write_due_snapshots(self, opened: _Open, identity: ModelIdentity | None) -> None:
        with self._reading:
            opened.search.reload(opened.reader, identity)
            text, vectors = opened.search.text, opened.search.vectors
            text_seq, text_due = text.snapshot_seq, text.is_rejected
            vector_seq, vectors_due = (vectors.snapshot_seq, vectors.is_rejected) if vectors else (0, False)
        store, directory = opened.background, self.config.data_dir
        if text_due or store.changed_chunks(text_seq, TEXT_TAIL) == TEXT_TAIL:
            catch_up.write_text(directory, store, self._announce)
        if identity is not None:
            model, most = (
                store.embeddings.number_of(identity.fingerprint),
                VECTOR_TAIL if vector_seq else EXACT_UP_TO,
            )
            if vectors_due or (
                model is not None and store.embeddings.count_since(model, vector_seq, most) == most
            ):
                catch_up.write_vectors(directory, store, self._announce, identity)

    def erase_words(self) -> None:
        """Write the text index anew, because an index commit leaves deleted words in its files."""
        opened, directory = self._open(), self.config.data_dir
        with self._background, locked(directory / INDEX_LOCK):
            if (directory / text_index.POINTER).exists():
                catch_up.write_text(directory, opened.background, self._announce, anew=True)

    def rebuild_text(self, progress: Progress = unwatched) -> None:
        """Write the text index anew from the system of record.

        Raises:
            Busy: another process is writing an index, and goes on for too long.
        """
        opened, directory = self._open(), self.config.data_dir
        with self._background, locked(directory / INDEX_LOCK):
            catch_up.write_text(directory, opened.background, self._announce, anew=True, progress=progress)

    def rebuild_vectors(self, embedder: Embedder, progress: Progress = unwatched) -> None:
        """Write the model's vector index anew from the system of record, where there is, or should be, one.

        Raises:
            Busy: another process is writing an index, and goes on for too long.
        """
        opened, directory, identity = self._open(), self.config.data_dir, embedder.identity
        with self._background, locked(directory / INDEX_LOCK):
            vector_index.remove(directory, identity.fingerprint)
            store = opened.background
            model = store.embeddings.number_of(identity.fingerprint)
            if model is not None and store.embeddings.count_since(model, 0, EXACT_UP_TO) == EXACT_UP_TO:
                catch_up.write_vectors(directory, store, self._announce, identity, progress=progress)

    def _announce(self, index_name: str) -> tuple[int, int]:
        with self.write() as store:
            return store.announce_snapshot(index_name)
