"""Words as arrays: the scores of tantivy, the same filters, and nothing left of what was taken out."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.memories import NOW, memory_of

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import Memory
from sediment_mcp.indexes import term_arrays
from sediment_mcp.indexes.analyzer import extract_terms
from sediment_mcp.indexes.protocols import IndexedChunk
from sediment_mcp.indexes.tantivy_index import TantivyIndex, TantivyWriter
from sediment_mcp.indexes.term_arrays import (
    ARRAYS,
    TermArrays,
    TermSearch,
    build_arrays,
    hash_word,
    merge_arrays,
)
from sediment_mcp.storage.table_protocols import SnapshotId

ANY = Filters(include_superseded=True)
VOCABULARY = ["kiwi", "plum", "fig", "running", "snake_case", "東京", "🦔"]
TEXTS = st.lists(st.lists(st.sampled_from(VOCABULARY), max_size=120).map(" ".join), min_size=1, max_size=12)
WEIGHTS = st.dictionaries(
    st.sampled_from(sorted({term for word in VOCABULARY for term in extract_terms(word)})),
    st.sampled_from([0.3, 1.0, 2.0]),
    min_size=1, max_size=4,
)  # fmt: skip
PHRASES = st.lists(
    st.lists(st.sampled_from(["kiwi", "plum", "fig"]), min_size=2, max_size=3), max_size=2, unique_by=tuple
)


def chunks_of(texts: list[str], first: int = 1) -> list[IndexedChunk]:
    return [IndexedChunk(n, memory_of(n // 2), text) for n, text in enumerate(texts, start=first)]


def scores(index: TermSearch | TantivyIndex, *asked: object) -> dict[int, float]:
    weights, phrases = asked
    hits = index.search(weights, ANY, NOW, 100, phrases=phrases)  # pyright: ignore[reportArgumentType]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(hit.memory_key == hit.chunk_id // 2 for hit in hits)
    return {hit.chunk_id: hit.score for hit in hits}


@settings(max_examples=60, deadline=None)
@given(texts=TEXTS, weights=WEIGHTS, phrases=PHRASES)
def test_the_scores_are_those_of_tantivy_whatever_the_lengths(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    weights: dict[str, float],
    phrases: list[list[str]],
) -> None:
    directory = tmp_path_factory.mktemp("scores")
    TantivyWriter(directory).write(None, chunks_of(texts), (), SnapshotId(1, 1))
    theirs, ours = TantivyIndex(directory), TermSearch(build_arrays(chunks_of(texts)))
    assert scores(ours, weights, phrases) == pytest.approx(scores(theirs, weights, phrases), rel=1e-4)
    assert len(ours) == len(theirs)
    assert ours.mean_length == pytest.approx(theirs.mean_length, abs=1e-3)
    for term in (*weights, "nosuch"):
        assert ours.document_frequency(term) == theirs.document_frequency(term)


def arrays_equal(one: TermArrays, other: TermArrays) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ARRAYS)


@settings(max_examples=60, deadline=None)
@given(before=TEXTS, removed=st.sets(st.integers(0, 6)), after=TEXTS)
def test_a_merge_is_what_would_have_been_built(
    before: list[str], removed: set[int], after: list[str]
) -> None:
    old = [
        IndexedChunk(chunk.chunk_id, memory_of(chunk.memory.key, tags=(f"t{chunk.chunk_id}",)), chunk.text)
        for chunk in chunks_of(before)
    ]
    new = chunks_of(after, first=100)
    kept = [chunk for chunk in old if chunk.memory.key not in removed]
    merged = merge_arrays(build_arrays(old), removed, build_arrays(new))
    assert arrays_equal(merged, build_arrays([*kept, *new]))


def test_nothing_of_what_was_removed_is_left() -> None:
    chunks = [IndexedChunk(n, memory_of(n, tags=(f"tag{n}",)), f"word{n}") for n in range(1, 4)]
    merged = merge_arrays(build_arrays(chunks), [2], build_arrays([]))
    left = {*merged.terms.tolist(), *merged.tags.tolist(), *merged.chunk_ids.tolist()}
    assert left.isdisjoint({hash_word("word2"), hash_word("tag2"), 2})
    assert {hash_word("word3"), hash_word("tag3"), 3} <= left


def test_among_equal_scores_the_first_chunks_are_chosen_whatever_the_limit() -> None:
    index = TermSearch(build_arrays([IndexedChunk(n, memory_of(n), "kiwi") for n in range(1, 40)]))
    for limit in (1, 5, 38, 39, 100):
        hits = index.search({"kiwi": 1.0}, ANY, NOW, limit)
        assert [hit.chunk_id for hit in hits] == list(range(1, 40))[:limit]


def test_a_phrase_does_not_cross_the_end_of_a_chunk() -> None:
    index = TermSearch(build_arrays(chunks_of(["fig kiwi", "plum fig", "kiwi plum", "kiwi fig plum"])))
    hits = index.search({"kiwi": 1.0}, ANY, NOW, 9, phrases=[["kiwi", "plum"]])
    assert [hit.chunk_id for hit in hits if hit.score > 999] == [3]


def test_an_index_without_chunks_finds_nothing() -> None:
    index = TermSearch(build_arrays([]))
    assert index.search({"kiwi": 1.0}, ANY, NOW, 9, phrases=[["kiwi", "plum"]]) == []
    assert (len(index), index.mean_length, index.document_frequency("kiwi")) == (0, 0, 0)


def test_what_has_expired_since_is_not_found() -> None:
    memory: Memory = memory_of(1, expires_at=NOW + timedelta(seconds=1))
    index = TermSearch(build_arrays([IndexedChunk(1, memory, "kiwi")]))
    assert index.search({"kiwi": 1.0}, Filters(), NOW, 9)
    assert not index.search({"kiwi": 1.0}, Filters(), NOW + timedelta(seconds=1), 9)


def test_a_length_is_rounded_as_tantivy_does() -> None:
    lengths = np.array([0, 1, 39, 40, 41, 42, 55, 56, 59, 60, 88, 95, 96, 2013265944], np.uint32)
    rounded = [0, 1, 39, 40, 40, 42, 54, 56, 56, 60, 88, 88, 96, 2013265944]
    assert term_arrays._round_lengths(lengths).tolist() == np.array(rounded, np.float32).tolist()
