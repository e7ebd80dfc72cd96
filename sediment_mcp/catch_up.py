"""Bringing snapshots up to date: the only writers of the derived indexes.

Each function is called by the holder of the index lock, reads the system of record through a connection of
its own, and first announces its snapshot there (``announce``), so that an index of another history, such as
a restored backup, is recognised by its unknown token. A crash at any moment leaves the older snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import text_index, vector_index
from .embedder import ModelIdentity
from .errors import DamagedSnapshot
from .leg import SnapshotT
from .memory import Memory
from .progress import Progress, unwatched
from .store import Store
from .text_index import Passage, TextIndex
from .text_search import INDEX_NAME
from .vector_index import VectorIndex
from .vector_search import index_name, unpack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH = 500  # memories read at a time

Announce = Callable[[str], tuple[int, int]]
"""Record in the system of record that a snapshot of this index follows; gives its (token, seq)."""


def write_text(
    directory: Path, store: Store, announce: Announce, *, anew: bool = False, progress: Progress = unwatched
) -> None:
    """Write what has changed into the text index, or all of it ``anew`` or where there is no sound base."""
    base = None if anew else _own(store, INDEX_NAME, lambda: TextIndex(directory))
    token, seq = announce(INDEX_NAME)
    if base is None:
        memories = _counted(store.changed_memories(0), store.memory_count(), progress)
        passages = _passages(store, memories)
        text_index.write_snapshot(directory, None, passages, (), seq=seq, token=token)
        return
    memories = list(store.changed_memories(base.seq))
    gone = [number for _, number in store.erased_since(base.seq)]
    changed = [*(memory.number for memory in memories), *gone]
    text_index.write_snapshot(
        directory, base, _passages(store, iter(memories)), changed, seq=seq, token=token
    )


def write_vectors(
    directory: Path,
    store: Store,
    announce: Announce,
    identity: ModelIdentity,
    *,
    anew: bool = False,
    progress: Progress = unwatched,
) -> None:
    """Write the embeddings that are new into a model's vector index, or all of them ``anew`` or where there
    is no sound base."""
    name, model = index_name(identity.fingerprint), store.embeddings.number_of(identity.fingerprint)
    if model is None:
        return
    base = None if anew else _own(store, name, lambda: _open_vectors(directory, identity))
    token, seq = announce(name)
    after = base.seq if base else 0
    vectors = store.embeddings.since(model, after)
    removed = store.embeddings.deleted(after) if base else ()
    vector_index.write_snapshot(
        directory, base, _arrays(vectors, identity.dimension), removed,
        fingerprint=identity.fingerprint, seq=seq, token=token, progress=progress,
    )  # fmt: skip


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
