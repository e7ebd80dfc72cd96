"""Which runtime serves a configured model, what loading touches, and what happens while it lasts or fails."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.embedding_double import EmbeddingDouble

from sediment_mcp.config import DEFAULT_MODEL, MULTILINGUAL_MODEL, NO_MODEL, Config
from sediment_mcp.embeddings.codec import decode_vectors
from sediment_mcp.embeddings.loader import FAILED_TO_LOAD, LOADING, ModelLoader, load_embedder
from sediment_mcp.embeddings.protocols import DocumentEmbeddings, QueryEmbedding
from sediment_mcp.errors import ModelFailed, ModelUnavailable

pytestmark = [pytest.mark.model, pytest.mark.process]

EMBED_AND_REPORT = """
import json, sys
from pathlib import Path

events = []
sys.addaudithook(lambda event, _: events.append(event))

from sediment_mcp.config import Config
from sediment_mcp.embeddings.loader import load_embedder

before = sorted(name for name in ("numpy", "onnxruntime") if name in sys.modules)
embedder = load_embedder(Config(data_dir=Path(sys.argv[1])))
embedder.embed_documents(["one", "two"])
embedder.embed_query("three")
Path(sys.argv[2]).write_text(json.dumps({
    "before": before,
    "modules": sorted(sys.modules),
    "events": sorted(set(events)),
}))
"""

FORBID_AND_LOAD = """
import sys
from pathlib import Path

sys.modules[sys.argv[1]] = None  # what makes "import" fail

from sediment_mcp.config import Config
from sediment_mcp.embeddings.loader import load_embedder
from sediment_mcp.errors import ModelUnavailable

try:
    load_embedder(Config(data_dir=Path(sys.argv[2]), model=sys.argv[3]))
except ModelUnavailable as error:
    print(error)
"""


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Report what a fresh process saw that loaded the default model and embedded three texts."""
    folder = tmp_path_factory.mktemp("fresh")
    finished = run(EMBED_AND_REPORT, folder / "data", folder / "observed.json")
    return {**json.loads((folder / "observed.json").read_text()), "said": finished.stdout + finished.stderr}


def test_the_default_model_needs_no_torch(observed: dict[str, Any]) -> None:
    assert "onnxruntime" in observed["modules"]
    unwanted = {
        "torch",
        "transformers",
        "sentence_transformers",
        "tokenizers",
        "huggingface_hub",
        "sentencepiece",
    }
    assert not unwanted & set(observed["modules"])


def test_the_default_model_opens_no_socket(observed: dict[str, Any]) -> None:
    assert "open" in observed["events"]
    assert [event for event in observed["events"] if event.startswith("socket.")] == []


def test_the_default_model_starts_no_process(observed: dict[str, Any]) -> None:
    assert not {"subprocess.Popen", "os.posix_spawn", "os.fork", "os.system"} & set(observed["events"])


def test_importing_the_loader_imports_no_runtime(observed: dict[str, Any]) -> None:
    assert observed["before"] == []


def test_loading_and_embedding_print_nothing(observed: dict[str, Any]) -> None:
    assert observed["said"] == ""


def test_the_default_model_is_called_by_its_name(tmp_path: Path) -> None:
    identity = load_embedder(Config(data_dir=tmp_path)).identity
    assert (identity.name, identity.dimension) == (DEFAULT_MODEL, 384)
    assert len(identity.fingerprint) == 64


def test_no_model_is_a_choice_and_the_message_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        ModelUnavailable, match=r"\(SEDIMENT_MODEL=none\): unset it to search by meaning too\.$"
    ):
        load_embedder(Config(data_dir=tmp_path, model=NO_MODEL))


@pytest.mark.parametrize(
    ("package", "model", "remedy"),
    [
        ("onnxruntime", DEFAULT_MODEL, "run pip install --upgrade onnxruntime."),
        *(
            (package, "some/model", 'run pip install "sediment-mcp[sentence-transformers]" or start with uvx')
            for package in ("sentence_transformers", "transformers", "huggingface_hub", "torch")
        ),
        (
            "sentencepiece",
            MULTILINGUAL_MODEL,
            'run pip install "sediment-mcp[multilingual]" or start with uvx',
        ),
    ],
)
def test_a_missing_runtime_is_named_with_the_remedy(
    package: str, model: str, remedy: str, tmp_path: Path
) -> None:
    assert remedy in run(FORBID_AND_LOAD, package, tmp_path, model).stdout


# --- loading in the background ------------------------------------------------------------------


class FailingDouble(EmbeddingDouble):
    """Loads, and raises the same error on every text."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def embed_documents(self, texts: Sequence[str]) -> DocumentEmbeddings:
        raise self._error

    def embed_query(self, text: str) -> QueryEmbedding:
        raise self._error


def test_a_model_that_still_loads_is_not_waited_for_longer_than_asked() -> None:
    gate = threading.Event()

    def load() -> EmbeddingDouble:
        gate.wait()
        return EmbeddingDouble()

    loader = ModelLoader(load, timeout=0)
    assert loader.ready is None
    assert loader.get() is None
    assert loader.embed_documents(["a text"]) is None
    assert loader.embed_query("a query") is None
    assert loader.problem == LOADING
    gate.set()
    assert loader.get(60) is loader.ready is not None
    assert loader.problem == ""


def test_a_model_is_loaded_once_and_only_when_it_is_needed() -> None:
    loaded: list[EmbeddingDouble] = []

    def load() -> EmbeddingDouble:
        loaded.append(EmbeddingDouble())
        return loaded[-1]

    loader = ModelLoader(load, timeout=60)
    assert loader.ready is None
    assert loaded == []
    loader.start()
    loader.start()
    assert loader.get() is loader.get() is loaded[0]
    assert len(loaded) == 1


def test_embeddings_come_with_the_model_that_they_are_of() -> None:
    double = EmbeddingDouble()
    loader = ModelLoader(lambda: double, timeout=60)
    texts = loader.embed_documents(["one", "two"])
    query = loader.embed_query("one")
    assert texts is not None
    assert query is not None
    assert texts.model == query.model == double.identity
    assert texts.token_model == query.token_model == double.token_identity
    documents, asked = double.embed_documents(["one", "two"]), double.embed_query("one")
    assert decode_vectors(texts.vectors) == pytest.approx(documents.vectors, abs=1e-3)
    assert texts.tokens == [rows.tobytes() for rows in documents.tokens]
    assert query.vector == pytest.approx(asked.vector)
    assert query.tokens.tolist() == asked.tokens.tolist()
    assert query.spans.tolist() == [[0, 3]]


@pytest.mark.parametrize(
    ("error", "problem"),
    [(ModelUnavailable("No model: get one."), "No model: get one."), (KeyError("config"), FAILED_TO_LOAD)],
)
def test_a_model_that_cannot_be_loaded_is_a_problem_and_no_error(error: Exception, problem: str) -> None:
    def load() -> EmbeddingDouble:
        raise error

    loader = ModelLoader(load, timeout=60)
    assert loader.get() is None
    assert loader.problem == problem
    assert loader.embed_documents(["a text"]) is None


EMBED: list[Callable[[ModelLoader], object]] = [
    lambda loader: loader.embed_documents(["a text"]),
    lambda loader: loader.embed_query("a query"),
]


@pytest.mark.parametrize("embed", EMBED)
def test_a_model_that_fails_on_a_text_gives_no_embedding_and_a_line_in_the_log(
    embed: Callable[[ModelLoader], object], caplog: pytest.LogCaptureFixture
) -> None:
    loader = ModelLoader(lambda: FailingDouble(ModelFailed("It fails.")), timeout=60)
    with caplog.at_level(logging.ERROR, "sediment_mcp"):
        assert embed(loader) is None
    assert [record.message for record in caplog.records] == ["The embedding model failed on a text"]


@pytest.mark.parametrize("embed", EMBED)
@pytest.mark.parametrize("mistake", [TypeError, AttributeError, KeyError])
def test_a_mistake_in_this_package_is_not_taken_for_a_failure_of_the_model(
    embed: Callable[[ModelLoader], object], mistake: type[Exception]
) -> None:
    loader = ModelLoader(lambda: FailingDouble(mistake("ours")), timeout=60)
    with pytest.raises(mistake, match="ours"):
        embed(loader)
