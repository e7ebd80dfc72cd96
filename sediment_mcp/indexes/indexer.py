"""Bringing snapshots up to date: the only writer of the derived indexes.

A snapshot is written by whoever holds its index's lock, reads the system of record through a connection of
its own, and is first announced there, so that an index of another history, such as a restored backup, is
recognised by its unknown token. A crash at any moment leaves the older snapshot.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.domain.memory import Memory
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.indexes import tantivy_index, usearch_index
from sediment_mcp.indexes.malloc_trim import give_back
from sediment_mcp.indexes.protocols import SnapshotT
from sediment_mcp.indexes.tantivy_index import Passage, TextIndex
from sediment_mcp.indexes.text_search import INDEX_NAME
from sediment_mcp.indexes.usearch_index import VectorIndex
from sediment_mcp.indexes.vector_search import index_name, unpack
from sediment_mcp.storage.sql.memories import Store
from sediment_mcp.system.files import locked, locked_if_free, writing
from sediment_mcp.system.progress import Progress, unwatched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TEXT_LOCK, VECTOR_LOCK = "text.lock", "vectors.lock"
BATCH = 500  # memories read at a time


class CatchUp:
    """Writes the indexes of one data directory. May be used from any thread and any number of processes."""

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

    def write_text(
        self,
        *,
        anew: bool = False,
        wait: bool = True,
        unless: Callable[[], bool] = lambda: False,
        progress: Progress = unwatched,
    ) -> None:
        """Write what has changed into the text index, or all of it ``anew`` or where there is no sound base.

        Without ``wait`` nothing happens while another process is at it. ``unless`` is asked once the lock
        is held: somebody else may have done the work.

        Raises:
            Busy: another process is writing the index, and goes on for too long.
            Stopped: ``progress`` asked for it.
        """
        with self._turn(TEXT_LOCK, wait) as store:
            if store is not None and not unless():
                self._write_text(store, anew, progress)

    def write_vectors(
        self,
        identity: ModelIdentity,
        *,
        anew: bool = False,
        wait: bool = True,
        progress: Progress = unwatched,
    ) -> None:
        """Write what has changed into the model's vector index, or all of it; see `write_text`."""
        with self._turn(VECTOR_LOCK, wait) as store:
            if store is not None:
                self._write_vectors(store, identity, anew, progress)

    def remove_text(self) -> None:
        """Take the text index away, all its files; the tail answers until there is a new one."""
        with self._turn(TEXT_LOCK, wait=True):
            tantivy_index.remove(self._directory)

    def remove_vectors(self, identity: ModelIdentity) -> None:
        """Take the model's vector index away; until there is a new one, search is exact."""
        with self._turn(VECTOR_LOCK, wait=True):
            usearch_index.remove(self._directory, identity.fingerprint)

    def forget_erased(
        self, identity: ModelIdentity | None, *, wait: bool = True, progress: Progress = unwatched
    ) -> None:
        """Write every index anew that still holds something of an erased memory in its files; costs a look at
        each pointer where none does. Vector indexes of other models than ``identity`` are taken away instead;
        without a model they are left alone, because usearch must not be imported before there is one. Without
        ``wait`` an index that another process is writing is left out.

        Raises:
            Busy: another process is writing an index, and goes on for too long.
            Stopped: ``progress`` asked for it.
        """
        self.forget_erased_words(wait=wait, progress=progress)
        with contextlib.closing(self._open_store()) as store:
            outdated = [model for model in _identities(store) if self._may_hold_erased_vectors(store, model)]
            own = [
                model for model in outdated if model == identity and self._holds_erased_vectors(store, model)
            ]
        for model in own:
            self.write_vectors(model, anew=True, wait=wait, progress=progress)
        for model in outdated if identity is not None else ():
            if model != identity:
                self.remove_vectors(model)

    def forget_erased_words(self, *, wait: bool = True, progress: Progress = unwatched) -> None:
        """Write the text index anew if words of an erased memory may be left in its files, because an index
        commit leaves them there; see `forget_erased`."""
        if self._holds_erased_words():
            self.write_text(
                anew=True, wait=wait, unless=lambda: not self._holds_erased_words(), progress=progress
            )

    def _holds_erased_words(self) -> bool:
        if not tantivy_index.is_anything_there(self._directory):
            return False
        with contextlib.closing(self._open_store()) as store:
            return store.has_erased(tantivy_index.built_at(self._directory))

    def _may_hold_erased_vectors(self, store: Store, identity: ModelIdentity) -> bool:
        is_there = usearch_index.is_there(self._directory, identity.fingerprint)
        return is_there and store.has_erased(usearch_index.built_at(self._directory, identity.fingerprint))

    def _holds_erased_vectors(self, store: Store, identity: ModelIdentity) -> bool:
        try:
            index = _open_vectors(self._directory, identity)
        except DamagedSnapshot:
            return True
        chunks = [chunk for chunk, _ in store.erased_since(index.built)]
        return not index.removed.isdisjoint(chunks) or index.held(chunks) > 0

    @contextlib.contextmanager
    def _turn(self, lock: str, wait: bool) -> Generator[Store | None]:
        with contextlib.ExitStack() as stack:
            path = self._directory / lock
            if wait:
                stack.enter_context(locked(path))
            elif not stack.enter_context(locked_if_free(path)):
                yield None
                return
            stack.callback(give_back)
            stack.enter_context(writing())
            yield stack.enter_context(contextlib.closing(self._open_store()))

    def _write_text(self, store: Store, anew: bool, progress: Progress) -> None:
        base = None if anew else _own(store, INDEX_NAME, lambda: TextIndex(self._directory))
        token, seq = self._announce(INDEX_NAME, store)
        changed: list[int] = []
        if base is None:
            memories = _counted(store.changed_memories(0), store.memory_count(), progress)
        else:
            new = list(store.changed_memories(base.seq))
            gone = [number for _, number in store.erased_since(base.seq)]
            changed, memories = [*(memory.number for memory in new), *gone], iter(new)
        tantivy_index.write_snapshot(
            self._directory, base, _passages(store, memories), changed, seq=seq, token=token
        )

    def _write_vectors(self, store: Store, identity: ModelIdentity, anew: bool, progress: Progress) -> None:
        name, model = index_name(identity.fingerprint), store.embeddings.number_of(identity.fingerprint)
        if model is None:
            return
        base = None if anew else _own(store, name, lambda: _open_vectors(self._directory, identity))
        token, seq = self._announce(name, store)
        after = base.seq if base else 0
        usearch_index.write_snapshot(
            self._directory,
            base,
            _arrays(store.embeddings.since(model, after), identity.dimension),
            store.embeddings.deleted(after) if base else (),
            fingerprint=identity.fingerprint,
            seq=seq,
            token=token,
            progress=progress,
        )

    def _announce(self, name: str, source: Store) -> tuple[int, int]:
        with self._write() as store:
            source.assert_current()  # or the index would hold another database than the one that knows it
            return store.announce_snapshot(name)


def _counted(memories: Iterator[Memory], total: int, progress: Progress) -> Iterator[Memory]:
    for done, memory in enumerate(memories, start=1):
        yield memory
        if done % BATCH == 0 or done == total:
            progress(done, total)


def _own(store: Store, name: str, open_it: Callable[[], SnapshotT]) -> SnapshotT | None:
    """The snapshot to build on, if it is sound and of this database's history."""
    try:
        snapshot = open_it()
    except DamagedSnapshot:
        return None
    return snapshot if store.knows_snapshot(name, snapshot.token, snapshot.seq) else None


def _identities(store: Store) -> list[ModelIdentity]:
    """Every model whose embeddings are kept."""
    return [ModelIdentity(name, print_, size) for name, print_, size, _ in store.embeddings.models()]


def _open_vectors(directory: Path, identity: ModelIdentity) -> VectorIndex:
    return VectorIndex(directory, identity.fingerprint, identity.dimension)


def _passages(store: Store, memories: Iterator[Memory]) -> Iterator[Passage]:
    batch: list[Memory] = []
    for memory in memories:
        if memory.deleted_at is None:
            batch.append(memory)
        if len(batch) == BATCH:
            yield from _passages_of(store, batch)
            batch = []
    yield from _passages_of(store, batch)


def _passages_of(store: Store, memories: Sequence[Memory]) -> Iterator[Passage]:
    owners = {memory.number: memory for memory in memories}
    for chunk in store.chunks_of(list(owners)):
        memory = owners[chunk.memory]
        yield Passage(chunk.number, memory, memory.content[chunk.start : chunk.end])


def _arrays(vectors: dict[int, bytes], dimension: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    import numpy as np

    matrix = unpack(list(vectors.values())) if vectors else np.empty((0, dimension), np.float32)
    return np.fromiter(vectors, np.int64, len(vectors)), matrix
