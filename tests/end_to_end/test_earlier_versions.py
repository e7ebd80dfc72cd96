"""A data directory of an earlier version opens unchanged, and gives the answers it gave there.

`support/make_data_directory.py` says what is in it and how it was made.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from support.answers import complete_history, complete_list, complete_rule
from support.encryption import own_keys
from support.host import Clock, Host
from support.traces import holds_any, long_words, traces

from sediment_mcp.cli.main import main
from sediment_mcp.config import Config
from sediment_mcp.embeddings.loader import load_embedder
from sediment_mcp.embeddings.protocols import DocumentEmbeddings, Embedder, ModelIdentity, QueryEmbedding
from sediment_mcp.embeddings.runtime import compute_fingerprint
from sediment_mcp.indexes import tantivy_index
from sediment_mcp.indexes.quantized_index import QuantizedIndex
from sediment_mcp.maintenance.restore import restore_backup
from sediment_mcp.operations.history import history
from sediment_mcp.operations.retention_rules import list_rules, preview_retention
from sediment_mcp.operations.stats import stats
from sediment_mcp.operations.trash import list_deleted, restore_memories
from sediment_mcp.system.directory_encryption import MARKER
from sediment_mcp.system.files import read_record

ARCHIVES = sorted((Path(__file__).parents[1] / "data").glob("data_directory_*.tar.gz"))


EARLIER_MODEL = ModelIdentity(
    name="all-MiniLM-L6-v2",
    fingerprint=compute_fingerprint(
        weights="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        pooling="mean",
        max_tokens=256,
        normalised=True,
        prompts={},
    ),
    dimension=384,
)
"""The default model of 0.1.0: the one of today with weights of 32 bits."""


class EarlierModel:
    """The default model of 0.1.0, for queries: its vectors are those of today's to the second digit."""

    identity = EARLIER_MODEL
    token_identity = None

    def __init__(self, model: Embedder) -> None:
        self._model = model

    def embed_documents(self, texts: Sequence[str]) -> DocumentEmbeddings:
        raise AssertionError(f"embedded again: {texts}")

    def embed_query(self, text: str) -> QueryEmbedding:
        return self._model.embed_query(text)

    def can_read(self, text: str) -> bool:
        return self._model.can_read(text)


@dataclass
class Earlier:
    """The unpacked directory, and what the version that made it answered about it."""

    directory: Path
    answers: dict[str, Any]

    def open(self, model: Embedder | None = None) -> Host:
        clock = Clock(datetime.fromisoformat(self.answers["time"]))
        return Host(self.directory, clock, model, project=self.answers["project"])

    def contents(self) -> dict[str, str]:
        """The texts by the ids of what is not in the trash."""
        return {memory["id"]: memory["content"] for memory in self.answers["memories"]}


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.gz"))
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Earlier:
    with tarfile.open(request.param) as tar:
        tar.extractall(tmp_path, filter="data")
    return Earlier(tmp_path / "data", json.loads((tmp_path / "answers.json").read_text(encoding="utf-8")))


@pytest.fixture
def host(earlier: Earlier) -> Iterator[Host]:
    """A host without a model: most of what is stored needs none to be read."""
    host = earlier.open()
    yield host
    host.end()


def test_every_memory_is_listed_with_all_its_attributes(earlier: Earlier, host: Host) -> None:
    listed = host.list(limit=100, include_superseded=True)["memories"]
    assert listed == earlier.answers["memories"]
    assert {memory["kind"] for memory in listed} == {"semantic", "procedural", "episodic", "working"}
    assert any(memory["superseded_by"] for memory in listed)


def test_every_memory_is_found_by_its_words(earlier: Earlier, host: Host) -> None:
    assert len(earlier.answers["words"]) > len(earlier.contents())
    for text, ids in earlier.answers["words"].items():
        assert sorted(host.found_by_words(text)) == ids, text


def find_nearest(host: Host, question: str, count: int) -> list[str]:
    """Return the contents that are nearest to a question in meaning, nearest first."""
    results = host.query(question, limit=20)["results"]
    nearest = sorted(results, key=lambda result: -result["signals"].get("semantic", -1))
    return [result["content"] for result in nearest[:count] if "semantic" in result["signals"]]


@pytest.mark.model
def test_memories_are_found_by_meaning_without_being_embedded_again(earlier: Earlier, tmp_path: Path) -> None:
    host = earlier.open(EarlierModel(load_embedder(Config(tmp_path))))
    host.run_jobs()
    for question, contents in earlier.answers["meaning"].items():
        assert find_nearest(host, question, len(contents)) == contents, question
    with host.app.storage.read() as session:
        assert session.embeddings.count_embedded(1)[0] == session.embeddings.count_embedded(1)[1] > 0
    host.end()


@pytest.mark.model
def test_embeddings_of_the_earlier_model_are_made_anew_and_queries_answer_meanwhile(
    earlier: Earlier, tmp_path: Path
) -> None:
    model = load_embedder(Config(tmp_path))
    assert model.identity.fingerprint != EARLIER_MODEL.fingerprint
    host = earlier.open(model)
    question = next(iter(earlier.answers["meaning"]))
    assert find_nearest(host, question, 3) == [], "embeddings of two models are never compared"
    assert host.found_by_words("parking permit")
    host.run_jobs()
    for question, contents in earlier.answers["meaning"].items():
        assert find_nearest(host, question, len(contents)) == contents, question
    with host.app.storage.read() as session:
        key = session.embeddings.model_key(model.identity.fingerprint)
        assert key not in (None, 1)
        assert session.embeddings.count_embedded(key)[0] == session.embeddings.count_embedded(key)[1] > 0
        token_key = session.token_vectors.model_key(model.token_identity.fingerprint)
        assert session.token_vectors.count_embedded(token_key) == session.embeddings.count_embedded(key)
    host.end()


@pytest.mark.model
def test_a_text_snapshot_with_other_terms_is_rebuilt_and_all_is_found_meanwhile(
    earlier: Earlier, tmp_path: Path
) -> None:
    pointer = earlier.directory / tantivy_index.POINTER
    assert read_record(pointer)["settings"] != tantivy_index.SETTINGS
    host = earlier.open(load_embedder(Config(tmp_path)))
    found = host.found_by_words("parking permit")
    assert found
    assert host.app.retriever._view.text.snapshot_seq == 0, "it is not believed"
    host.run_jobs()
    assert read_record(pointer)["settings"] == tantivy_index.SETTINGS
    assert host.found_by_words("parking permit") == found
    assert host.app.retriever._view.text.snapshot_seq > 0
    host.end()


@pytest.mark.model
def test_an_earlier_vector_snapshot_is_left_to_servers_of_its_version_until_one_of_ours_is_written(
    earlier: Earlier, tmp_path: Path
) -> None:
    (pointer,) = earlier.directory.glob("vectors-*.json")
    assert "matrix" not in read_record(pointer)
    model = EarlierModel(load_embedder(Config(tmp_path)))
    host = earlier.open(model)
    host.query("parking permit")
    view = host.app.retriever._view
    assert view.vectors is not None
    assert (view.vectors.snapshot_seq, view.vectors.is_rejected) == (0, False), "it is not ours to judge"
    assert pointer.exists()
    host.app.services.indexer.write_vectors(model.identity)
    host.query("parking permit")
    with host.app.storage.read() as session:
        newest, (embedded, _) = session.changes.seq(), session.embeddings.count_embedded(1)
    assert (view.vectors.snapshot_seq, view.vectors.is_rejected) == (newest, False)
    host.end()
    assert not pointer.exists()
    written = QuantizedIndex(earlier.directory, model.identity.fingerprint, model.identity.dimension)
    assert len(written) == embedded > 0


@pytest.mark.model
def test_what_is_erased_stays_in_no_earlier_vector_snapshot(earlier: Earlier, tmp_path: Path) -> None:
    host = earlier.open(load_embedder(Config(tmp_path)))
    (memory_id, *_) = host.found("parking permit")
    host.delete(memory_id, permanent=True)
    assert list(earlier.directory.glob("vectors-*.usearch"))
    host.app.run_retention()
    host.end()
    assert list(earlier.directory.glob("vectors-*.usearch")) == []


def test_a_memory_in_the_trash_can_be_restored(earlier: Earlier, host: Host) -> None:
    trash = list_deleted(host.app, 100)
    assert complete_list(trash) == earlier.answers["trash"]
    (deleted,) = trash["memories"]
    assert restore_memories(host.app, [deleted["id"]]) == {"restored": [deleted["id"]]}
    assert host.found_by_words("stale printer") == {deleted["id"]}


def test_the_history_of_a_memory_is_known(earlier: Earlier, host: Host) -> None:
    told = earlier.answers["history"]
    assert len(told["versions"]) == 2
    assert complete_history(history(host.app, told["versions"][0]["id"])) == told


def test_retention_rules_apply(earlier: Earlier, host: Host) -> None:
    assert [complete_rule(rule) for rule in list_rules(host.app)] == earlier.answers["rules"]
    assert preview_retention(host.app, 100)["memories"] == []
    host.clock.advance(days=401)
    upcoming = {memory["id"]: memory["action"] for memory in preview_retention(host.app, 100)["memories"]}
    by_kind = {memory["id"]: memory["kind"] for memory in earlier.answers["memories"]}
    assert {by_kind.get(identity, "deleted") for identity in upcoming} == {"episodic", "working", "deleted"}


def test_questions_that_found_nothing_are_told(earlier: Earlier, host: Host) -> None:
    assert stats(host.app)["unanswered"] == earlier.answers["unanswered"] != []


def test_the_backup_can_be_restored(earlier: Earlier, host: Host) -> None:
    (backup,) = host.app.backups.list_all()
    assert backup.name == earlier.answers["backup"]
    contents = host.app.backups.read_contents(backup)
    assert contents is not None
    assert contents.memories == len(earlier.contents()) - 1  # two came later, one lies in its trash
    restore_backup(host.app, backup.name)
    restored = host.list(limit=100, include_superseded=True)["memories"]
    assert len(restored) == len(earlier.contents()) - 2
    assert restored == [memory for memory in earlier.answers["memories"] if memory in restored]


def test_new_memories_join_the_old_ones(earlier: Earlier, host: Host) -> None:
    permits = host.found_by_words("parking permit")
    new = host.store("The newest parking permit number is 99.")["id"]
    assert host.found_by_words("parking permit") == permits | {new}
    host.clock.advance(days=1)
    host.run_jobs()
    assert host.found_by_words("parking permit") == permits | {new}


def test_what_was_erased_is_nowhere(earlier: Earlier, host: Host) -> None:
    assert host.found(earlier.answers["erased"].split()[-1].strip(".")) == []
    assert traces(earlier.directory, "handshake xylophone") == []


@pytest.mark.encrypt
def test_a_directory_is_encrypted_and_decrypted(earlier: Earlier) -> None:
    with own_keys():
        assert main(["--data-dir", str(earlier.directory), "encrypt", "--yes", "--key", "file"]) == 0
        words = {word for text in earlier.contents().values() for word in long_words(text)}
        assert words
        files = [path for path in earlier.directory.rglob("*") if path.is_file()]
        assert not [path for path in files if holds_any(path.read_bytes(), words)]
        assert not list(earlier.directory.glob("text-*"))
        assert_answers(earlier)
        assert main(["--data-dir", str(earlier.directory), "decrypt", "--yes"]) == 0
    assert not (earlier.directory / MARKER).exists()
    assert traces(earlier.directory, " ".join(words))
    assert_answers(earlier)


def assert_answers(earlier: Earlier) -> None:
    host = earlier.open()
    assert host.list(limit=100, include_superseded=True)["memories"] == earlier.answers["memories"]
    for text, ids in earlier.answers["words"].items():
        assert sorted(host.found_by_words(text)) == ids, text
    assert [backup.name for backup in host.app.backups.list_all()] == [earlier.answers["backup"]]
    assert host.app.backups.read_contents(host.app.backups.list_all()[0]) is not None
    assert stats(host.app)["unanswered"] == earlier.answers["unanswered"]
    host.end()
