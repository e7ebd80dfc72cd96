"""The tails: the same scores as the snapshot's, by a published formula, and exact search by meaning."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.embedding_double import EmbeddingDouble
from support.host import Host
from support.memories import memory_of

from sediment_mcp.domain.memory import Filters
from sediment_mcp.indexes import tantivy_index, text_search
from sediment_mcp.indexes.analyzer import terms
from sediment_mcp.indexes.indexer import CatchUp
from sediment_mcp.indexes.memtable import Statistics, TextTail, VectorTail, bm25, idf
from sediment_mcp.indexes.tantivy_index import Passage, TextIndex
from sediment_mcp.indexes.usearch_index import VectorIndex
from sediment_mcp.operations.trash import restore_memories
from sediment_mcp.storage.sql.memories import Store
from sediment_mcp.system.files import read_record, write_record

NOW = datetime(2026, 5, 8, tzinfo=UTC)
ANY = Filters()
VOCABULARY = ["kiwi", "plum", "fig", "pear", "lime"]


def filled(texts: Sequence[str]) -> TextTail:
    tail = TextTail()
    for number, text in enumerate(texts, start=1):
        tail.put(memory_of(number, text), [(number, terms(text))])
    return tail


def statistics(tail: TextTail) -> Statistics:
    return Statistics(len(tail), tail.total_length / max(1, len(tail)), tail.frequency)


def scores(tail: TextTail, *words: str, limit: int = 100) -> dict[int, float]:
    weights = {term: 1.0 for word in words for term in terms(word)}
    return {hit.chunk: hit.score for hit in tail.search(weights, ANY, NOW, limit, statistics(tail))}


# --- words --------------------------------------------------------------------------------------


def test_bm25_by_hand() -> None:
    """Three passages of 2, 4 and 3 terms, mean 3; "fig" is in two of them, "kiwi" in one."""
    tail = filled(["fig plum", "fig fig kiwi pear", "lime lime pear"])
    fig, kiwi = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5)), math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    first = fig * 1 * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 3))
    second_length = 1.2 * (0.25 + 0.75 * 4 / 3)
    second = fig * 2 * 2.2 / (2 + second_length) + kiwi * 1 * 2.2 / (1 + second_length)
    assert scores(tail, "fig", "kiwi") == pytest.approx({1: first, 2: second})
    assert list(scores(tail, "fig", "kiwi")) == [2, 1]
    assert idf(3, 2) == pytest.approx(fig)
    assert bm25(1, 3, 3.0, 5.0) == pytest.approx(5.0)


def test_boosts_multiply() -> None:
    tail = filled(["fig plum", "lime"])
    plain = tail.search({"fig": 1.0}, ANY, NOW, 9, statistics(tail))[0].score
    assert tail.search({"fig": 3.0}, ANY, NOW, 9, statistics(tail))[0].score == pytest.approx(3 * plain)


def test_a_memory_put_again_replaces_itself_and_one_forgotten_stays_dirty() -> None:
    tail = filled(["fig", "fig", "plum"])
    tail.put(memory_of(1), [(1, ["pear"]), (9, ["fig", "pear"])])
    tail.forget(2)
    tail.forget(77)
    assert set(scores(tail, "fig")) == {9}
    assert set(scores(tail, "pear")) == {1, 9}
    assert tail.dirty == {1, 2, 3, 77}
    assert (len(tail), tail.total_length, tail.frequency("fig")) == (3, 4, 1)


def test_ties_are_broken_the_same_way_each_time_and_the_limit_is_kept() -> None:
    tail = filled(["fig"] * 5)
    assert list(scores(tail, "fig", limit=3)) == [1, 2, 3]


@settings(max_examples=30, deadline=None)
@given(
    texts=st.lists(
        st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=30).map(" ".join), min_size=1, max_size=12
    ),
    asked=st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=3, unique=True),
)
def test_tail_and_snapshot_give_the_same_scores(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], asked: list[str]
) -> None:
    """Up to forty terms tantivy keeps lengths exactly. Its own record is a passage more, without terms."""
    directory = tmp_path_factory.mktemp("scores")
    passages = [Passage(n, memory_of(n), text) for n, text in enumerate(texts, start=1)]
    tantivy_index.write_snapshot(directory, None, passages, (), seq=1, token=1)
    tail, weights = filled(texts), dict.fromkeys((terms(word)[0] for word in asked), 1.0)
    count = len(texts) + 1
    corpus = Statistics(count, tail.total_length / count, tail.frequency)
    ours = {hit.chunk: hit.score for hit in tail.search(weights, ANY, NOW, 99, corpus)}
    theirs = {hit.chunk: hit.score for hit in TextIndex(directory).search(weights, ANY, NOW, 99)}
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_long_passages_differ_by_no_more_than_the_rounding_of_their_length(tmp_path: Path) -> None:
    """tantivy keeps a length in one byte: above forty terms it is rounded down by up to an eighth."""
    texts = [" ".join(["fig"] * 3 + ["pear"] * length) for length in (10, 60, 100, 250, 700, 1500)]
    passages = [Passage(n, memory_of(n), text) for n, text in enumerate(texts, start=1)]
    tantivy_index.write_snapshot(tmp_path, None, passages, (), seq=1, token=1)
    theirs = {hit.chunk: hit.score for hit in TextIndex(tmp_path).search({"fig": 1.0}, ANY, NOW, 99)}
    tail = filled(texts)
    count = len(texts) + 1
    corpus = Statistics(count, tail.total_length / count, tail.frequency)
    ours = {hit.chunk: hit.score for hit in tail.search({"fig": 1.0}, ANY, NOW, 99, corpus)}
    assert ours == pytest.approx(theirs, rel=0.125)
    assert list(ours) == list(theirs) == [1, 2, 3, 4, 5, 6]


# --- meaning ------------------------------------------------------------------------------------


def unit_rows(seed: int, count: int, dimension: int = 16) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@settings(max_examples=40, deadline=None)
@given(
    batches=st.lists(st.integers(0, 40), max_size=5),
    forgotten=st.sets(st.integers(1, 120), max_size=60),
    put_again=st.sets(st.integers(1, 120), max_size=20),
    limit=st.integers(1, 60),
    admitted=st.none() | st.sets(st.integers(1, 130), max_size=30),
    seed=st.integers(0, 2**16),
)
def test_vector_search_is_exact(
    batches: list[int],
    forgotten: set[int],
    put_again: set[int],
    limit: int,
    admitted: set[int] | None,
    seed: int,
) -> None:
    tail, expected, number = VectorTail(16), dict[int, NDArray[np.float32]](), 1
    for step, size in enumerate(batches):
        rows = unit_rows(seed + step, size)
        chunks = list(range(number, number + size))
        tail.put(chunks, rows)
        expected |= dict(zip(chunks, rows, strict=True))
        number += size
        if step == 1:
            tail.forget(sorted(forgotten))
            expected = {c: row for c, row in expected.items() if c not in forgotten}
    again = sorted(put_again)
    rows = unit_rows(seed + 99, len(again))
    tail.put(again, rows)
    expected |= dict(zip(again, rows, strict=True))
    asked = unit_rows(seed + 7, 1)[0]
    allowed = None
    if admitted is not None:
        allowed = np.zeros(max(admitted, default=0) + 2, np.bool_)
        allowed[sorted(admitted)] = True
    hits = tail.search(asked, limit, allowed)
    cosines = {c: float(row @ asked) for c, row in expected.items() if admitted is None or c in admitted}
    best = sorted(cosines.values(), reverse=True)[:limit]
    assert [hit.cosine for hit in hits] == pytest.approx(best, abs=1e-5)
    assert {hit.chunk: hit.cosine for hit in hits} == pytest.approx(
        {hit.chunk: cosines[hit.chunk] for hit in hits}, abs=1e-5
    )
    assert len(tail) == len(expected)
    held, matrix = tail.rows(range(1, 250))
    assert held == sorted(expected)
    assert all(np.array_equal(row, expected[chunk]) for chunk, row in zip(held, matrix, strict=True))


# --- tail and snapshot together -----------------------------------------------------------------

TEXTS = st.lists(
    st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=10
).map(lambda texts: [f"{text} number{n}" for n, text in enumerate(texts)])


@contextlib.contextmanager
def two_hosts(make: Callable[[str], Path]) -> Iterator[tuple[Host, Host]]:
    hosts = Host(make("plain")), Host(make("split"))
    try:
        yield hosts
    finally:
        for host in hosts:
            host.end()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=TEXTS,
    cuts=st.sets(st.integers(0, 9), max_size=3),
    retagged=st.lists(st.integers(0, 9), max_size=4),
    deleted=st.sets(st.integers(0, 9), max_size=3),
    asked=st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=2, unique=True).map(" ".join),
    limit=st.sampled_from([2, 100]),
)
def test_wherever_the_snapshots_end_the_answers_are_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    quiet_background: None,
    texts: list[str],
    cuts: set[int],
    retagged: list[int],
    deleted: set[int],
    asked: str,
    limit: int,
) -> None:
    """One host keeps everything in its tails, the other writes snapshots at ``cuts``."""
    with two_hosts(tmp_path_factory.mktemp) as (plain, split):
        for host in (plain, split):
            embedder = host.library.embedder()
            assert embedder is not None
            ids: list[str] = []
            for number, text in enumerate(texts):
                ids.append(host.store(text)["id"])
                if host is split and number in cuts:
                    host.library.catch_up.write_text()
                    host.library.catch_up.write_vectors(embedder.identity)
            for number in retagged:
                if number < len(texts):
                    host.store(texts[number], tags=[f"tag{number}"])
            host.delete(*(ids[number] for number in deleted if number < len(texts)), "none")

        def seen(host: Host, query: str, **filters: object) -> dict[str, float | None]:
            results = host.query(query, limit=limit, max_chars=100_000, **filters)["results"]
            return {r["content"]: r["signals"].get("semantic") for r in results}

        everything = {"limit": 100, "max_chars": 100_000}
        for filters in ({}, {"tags": ["tag1"]}):
            words = [
                {
                    r["content"]
                    for r in host.query(asked, **everything, **filters)["results"]
                    if r["signals"]["lexical"] > 0
                }
                for host in (plain, split)
            ]
            assert words[0] == words[1]
        for text in texts:
            assert seen(plain, text[::-1]) == pytest.approx(seen(split, text[::-1]), abs=2e-3)


def test_a_common_word_is_not_dropped_for_being_counted_twice(host: Host) -> None:
    """Until its next merge, the snapshot counts the passages that have changed since as well."""
    host.model = None
    ids = [host.store(f"kiwi and number{n}")["id"] for n in range(6)]
    host.library.catch_up.write_text()
    for n in range(4):
        host.store(f"kiwi and number{n}", tags=["again"])
    host.library.catch_up.write_text()
    snapshot = TextIndex(host.directory)
    assert snapshot.frequency("kiwi") > snapshot.count, "no longer so: then this test may go"
    assert host.found_by_words("kiwi number3") == set(ids)


def test_in_a_large_store_common_words_make_way_for_rare_ones(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_search, "COMMON_FROM", 6)
    host.model = None
    ids = [host.store(f"the kiwi and number{n}")["id"] for n in range(10)]
    for _ in ("tail", "snapshot"):
        assert host.found_by_words("the kiwi number3") == {ids[3]}
        assert host.found_by_words("the kiwi") == set(ids)
        host.rebuild_text()


def test_expiry_is_seen_in_tail_and_snapshot_alike(host: Host) -> None:
    soon = (host.clock() + timedelta(minutes=5)).isoformat()
    early = host.store("kiwi early", expires_at=soon)["id"]
    host.rebuild_text()
    late = host.store("kiwi late", expires_at=soon)["id"]
    assert host.found_by_words("kiwi") == {early, late}
    host.clock.advance(minutes=5)
    assert host.found_by_words("kiwi") == set()


def test_each_passage_is_proposed_once_and_the_deleted_not_at_all(host: Host, small_thresholds: None) -> None:
    """Snapshot and tail both know of what has changed since."""
    ids = [host.store(f"kiwi number{n}")["id"] for n in range(12)]
    host.tend()
    for n in range(3):
        host.store(f"kiwi number{n}", tags=["again"])
    host.delete(*ids[9:])
    host.found("kiwi")
    opened = host.library._opened
    assert opened is not None
    assert opened.search.vectors is not None
    assert opened.search.text.snapshot_seq > 0
    assert opened.search.vectors.snapshot_seq > 0
    vector = EmbeddingDouble().embed_query("kiwi")
    for limit in (100, 9, 4):
        by_words = opened.search.text.search(opened.search.text.terms("kiwi"), ANY, host.clock(), limit)
        by_meaning = opened.search.vectors.search(vector, limit)
        for hits in (by_words, by_meaning):
            assert len(hits) == min(limit, 9)
            assert len({hit.chunk for hit in hits} & set(range(1, 10))) == len(hits)


def test_what_is_deleted_or_erased_leaves_the_snapshots_with_the_next_write(host: Host) -> None:
    """Erased without the rest of a permanent deletion: as if the process had been killed in between."""
    embedder = host.library.embedder()
    assert embedder is not None
    ids = [host.store(f"kiwi number{n}")["id"] for n in range(8)]

    def counts() -> tuple[int, int]:
        host.library.catch_up.write_text()
        host.library.catch_up.write_vectors(embedder.identity)
        identity = embedder.identity
        vectors = VectorIndex(host.directory, identity.fingerprint, identity.dimension)
        return TextIndex(host.directory).count, vectors.count

    assert counts() == (8, 8)
    host.delete(ids[0])
    with host.library.write() as store:
        store.erase(store.by_ids([ids[1]])[ids[1]])
    assert counts() == (6, 6)
    restore_memories(host.library, [ids[0], ids[1]])
    assert counts() == (7, 7)


@pytest.mark.parametrize("anew", [False, True])
def test_what_others_write_around_an_announcement_is_not_lost(
    open_host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch, anew: bool
) -> None:
    host, other = open_host(), open_host()
    ids = {host.store("kiwi at first")["id"]}
    embedder = host.library.embedder()
    assert embedder is not None
    announce = CatchUp._announce

    def with_others(self: CatchUp, name: str, store: Store) -> tuple[int, int]:
        ids.add(other.store(f"kiwi {len(ids)} before {name}")["id"])
        announced = announce(self, name, store)
        ids.add(other.store(f"kiwi {len(ids)} after {name}")["id"])
        return announced

    monkeypatch.setattr(CatchUp, "_announce", with_others)
    for _ in range(2):
        host.library.catch_up.write_text(anew=anew)
        host.library.catch_up.write_vectors(embedder.identity, anew=anew)
        assert host.found_by_words("kiwi") == other.found_by_words("kiwi") == ids
        for memory in host.list(limit=100)["memories"]:
            assert host.found_by_meaning(memory["content"]) == {memory["id"]}


def test_what_the_snapshot_cannot_reach_is_searched_exactly(host: Host) -> None:
    embedder = host.library.embedder()
    assert embedder is not None
    for n in range(6):
        host.store(f"kiwi number{n}")
    host.library.catch_up.write_vectors(embedder.identity)
    pointer = next(host.directory.glob("vectors-*.json"))
    write_record(pointer, {**read_record(pointer), "unreachable": [2, 5]})
    host.crash()
    host.found("kiwi")
    opened = host.library._opened
    assert opened is not None
    assert opened.search.vectors is not None
    held = set(opened.search.vectors._tail.rows(range(1, 7))[0])
    assert held == {2, 5}


def test_the_tail_keeps_to_the_filter() -> None:
    tail = TextTail()
    for number, more in enumerate(
        [
            {},
            {"expires_at": NOW},
            {"expires_at": NOW + timedelta(seconds=1)},
            {"superseded_by": "x"},
            {"tags": ("a",)},
        ]
    ):
        tail.put(memory_of(number, "fig", **more), [(number, ["fig"])])

    def found(filters: Filters) -> set[int]:
        return {hit.chunk for hit in tail.search({"fig": 1.0}, filters, NOW, 9, statistics(tail))}

    assert found(ANY) == {0, 2, 4}
    assert found(Filters(tags=("a",))) == {4}
    assert found(Filters(include_superseded=True)) == {0, 2, 3, 4}
