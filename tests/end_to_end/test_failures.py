"""What fails while it is in use: the answer is less good for a while, and never an error or a loss."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.embedding_double import EmbeddingDouble
from support.host import SMALL, Host

from sediment_mcp.embeddings.protocols import DocumentEmbeddings, QueryEmbedding
from sediment_mcp.errors import DamagedSnapshot, DiskFull, ModelFailed, StorageError
from sediment_mcp.indexes import quantized_index, tantivy_index
from sediment_mcp.indexes.tantivy_index import TantivyIndex, TantivyWriter
from sediment_mcp.storage.sql.snapshots import SqlSnapshotRegistry
from sediment_mcp.system.project_root import find_project

pytestmark = pytest.mark.over_both

OpenHost = Callable[..., Host]
SECRET = "xylophonesecret qwertzuiopword"


class Squeamish(EmbeddingDouble):
    """Cannot bear one word."""

    def embed_documents(self, texts: Sequence[str]) -> DocumentEmbeddings:
        for text in texts:
            self.embed_query(text)
        return super().embed_documents(texts)

    def embed_query(self, text: str) -> QueryEmbedding:
        if "spider" in text:
            raise ModelFailed("A spider.")
        return super().embed_query(text)


def test_a_text_that_the_model_fails_on_is_stored_and_found_by_its_words(open_host: OpenHost) -> None:
    host = open_host(model=Squeamish())
    stored = host.store("There is a spider in the server room.")
    assert stored["status"] == "stored"
    answer = host.query("room server")
    assert [result["id"] for result in answer["results"]] == [stored["id"]]
    assert "semantic" not in answer["results"][0]["signals"]


def test_a_question_that_the_model_fails_on_is_answered_by_words_and_a_note_says_so(
    open_host: OpenHost,
) -> None:
    host = open_host(model=Squeamish())
    host.store("The server room is on the third floor.")
    answer = host.query("spider server")
    assert answer["mode"] == "lexical"
    assert len(answer["results"]) == 1
    assert "failed on this text" in answer["notes"][0]


def test_a_text_index_that_fails_in_use_is_done_without_and_written_anew(
    open_host: OpenHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = open_host(tuning=SMALL)
    ids = {host.store(f"lantern number {number}")["id"] for number in range(8)}
    host.run_jobs()
    assert host.found_by_words("lantern") == ids
    broken = host.app.retriever._view.text._snapshot
    search = TantivyIndex.search

    def fail_on_the_broken_one(self: TantivyIndex, *arguments: Any, **options: Any) -> Any:
        if self is broken:
            raise DamagedSnapshot("The text index cannot be used: it is rebuilt.")
        return search(self, *arguments, **options)

    monkeypatch.setattr(TantivyIndex, "search", fail_on_the_broken_one)
    assert host.found_by_words("lantern") == ids
    host.run_jobs()
    assert host.found_by_words("lantern") == ids
    assert not host.app.retriever._view.text.is_rejected


def test_erasing_for_good_succeeds_though_no_index_can_be_written(
    open_host: OpenHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = open_host(tuning=SMALL)
    kept = host.store("an ordinary sentence")["id"]
    erased = [host.store(f"xylophonist number {number}")["id"] for number in range(8)]
    host.run_jobs()

    def fail(*_: Any, **__: Any) -> None:
        raise DamagedSnapshot("The text index cannot be used (no space): it is rebuilt.")

    monkeypatch.setattr(TantivyWriter, "write", fail)
    assert host.delete(*erased, permanent=True)["deleted"] == erased
    assert not list(host.files.glob("text*/**/*.term"))
    assert host.found_by_words("ordinary") == {kept}


@pytest.mark.parametrize("fails", ["write_record", "make_private", "remove_old"])
def test_erasing_for_good_succeeds_though_the_disk_is_full(
    open_host: OpenHost, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    host = open_host(tuning=SMALL)
    victim = host.store("xylophonist number one")["id"]
    host.store("an ordinary sentence")
    host.run_jobs()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tantivy_index, fails, full)
        assert host.delete(victim, permanent=True)["deleted"] == [victim]
        assert not list(host.files.glob("text*/**/*.term"))
    host.run_jobs()
    assert host.found_by_words("ordinary")


def test_erasing_for_good_succeeds_though_nothing_can_be_announced_or_removed(
    open_host: OpenHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are gone, which is what was asked for; the background takes up the rest later."""
    host = open_host(tuning=SMALL)
    victim = host.store(SECRET)["id"]
    for number in range(6):
        host.store(f"an ordinary sentence {number}")
    host.run_jobs()

    def full(*_: Any) -> None:
        raise DiskFull("The disk is full, nothing was changed: free some space and try again.")

    with monkeypatch.context() as patch:
        patch.setattr(SqlSnapshotRegistry, "register", full)
        patch.setattr(TantivyWriter, "remove", full)
        assert host.delete(victim, permanent=True)["deleted"] == [victim]
        assert host.traces(SECRET)
    host.run_jobs()
    assert host.traces(SECRET) == []


def test_a_disk_that_fails_while_an_index_is_written_is_told_in_a_sentence(
    open_host: OpenHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = open_host(tuning=SMALL)
    for number in range(12):
        host.store(f"an ordinary sentence {number}")

    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(quantized_index, "publish", broken)
    with pytest.raises(StorageError, match="check its permissions and the disk"):
        host.app.rebuild_indexes()


def test_a_query_beside_a_reindex_uses_the_indexes_that_are_there(
    open_host: OpenHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, other = open_host(tuning=SMALL), open_host(tuning=SMALL)
    ids = [host.store(f"an ordinary sentence {number}")["id"] for number in range(12)]
    host.run_jobs()
    writing, may_end = threading.Event(), threading.Event()
    publish = quantized_index.publish

    def wait(*paths: Path) -> None:
        writing.set()
        may_end.wait()
        publish(*paths)

    monkeypatch.setattr(quantized_index, "publish", wait)
    reindexing = threading.Thread(target=host.app.rebuild_indexes)
    reindexing.start()
    writing.wait()
    try:
        assert other.found_by_meaning("an ordinary sentence 7") == {ids[7]}
        vectors = other.app.retriever._view.vectors
        assert vectors is not None
        assert (vectors.snapshot_seq > 0, vectors.has_memtable_rows) == (True, False)
        before = vectors.snapshot_seq
    finally:
        may_end.set()
        reindexing.join()
    other.store("one more changes nothing of it")
    assert other.found_by_meaning("an ordinary sentence 7") == {ids[7]}
    assert vectors.snapshot_seq >= before
    assert len(list(host.files.glob("vectors-3-*.codes"))) == 1


def test_a_reindex_has_no_use_for_the_index_that_was_there(open_host: OpenHost) -> None:
    host = open_host(tuning=SMALL)
    ids = [host.store(f"an ordinary sentence {number}")["id"] for number in range(12)]
    host.run_jobs()
    (file,) = host.files.glob("vectors-3-*.codes")
    file.write_bytes(file.read_bytes()[:-100] + bytes(100))
    host.app.rebuild_indexes()
    other = open_host(tuning=SMALL)
    assert other.found_by_meaning("an ordinary sentence 7") == {ids[7]}
    vectors = other.app.retriever._view.vectors
    assert vectors is not None
    assert (vectors.snapshot_seq > 0, vectors.is_rejected) == (True, False)


def test_a_reindex_of_few_embeddings_leaves_no_index(open_host: OpenHost) -> None:
    host = open_host(tuning=SMALL)
    for number in range(12):
        host.store(f"an ordinary sentence {number}")
    host.run_jobs()
    host.end()
    host = open_host()
    host.app.rebuild_indexes()
    assert list(host.files.glob("vectors-3-*")) == []
    assert host.found_by_meaning("an ordinary sentence 7")


def test_a_reindex_makes_room_where_the_disk_has_none_for_two_indexes(
    open_host: OpenHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = open_host(tuning=SMALL)
    ids = [host.store(f"an ordinary sentence {number}")["id"] for number in range(12)]
    host.run_jobs()
    publish = quantized_index.publish
    (old,) = host.files.glob("vectors-3-*.codes")

    def publish_into_room(*paths: Path) -> None:
        if old.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        publish(*paths)

    monkeypatch.setattr(quantized_index, "publish", publish_into_room)
    host.app.rebuild_indexes()
    assert len(list(host.files.glob("vectors-3-*.codes"))) == 1
    assert host.found_by_meaning("an ordinary sentence 7") == {ids[7]}


def test_a_passage_that_the_model_fails_on_does_not_keep_others_waiting(open_host: OpenHost) -> None:
    host = open_host(model=None)
    texts = [f"note {number} tells of the garden" for number in range(40)]
    ids = [host.store(text)["id"] for text in texts]
    host.store("a spider in the cellar")
    host.end()
    host = open_host(model=Squeamish())
    host.run_jobs()
    assert host.found_by_meaning(texts[0]) == {ids[0]}
    assert host.query("garden")["notes"] == []
    host.run_jobs()
    with host.app.storage.read() as session:
        key = session.embeddings.model_key(host.model.identity.fingerprint)
        assert session.embeddings.count_embedded(key) == (40, 41)


def test_a_project_whose_path_is_no_unicode_can_own_memories(open_host: OpenHost, tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    try:
        Path(folder).mkdir()
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    subprocess.run(["git", "init", "-q", folder], check=True)
    project = find_project(Path(folder))
    host = open_host(project=project)
    host.store("The till is in the cellar.")
    assert [memory["project"] for memory in host.list(scope="project")["memories"]] == [project]
