"""The default model, all-MiniLM-L6-v2 in eight bits, computed by onnxruntime.

It loads in a fifth of a second and downloads nothing: its files stand in this package, written by
scripts/minilm/build.py from the published weights. onnxruntime maps `weights.bin` into memory, so that
several servers share it. The cosine of a vector and the one of the published model is 0.998 on average, in
half the time (docs/decisions/0012-own-model-files.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnxruntime

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
from sediment_mcp.embeddings.word_pieces import WordPieces
from sediment_mcp.errors import ModelUnavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = Path(__file__).parent / DEFAULT_MODEL
GRAPH, WEIGHTS, VOCABULARY, CHARACTERS = "graph.onnx", "weights.bin", "vocabulary.txt", "characters.json"
FILES = {
    GRAPH: "817f9059cad25d33c4c8089f51ecee7cb18b395a2882a72d45e0aaecbe88747d",
    WEIGHTS: "924b68f73ad4b910768cf589971fca5498433abad44bf2a765efc8c25301c227",
    VOCABULARY: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    CHARACTERS: "2425a04fbdaf3e3adf9d3fd3155b7ff103f4b2bcc12862a0cc980c5ed3e745d6",
}
"""The files of the model and the SHA-256 of each."""
REMEDY = "run pip install --force-reinstall sediment-mcp, or uvx --refresh sediment-mcp."

DIMENSION = 384
MAX_TOKENS = 256
"""Word pieces that are embedded, [CLS] and [SEP] included; the rest is cut off (the model's limit)."""
BATCH_TOKENS = 256
"""Padded tokens that run together. One core is busy with that many already: twice as many are no faster and
take twice the memory, four times as many are slower, because they fall out of the processor's cache."""
CONCURRENT_RUNS = 2  # each takes some 10 MB and a processor

IDENTITY = ModelIdentity(
    name=DEFAULT_MODEL,
    fingerprint=compute_fingerprint(
        files=FILES, pooling="mean", max_tokens=MAX_TOKENS, normalised=True, prompts={}
    ),
    dimension=DIMENSION,
)


def load(data_dir: Path, folder: Path = FOLDER) -> MiniLM:
    """Check that the files are the ones this version was made with, and load them.

    Raises:
        ModelUnavailable: a file is missing or damaged.
    """
    small = {name: _read_checked(folder / name) for name in (GRAPH, VOCABULARY, CHARACTERS)}
    weights = (folder / WEIGHTS).resolve()
    try:
        _check(WEIGHTS, hash_file(weights, data_dir))
    except OSError as error:
        raise _build_unreadable(WEIGHTS, error) from error
    words = WordPieces(small[VOCABULARY].decode().splitlines(), small[CHARACTERS])
    try:
        return MiniLM(_create_session(small[GRAPH], weights.parent), words)
    except Exception as error:  # the classes that onnxruntime raises have no narrower base
        reason = type(error).__name__
        raise ModelUnavailable(f"The default model cannot be loaded ({reason}): {REMEDY}") from error


def _read_checked(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _build_unreadable(path.name, error) from error
    _check(path.name, hashlib.sha256(content).hexdigest())
    return content


def _check(name: str, digest: str) -> None:
    if digest != FILES[name]:
        raise ModelUnavailable(f"The default model's file {name} is damaged: {REMEDY}")


def _build_unreadable(name: str, error: OSError) -> ModelUnavailable:
    return ModelUnavailable(f"The default model's file {name} cannot be read ({error.strerror}): {REMEDY}")


def _create_session(graph: bytes, folder: Path) -> onnxruntime.InferenceSession:
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
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class MiniLM:
    """The loaded default model.

    Its session and vocabulary are not changed after it is made, so any thread may use them.
    """

    def __init__(self, session: onnxruntime.InferenceSession, words: WordPieces) -> None:
        self._session = session
        self._words = words
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
        """Return the token ids of a text, between 2 and 256, or None if it cannot be read."""
        clean_text, limit = replace_surrogates(text), MAX_TOKENS - 2
        if is_plain_english(clean_text):
            return np.array(self._words.add_marks(self._words.tokenize_ascii(clean_text, limit)), np.int64)
        found = list(islice(self._words.find_tokens(clean_text), limit))
        tokens = ((token == self._words.unknown, span) for token, span in found)
        if measure_unknown_share(clean_text, tokens, SPELLED_OUT) >= MAX_UNKNOWN_SHARE:
            return None
        return np.array(self._words.add_marks([token for token, _ in found]), np.int64)

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
