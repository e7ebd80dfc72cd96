"""Move a whole store to another engine by a copy that is compared with it.

The copy keeps the ids and the order of the memories, their history, trash and times, what models have made
of them, the rules of retention and the ids of what was erased. Memories are copied in the order of their
keys, those of a batch in one transaction, so what a killed move leaves is the beginning of the copy, and the
next one goes on behind it. What was changed in the source since is brought over as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sediment_mcp.domain.duplicates import compute_content_hash
from sediment_mcp.domain.memory import Chunk, Memory, NewMemory
from sediment_mcp.errors import BadArgument, StorageError
from sediment_mcp.system.progress import Progress, ignore_progress
from sediment_mcp.system.text import format_count
from sediment_mcp.transfer.formats.sediment_jsonl import format_memory, format_rule
from sediment_mcp.transfer.records import ALL_MEMORIES, split_into_batches

if TYPE_CHECKING:
    from sediment_mcp.storage.model_protocols import ModelTable, ModelTableReader
    from sediment_mcp.storage.protocols import MemoryStorage, ReadSession, WriteSession

COPIED_AT_ONCE = 200  # memories in one transaction
PASSES = 5  # over a source in which others write meanwhile


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store holds: counts, and a digest of its memories and rules."""

    memories: int
    rules: int
    erased: int
    digest: str
    embeddings: Mapping[str, int]
    """By the fingerprint of a model, of how many chunks something is kept, token vectors included."""


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class _Batch(NamedTuple):
    """Some memories, in the order of their keys, and the chunks of each."""

    memories: list[Memory]
    chunks: dict[int, list[Chunk]]


@dataclass(slots=True)
class _Reading:
    """A pass over a store, memory by memory, that takes the digest on its way."""

    session: ReadSession
    count: int = 0
    _digest: _Digest = field(default_factory=hashlib.sha256)

    def read(self) -> Iterator[_Batch]:
        """Yield all memories in batches."""
        found = self.session.bulk.memories(ALL_MEMORIES, include_deleted=True)
        for memories in split_into_batches(found, COPIED_AT_ONCE):
            chunks: dict[int, list[Chunk]] = {memory.key: [] for memory in memories}
            for chunk in sorted(self.session.chunks_of(list(chunks)), key=lambda one: one.id):
                chunks[chunk.memory_key].append(chunk)
            for memory in memories:
                spans = [(chunk.start, chunk.end) for chunk in chunks[memory.key]]
                self._digest.update(f"{format_memory(memory, {'passages': spans})}\n".encode())
            self.count += len(memories)
            yield _Batch(memories, chunks)

    def sum_up(self) -> Contents:
        """Return what the store holds; all of it must have been read."""
        rules, erased = self.session.retention.rules(), sorted(self.session.erased_ids())
        for line in (*map(format_rule, rules), *erased):
            self._digest.update(f"{line}\n".encode())
        tables = (self.session.embeddings, self.session.token_vectors)
        made = {one.model.fingerprint: one.count for table in tables for one in table.models()}
        return Contents(self.count, len(rules), len(erased), self._digest.hexdigest(), made)


def move_store(
    source: MemoryStorage,
    target: MemoryStorage,
    *,
    copying: Progress = ignore_progress,
    checking: Progress = ignore_progress,
) -> Contents:
    """Make the target hold what the source does, compare the two, and return what they hold.

    Raises:
        BadArgument: the target holds memories that are not the source's.
        StorageError: one of them fails, or the copy is another one than it should be.
        Stopped: a progress asked for it; the next move goes on.
    """
    for _ in range(PASSES):
        with source.read() as here:
            seq = here.changes.seq()
            _check_target(here, target)
            total = here.changes.count_memories()
            contents = _copy(here, target, total, copying)
            _verify(target, contents, checking)
        with source.read() as here:
            if here.changes.seq() == seq:
                return contents
    raise StorageError(
        "Others keep writing where the memories come from: end the hosts that use them, then move again."
    )


def _check_target(here: ReadSession, target: MemoryStorage) -> None:
    with target.read() as there:
        found = [memory.id for memory in there.bulk.memories(ALL_MEMORIES, include_deleted=True)]
    own = here.erased_ids()
    for batch in split_into_batches(found, COPIED_AT_ONCE):
        own |= here.get(batch).keys()
    foreign = len(set(found) - own)
    if foreign:
        raise BadArgument(
            f"The place to move to holds {format_count(foreign, 'memory')} of its own: name an empty one, or "
            "bring both together with export and import."
        )


def _copy(here: ReadSession, target: MemoryStorage, total: int, progress: Progress) -> Contents:
    reading = _Reading(here)
    progress(0, total)
    for batch in reading.read():
        with target.write() as there:
            _copy_batch(here, there, batch)
        progress(reading.count, total)
    with target.write() as there:
        _copy_rest(here, there)
    return reading.sum_up()


def _copy_batch(here: ReadSession, there: WriteSession, batch: _Batch) -> None:
    """Bring memories over, or up to date, with what models made of them."""
    known = there.get([memory.id for memory in batch.memories])
    known_chunks: dict[int, list[int]] = {memory.key: [] for memory in known.values()}
    for chunk in sorted(there.chunks_of(list(known_chunks)), key=lambda one: one.id):
        known_chunks[chunk.memory_key].append(chunk.id)
    pairs: dict[int, int] = {}
    fresh: set[int] = set()
    for memory in batch.memories:
        chunks = batch.chunks[memory.key]
        if (present := known.get(memory.id)) is None:
            ids = there.add(_renew(memory, chunks)).chunk_ids
            fresh.update(ids)
        else:
            ids = known_chunks[present.key]
            if replace(present, key=memory.key, seq=memory.seq) != memory:
                there.update(replace(memory, key=present.key, seq=present.seq))
        if len(ids) == len(chunks):
            pairs.update(zip((chunk.id for chunk in chunks), ids, strict=True))
    _copy_made(here.embeddings, there.embeddings, pairs, fresh)
    _copy_made(here.token_vectors, there.token_vectors, pairs, fresh)


def _renew(memory: Memory, chunks: Iterable[Chunk]) -> NewMemory:
    spans = tuple((chunk.start, chunk.end) for chunk in chunks)
    return NewMemory.copy_of(memory, content_hash=compute_content_hash(memory.content), spans=spans)


def _copy_made(here: ModelTableReader, there: ModelTable, pairs: Mapping[int, int], fresh: set[int]) -> None:
    """Copy what models made of chunks, by pairs of the chunks here and there."""
    older = [chunk for chunk in pairs.values() if chunk not in fresh]
    for stored in here.models():
        own = here.model_key(stored.model.fingerprint)
        vectors = here.get(own, list(pairs)) if own is not None else {}
        key = there.register(stored.model)
        have = there.get(key, older) if older else {}
        new = [(pairs[chunk], vector) for chunk, vector in vectors.items() if pairs[chunk] not in have]
        if new:
            there.add(key, new)


def _copy_rest(here: ReadSession, there: WriteSession) -> None:
    """Copy what is no memory, and erase there what was erased here since."""
    erased = here.erased_ids()
    for memory in there.get(sorted(erased)).values():
        there.erase(memory)
    rules = here.retention.rules()
    for rule in there.retention.rules():
        if rule not in rules:
            there.retention.clear_rule(rule)
    for rule in rules:
        there.retention.set_rule(rule)
    there.record_erased(sorted(erased - there.erased_ids()))
    there.kept_pairs.add(here.kept_pairs.list_all())
    there.retention.set_readings(here.retention.readings())


def _verify(target: MemoryStorage, expected: Contents, progress: Progress) -> None:
    with target.read() as there:
        reading = _Reading(there)
        for _ in reading.read():
            progress(reading.count, expected.memories)
        found = reading.sum_up()
    differences = _list_differences(found, expected)
    if differences:
        raise StorageError(
            f"The copy differs from the source in {', '.join(differences)}, which is as it was: "
            "move again into an empty place, while nobody else writes there."
        )


def _list_differences(found: Contents, expected: Contents) -> Sequence[str]:
    """Return in what a copy differs; a server may have embedded more of it meanwhile."""
    lacks_vectors = any(
        found.embeddings.get(model, 0) < count for model, count in expected.embeddings.items()
    )
    checks = {
        f"the number of memories ({found.memories:,}, not {expected.memories:,})": found.memories
        != expected.memories,
        "its retention rules": found.rules != expected.rules,
        "the ids of what was erased": found.erased != expected.erased,
        "its embeddings": lacks_vectors,
        "what its memories say": found.digest != expected.digest,
    }
    return [name for name, is_different in checks.items() if is_different]
