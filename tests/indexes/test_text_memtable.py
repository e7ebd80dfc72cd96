"""The memtable of words: the same scores as the snapshot's, by a published formula."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.memories import memory_of

from sediment_mcp.domain.filters import Filters
from sediment_mcp.indexes.analyzer import extract_terms
from sediment_mcp.indexes.bm25 import CorpusStatistics, calculate_bm25, calculate_idf
from sediment_mcp.indexes.protocols import IndexedChunk
from sediment_mcp.indexes.tantivy_index import TantivyIndex, TantivyWriter
from sediment_mcp.indexes.text_memtable import TextMemtable
from sediment_mcp.storage.table_protocols import SnapshotId

NOW = datetime(2026, 5, 8, tzinfo=UTC)
ANY = Filters()
VOCABULARY = ["kiwi", "plum", "fig", "pear", "lime"]


def filled(texts: Sequence[str]) -> TextMemtable:
    memtable = TextMemtable()
    for number, text in enumerate(texts, start=1):
        memtable.put(memory_of(number, text), [(number, extract_terms(text))])
    return memtable


def statistics(memtable: TextMemtable) -> CorpusStatistics:
    return CorpusStatistics(
        len(memtable), memtable.total_length / max(1, len(memtable)), memtable.document_frequency
    )


def scores(memtable: TextMemtable, *words: str, limit: int = 100) -> dict[int, float]:
    weights = {term: 1.0 for word in words for term in extract_terms(word)}
    return {
        hit.chunk_id: hit.score for hit in memtable.search(weights, ANY, NOW, limit, statistics(memtable))
    }


def test_bm25_by_hand() -> None:
    """Three passages of 2, 4 and 3 terms, mean 3; "fig" is in two of them, "kiwi" in one."""
    memtable = filled(["fig plum", "fig fig kiwi pear", "lime lime pear"])
    fig, kiwi = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5)), math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    first = fig * 1 * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 3))
    second_length = 1.2 * (0.25 + 0.75 * 4 / 3)
    second = fig * 2 * 2.2 / (2 + second_length) + kiwi * 1 * 2.2 / (1 + second_length)
    assert scores(memtable, "fig", "kiwi") == pytest.approx({1: first, 2: second})
    assert list(scores(memtable, "fig", "kiwi")) == [2, 1]
    assert calculate_idf(3, 2) == pytest.approx(fig)
    assert calculate_bm25(1, 3, 3.0, 5.0) == pytest.approx(5.0)


def test_boosts_multiply() -> None:
    memtable = filled(["fig plum", "lime"])
    plain = memtable.search({"fig": 1.0}, ANY, NOW, 9, statistics(memtable))[0].score
    assert memtable.search({"fig": 3.0}, ANY, NOW, 9, statistics(memtable))[0].score == pytest.approx(
        3 * plain
    )


def test_a_memory_put_again_replaces_itself_and_one_dropped_stays_dirty() -> None:
    memtable = filled(["fig", "fig", "plum"])
    memtable.put(memory_of(1), [(1, ["pear"]), (9, ["fig", "pear"])])
    memtable.drop(2)
    memtable.drop(77)
    assert set(scores(memtable, "fig")) == {9}
    assert set(scores(memtable, "pear")) == {1, 9}
    assert memtable.dirty_memory_keys == {1, 2, 3, 77}
    assert (len(memtable), memtable.total_length, memtable.document_frequency("fig")) == (3, 4, 1)


def test_ties_are_broken_the_same_way_each_time_and_the_limit_is_kept() -> None:
    memtable = filled(["fig"] * 5)
    assert list(scores(memtable, "fig", limit=3)) == [1, 2, 3]


@settings(max_examples=30, deadline=None)
@given(
    texts=st.lists(
        st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=30).map(" ".join), min_size=1, max_size=12
    ),
    asked=st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=3, unique=True),
)
def test_memtable_and_snapshot_give_the_same_scores(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], asked: list[str]
) -> None:
    """Up to forty terms tantivy keeps lengths exactly. Its own record is a passage more, without terms."""
    directory = tmp_path_factory.mktemp("scores")
    chunks = [IndexedChunk(n, memory_of(n), text) for n, text in enumerate(texts, start=1)]
    TantivyWriter(directory).write(None, chunks, (), SnapshotId(1, 1))
    memtable, weights = filled(texts), dict.fromkeys((extract_terms(word)[0] for word in asked), 1.0)
    count = len(texts) + 1
    corpus = CorpusStatistics(count, memtable.total_length / count, memtable.document_frequency)
    ours = {hit.chunk_id: hit.score for hit in memtable.search(weights, ANY, NOW, 99, corpus)}
    theirs = {hit.chunk_id: hit.score for hit in TantivyIndex(directory).search(weights, ANY, NOW, 99)}
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_long_passages_differ_by_no_more_than_the_rounding_of_their_length(tmp_path: Path) -> None:
    """tantivy keeps a length in one byte: above forty terms it is rounded down by up to an eighth."""
    texts = [" ".join(["fig"] * 3 + ["pear"] * length) for length in (10, 60, 100, 250, 700, 1500)]
    chunks = [IndexedChunk(n, memory_of(n), text) for n, text in enumerate(texts, start=1)]
    TantivyWriter(tmp_path).write(None, chunks, (), SnapshotId(1, 1))
    theirs = {hit.chunk_id: hit.score for hit in TantivyIndex(tmp_path).search({"fig": 1.0}, ANY, NOW, 99)}
    memtable = filled(texts)
    count = len(texts) + 1
    corpus = CorpusStatistics(count, memtable.total_length / count, memtable.document_frequency)
    ours = {hit.chunk_id: hit.score for hit in memtable.search({"fig": 1.0}, ANY, NOW, 99, corpus)}
    assert ours == pytest.approx(theirs, rel=0.125)
    assert list(ours) == list(theirs) == [1, 2, 3, 4, 5, 6]


def test_the_text_memtable_keeps_to_the_filter() -> None:
    memtable = TextMemtable()
    for number, more in enumerate(
        [
            {},
            {"expires_at": NOW},
            {"expires_at": NOW + timedelta(seconds=1)},
            {"superseded_by": "x"},
            {"tags": ("a",)},
        ]
    ):
        memtable.put(memory_of(number, "fig", **more), [(number, ["fig"])])

    def found(filters: Filters) -> set[int]:
        return {hit.chunk_id for hit in memtable.search({"fig": 1.0}, filters, NOW, 9, statistics(memtable))}

    assert found(ANY) == {0, 2, 4}
    assert found(Filters(tags=("a",))) == {4}
    assert found(Filters(include_superseded=True)) == {0, 2, 3, 4}
