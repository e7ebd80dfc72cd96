"""Chunks without an embedding get one: whoever left them, whatever stops it, whatever database is there."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.embedding_double import EmbeddingDouble
from support.host import QUIET, SMALL, Clock, Host
from support.memories import long_text
from support.storage import new_memory

from sediment_mcp.embeddings.protocols import DocumentEmbeddings
from sediment_mcp.errors import ModelFailed, StorageError
from sediment_mcp.operations.trash import restore_memories
from sediment_mcp.system.progress import ignore_progress
from sediment_mcp.tuning import Tuning

pytestmark = pytest.mark.over_both

OpenHost = Callable[..., Host]


def test_what_was_stored_without_a_model_is_embedded_later(open_host: OpenHost) -> None:
    words, both = open_host(model=None), open_host()
    identity = words.store("The kettle is red")["id"]
    assert both.found_by_words("kettle") == {identity}
    assert both.found_by_meaning("The kettle is red") == set()
    both.run_jobs()
    assert both.found_by_meaning("The kettle is red") == {identity}
    assert both.query("kettle")["notes"] == []


def test_what_others_leave_without_embedding_is_embedded_too(open_host: OpenHost) -> None:
    """The long-lived process has nothing to embed of its own; another one ends before it could."""
    words, both = open_host(model=None), open_host()
    both.store("first")
    both.run_jobs()
    identity = words.store("The kettle is red")["id"]
    words.end()
    both.run_jobs()
    assert both.found_by_meaning("The kettle is red") == {identity}


def test_a_restored_memory_is_embedded_even_if_the_model_changed_meanwhile(open_host: OpenHost) -> None:
    old = open_host(model=EmbeddingDouble("old"))
    identity = old.store("The kettle is red")["id"]
    old.delete(identity)
    new = open_host(model=EmbeddingDouble("new"))
    new.store("another")
    new.run_jobs()
    restore_memories(new.app, [identity])
    new.run_jobs()
    assert new.found_by_meaning("The kettle is red") == {identity}


def test_re_embedding_resumes_where_it_stopped(open_host: OpenHost) -> None:
    old = open_host(model=EmbeddingDouble("old"))
    texts = [f"fact number {n} of many" for n in range(20)]
    ids = {text: old.store(text)["id"] for text in texts}
    model = EmbeddingDouble("new")
    new = open_host(model=model, tuning=replace(QUIET, commit_every=4))
    assert new.app.model.get() is model

    class Interrupted(BaseException):
        pass

    def interrupt(done: int, total: int) -> None:
        assert total == 20
        if done == 8:
            raise Interrupted

    with pytest.raises(Interrupted):
        new.app.services.embedding_queue.run(model, interrupt)
    new.crash()
    assert model.documents == 8
    assert sum(new.found_by_meaning(text) == {ids[text]} for text in texts) == 8
    new.run_jobs()
    assert model.documents == 20
    assert all(new.found_by_meaning(text) == {ids[text]} for text in texts)


def test_a_long_memory_is_found_by_words_at_once_and_by_meaning_later(host: Host) -> None:
    text = long_text("pangolin")
    identity = host.store(text)["id"]
    assert isinstance(host.model, EmbeddingDouble)
    assert host.model.documents == 0
    assert host.found_by_words("pangolin") == {identity}
    host.run_jobs()
    assert host.model.documents > 8
    passage = host.query("pangolin", max_chars=2000)["results"][0]["content"]
    assert host.found_by_meaning(passage) == {identity}


# --- another database in its place --------------------------------------------------------------


def replace_database(host: Host, copy: Path) -> None:
    """Put another database in the place of a host's, as somebody may who restores a copy by hand."""
    for path in host.directory.glob("memories.db-*"):
        path.unlink()
    os.replace(copy, host.app.storage.path)


def make_database(directory: Path, clock: Clock, *texts: str) -> tuple[Path, dict[str, str]]:
    """Return a database whose memories lack embeddings, and their texts by id."""
    host = Host(directory / "other", clock, model=None)
    ids = {host.store(text)["id"]: text for text in texts}
    host.app.backups.make_file(directory / "other.db")
    host.end()
    return directory / "other.db", ids


@pytest.mark.sqlite_only("a file can be replaced by another while it is open")
@pytest.mark.parametrize("moment", ["before the first chunk", "after the last chunk"])
def test_a_database_replaced_while_its_embeddings_are_made_starts_over(
    open_host: OpenHost, tmp_path: Path, clock: Clock, moment: str
) -> None:
    """Its memories have lower numbers in the change sequence than those that were embedded already."""
    words = open_host(model=None)
    for n in range(20):
        words.store(f"old number{n}")
    copy, ids = make_database(tmp_path, clock, "kiwi", "plum")
    model = EmbeddingDouble()
    host = open_host(model=model, tuning=replace(QUIET, commit_every=4))
    queue = host.app.services.embedding_queue

    def replace_then(done: int, total: int) -> None:
        if copy.exists() and done == (0 if moment == "before the first chunk" else total):
            replace_database(host, copy)

    with contextlib.suppress(StorageError):  # "replaced at this very moment: try again"
        queue.run(model, replace_then)
    assert not copy.exists(), "it has been replaced"
    assert model.documents == (4 if moment == "before the first chunk" else 20)
    queue.run(model, ignore_progress)
    assert queue.size == 0
    for memory_id, text in ids.items():
        assert host.found_by_meaning(text) == {memory_id}


@pytest.mark.sqlite_only("a file can be replaced by another while it is open")
def test_no_chunk_is_skipped_for_one_of_another_database_that_the_model_failed_on(
    open_host: OpenHost, tmp_path: Path, clock: Clock
) -> None:
    class FailsOnPlums(EmbeddingDouble):
        def embed_documents(self, texts: Sequence[str]) -> DocumentEmbeddings:
            if any("plum" in text for text in texts):
                raise ModelFailed("The model fails on plums.")
            return super().embed_documents(texts)

    model = FailsOnPlums()
    host = open_host(model=model)
    with host.app.storage.write() as session:
        for text in ("plum", "fig"):
            session.add(new_memory(text))
    queue = host.app.services.embedding_queue
    for _ in range(2):
        queue.run(model, ignore_progress)
    assert model.documents == 1, "what the model failed on is left alone"
    copy, ids = make_database(tmp_path, clock, "kiwi", "pear")
    replace_database(host, copy)
    queue.run(model, ignore_progress)
    for memory_id, text in ids.items():
        assert host.found_by_meaning(text) == {memory_id}


# --- token vectors ------------------------------------------------------------------------------


def return_to_schema_5(host: Host) -> None:
    """Make the directory of a host, which ends, one of the version that kept no token vectors."""
    host.end()
    with contextlib.closing(sqlite3.connect(host.app.storage.path)) as raw:
        raw.executescript(
            "ALTER TABLE snapshots DROP COLUMN cache; ALTER TABLE snapshots DROP COLUMN registered_at;"
            "DROP TABLE audit; DROP TABLE token_vectors; DROP TABLE token_models; PRAGMA user_version = 5;"
            "DROP TABLE kept_pairs; DROP TABLE rule_changes; DROP TABLE sync_settings; "
            "DROP TABLE sync_positions; DROP TABLE sync_known; DROP TABLE sync_projects;"
        )


def read_rows(host: Host, table: str) -> list[tuple[Any, ...]]:
    with host.app.storage.read() as session:
        return session.database.rows(f"SELECT * FROM {table} ORDER BY chunk")


def count_token_vectors(host: Host) -> tuple[int, int]:
    """Return how many chunks have all that the model makes of their tokens, and how many there are."""
    assert host.model is not None
    assert host.model.token_identity is not None
    with host.app.storage.read() as session:
        kept = session.token_vectors
        return kept.count_embedded(kept.model_key(host.model.token_identity.fingerprint))


@pytest.mark.sqlite_only("no earlier version kept memories in PostgreSQL")
def test_memories_of_the_version_before_get_token_vectors_and_keep_their_embeddings(
    open_host: OpenHost,
) -> None:
    before = open_host()
    texts = [f"fact number {n} of many" for n in range(20)]
    ids = {text: before.store(text)["id"] for text in texts}
    made, embeddings = read_rows(before, "token_vectors"), read_rows(before, "embeddings")
    return_to_schema_5(before)
    now = open_host()
    assert all(now.found_by_meaning(text) == {ids[text]} for text in texts), "it answers meanwhile"
    assert count_token_vectors(now) == (0, 20)
    assert now.query("fact")["notes"] == [], "nothing is missing that a user would notice"
    now.run_jobs()
    assert now.model.documents == 20
    assert count_token_vectors(now) == (20, 20)
    assert [row[1:] for row in read_rows(now, "token_vectors")] == [row[1:] for row in made]
    assert read_rows(now, "embeddings") == embeddings
    now.run_jobs()
    assert now.model.documents == 20, "nothing is made twice"


@pytest.mark.sqlite_only("no earlier version kept memories in PostgreSQL")
def test_making_token_vectors_resumes_where_it_stopped(open_host: OpenHost) -> None:
    before = open_host()
    for n in range(20):
        before.store(f"fact number {n} of many")
    return_to_schema_5(before)
    now = open_host(tuning=replace(QUIET, commit_every=4))
    assert now.app.model.get() is now.model

    class Interrupted(BaseException):
        pass

    def interrupt(done: int, total: int) -> None:
        if (done, total) == (8, 20):
            raise Interrupted

    with pytest.raises(Interrupted):
        now.app.services.embedding_queue.run(now.model, interrupt)
    now.crash()
    assert count_token_vectors(now) == (8, 20)
    now.run_jobs()
    assert now.model.documents == 20
    assert count_token_vectors(now) == (20, 20)


def test_another_model_makes_token_vectors_of_its_own(open_host: OpenHost) -> None:
    old = open_host(model=EmbeddingDouble("old"))
    old.store("The kettle is red")
    new = open_host(model=EmbeddingDouble("new"))
    assert count_token_vectors(new) == (0, 1)
    new.run_jobs()
    assert new.model.documents == 1, "one run gives both"
    assert (count_token_vectors(new), count_token_vectors(old)) == ((1, 1), (1, 1))


def test_a_model_without_token_vectors_is_complete_without(open_host: OpenHost) -> None:
    model = EmbeddingDouble()
    model.token_identity = None
    host = open_host(model=model)
    host.store("The kettle is red")
    host.run_jobs()
    assert host.model.documents == 1
    assert read_rows(host, "token_vectors") == []


def test_token_vectors_that_are_damaged_are_made_anew_by_reindexing(open_host: OpenHost) -> None:
    host = open_host()
    for n in range(4):
        host.store(f"fact number {n} of many")
    sound = read_rows(host, "token_vectors")
    with host.app.storage.write() as session:
        second = f"chunk = 2 AND {session.database.dialect.own_rows}"
        session.database.execute(f"UPDATE token_vectors SET vectors = ? WHERE {second}", (b"\x7f",))
    host.app.rebuild_indexes()
    assert [row[1:] for row in read_rows(host, "token_vectors")] == [row[1:] for row in sound]
    assert host.model.documents == 5


# --- texts that the model cannot read ---------------------------------------------------------------


def test_what_the_model_cannot_read_is_found_by_words_and_waits_for_nothing(open_host: OpenHost) -> None:
    words, both = open_host(model=None), open_host(model=EmbeddingDouble(unknown={"zzz"}))
    identities = {both.store("zzz kettle one")["id"], words.store("zzz kettle two")["id"]}
    both.run_jobs()
    embedded = both.model.documents
    both.run_jobs()
    assert both.model.documents == embedded, "it is not tried again"
    answer = both.query("kettle")
    assert answer["mode"] == "hybrid"
    assert answer["notes"] == []
    assert {result["id"] for result in answer["results"]} == identities
    assert all("semantic" not in result["signals"] for result in answer["results"])


def test_what_the_model_cannot_read_is_similar_to_nothing(open_host: OpenHost) -> None:
    host = open_host(model=EmbeddingDouble(unknown={"zzz"}))
    host.store("zzz kettle")
    assert host.store("zzz zzz pan")["similar"] == []


def test_a_query_that_the_model_cannot_read_is_answered_by_words_and_says_so(open_host: OpenHost) -> None:
    host = open_host(model=EmbeddingDouble(unknown={"zzz"}))
    identity = host.store("The kettle is red")["id"]
    answer = host.query("zzz kettle")
    assert answer["mode"] == "lexical"
    assert [result["id"] for result in answer["results"]] == [identity]
    assert len(answer["notes"]) == 1
    assert "by its words" in answer["notes"][0]


@pytest.mark.parametrize("tuning", [QUIET, SMALL], ids=["memtable", "snapshot"])
def test_embeddings_of_before_of_what_the_model_cannot_read_go(open_host: OpenHost, tuning: Tuning) -> None:
    """Before, every text had an embedding, so that texts of unknown words were all alike."""
    before = open_host(tuning=tuning)
    texts = [f"zzz kettle {number}" for number in range(8)]
    before.store("The pan is blue")
    for text in texts:
        before.store(text)
    before.run_jobs()
    before.end()
    now = open_host(model=EmbeddingDouble(unknown={"zzz"}), tuning=tuning)
    assert now.found_by_meaning("The pan is blue")
    now.run_jobs()
    assert now.found_by_meaning("The pan is blue")
    results = now.query("kettle", limit=20)["results"]
    assert {result["content"] for result in results if result["signals"]["lexical"]} == set(texts)
    assert all("semantic" not in r["signals"] for r in results if r["signals"]["lexical"])
    other = open_host(model=EmbeddingDouble(unknown={"zzz"}), tuning=tuning)
    assert all("semantic" not in r["signals"] for r in other.query("kettle", limit=8)["results"])


def test_embeddings_are_looked_at_once(open_host: OpenHost) -> None:
    class Counting(EmbeddingDouble):
        looked = 0

        def can_read(self, text: str) -> bool:
            self.looked += 1
            return super().can_read(text)

    host = open_host(model=Counting())
    host.store("The kettle is red")
    host.run_jobs()
    looked = host.model.looked
    host.run_jobs()
    assert host.model.looked == looked
