"""The words of chunks as arrays, searched by the BM25 of tantivy, with the same filters.

The texts of all chunks are thought of as one line of *places*, one a term, with an empty place after each
chunk. For each term the places are kept where it stands, so phrases are found too. Terms and the words of
attributes are 64-bit hashes: two that collide would be taken for one, which only proposes a chunk too many.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from sediment_mcp.domain.filters import NEVER, Filters
from sediment_mcp.domain.tags import fold_tag
from sediment_mcp.indexes.analyzer import extract_terms
from sediment_mcp.indexes.bm25 import calculate_bm25, calculate_idf
from sediment_mcp.indexes.protocols import PHRASE_SCORE, IndexedChunk, TextHit
from sediment_mcp.system.timestamps import to_micros

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

HASH_BYTES = 8
NOTHING = 0  # the hash of an attribute that a memory has not, and of an empty place
MEAN_DIGITS = 3  # of the mean length, as tantivy's index keeps it, so that both kinds give the same answers
OWN_RECORDS = 1  # chunks without a term that tantivy counts more, as it keeps its state in one
LAST_EXACT, STEPS = 40, 8  # tantivy rounds a greater length down, to one of eight before the step doubles


@dataclass(frozen=True, slots=True)
class TermArrays:
    """The terms and attributes of n chunks.

    Attributes:
        terms: the hashes of all terms, ascending.
        ends: where in ``places`` those of each term end.
        places: where each term stands, by term, ascending.
        lengths: the number of terms of each chunk, of shape (n,).
        chunk_ids, memory_keys: the ids of each chunk and its memory.
        words: the hashes of kind, project and session, of shape (3, n).
        times: when it occurred and expires, of shape (2, n).
        current: 0 for what was superseded, else 1.
        tags, tagged: the hashes of tags, and the row of the chunk that has each.
    """

    terms: NDArray[np.uint64]
    ends: NDArray[np.int64]
    places: NDArray[np.uint32]
    lengths: NDArray[np.uint32]
    chunk_ids: NDArray[np.int64]
    memory_keys: NDArray[np.int64]
    words: NDArray[np.uint64]
    times: NDArray[np.int64]
    current: NDArray[np.uint8]
    tags: NDArray[np.uint64]
    tagged: NDArray[np.uint32]


class TermSearch:
    """Searches arrays of terms; ``mean_length`` is the mean number of terms in a chunk."""

    def __init__(self, arrays: TermArrays) -> None:
        self.arrays = arrays
        total = len(arrays.places)
        self.mean_length = round(total / max(1, len(self)), MEAN_DIGITS)
        self._count = len(self) + OWN_RECORDS
        self._counted_mean = max(total, 1) / self._count
        self._lengths = _round_lengths(arrays.lengths)
        owners = np.repeat(np.arange(len(self), dtype=np.uint32), arrays.lengths + np.uint32(1))
        self._rows: NDArray[np.uint32] = owners[arrays.places]

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self.arrays.chunk_ids)

    def document_frequency(self, term: str) -> int:
        """Return in how many chunks the term occurs."""
        return len(self._find_term(term)[0])

    def search(
        self,
        weights: Mapping[str, float],
        filters: Filters,
        now: datetime,
        limit: int,
        *,
        phrases: Sequence[Sequence[str]] = (),
    ) -> list[TextHit]:
        """Return the chunks that contain any of the terms, best first; see `TextIndex.search`."""
        if not weights or limit < 1:
            return []
        scores, found = np.zeros(len(self)), np.zeros(len(self), np.bool_)
        for term, weight in weights.items():
            rows, counts = self._find_term(term)
            idf = np.array(weight * calculate_idf(self._count, len(rows)), np.float32)
            scores[rows] += calculate_bm25(counts, self._lengths[rows], self._counted_mean, idf)
            found[rows] = True
        for phrase in phrases:
            rows = self._find_phrase(phrase)
            scores[rows] += PHRASE_SCORE
            found[rows] = True
        rows = np.flatnonzero(found & self._find_allowed(filters, now))
        best = rows[_select_best(scores[rows], limit)]
        arrays = self.arrays
        return list(
            map(
                TextHit,
                arrays.chunk_ids[best].tolist(),
                arrays.memory_keys[best].tolist(),
                scores[best].tolist(),
            )
        )

    def _find_term(self, term: str) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """Return the rows of the chunks in which a term occurs, and how often."""
        rows = self._rows[self._locate(term)]
        firsts = np.flatnonzero(rows[1:] != rows[:-1]) + 1
        firsts = np.concatenate([np.zeros(min(1, len(rows)), np.intp), firsts])
        return rows[firsts], np.diff(firsts, append=len(rows)).astype(np.float32)

    def _locate(self, term: str) -> slice:
        """Return where in the places those of a term are."""
        arrays, wanted = self.arrays, np.uint64(hash_word(term))
        at = int(np.searchsorted(arrays.terms, wanted))
        if at == len(arrays.terms) or arrays.terms[at] != wanted:
            return slice(0, 0)
        return slice(int(arrays.ends[at - 1]) if at else 0, int(arrays.ends[at]))

    def _find_phrase(self, terms: Sequence[str]) -> NDArray[np.uint32]:
        """Return the rows of the chunks in which terms stand side by side."""
        first, *others = map(self._locate, terms)
        starts, rows = self.arrays.places[first], self._rows[first]
        for distance, other in enumerate(others, start=1):
            is_there = np.isin(starts + np.uint32(distance), self.arrays.places[other], assume_unique=True)
            starts, rows = starts[is_there], rows[is_there]
        return np.unique(rows)

    def _find_allowed(self, filters: Filters, now: datetime) -> NDArray[np.bool_]:
        arrays = self.arrays
        occurred, expires = arrays.times
        allowed = expires > to_micros(now)
        if not filters.include_superseded:
            allowed &= arrays.current == 1
        project = filters.project if filters.scope == "project" else None
        wanted = (filters.kind, project, filters.session)
        is_asked = (filters.kind is not None, filters.scope != "all", filters.session is not None)
        for column, word, is_wanted in zip(arrays.words, wanted, is_asked, strict=True):
            if is_wanted:
                allowed &= column == np.uint64(_hash_attribute(word))
        if filters.since is not None:
            allowed &= occurred >= to_micros(filters.since)
        if filters.until is not None:
            allowed &= occurred <= to_micros(filters.until)
        for tag in filters.tags:
            has_tag = np.zeros(len(self), np.bool_)
            has_tag[arrays.tagged[arrays.tags == np.uint64(hash_word(fold_tag(tag)))]] = True
            allowed &= has_tag
        return allowed


def hash_word(word: str) -> int:
    """Return the hash of a term or of an attribute; never `NOTHING`."""
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES).digest()
    return int.from_bytes(digest, "little") or 1


def _hash_attribute(word: str | None) -> int:
    return NOTHING if word is None else hash_word(word)


# --- building -----------------------------------------------------------------------------------


def build_arrays(chunks: Iterable[IndexedChunk]) -> TermArrays:
    """Return the arrays of chunks, which are read once."""
    known: dict[str, int] = {}
    line: list[NDArray[np.uint64]] = [np.empty(0, np.uint64)]
    lengths, words, numbers = list[int](), list[list[int]](), list[tuple[int, ...]]()
    tags, tagged = list[int](), list[int]()
    for row, chunk in enumerate(chunks):
        memory, terms = chunk.memory, extract_terms(chunk.text)
        for term in terms:
            if term not in known:
                known[term] = hash_word(term)
        line.append(np.fromiter((*map(known.__getitem__, terms), NOTHING), np.uint64))
        lengths.append(len(terms))
        words.append([_hash_attribute(word) for word in (memory.kind, memory.project, memory.session)])
        expires = NEVER if memory.expires_at is None else to_micros(memory.expires_at)
        is_current = memory.superseded_by is None
        numbers.append((chunk.chunk_id, memory.key, to_micros(memory.occurred_at), expires, is_current))
        own = {hash_word(fold_tag(tag)) for tag in memory.tags}
        tags += own
        tagged += [row] * len(own)
    chunk_ids, memory_keys, occurred, expires, current = np.array(numbers, np.int64).reshape(-1, 5).T.copy()
    return _invert(
        np.concatenate(line),
        lengths=np.array(lengths, np.uint32),
        chunk_ids=chunk_ids,
        memory_keys=memory_keys,
        words=np.array(words, np.uint64).reshape(-1, 3).T.copy(),
        times=np.array([occurred, expires]),
        current=current.astype(np.uint8),
        tags=np.array(tags, np.uint64),
        tagged=np.array(tagged, np.uint32),
    )


def merge_arrays(base: TermArrays, removed: Iterable[int], added: TermArrays) -> TermArrays:
    """Return the chunks of the base but for the ``removed`` memories, then the ``added`` ones."""
    is_kept = ~np.isin(base.memory_keys, np.fromiter(removed, np.int64))
    has_place = np.repeat(is_kept, base.lengths.astype(np.int64) + 1)
    new_rows = np.cumsum(is_kept) - 1
    has_tag = is_kept[base.tagged]
    count = np.count_nonzero(is_kept)

    def join(own: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([own[..., is_kept], others], axis=-1)

    return _invert(
        np.concatenate([_list_terms(base)[has_place], _list_terms(added)]),
        lengths=join(base.lengths, added.lengths),
        chunk_ids=join(base.chunk_ids, added.chunk_ids),
        memory_keys=join(base.memory_keys, added.memory_keys),
        words=join(base.words, added.words),
        times=join(base.times, added.times),
        current=join(base.current, added.current),
        tags=np.concatenate([base.tags[has_tag], added.tags]),
        tagged=np.concatenate([new_rows[base.tagged[has_tag]], added.tagged + count]).astype(np.uint32),
    )


def _list_terms(arrays: TermArrays) -> NDArray[np.uint64]:
    """Return the terms in the order of the texts, with an empty place after each chunk."""
    line = np.zeros(len(arrays.places) + len(arrays.lengths), np.uint64)
    line[arrays.places] = np.repeat(arrays.terms, np.diff(arrays.ends, prepend=0))
    return line


def _invert(line: NDArray[np.uint64], *, lengths: NDArray[np.uint32], **others: Any) -> TermArrays:
    """Return the arrays for a line of terms, with an empty place after each chunk."""
    places = np.flatnonzero(line)
    found = line[places]
    order = np.argsort(found, kind="stable")
    found = found[order]
    firsts = np.flatnonzero(np.concatenate([[True], found[1:] != found[:-1]])[: len(found)])
    ends = np.concatenate([firsts[1:], [len(found)]])[: len(firsts)]
    return TermArrays(
        terms=found[firsts], ends=ends.astype(np.int64), places=places[order].astype(np.uint32),
        lengths=lengths, **others,
    )  # fmt: skip


# --- numbers ------------------------------------------------------------------------------------


def _round_lengths(lengths: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Return lengths as tantivy keeps them, in one byte each."""
    known = _list_lengths(int(lengths.max(initial=0)))
    return known[np.searchsorted(known, lengths, side="right") - 1].astype(np.float32)


def _list_lengths(highest: int) -> NDArray[np.int64]:
    """Return the lengths that are told apart, up to the highest and beyond."""
    known, step = list(range(LAST_EXACT + 1)), 2
    while known[-1] <= highest:
        known += [known[-1] + step * number for number in range(1, STEPS + 1)]
        step *= 2
    return np.array(known)


def _select_best(scores: NDArray[np.float64], limit: int) -> NDArray[np.intp]:
    """Return the positions of the highest scores, highest first, among equal ones the first."""
    positions = np.arange(len(scores))
    if limit < len(scores):
        lowest = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        positions = np.flatnonzero(scores >= lowest)
    return positions[np.argsort(-scores[positions], kind="stable")][:limit]


ARRAYS = tuple(field.name for field in fields(TermArrays))
