"""Any other model, by sentence-transformers: prompts are honoured, folders stay offline, errors speak."""

from __future__ import annotations

import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support.model_folder import PROMPTS, WEIGHTS, make_folder

from sediment_mcp.config import Config
from sediment_mcp.embeddings.loader import load_embedder
from sediment_mcp.embeddings.protocols import Embedder
from sediment_mcp.errors import ModelUnavailable

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.sentence_transformers]

TEXTS = [
    "The cat sleeps.",
    "",
    "Release on Friday 🚀",
    "long " * 400,
    "def f(): ...",
    *(f"note {i}" for i in range(9)),
]

watched: list[list[str]] = []
sys.addaudithook(lambda event, _: [seen.append(event) for seen in watched])


@pytest.fixture
def events() -> Generator[list[str]]:
    """Collect the audit events that Python raises during a test."""
    seen: list[str] = []
    watched.append(seen)
    yield seen
    watched.remove(seen)


def sockets(events: list[str]) -> list[str]:
    assert "open" in events
    return [event for event in events if event.startswith("socket.")]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("models") / "prompted", PROMPTS)


def load(model: object, data_dir: Path) -> Embedder:
    return load_embedder(Config(data_dir=data_dir, model=str(model)))


@pytest.fixture(scope="module")
def prompted(folder: Path, data_dir: Path) -> Embedder:
    return load(folder, data_dir)


@pytest.fixture(scope="module")
def plain(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """Load the same weights without prompts."""
    return load(make_folder(tmp_path_factory.mktemp("models") / "plain", {}), data_dir)


def test_the_query_prompt_is_honoured(prompted: Embedder, plain: Embedder) -> None:
    vector = prompted.embed_query("a sleeping cat").vector
    assert vector.shape == (384,)
    assert vector @ plain.embed_query("search for: a sleeping cat").vector > 0.99999
    assert vector @ plain.embed_query("a sleeping cat").vector < 0.99


def test_the_document_prompt_is_honoured_even_if_it_is_called_passage(
    prompted: Embedder, plain: Embedder
) -> None:
    vectors = prompted.embed_documents(TEXTS).vectors
    expected = plain.embed_documents([PROMPTS["passage"] + text for text in TEXTS]).vectors
    assert np.sum(vectors * expected, axis=1).min() > 0.99999


def test_vectors_are_finite_of_length_one_and_in_order(prompted: Embedder) -> None:
    vectors = prompted.embed_documents(TEXTS).vectors
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(prompted.embed_documents(TEXTS[::-1]).vectors[::-1], vectors, atol=1e-5)


def test_no_texts_give_no_vectors(prompted: Embedder) -> None:
    assert prompted.embed_documents([]).vectors.shape == (0, 384)


def test_half_a_surrogate_pair_is_embedded(prompted: Embedder) -> None:
    assert np.isfinite(prompted.embed_query("a \ud83e b").vector).all()


def test_threads_get_what_one_thread_gets(prompted: Embedder) -> None:
    alone = [prompted.embed_query(text).vector for text in TEXTS]
    with ThreadPoolExecutor(4) as pool:
        bulk = pool.submit(prompted.embed_documents, TEXTS)
        together = [made.vector for made in pool.map(prompted.embed_query, TEXTS)]
    assert np.allclose(together, alone, atol=1e-5)
    assert bulk.result().vectors.shape == (len(TEXTS), 384)


def test_a_folder_is_loaded_without_network_or_noise(
    folder: Path, data_dir: Path, events: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    load(folder, data_dir).embed_documents(TEXTS)
    assert sockets(events) == []
    assert capfd.readouterr() == ("", "")


def test_the_fingerprint_follows_what_vectors_depend_on(
    folder: Path, prompted: Embedder, tmp_path: Path
) -> None:
    same = make_folder(tmp_path / "same", PROMPTS)
    (same / "README.md").write_text("another text")
    prompts = make_folder(tmp_path / "prompts", {**PROMPTS, "query": "find: "})
    pooling = make_folder(tmp_path / "pooling", PROMPTS)
    config = pooling / "1_Pooling" / "config.json"
    config.write_text(config.read_text().replace('cls_token": false', 'cls_token": true'))
    length = make_folder(tmp_path / "length", PROMPTS)
    (length / "sentence_bert_config.json").write_text('{"max_seq_length": 128}')
    prints = [load(each, tmp_path).identity.fingerprint for each in (same, prompts, pooling, length)]
    assert prints[0] == prompted.identity.fingerprint
    assert len(set(prints)) == 4


def test_a_tilde_means_the_home_folder(folder: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    assert load(f"~/{folder.name}", data_dir).identity.name == "~/prompted"


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "~/no-such-folder", "./no", "a/b/c", "C:\\models\\mine", ".."]
)
def test_a_folder_that_is_not_there_is_named_in_the_error(
    name: str, data_dir: Path, events: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelUnavailable, match=r"unset SEDIMENT_MODEL to use the default model\.$") as caught:
        load(name, data_dir)
    assert name in str(caught.value)
    assert [event for event in events if event.startswith("socket.")] == []


def test_a_folder_that_is_no_model_is_named_in_the_error(tmp_path: Path, data_dir: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"unset SEDIMENT_MODEL to use the default model\.$") as caught:
        load(tmp_path, data_dir)
    assert str(tmp_path) in str(caught.value)


def test_a_damaged_model_is_named_in_the_error(tmp_path: Path, data_dir: Path) -> None:
    damaged = make_folder(tmp_path / "damaged", {})
    (damaged / WEIGHTS).unlink()
    (damaged / WEIGHTS).write_bytes(b"not tensors")
    with pytest.raises(ModelUnavailable, match=r"unset SEDIMENT_MODEL to use the default model\.$") as caught:
        load(damaged, data_dir)
    assert str(damaged) in str(caught.value)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pt", "2_Dense/pytorch_model.bin"])
def test_weights_that_are_a_pickle_are_refused_unless_asked_for(
    tmp_path: Path, data_dir: Path, name: str
) -> None:
    weights = tmp_path / "model" / name
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"cos\nsystem\n(S'touch run'\ntR.")
    with pytest.raises(ModelUnavailable, match=r"a pickle, which may run any code.*pickle:"):
        load_embedder(Config(data_dir, model=str(tmp_path / "model")))
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):  # asked for, and no model all the same
        load_embedder(Config(data_dir, model=f"pickle:{tmp_path / 'model'}"))
