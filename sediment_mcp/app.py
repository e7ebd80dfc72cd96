"""The composition root: opens everything, closes everything, and says who may write and when.

Two connections serve the calls, one that writes and one that reads, so that a query never waits for
another process's write; the background opens its own. A write holds the cross-process lock from BEGIN
to COMMIT, checkpoints included: SQLite up to 3.51.2 can corrupt a database whose checkpoint runs beside
another connection's commit, and the lock is also fairer than SQLite's own waiting.

The database file itself may be replaced, or be taken away, beside a running process. A connection is looked
at before each use and opened anew where its file is no longer the one of that name, a write once more after
its COMMIT: what is acknowledged is in the file that the next process opens.
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

from sediment_mcp.background.backups import Backups
from sediment_mcp.background.embedding_queue import Backlog
from sediment_mcp.background.erasure import Erasing
from sediment_mcp.background.retention import Retention
from sediment_mcp.background.worker import Upkeep
from sediment_mcp.config import Config
from sediment_mcp.domain.memory import Candidate, Chunk, Filters, Memory
from sediment_mcp.domain.retention import Due
from sediment_mcp.embeddings.loader import WarmUp
from sediment_mcp.embeddings.protocols import Embedder, ModelIdentity, load_embedder
from sediment_mcp.errors import Busy, DamagedSnapshot, StorageError
from sediment_mcp.indexes.indexer import CatchUp
from sediment_mcp.indexes.vector_search import pack, unpack
from sediment_mcp.search.retriever import Question, Search
from sediment_mcp.storage.sql.memories import Store
from sediment_mcp.storage.sqlite import swap
from sediment_mcp.system.files import locked, prepare_directory
from sediment_mcp.system.progress import Progress, unwatched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

DATABASE = "memories.db"
WRITE_LOCK = "write.lock"

EMBEDDING_FAILED = (
    "The embedding model failed on this text: it was searched by its words; see the server's log."
)
MODEL_PATIENCE = 3.0  # seconds that a call waits for the model; the default one takes a third of one
ERASE_PATIENCE = 2000  # milliseconds that emptying the log waits for readers
CLOSE_PATIENCE = 0.5  # seconds that the end of the process waits for what is under way
TEXT_TAIL = 256  # passages; an index commit costs the same for one and for hundreds
EXACT_UP_TO = 10_000  # embeddings; exact search takes 2 ms for so many and misses nothing
VECTOR_TAIL = 5_000  # embeddings beyond a snapshot; 0.9 ms more for a query


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
    search: Search
    upkeep: Upkeep | None


def _unless_it_fails(embed: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32] | None:
    """What ``embed`` gives, or None: a model's trouble with a text must not keep the text from being stored
    or found by its words."""
    try:
        return embed()
    except Exception:
        logger.exception("The embedding model failed on a text")
        return None


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
        tends: bool = True,
    ) -> None:
        """``patience`` is how long, in seconds, a call waits for the model to load; ``tends`` whether there
        is a background thread, which a process that lives for one call does without."""
        self.config = config
        self.now = clock
        self._patience = patience
        self._tends = tends
        self.backlog = Backlog(config.data_dir, self._connect, self.write)
        self.catch_up = CatchUp(config.data_dir, self._connect, self.write)
        self.backups = Backups(config.data_dir, self._connect, config.backups, clock)
        self.erasing = Erasing(self.catch_up, self.backups)
        self._retention = Retention(config.data_dir, self._connect, self.write, self.catch_up, clock)
        self._warm_up = WarmUp(lambda: load(config))
        self._opening, self._writing, self._reading = threading.Lock(), threading.Lock(), threading.Lock()
        self._opened: _Open | None = None
        self._erased_in_log = False
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
                self._prepare()
                self._opened = _Open(
                    writer=Store(self.database),
                    reader=Store(self.database),
                    search=Search(self.config.data_dir),
                    upkeep=Upkeep(self.tend) if self._tends else None,
                )
                self._erased_in_log = self._opened.writer.has_erased(0)  # somebody may have died before that
                self._wake(self._opened)
            return self._opened

    def _prepare(self, *, is_locked: bool = False) -> None:
        """See to it that there is a database to open; ``is_locked`` says that the write lock is held."""
        prepare_directory(self.config.data_dir)
        if swap.waiting(self.database).exists() or not Store.is_prepared(self.database):
            with contextlib.nullcontext() if is_locked else locked(self.config.data_dir / WRITE_LOCK):
                swap.finish(self.database)
                Store.prepare(self.database).close()

    def _renew_writer(self, opened: _Open) -> None:
        """Open the writing connection anew if its file has been replaced; under the write lock."""
        if swap.waiting(self.database).exists() or not opened.writer.is_current():
            opened.writer.retire()
            self._prepare(is_locked=True)
            opened.writer = Store(self.database)
            self.backlog.start_over()

    @contextlib.contextmanager
    def _view(self) -> Generator[_Open]:
        """The reading connection and what was read through it, both begun anew if the file was replaced."""
        opened = self._open()
        with self._reading:
            if not opened.reader.is_current():
                with locked(self.config.data_dir / WRITE_LOCK):
                    opened.reader.retire()
                    self._prepare(is_locked=True)
                opened.reader, opened.search = Store(self.database), Search(self.config.data_dir)
                self.backlog.start_over()
            yield opened

    def _connect(self) -> Store:
        return Store(self.database)

    def close(self) -> None:
        """Let a write that is under way finish, stop the background thread; at most about a second."""
        with self._opening:
            opened, self._opened, self._closed = self._opened, None, True
        if opened is None:
            return
        if opened.upkeep is not None:
            opened.upkeep.close(CLOSE_PATIENCE)
        # SQLite checkpoints when the last connection closes, which must not run beside another process's
        # commit. Where the lock is not to be had, the connections are left to the end of the process.
        with contextlib.suppress(Busy), locked(self.config.data_dir / WRITE_LOCK, CLOSE_PATIENCE):
            for gate, store in ((self._writing, opened.writer), (self._reading, opened.reader)):
                if gate.acquire(timeout=CLOSE_PATIENCE):
                    store.close()
                    gate.release()

    # --- reading and writing ------------------------------------------------------------------

    @contextlib.contextmanager
    def write(self, *, erase: bool = False, beside: Path | None = None) -> Generator[Store]:
        """One transaction, durable when the block ends, ``beside`` another database or not. With ``erase``
        the file is written anew and the log is emptied, so that no deleted text stays in either; where a
        slow reader is in the way of the latter, the next write tries again.

        Raises:
            StorageError: the directory cannot be written, the disk is full, or somebody blocks the lock; or
                the database was taken away at this very moment.
        """
        opened = self._open()
        with self._writing, locked(self.config.data_dir / WRITE_LOCK):
            self._renew_writer(opened)
            with opened.writer.attached(beside), opened.writer.transaction():
                yield opened.writer
            if erase:
                self.erasing.in_file(opened.writer)
            if erase or self._erased_in_log:
                self._erased_in_log = not opened.writer.empty_log(ERASE_PATIENCE if erase else 0)
            else:
                opened.writer.checkpoint()
            opened.writer.assert_current()
        self._wake(opened)

    @staticmethod
    def _wake(opened: _Open) -> None:
        if opened.upkeep is not None:
            opened.upkeep.wake()

    @contextlib.contextmanager
    def read(self, *, beside: Path | None = None) -> Generator[Store]:
        """One moment of the database, ``beside`` another one or not."""
        with self._view() as opened, opened.reader.attached(beside), opened.reader.snapshot():
            yield opened.reader

    # --- embedding ----------------------------------------------------------------------------

    def embedder(self) -> Embedder | None:
        """The model, or None if it is not there in time; memories are then found by words."""
        return self._warm_up.embedder(self._patience)

    def start_model(self) -> None:
        """Let the model begin to load, and wait for nothing."""
        self._warm_up.embedder(0)

    @property
    def model_problem(self) -> str:
        """Why there is no model; empty once there is one."""
        return self._warm_up.problem

    def embed(self, texts: Sequence[str]) -> tuple[ModelIdentity, list[bytes]] | None:
        """The texts' embeddings as they are kept, or None while there is no model, or it fails."""
        embedder = self.embedder()
        if embedder is None:
            return None
        vectors = _unless_it_fails(lambda: embedder.embed_documents(texts))
        return None if vectors is None else (embedder.identity, pack(vectors))

    # --- finding ------------------------------------------------------------------------------

    def find(self, text: str, filters: Filters, limit: int) -> Found:
        """Candidates for a question, as of the newest change of any process."""
        self._open()
        embedder = self.embedder()
        vector = _unless_it_fails(lambda: embedder.embed_query(text)) if embedder else None
        identity = embedder.identity if embedder else None
        if self._take_up_snapshots(identity):
            with contextlib.suppress(StorageError, DamagedSnapshot):  # the tail answers too, only slower
                self.catch_up.write_text(unless=lambda: not self._take_up_snapshots(identity))
        question = Question(text, vector, filters, self.now(), limit)
        try:
            candidates = self._candidates(identity, question)
        except DamagedSnapshot as error:  # noticed only in use: the background writes it anew
            logger.warning("%s", error)
            with self._view() as opened:
                opened.search.text.reject()
            candidates = self._candidates(identity, question)
        return Found(candidates, vector is not None, self._notes(vector))

    def _candidates(self, identity: ModelIdentity | None, question: Question) -> list[Candidate]:
        with self._view() as opened:
            opened.search.reload(opened.reader, identity)
            with opened.reader.snapshot():
                opened.search.read(opened.reader)
                return opened.search.find(opened.reader, question)

    def nearest(
        self, identity: ModelIdentity, vector: bytes, filters: Filters, least: float
    ) -> list[tuple[Memory, Chunk, float]]:
        """The memories nearest to a vector, as it is kept, from the cosine ``least`` on, each with its best
        passage; nearest first, as of the newest change of any process."""
        with self._view() as opened:
            opened.search.reload_vectors(opened.reader, identity)
            with opened.reader.snapshot():
                return opened.search.nearest(opened.reader, unpack([vector])[0], filters, self.now(), least)

    def _take_up_snapshots(self, identity: ModelIdentity | None) -> bool:
        """Take up the newest; whether so much is missing from the text index that it had better be written
        first."""
        with self._view() as opened:
            opened.search.reload(opened.reader, identity)
            return opened.search.is_far_behind(opened.reader)

    def _notes(self, vector: NDArray[np.float32] | None) -> list[str]:
        if vector is None:
            return [self.model_problem or EMBEDDING_FAILED]
        if self.backlog.size:
            return [f"{self.backlog.size} passages are still being embedded and found by words only."]
        return []

    # --- upkeep -------------------------------------------------------------------------------

    def tend(self, progress: Progress) -> None:
        """What the background does when it is woken: embed what is missing, write snapshots that lag and,
        in a process that stays, remove what has ended and make a backup once a day.

        Raises:
            Stopped: ``progress`` asked for it.
        """
        embedder = self._warm_up.ready
        if embedder is not None:
            self.backlog.work(embedder, progress)
        progress(0, 0)
        if self._tends:
            self._finish_erasing(progress)
            self._retention.tend(embedder.identity if embedder else None, progress)
        self._write_due_snapshots(embedder.identity if embedder else None, progress)
        if self._tends:
            self.backups.tend()

    def _finish_erasing(self, progress: Progress) -> None:
        """What a process that was killed, or could not write, has left of an erasure: the rows are gone, but
        text may stay in the file, in the log, and words in the index."""
        with self._view() as opened:
            remains = opened.reader.has_remains()
        if remains or self._erased_in_log:
            with self._writing, locked(self.config.data_dir / WRITE_LOCK):
                self._renew_writer(opened)
                if opened.writer.has_remains():
                    self.erasing.in_file(opened.writer)
                self._erased_in_log = not opened.writer.empty_log(patience=0)
        self.catch_up.forget_erased_words(wait=False, progress=progress)

    def _write_due_snapshots(self, identity: ModelIdentity | None, progress: Progress) -> None:
        with self._view() as opened:
            opened.search.reload(opened.reader, identity)
            with opened.reader.snapshot():
                opened.search.forget_erased(opened.reader)
            text_due = opened.search.is_text_due(opened.reader, TEXT_TAIL)
            vectors_due = opened.search.are_vectors_due(opened.reader, EXACT_UP_TO, VECTOR_TAIL)
        if text_due:
            self.catch_up.write_text(wait=False, progress=progress)
        if vectors_due and identity is not None:
            self.catch_up.write_vectors(identity, wait=False, progress=progress)

    def retain(self, progress: Progress = unwatched) -> list[Due]:
        """Remove what has ended, now; returns what that was.

        Raises:
            Busy: another process is at it, and goes on for too long.
        """
        self._open()
        embedder = self.embedder()
        removed = self._retention.run(embedder.identity if embedder else None, progress)
        self.erasing.in_backups()
        return removed

    def finish(self, progress: Callable[[str], Progress] = lambda _: unwatched) -> None:
        """Do at once what the background would do after many stores: embed what is missing, unless another
        process is at it, and write the indexes that lag; ``progress`` as in `rebuild`.

        Raises:
            Stopped: ``progress`` asked for it.
        """
        embedder = self.embedder()
        if embedder is not None:
            self.backlog.work(embedder, progress("embeddings"))
        self._write_due_snapshots(embedder.identity if embedder else None, progress("indexes"))

    def rebuild(self, progress: Callable[[str], Progress] = lambda _: unwatched) -> None:
        """Embed what is missing and write every index anew from the system of record; ``progress`` gives a
        watcher for each part of the work by its name.

        Raises:
            Busy: another process is writing an index, and goes on for too long.
        """
        self._open()
        embedder = self.embedder()
        if embedder is not None:
            self.backlog.work_all(embedder, progress("embeddings"))
        self.catch_up.write_text(anew=True, progress=progress("text index"))
        if embedder is not None:
            self.catch_up.remove_vectors(embedder.identity)
            self._write_due_snapshots(embedder.identity, progress("vector index"))
