"""Memtable and snapshot together: wherever the snapshot ends, the answers are the same."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.embedding_double import EmbeddingDouble
from support.host import QUIET, SMALL, Host

from sediment_mcp.domain.filters import Filters
from sediment_mcp.indexes.indexer import Indexer
from sediment_mcp.indexes.tantivy_index import TantivyIndex
from sediment_mcp.operations.trash import restore_memories
from sediment_mcp.storage.protocols import ReadSession
from sediment_mcp.storage.table_protocols import SnapshotId

pytestmark = pytest.mark.over_both

ANY = Filters()
VOCABULARY = ["kiwi", "plum", "fig", "pear", "lime"]
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
    texts: list[str],
    cuts: set[int],
    retagged: list[int],
    deleted: set[int],
    asked: str,
    limit: int,
) -> None:
    """One host keeps everything in its memtables, the other writes snapshots at ``cuts``."""
    with two_hosts(tmp_path_factory.mktemp) as (plain, split):
        for host in (plain, split):
            embedder = host.app.model.get()
            assert embedder is not None
            ids: list[str] = []
            for number, text in enumerate(texts):
                ids.append(host.store(text)["id"])
                if host is split and number in cuts:
                    host.app.services.indexer.write_text()
                    host.app.services.indexer.write_vectors(embedder.identity)
            for number in retagged:
                if number < len(texts):
                    host.store(texts[number], tags=[f"tag{number}"])
            host.delete(*(ids[number] for number in deleted if number < len(texts)), "nosuch")

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
    host.app.services.indexer.write_text()
    for n in range(4):
        host.store(f"kiwi and number{n}", tags=["again"])
    host.app.services.indexer.write_text()
    snapshot = TantivyIndex(host.files)
    assert snapshot.document_frequency("kiwi") > len(snapshot), "no longer so: then this test may go"
    assert host.found_by_words("kiwi number3") == set(ids)


@pytest.mark.over_encrypted
def test_in_a_large_store_common_words_make_way_for_rare_ones(open_host: Callable[..., Host]) -> None:
    host = open_host(model=None, tuning=replace(QUIET, common_terms_from=6))
    ids = [host.store(f"the kiwi and number{n}")["id"] for n in range(10)]
    for _ in ("memtable", "snapshot"):
        assert host.found_by_words("the kiwi number3") == {ids[3]}
        assert host.found_by_words("the kiwi") == set(ids)
        host.rebuild_text()


@pytest.mark.over_encrypted
def test_expiry_is_seen_in_memtable_and_snapshot_alike(host: Host) -> None:
    soon = (host.clock() + timedelta(minutes=5)).isoformat()
    early = host.store("kiwi early", expires_at=soon)["id"]
    host.rebuild_text()
    late = host.store("kiwi late", expires_at=soon)["id"]
    assert host.found_by_words("kiwi") == {early, late}
    host.clock.advance(minutes=5)
    assert host.found_by_words("kiwi") == set()


@pytest.mark.over_encrypted
def test_each_passage_is_proposed_once_and_the_deleted_not_at_all(open_host: Callable[..., Host]) -> None:
    """Snapshot and memtable both know of what has changed since."""
    host = open_host(tuning=SMALL)
    ids = [host.store(f"kiwi number{n}")["id"] for n in range(12)]
    host.run_jobs()
    for n in range(3):
        host.store(f"kiwi number{n}", tags=["again"])
    host.delete(*ids[9:])
    host.found("kiwi")
    view = host.app.retriever._view
    assert view.vectors is not None
    assert view.text.snapshot_seq > 0
    assert view.vectors.snapshot_seq > 0
    vector = EmbeddingDouble().embed_query("kiwi").vector
    for limit in (100, 9, 4):
        by_words = view.text.search(view.text.select_terms("kiwi"), ANY, host.clock(), limit)
        by_meaning = view.vectors.search(vector, limit)
        for hits in (by_words, by_meaning):
            assert len(hits) == min(limit, 9)
            assert len({hit.chunk_id for hit in hits} & set(range(1, 10))) == len(hits)


@pytest.mark.over_encrypted
def test_what_is_deleted_or_erased_leaves_the_snapshots_with_the_next_write(host: Host) -> None:
    """Erased without the rest of a permanent deletion: as if the process had been killed in between."""
    embedder = host.app.model.get()
    assert embedder is not None
    ids = [host.store(f"kiwi number{n}")["id"] for n in range(8)]

    def counts() -> tuple[int, int]:
        host.app.services.indexer.write_text()
        host.app.services.indexer.write_vectors(embedder.identity)
        return len(host.open_text_index()), len(host.open_vector_index())

    assert counts() == (8, 8)
    host.delete(ids[0])
    with host.app.storage.write() as session:
        session.erase(session.get([ids[1]])[ids[1]])
    assert counts() == (6, 6)
    restore_memories(host.app, [ids[0], ids[1]])
    assert counts() == (7, 7)


@pytest.mark.over_encrypted
@pytest.mark.parametrize("rebuild", [False, True])
def test_what_others_write_around_an_announcement_is_not_lost(
    open_host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch, rebuild: bool
) -> None:
    host, other = open_host(), open_host()
    ids = {host.store("kiwi at first")["id"]}
    embedder = host.app.model.get()
    assert embedder is not None
    announce = Indexer._announce

    def with_others(self: Indexer, name: str, session: ReadSession) -> SnapshotId:
        ids.add(other.store(f"kiwi {len(ids)} before {name}")["id"])
        announced = announce(self, name, session)
        ids.add(other.store(f"kiwi {len(ids)} after {name}")["id"])
        return announced

    monkeypatch.setattr(Indexer, "_announce", with_others)
    for _ in range(2):
        host.app.services.indexer.write_text(rebuild=rebuild)
        host.app.services.indexer.write_vectors(embedder.identity, rebuild=rebuild)
        assert host.found_by_words("kiwi") == other.found_by_words("kiwi") == ids
        for memory in host.list(limit=100)["memories"]:
            assert host.found_by_meaning(memory["content"]) == {memory["id"]}


@pytest.mark.parametrize(("share", "is_due"), [(100, True), (2, False)])
def test_a_large_vector_snapshot_may_lack_more(
    open_host: Callable[..., Host], share: int, is_due: bool
) -> None:
    """Each is written whole, so the work for one embedding must not grow with the store."""
    host = open_host(tuning=replace(SMALL, vector_memtable_limit=2, vector_memtable_share=share))
    for n in range(10):
        host.store(f"kiwi number{n}")
    embedder = host.app.model.get()
    assert embedder is not None
    host.app.services.indexer.write_vectors(embedder.identity)
    for n in range(3):
        host.store(f"plum number{n}")
    host.found("kiwi")
    with host.app.retriever._lend_current_view(embedder.identity) as (session, view):
        assert view.vectors is not None
        assert view.vectors.snapshot_count == 10
        assert view.are_vectors_due(session) == is_due
