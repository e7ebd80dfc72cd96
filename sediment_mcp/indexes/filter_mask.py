"""Evaluate filters over arrays of attributes, to a mask of the chunks that pass.

A mask is computed in less than a millisecond; SQL takes 0.1 seconds for 100,000 memories.

The arrays are built at the first search with a filter (a second for 300,000 memories, about ninety bytes
each), then kept current by the change sequence, like the memtables. Words are stored as hashes, and a tag
removed from a memory is not removed here, so a mask may allow too many memories but never too few: the hits
are joined with their rows in the database, where the filters are applied again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from sediment_mcp.domain.filters import CURRENT, SUPERSEDED, Filters
from sediment_mcp.domain.tags import fold_tag
from sediment_mcp.storage.protocols import ReadSession
from sediment_mcp.system.timestamps import to_micros

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

STANDING, KIND, PROJECT, SESSION, OCCURRED, EXPIRES = range(6)
READ_ROWS = 2000  # rows read from the database at a time
SPARE_SHARE = 8  # an array that is full grows by an eighth, so that growing one by one stays linear


@dataclass(frozen=True, slots=True)
class FilterMask:
    """The chunks that pass a filter, as the array ``allowed`` by chunk id.

    The first and the last value are False, so that ids beyond either end can be clipped to them.
    """

    allowed: NDArray[np.bool_]

    def allows(self, chunk_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return for each chunk whether it passes the filter; False for an unknown chunk."""
        return self.allowed.take(chunk_ids, mode="clip")


class AttributeColumns:
    """The attributes of all memories and the memories of all chunks, as arrays by key.

    Not thread-safe.
    """

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._applied_seq = self._last_chunk_id = self._tag_count = 0
        self._attributes = np.zeros((6, 2), np.int64)  # by attribute and memory; there is no memory 0
        self._owners = np.zeros(2, np.int64)  # memory by chunk; 0 where there is none
        self._tags = np.zeros((2, 2), np.int64)  # (tag, memory), as many as `_tag_count`

    def apply_changes(self, session: ReadSession) -> None:
        """Apply all changes since the last call, inside the read transaction of the search."""
        newest = session.changes.seq()
        if newest < self._applied_seq:  # an older database has replaced it
            self._clear()
        if newest != self._applied_seq:
            self._add_memories(session)
            self._add_tags(session)
            self._add_chunks(session)
            self._applied_seq = newest

    def _add_memories(self, session: ReadSession) -> None:
        rows = session.changes.attributes_since(self._applied_seq)
        for keys, standing, kind, project, name, occurred, expires in _read_columns(rows):
            self._attributes = _make_room(self._attributes, max(keys))
            words = [list(map(hash, column)) for column in (kind, project, name)]
            self._attributes[:, keys] = [standing, *words, occurred, expires]
        size = self._attributes.shape[1]
        erased = [key for _, key in session.changes.erased_since(self._applied_seq) if key < size]
        self._attributes[STANDING, erased] = 0

    def _add_tags(self, session: ReadSession) -> None:
        for tags, keys in _read_columns(session.changes.tags_since(self._applied_seq)):
            end = self._tag_count + len(tags)
            self._tags = _make_room(self._tags, end)
            self._tags[:, self._tag_count : end] = [hash(fold_tag(tag)) for tag in tags], keys
            self._tag_count = end

    def _add_chunks(self, session: ReadSession) -> None:
        for chunk_ids, owners in _read_columns(session.changes.chunk_owners_after(self._last_chunk_id)):
            self._last_chunk_id = max(chunk_ids)
            self._owners = _make_room(self._owners, self._last_chunk_id)
            self._owners[list(chunk_ids)] = owners

    def build_mask(self, filters: Filters, now: datetime) -> FilterMask:
        """Return the mask of chunks that pass the filter, as of the last `apply_changes`."""
        of = self._attributes
        allowed = (of[STANDING] >= (SUPERSEDED if filters.include_superseded else CURRENT)) & (
            of[EXPIRES] > to_micros(now)
        )
        for column, word in _select_words(filters):
            allowed &= of[column] == hash(word)
        if filters.since is not None:
            allowed &= of[OCCURRED] >= to_micros(filters.since)
        if filters.until is not None:
            allowed &= of[OCCURRED] <= to_micros(filters.until)
        for tag in filters.tags:
            allowed &= self._find_tagged(tag, len(allowed))
        return FilterMask(allowed.take(self._owners))

    def _find_tagged(self, tag: str, size: int) -> NDArray[np.bool_]:
        tags, keys = self._tags[:, : self._tag_count]
        has_tag = np.zeros(size, np.bool_)
        has_tag[keys[tags == hash(fold_tag(tag))]] = True
        return has_tag


def _select_words(filters: Filters) -> list[tuple[int, str | None]]:
    """Return (column, word) for each filter that requires a word."""
    words: list[tuple[int, str | None]] = []
    if filters.scope != "all":
        words.append((PROJECT, filters.project if filters.scope == "project" else None))
    if filters.kind is not None:
        words.append((KIND, filters.kind))
    if filters.session is not None:
        words.append((SESSION, filters.session))
    return words


def _read_columns(rows: Iterator[tuple[Any, ...]]) -> Iterator[Iterator[tuple[Any, ...]]]:
    """Yield the columns of `READ_ROWS` rows at a time, to limit the use of memory."""
    while batch := list(islice(rows, READ_ROWS)):
        yield zip(*batch, strict=True)


def _make_room(array: NDArray[np.int64], last: int) -> NDArray[np.int64]:
    """Return the array, enlarged if needed to hold position ``last`` and a zero after it."""
    size = array.shape[-1]
    if last + 2 <= size:
        return array
    wider = np.zeros((*array.shape[:-1], max(last + 2, size + size // SPARE_SHARE)), np.int64)
    wider[..., :size] = array
    return wider
