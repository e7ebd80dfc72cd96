"""Indexes of a directory that is encrypted or decrypted beside its servers: both give the same answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.embedding_double import EmbeddingDouble
from support.encryption import make_encrypted, own_keys
from support.host import SMALL, Host

from sediment_mcp.errors import Busy, DamagedSnapshot
from sediment_mcp.indexes.index_files import TEXT_LOCK, VECTOR_LOCK, remove_index_files
from sediment_mcp.indexes.text_files import TextWriter
from sediment_mcp.storage.table_protocols import SnapshotId
from sediment_mcp.system.directory_encryption import MARKER, DirectoryEncryption
from sediment_mcp.system.locks import locked

pytestmark = pytest.mark.encrypt
MODEL = EmbeddingDouble()
POINTER = f"vectors-3-{MODEL.identity.fingerprint[:12]}.json"
VOCABULARY = ["kiwi", "plum", "fig", "running late", "snake_case", "東京", "the", "and"]
TEXTS = st.lists(
    st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=60).map(" ".join), min_size=1, max_size=8
).map(lambda texts: [f"{text} number{n}" for n, text in enumerate(texts)])

ASKED = st.lists(st.sampled_from([*VOCABULARY, '"kiwi plum"', "number3"]), min_size=1, max_size=3).map(
    " ".join
)


@pytest.fixture(autouse=True)
def _keys() -> Iterator[None]:
    with own_keys():
        yield


def index_files(directory: Path) -> set[str]:
    return {
        path.name
        for path in directory.iterdir()
        if path.name.startswith(("text", "vectors", "terms")) and not path.name.endswith((".lock", ".queue"))
    }


def encrypted_files(directory: Path) -> set[str]:
    named = {name for name in index_files(directory) if (directory / name).is_file()}
    return {name for name in named if (directory / name).read_bytes().startswith(b"sediment-mcp/")}


def fill(host: Host, texts: list[str]) -> None:
    for number, text in enumerate(texts):
        host.store(text, tags=[f"t{number % 3}"])
    host.app.services.indexer.write_text()
    host.app.services.indexer.write_vectors(MODEL.identity)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=TEXTS,
    more=st.integers(0, 4),
    asked=ASKED,
    filters=st.sampled_from([{}, {"tags": ["t1"]}, {"kind": "semantic"}]),
    limit=st.sampled_from([2, 100]),
)
def test_the_answers_are_the_same_in_both_kinds(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str], more: int, asked: str, filters: dict[str, Any], limit: int,
) -> None:  # fmt: skip
    """Of the same memories, all in the snapshots but ``more``."""
    answers: list[object] = []
    for kind in ("plain", "encrypted"):
        directory = tmp_path_factory.mktemp(kind)
        if kind == "encrypted":
            make_encrypted(directory)
        host = Host(directory)
        fill(host, texts)
        for number in range(more):
            host.store(f"kiwi later number{number}")
        results = host.query(asked, limit=limit, max_chars=100_000, **filters)["results"]
        answers.append([(r["content"], r["score"], r["match"], r["signals"]) for r in results])
        assert bool(encrypted_files(host.files)) == (kind == "encrypted")
        host.end()
    assert answers[0] == answers[1]


def switch(directory: Path, monkeypatch: pytest.MonkeyPatch, *, on: bool) -> None:
    """Let a server see its directory encrypted or not, with the database as it is."""
    monkeypatch.setattr(DirectoryEncryption, "encrypts", on)
    monkeypatch.setattr(DirectoryEncryption, "database_key", lambda *_: None)
    if not (directory / MARKER).exists():
        make_encrypted(directory)


def test_a_server_turns_its_indexes_with_its_directory(
    open_host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads none of the other kind, answers meanwhile, and leaves none behind."""
    host = open_host(tuning=SMALL)
    fill(host, [f"kiwi number{n}" for n in range(12)])
    there = {memory["id"] for memory in host.list(limit=100)["memories"]}
    assert encrypted_files(host.files) == set()
    before = index_files(host.files)
    for on in (True, False, True):
        switch(host.directory, monkeypatch, on=on)
        assert host.found_by_words("kiwi") == there
        assert host.app.retriever._view.text.snapshot_seq == 0
        assert host.app.retriever._view.vectors is not None
        assert host.app.retriever._view.vectors.snapshot_seq == 0
        host.run_jobs()
        assert host.found_by_words("kiwi") == there
        assert host.app.retriever._view.text.snapshot_seq > 0
        assert host.app.retriever._view.vectors.snapshot_seq > 0
        assert index_files(host.files) & before <= {POINTER}
        before = index_files(host.files)
        assert bool(encrypted_files(host.files)) == on
        if on:
            assert encrypted_files(host.files) == before


def test_a_base_of_the_other_kind_is_not_written_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_encrypted(tmp_path)
    writer = TextWriter(tmp_path, DirectoryEncryption(tmp_path))
    for on in (True, False):
        monkeypatch.setattr(DirectoryEncryption, "encrypts", on)
        writer.write(None, (), (), SnapshotId(1, 1))
        base = writer.open()
        monkeypatch.setattr(DirectoryEncryption, "encrypts", not on)
        with pytest.raises(DamagedSnapshot, match="rebuilt"):
            writer.write(base, (), (), SnapshotId(2, 2))


def test_what_may_hold_erased_words_of_the_other_kind_counts_as_never_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_encrypted(tmp_path)
    writer = TextWriter(tmp_path, DirectoryEncryption(tmp_path))
    writer.write(None, (), (), SnapshotId(7, 1))
    assert (writer.exists(), writer.has_snapshot(), writer.built_seq()) == (True, True, 7)
    monkeypatch.setattr(DirectoryEncryption, "encrypts", False)
    assert (writer.exists(), writer.has_snapshot(), writer.built_seq()) == (True, False, 0)


def test_all_index_files_go_and_nothing_else(tmp_path: Path) -> None:
    gone = [
        "text.json",
        "terms.encrypted",
        "terms.encrypted.0f.tmp",
        "vectors-3-0a.json",
        "vectors-2-0a-1.npy",
    ]
    kept = ["memories.db", "questions.jsonl", TEXT_LOCK, VECTOR_LOCK, f"{TEXT_LOCK}.queue", "texts.txt"]
    for name in (*gone, *kept):
        (tmp_path / name).touch()
    (tmp_path / "text-0a").mkdir()
    (tmp_path / "text-0a" / "meta.json").touch()
    remove_index_files(tmp_path, 1.0)
    left = {path.name for path in tmp_path.iterdir()}
    assert left >= set(kept)
    assert left.isdisjoint({*gone, "text-0a"})


@pytest.mark.parametrize("lock", [TEXT_LOCK, VECTOR_LOCK])
def test_an_index_that_is_being_written_is_waited_for(tmp_path: Path, lock: str) -> None:
    with locked(tmp_path / lock, 1.0), pytest.raises(Busy):
        remove_index_files(tmp_path, 0.0)


def test_an_erased_word_is_in_no_index_any_more(open_host: Callable[..., Host], tmp_path: Path) -> None:
    make_encrypted(tmp_path / "data")
    host = open_host(tuning=SMALL)
    fill(host, [f"kiwi number{n}" for n in range(12)])
    gone = host.store("kiwi secretword")["id"]
    host.app.services.indexer.write_text()
    host.app.services.indexer.write_vectors(MODEL.identity)
    assert host.open_text_index().document_frequency("secretword") == 1
    host.delete(gone, permanent=True)
    host.app.services.indexer.purge_erased(MODEL.identity)
    assert host.open_text_index().document_frequency("secretword") == 0
    assert len(host.open_text_index()) == len(host.open_vector_index()) == 12


@pytest.mark.parametrize(("share", "is_due"), [(100, True), (2, False)])
@pytest.mark.parametrize("kind", ["plain", "encrypted"])
def test_a_large_text_snapshot_that_is_written_whole_may_lack_more(
    open_host: Callable[..., Host], tmp_path: Path, kind: str, share: int, is_due: bool
) -> None:
    """As a vector snapshot: the work for one passage must not grow with the store."""
    if kind == "encrypted":
        make_encrypted(tmp_path / "data")
    host = open_host(tuning=replace(SMALL, text_memtable_limit=2, text_memtable_share=share))
    fill(host, [f"kiwi number{n}" for n in range(10)])
    for n in range(3):
        host.store(f"plum number{n}")
    host.found("kiwi")
    with host.app.retriever._lend_current_view(MODEL.identity) as (session, view):
        assert view.text.snapshot_count == 10
        assert view.is_text_due(session) == (is_due or kind == "plain")
