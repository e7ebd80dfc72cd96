"""Bring snapshots up to date: the only writer of the derived indexes.

The process that holds an index's lock writes its snapshot, and reads the system of record through a separate
connection. The snapshot is first announced there, so that an index of another history, such as a restored
backup, is recognised by its unknown token. A crash at any moment leaves the older snapshot. If the base turns
out to be damaged while it is written to, the snapshot is written again without a base.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.domain.memory import Memory
from sediment_mcp.embeddings.codec import view_vectors
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.indexes.index_files import TEXT_LOCK, VECTOR_LOCK
from sediment_mcp.indexes.protocols import IndexedChunk, SnapshotT, open_trusted
from sediment_mcp.indexes.quantized_index import QuantizedIndex, QuantizedWriter
from sediment_mcp.indexes.text_files import TextWriter
from sediment_mcp.storage.protocols import MemoryStorage, ReadSession
from sediment_mcp.storage.table_protocols import SnapshotId
from sediment_mcp.system.allocator import release_freed_memory
from sediment_mcp.system.files import translate_os_errors
from sediment_mcp.system.locks import locked, locked_if_free
from sediment_mcp.system.progress import Progress, ignore_progress

if TYPE_CHECKING:
    from sediment_mcp.indexes.text_files import StoredTextIndex
    from sediment_mcp.indexes.vector_matrix import Vectors
    from sediment_mcp.system.directory_encryption import DirectoryEncryption

logger = logging.getLogger(__name__)

READ_MEMORIES = 500  # memories read at a time
READ_VECTORS = 4096  # vectors read at a time, 3 MB


class Indexer:
    """Writes the indexes of one data directory.

    May be used from any thread and any number of processes.
    """

    def __init__(
        self, directory: Path, storage: MemoryStorage, lock_timeout: float, encryption: DirectoryEncryption
    ) -> None:
        """Wait ``lock_timeout`` seconds for another process that is writing an index."""
        self._directory = directory
        self._storage = storage
        self._lock_timeout = lock_timeout
        self._encryption = encryption
        self._text = TextWriter(directory, encryption)
        self._is_text_verified = False

    def write_text(
        self,
        *,
        rebuild: bool = False,
        wait: bool = True,
        skip_if: Callable[[], bool] = lambda: False,
        progress: Progress = ignore_progress,
    ) -> None:
        """Write all changes into the text index.

        Without a sound base, or with ``rebuild``, everything is written. Without ``wait`` nothing happens
        while another process is writing the index. ``skip_if`` is called once the lock is held, because
        another process may have done the work in the meantime.

        Raises:
            Busy: another process is writing the index for too long.
            Stopped: ``progress`` asked for it.
            DamagedSnapshot: it could not be written, not even without a base.
        """
        with self._hold(TEXT_LOCK, wait) as session:
            if session is not None and not skip_if():
                base = None if rebuild else open_trusted(session, self._text.name, self._text.open)
                _write_with_fallback(base, lambda base: self._write_text(session, base, progress))

    def write_vectors(
        self,
        model: ModelIdentity,
        *,
        rebuild: bool = False,
        wait: bool = True,
        progress: Progress = ignore_progress,
    ) -> None:
        """Write all changes into the model's vector index; see `write_text`."""
        with self._hold(VECTOR_LOCK, wait) as session:
            if session is not None:
                writer = self._build_vector_writer(model)
                base = None if rebuild else open_trusted(session, writer.name, writer.open)
                _write_with_fallback(base, lambda base: self._write_vectors(session, model, base, progress))

    def remove_text(self) -> None:
        """Delete all files of the text index; the memtable is searched until there is a new one."""
        with self._hold(TEXT_LOCK, wait=True):
            self._text.remove()

    def remove_vectors(self, model: ModelIdentity) -> None:
        """Delete the model's vector index; until there is a new one, search is exact."""
        with self._hold(VECTOR_LOCK, wait=True):
            self._build_vector_writer(model).remove()

    def verify_text(self, progress: Progress = ignore_progress) -> None:
        """Read all files of the text index, once, and write it anew if one is damaged.

        A file that has not changed is not read when the index is opened, so a failing disk is not noticed.
        The vector index needs no such check: its vectors are checked as they are read.

        Raises:
            Stopped: ``progress`` asked for it.
        """
        if self._is_text_verified or not self._text.exists():
            return
        with contextlib.suppress(DamagedSnapshot, OSError, ValueError):  # queries have noticed that
            stamp = self._text.stamp()
            try:
                self._text.verify()
            except DamagedSnapshot as error:
                if self._text.stamp() == stamp:  # else another process was just replacing it
                    logger.warning("%s", error)
                    self.write_text(
                        rebuild=True, wait=False, skip_if=lambda: self._text.stamp() != stamp,
                        progress=progress,
                    )  # fmt: skip
        self._is_text_verified = True

    def purge_erased(
        self, model: ModelIdentity | None, *, wait: bool = True, progress: Progress = ignore_progress
    ) -> None:
        """Rewrite every index whose files may still hold parts of an erased memory.

        If there is none, only the pointer files are read. Vector indexes of other models than ``model`` are
        deleted instead; without a model they are left alone, because nobody knows which one is in use.
        Without ``wait`` an index that another process is writing is left out.

        Raises:
            Busy: another process is writing an index for too long.
            Stopped: ``progress`` asked for it.
        """
        self.purge_erased_text(wait=wait, progress=progress)
        with self._storage.connect() as session:
            models = [stored.model for stored in session.embeddings.models()]
            outdated = [each for each in models if self._may_hold_erased_vectors(session, each)]
            own = [each for each in outdated if each == model and self._holds_erased_vectors(session, each)]
            has_erased = session.changes.has_erased_since(0)
        if has_erased:
            self._remove_earlier_formats(models, wait)
        for each in own:
            self.write_vectors(each, rebuild=True, wait=wait, progress=progress)
        for each in outdated if model is not None else ():
            if each != model:
                self.remove_vectors(each)

    def purge_erased_text(self, *, wait: bool = True, progress: Progress = ignore_progress) -> None:
        """Rewrite the text index if its files may still hold words of an erased memory.

        A commit alone does not remove them; see `purge_erased`.
        """
        if self._holds_erased_text():
            self.write_text(
                rebuild=True, wait=wait, skip_if=lambda: not self._holds_erased_text(), progress=progress
            )

    def _remove_earlier_formats(self, models: Sequence[ModelIdentity], wait: bool) -> None:
        """Delete vector indexes of an earlier version, which may hold what was erased."""
        outdated = [
            files
            for model in models
            if (files := self._build_vector_writer(model).files).has_earlier_format()
        ]
        if outdated:
            with self._hold(VECTOR_LOCK, wait) as session:
                for files in outdated if session is not None else ():
                    files.remove_earlier_formats()

    def _holds_erased_text(self) -> bool:
        if not self._text.exists():
            return False
        with self._storage.connect() as session:
            return session.changes.has_erased_since(self._text.built_seq())

    def _may_hold_erased_vectors(self, session: ReadSession, model: ModelIdentity) -> bool:
        writer = self._build_vector_writer(model)
        return writer.exists() and session.changes.has_erased_since(writer.built_seq())

    def _holds_erased_vectors(self, session: ReadSession, model: ModelIdentity) -> bool:
        try:
            index = self._build_vector_writer(model).open()
        except DamagedSnapshot:
            return True
        erased = session.changes.erased_since(index.snapshot.seq)
        return index.count_contained(chunk_id for chunk_id, _ in erased) > 0

    def _build_vector_writer(self, model: ModelIdentity) -> QuantizedWriter:
        return QuantizedWriter(self._directory, model.fingerprint, model.dimension, self._encryption)

    @contextlib.contextmanager
    def _hold(self, lock: str, wait: bool) -> Generator[ReadSession | None]:
        """Hold an index's lock and lend a connection, or None if the lock is not to be waited for."""
        with contextlib.ExitStack() as stack:
            path = self._directory / lock
            if wait:
                stack.enter_context(locked(path, self._lock_timeout))
            elif not stack.enter_context(locked_if_free(path)):
                yield None
                return
            stack.callback(release_freed_memory)
            stack.enter_context(translate_os_errors())
            yield stack.enter_context(self._storage.connect())

    def _write_text(self, session: ReadSession, base: StoredTextIndex | None, progress: Progress) -> None:
        snapshot = self._announce(self._text.name, session)
        removed: list[int] = []
        if base is None:
            memories = _report_progress(
                session.changes.memories_since(0), session.changes.count_memories(), progress
            )
        else:
            changed = list(session.changes.memories_since(base.snapshot.seq))
            erased = [memory_key for _, memory_key in session.changes.erased_since(base.snapshot.seq)]
            removed, memories = [*(memory.key for memory in changed), *erased], iter(changed)
        self._text.write(base, _read_chunks(session, memories), removed, snapshot)

    def _write_vectors(
        self, session: ReadSession, model: ModelIdentity, base: QuantizedIndex | None, progress: Progress
    ) -> None:
        model_key = session.embeddings.model_key(model.fingerprint)
        if model_key is None:
            return
        writer = self._build_vector_writer(model)
        snapshot = self._announce(writer.name, session)
        if base is None:
            total = session.embeddings.count_until(model_key, snapshot.seq)
            encoded, removed = session.embeddings.iterate(model_key), list[int]()
        else:
            changed = session.embeddings.since(model_key, base.snapshot.seq)
            total, encoded = len(changed), iter(changed.items())
            removed = session.embeddings.removed_since(model_key, base.snapshot.seq)
        writer.write(base, _read_vectors(encoded, total, progress), removed, snapshot)

    def _announce(self, name: str, source: ReadSession) -> SnapshotId:
        with self._storage.write() as session:
            source.assert_current()  # or the index would hold the data of a database that does not know it
            return session.snapshots.register(name)


def _write_with_fallback(base: SnapshotT | None, write: Callable[[SnapshotT | None], None]) -> None:
    """Write a snapshot on the base, or without it if the base turns out to be damaged."""
    try:
        write(base)
    except DamagedSnapshot as error:
        if base is None:
            raise
        logger.info("%s", error)
        write(None)


def _report_progress(memories: Iterator[Memory], total: int, progress: Progress) -> Iterator[Memory]:
    for done, memory in enumerate(memories, start=1):
        yield memory
        if done % READ_MEMORIES == 0 or done == total:
            progress(done, total)


def _read_chunks(session: ReadSession, memories: Iterator[Memory]) -> Iterator[IndexedChunk]:
    batch: list[Memory] = []
    for memory in memories:
        if memory.deleted_at is None:
            batch.append(memory)
        if len(batch) == READ_MEMORIES:
            yield from _read_chunks_of(session, batch)
            batch = []
    yield from _read_chunks_of(session, batch)


def _read_chunks_of(session: ReadSession, memories: Sequence[Memory]) -> Iterator[IndexedChunk]:
    owners = {memory.key: memory for memory in memories}
    for chunk in session.chunks_of(list(owners)):
        memory = owners[chunk.memory_key]
        yield IndexedChunk(chunk.id, memory, memory.content[chunk.start : chunk.end])


def _read_vectors(encoded: Iterator[tuple[int, bytes]], total: int, progress: Progress) -> Iterator[Vectors]:
    done = 0
    while rows := list(islice(encoded, READ_VECTORS)):
        chunk_ids, vectors = zip(*rows, strict=True)
        yield np.array(chunk_ids, np.int64), view_vectors(vectors)
        done += len(rows)
        progress(min(done, total), total)
