"""The default model: shipped files, vectors near the published ones, the same in any batch and thread."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument
from support.model_folder import find_published_folder

from sediment_mcp.embeddings import minilm
from sediment_mcp.embeddings.file_hashes import RECORD_NAME
from sediment_mcp.embeddings.minilm import MiniLM, split_into_batches
from sediment_mcp.errors import ModelFailed, ModelUnavailable

pytestmark = pytest.mark.model

ROOT = Path(__file__).resolve().parents[2]
FOLDER = minilm.FOLDER
SHIPPED = {**minilm.FILES, **minilm.TOKEN_FILES}

TEXTS = [
    "",
    " ",
    ".",
    "\x00\n\t",
    "The user prefers tabs over spaces in Go.",
    "Deploys happen on Tuesdays; Maria approves them. " * 5,
    "long " * 300,
    "A paragraph that goes on, and on, far beyond what the model can read at once. " * 40,
    "🦊🚀 ship it 🎉👩‍👩‍👧‍👦",
    "東京の会議は金曜日に延期されました。数据库连接池的大小是十。회의는 내일",
    "def f(x: int) -> str:\n\treturn f'{x!r}'  # \"quoted\" [brackets] {braces} \\d+",
    "naïve café Ünïcödé Ελληνικά русский العربية עברית",
    "[CLS] special [SEP] tokens [MASK] as plain [PAD] text [UNK]",
    "x" * 500,
    "3.14159 1e-12 0xDEADBEEF 192.168.0.1 2026-05-08T14:30:00Z",
]

texts = st.text(max_size=80) | st.sampled_from(TEXTS)
few = settings(max_examples=15, deadline=None)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def model(data_dir: Path) -> MiniLM:
    return minilm.load(data_dir)


def link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source)
    except OSError:
        pytest.skip("this user may not make symbolic links")


def measure_cosines(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """Measure the cosine of each row of one array and the same row of another."""
    one, other = first.astype(np.float64), second.astype(np.float64)
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return np.sum(one * other, axis=-1) / lengths


def read_sentences() -> list[str]:
    """Read the prose of this repository's documents, of which the model was not calibrated on a word."""
    paths = sorted((ROOT / "docs").rglob("*.md"))
    paragraphs = [one for path in paths for one in path.read_text(encoding="utf-8").split("\n\n")]
    prose = [" ".join(one.split()) for one in paragraphs if one[:1].isalpha()]
    return [sentence for one in prose for sentence in one.split(". ") if len(sentence) > 20][:300]


@pytest.fixture(scope="module")
def published() -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(find_published_folder()), device="cpu", local_files_only=True)


@pytest.mark.sentence_transformers
@pytest.mark.slow
def test_vectors_are_near_the_published_ones(model: MiniLM, published: Any) -> None:
    texts = read_sentences() + [text for text in TEXTS if model.can_read(text)]
    expected = published.encode(texts, normalize_embeddings=True)
    cosines = measure_cosines(model.embed_documents(texts).vectors, expected)
    assert len(texts) > 250
    assert cosines.mean() >= 0.998
    assert cosines.min() >= 0.99


def test_what_is_not_read_has_no_vector(model: MiniLM) -> None:
    vectors = model.embed_documents(TEXTS).vectors
    unread = [text for text, vector in zip(TEXTS, vectors, strict=True) if not vector.any()]
    assert unread == ["", " ", ".", "\x00\n\t", TEXTS[9], "x" * 500]


@pytest.mark.sentence_transformers
@pytest.mark.slow
def test_vectors_of_tokens_are_near_the_published_ones(model: MiniLM, published: Any) -> None:
    cosines: list[float] = []
    for text in read_sentences()[::10]:
        tokens = model._tokenize_readable(text)
        inputs = {"input_ids": tokens[None], "attention_mask": np.ones_like(tokens)[None]}
        (vectors,) = model._session.run(["tokens"], inputs)
        expected = published.encode(text, output_value="token_embeddings").numpy()
        cosines.extend(measure_cosines(vectors[0], expected))
    assert np.mean(cosines) >= 0.997
    assert min(cosines) >= 0.98


# --- the shipped files ----------------------------------------------------------------------------


def test_the_shipped_files_are_the_ones_that_this_version_names() -> None:
    digests = {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in SHIPPED}
    assert digests == SHIPPED
    assert {path.name for path in FOLDER.iterdir()} == {*SHIPPED, "LICENSE", "NOTICE"}


@pytest.mark.sentence_transformers
@pytest.mark.slow
def test_the_script_makes_the_shipped_files_bit_for_bit(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "minilm" / "build.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
    made = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}
    assert made == minilm.FILES


@pytest.mark.sentence_transformers
def test_the_licence_and_the_changes_are_told() -> None:
    assert "Apache License" in (FOLDER / "LICENSE").read_text(encoding="utf-8")
    notice = (FOLDER / "NOTICE").read_text(encoding="utf-8")
    assert "all-MiniLM-L6-v2" in notice
    assert "Changed by" in notice
    assert hashlib.sha256((find_published_folder() / "model.safetensors").read_bytes()).hexdigest() in notice


def read_products() -> list[NDArray[np.int8]]:
    """Read the weights that the graph multiplies bytes with, each of shape (inputs, outputs)."""
    import onnx

    graph = onnx.load(str(FOLDER / minilm.GRAPH), load_external_data=False).graph
    used = {node.input[1] for node in graph.node if node.op_type == "MatMulInteger"}
    assert {node.domain for node in graph.node} == {""}  # operators of the ONNX standard only
    found = [tensor for tensor in graph.initializer if tensor.name in used]
    weights = (FOLDER / minilm.WEIGHTS).read_bytes()
    products: list[NDArray[np.int8]] = []
    for tensor in found:
        assert tensor.data_type == onnx.TensorProto.INT8
        place = {entry.key: entry.value for entry in tensor.external_data}
        values = np.frombuffer(weights, np.int8, math.prod(tensor.dims), int(place["offset"]))
        products.append(values.reshape(tensor.dims))
    return products


def test_no_sum_of_two_products_leaves_sixteen_bits() -> None:
    """AVX2 adds pairs of products in 16 bits and cuts larger sums off, which other processors do not."""
    weights = read_products()
    assert len(weights) == 24
    for values in weights:
        wide = np.abs(values.astype(np.int32))
        assert wide.max() == 63
        assert 255 * (wide[0::2] + wide[1::2]).max() <= 32_767


# --- embedding ------------------------------------------------------------------------------------


def test_words_count_up_to_256_pieces_and_no_further(model: MiniLM) -> None:
    words = ["time"] * 300
    plain = model.embed_query(" ".join(words)).vector
    words[254] = "banana"  # piece 256 is [SEP], piece 1 [CLS]: 254 words are read
    assert np.array_equal(model.embed_query(" ".join(words)).vector, plain)
    words[253] = "banana"
    assert not np.allclose(model.embed_query(" ".join(words)).vector, plain, atol=1e-4)


def test_meaning_decides_which_vectors_are_near(model: MiniLM) -> None:
    near, far = model.embed_documents(
        ["The cat sleeps on the sofa.", "Quarterly revenue fell by nine percent."]
    ).vectors
    query = model.embed_query("Where does the kitten nap?").vector
    assert query @ near > query @ far + 0.2


def test_no_texts_give_no_vectors(model: MiniLM) -> None:
    vectors = model.embed_documents([]).vectors
    assert vectors.shape == (0, model.identity.dimension)
    assert vectors.dtype == np.float32


def test_half_a_surrogate_pair_is_embedded_like_a_question_mark(model: MiniLM) -> None:
    assert np.array_equal(model.embed_query("a \ud83e b").vector, model.embed_query("a ? b").vector)


@pytest.mark.slow
@few
@given(st.lists(texts, min_size=1, max_size=12))
def test_every_vector_is_finite_and_of_length_one_or_zero(model: MiniLM, some: list[str]) -> None:
    vectors = model.embed_documents(some).vectors
    assert vectors.shape == (len(some), 384)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.all((lengths == 0) | (np.abs(lengths - 1) < 1e-5))
    assert [bool(length) for length in lengths] == [model.can_read(text) for text in some]


@pytest.mark.slow
@few
@given(st.lists(texts, min_size=1, max_size=12))
def test_a_vector_depends_on_neither_its_batch_nor_its_place(model: MiniLM, some: list[str]) -> None:
    alone = {text: model.embed_query(text).vector for text in some}
    read = [text for text in some if alone[text].any()]
    for texts in filter(None, (read, read[::-1])):
        vectors = model.embed_documents(texts).vectors
        cosines = measure_cosines(vectors, np.stack([alone[text] for text in texts]))
        assert cosines.min() >= 0.999999


# --- token vectors --------------------------------------------------------------------------------


def test_token_vectors_have_a_fingerprint_of_their_own(model: MiniLM) -> None:
    assert model.token_identity.dimension == 64
    assert model.token_identity.fingerprint != model.identity.fingerprint
    assert model.identity.fingerprint == "d5551e3d1c63ea0fbfe946f31752e73f8cbd87d0fb3798876a8bcf91ab6a19c1", (
        "embeddings of the version before stay"
    )


@pytest.mark.slow
@few
@given(st.lists(texts, min_size=1, max_size=12))
def test_token_vectors_depend_on_neither_their_batch_nor_their_place(model: MiniLM, some: list[str]) -> None:
    alone = [model.embed_documents([text]).tokens[0] for text in some]
    for batch, expected in ((some, alone), (some[::-1], alone[::-1])):
        for kept, before in zip(model.embed_documents(batch).tokens, expected, strict=True):
            assert (kept.dtype, kept.shape) == (np.int8, before.shape)
            assert np.abs(kept.astype(int) - before).max(initial=0) <= 1, "a rounding may fall the other way"


@pytest.mark.slow
@few
@given(texts)
def test_a_query_says_what_each_of_its_token_vectors_stands_for(model: MiniLM, text: str) -> None:
    asked = model.embed_query(text)
    assert asked.tokens.shape == (len(asked.spans), 64)
    assert np.linalg.norm(asked.tokens, axis=1) == pytest.approx(np.ones(len(asked.tokens)), abs=1e-5)
    assert all(0 <= start < end <= len(text) for start, end in asked.spans)
    assert asked.spans.tolist() == sorted(asked.spans.tolist())


def test_function_words_and_punctuation_have_no_token_vectors(model: MiniLM) -> None:
    question = "When does María approve a deployment, and why not?"
    spans = model.embed_query(question).spans
    assert [question[start:end] for start, end in spans] == ["María", "approve", "deployment", "not"]
    assert [len(tokens) for tokens in model.embed_documents([question, "What is it?", ""]).tokens] == [
        4,
        0,
        0,
    ]


def test_the_same_word_is_nearer_than_any_other(model: MiniLM) -> None:
    (rows,) = model.embed_documents(["The harbour closes when a storm comes."]).tokens
    asked = model.embed_query("Is the harbour open?")
    cosines = asked.tokens @ rows.T.astype(np.float32) / 127
    assert cosines[0].argmax() == 0
    assert cosines[0, 0] > 0.5


def test_of_a_long_text_the_rarest_words_have_token_vectors(model: MiniLM) -> None:
    (rows,) = model.embed_documents(["time year city people " * 30 + "xylophone"]).tokens
    assert rows.shape == (63, 64)
    asked = model.embed_query("xylophone").tokens
    assert (asked @ rows.T.astype(np.float32) / 127).max() > 0.4


UNREAD = {
    "Thai": "แมวชอบนอนบนโซฟา",
    "Georgian": "კატას უყვარს დივანზე ძილი",
    "Amharic": "ድመቷ በሶፋ ላይ መተኛት ትወዳለች",
    "Korean": "고양이는 소파에서 자는 것을 좋아한다",
    "Korean, decomposed": "\u1100\u1169\u110b\u1163\u110b\u1175\u1102\u1173\u11ab",
    "Chinese": "如何重启打印机",
    "Japanese": "会議は木曜日に延期されました",
    "Tamil": "பூனை சோபாவில் தூங்க விரும்புகிறது",
    "Hindi": "बैठक गुरुवार को होगी",
    "Arabic": "تم نقل الاجتماع إلى الخميس",
    "Hebrew": "הפגישה הועברה ליום חמישי",
    "Armenian": "Կատուն սիրում է քնել բազմոցին",
    "Greek": "Συνάντηση την Πέμπτη",
    "emoji": "🐳",
    "data": "QUJD" * 50,
}
READ = {
    "English": "The printer is broken again.",
    "English with a Chinese name": "The printer in the hall is named 打印机.",
    "English with an emoji": "🐳 whale",
    "English with data": "The deploy key of staging is " + "QUJD" * 50,
    "German": "Die Besprechung wurde auf Donnerstag verschoben.",
    "decomposed": "Zoe\u0308 mag Tee.",
    "Russian": "Встреча перенесена на четверг",
    "an address": "192.168.1.10",
}


@pytest.mark.parametrize("text", UNREAD.values(), ids=UNREAD)
def test_what_the_vocabulary_does_not_cover_has_no_vector(model: MiniLM, text: str) -> None:
    assert not model.can_read(text)
    assert not model.embed_query(text).vector.any()
    first, unread, last = model.embed_documents(["The cat likes the sofa.", text, "whale"]).vectors
    assert not unread.any()
    assert first @ model.embed_query("The cat likes the sofa.").vector == pytest.approx(1, abs=1e-5)
    assert last @ model.embed_query("whale").vector == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("text", READ.values(), ids=READ)
def test_what_is_read_for_the_greater_part_has_a_vector(model: MiniLM, text: str) -> None:
    assert model.can_read(text)
    assert np.linalg.norm(model.embed_query(text).vector) == pytest.approx(1, abs=1e-5)


def test_threads_get_what_one_thread_gets(model: MiniLM) -> None:
    alone = [model.embed_query(text).vector for text in TEXTS]
    with ThreadPoolExecutor(4) as pool:
        bulk = pool.submit(model.embed_documents, TEXTS * 2)
        together = [made.vector for made in pool.map(model.embed_query, TEXTS * 2)]
    assert np.array_equal(together, alone * 2)
    read = np.any(alone * 2, axis=1)
    vectors = bulk.result().vectors
    assert np.array_equal(vectors.any(axis=1), read)
    assert measure_cosines(vectors[read], np.array(alone * 2)[read]).min() >= 0.999999


@given(st.lists(st.integers(2, 300), max_size=60), st.integers(1, 600))
def test_batches_hold_each_text_once_and_keep_to_their_budget(lengths: list[int], budget: int) -> None:
    made = list(split_into_batches(lengths, budget))
    assert sorted(position for batch in made for position in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "model"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_flipped_bit_in_a_file_is_refused(name: str, copied: Path, data_dir: Path) -> None:
    with (copied / name).open("r+b") as file:
        file.seek(10_000)
        byte = file.read(1)[0]
        file.seek(10_000)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(
        ModelUnavailable,
        match=rf"file {name} is damaged: run pip install --force-reinstall sediment-mcp, or uvx --refresh",
    ):
        minilm.load(data_dir, copied)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_missing_file_is_named_with_the_remedy(name: str, copied: Path, data_dir: Path) -> None:
    (copied / name).unlink()
    with pytest.raises(
        ModelUnavailable, match=rf"file {name} cannot be read .*: run pip install --force-reinstall"
    ):
        minilm.load(data_dir, copied)


def test_the_weights_are_hashed_at_the_first_load_only(tmp_path: Path) -> None:
    minilm.load(tmp_path)
    record = json.loads((tmp_path / RECORD_NAME).read_text())
    (entry,) = record["files"].values()
    assert entry[3] == minilm.FILES[minilm.WEIGHTS]
    entry[3] = "0" * 64
    (tmp_path / RECORD_NAME).write_text(json.dumps(record))
    with pytest.raises(ModelUnavailable):  # the remembered hash was believed, so the file was not read again
        minilm.load(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_weights_are_mapped_and_not_copied(model: MiniLM) -> None:
    model.embed_query("a fox")
    maps = Path("/proc/self/smaps").read_text().split("VmFlags")
    mapped = [one for one in maps if str(FOLDER / minilm.WEIGHTS) in one]
    assert mapped
    assert all("Private_Dirty:         0 kB" in one for one in mapped)


def test_files_behind_links_work(tmp_path: Path, data_dir: Path, model: MiniLM) -> None:
    folder = tmp_path / "verknüpft 模型"
    folder.mkdir()
    for name in SHIPPED:
        link(FOLDER / name, folder / name)
    link(folder, tmp_path / "again")
    linked = minilm.load(data_dir, tmp_path / "again")
    assert np.array_equal(linked.embed_query("a fox").vector, model.embed_query("a fox").vector)


def test_files_in_a_folder_with_an_unusual_name_work(tmp_path: Path, data_dir: Path, model: MiniLM) -> None:
    folder = tmp_path / "größer als üblich 模型"
    folder.mkdir()
    for name in SHIPPED:
        shutil.copy(FOLDER / name, folder / name)
    other = minilm.load(data_dir, folder)
    assert np.array_equal(other.embed_query("a").vector, model.embed_query("a").vector)


def test_a_session_that_fails_to_load_is_told_with_the_remedy(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(graph: bytes, folder: Path) -> None:
        raise InvalidArgument("of onnxruntime")

    monkeypatch.setattr(minilm, "_create_session", fail)
    with pytest.raises(ModelUnavailable, match=r"\(InvalidArgument\): run pip install --force-reinstall"):
        minilm.load(data_dir)


def test_a_flood_of_calls_runs_two_at_a_time(model: MiniLM, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, two = [0], [0], threading.Barrier(2)

    class Session:
        def run(self, outputs: list[str], inputs: dict[str, Any]) -> Any:
            running[0] += 1
            two.wait(30)
            most[0] = max(most[0], running[0])
            two.wait(30)
            running[0] -= 1
            return session.run(outputs, inputs)

    session = model._session
    monkeypatch.setattr(model, "_session", Session())
    with ThreadPoolExecutor(12) as threads:
        vectors = [made.vector for made in threads.map(model.embed_query, ["a harbour"] * 12)]
    assert most == [minilm.CONCURRENT_RUNS]
    assert all(np.array_equal(vector, vectors[0]) for vector in vectors)


@pytest.mark.parametrize("error", [InvalidArgument("of onnxruntime"), MemoryError()])
def test_what_onnxruntime_raises_on_a_text_is_a_failure_of_the_model(
    error: Exception, model: MiniLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Session:
        def run(self, outputs: list[str], inputs: dict[str, Any]) -> Any:
            raise error

    monkeypatch.setattr(model, "_session", Session())
    with pytest.raises(ModelFailed, match=type(error).__name__):
        model.embed_documents(["a harbour"])
    with pytest.raises(ModelFailed, match=type(error).__name__):
        model.embed_query("a harbour")


def test_what_is_no_text_is_a_mistake_and_no_failure_of_the_model(model: MiniLM) -> None:
    with pytest.raises(AttributeError):
        model.embed_query(5)  # type: ignore[arg-type]
