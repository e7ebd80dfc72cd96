"""The default model, all-MiniLM-L6-v2 in eight bits, computed by onnxruntime.

It loads in a fifth of a second and downloads nothing: its files stand in this package, written by
scripts/minilm/build.py from the published weights. onnxruntime maps `weights.bin` into memory, so that
several servers share it. The cosine of a vector and the one of the published model is 0.998 on average, in
half the time (docs/decisions/0012-own-model-files.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnxruntime

from sediment_mcp.config import DEFAULT_MODEL
from sediment_mcp.embeddings import token_projection
from sediment_mcp.embeddings.codec import quantize_tokens
from sediment_mcp.embeddings.fair_semaphore import FairSemaphore
from sediment_mcp.embeddings.file_hashes import hash_file
from sediment_mcp.embeddings.protocols import DocumentEmbeddings, ModelIdentity, QueryEmbedding
from sediment_mcp.embeddings.readability import (
    MAX_UNKNOWN_SHARE,
    SPELLED_OUT,
    is_plain_english,
    measure_unknown_share,
)
from sediment_mcp.embeddings.runtime import compute_fingerprint, replace_surrogates, translate_failures
from sediment_mcp.embeddings.token_projection import TokenProjection, find_content_pieces, select_rarest
from sediment_mcp.embeddings.word_pieces import WordPieces
from sediment_mcp.errors import ModelUnavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = Path(__file__).parent / DEFAULT_MODEL
GRAPH, WEIGHTS, VOCABULARY, CHARACTERS = "graph.onnx", "weights.bin", "vocabulary.txt", "characters.json"
PROJECTION = "projection.npy"
FILES = {
    GRAPH: "817f9059cad25d33c4c8089f51ecee7cb18b395a2882a72d45e0aaecbe88747d",
    WEIGHTS: "924b68f73ad4b910768cf589971fca5498433abad44bf2a765efc8c25301c227",
    VOCABULARY: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    CHARACTERS: "2425a04fbdaf3e3adf9d3fd3155b7ff103f4b2bcc12862a0cc980c5ed3e745d6",
}
"""The files on which an embedding depends, and the SHA-256 of each."""
TOKEN_FILES = {PROJECTION: "d56f0fd5f2305280c2440d5b3b9d25fa15e9c6a3c134e9ad2d39f203dafe0136"}
"""The files on which token vectors depend besides, and the SHA-256 of each."""
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
TOKEN_IDENTITY = ModelIdentity(
    name=DEFAULT_MODEL,
    fingerprint=compute_fingerprint(
        model=IDENTITY.fingerprint,
        files=TOKEN_FILES,
        left_out=token_projection.FUNCTION_WORDS,
        max_tokens=token_projection.MAX_TOKENS,
    ),
    dimension=token_projection.DIMENSION,
)


def load(data_dir: Path, folder: Path = FOLDER) -> MiniLM:
    """Check that the files are the ones this version was made with, and load them.

    Raises:
        ModelUnavailable: a file is missing or damaged.
    """
    small = {name: _read_checked(folder / name) for name in (GRAPH, VOCABULARY, CHARACTERS, PROJECTION)}
    weights = (folder / WEIGHTS).resolve()
    try:
        _check(WEIGHTS, hash_file(weights, data_dir))
    except OSError as error:
        raise _build_unreadable(WEIGHTS, error) from error
    vocabulary = small[VOCABULARY].decode().splitlines()
    words, projection = WordPieces(vocabulary, small[CHARACTERS]), TokenProjection(small[PROJECTION])
    try:
        session = _create_session(small[GRAPH], weights.parent)
        return MiniLM(session, words, projection, find_content_pieces(vocabulary))
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
    if digest != {**FILES, **TOKEN_FILES}[name]:
        raise ModelUnavailable(f"The default model's file {name} is damaged: {REMEDY}")


def _build_unreadable(name: str, error: OSError) -> ModelUnavailable:
    return ModelUnavailable(f"The default model's file {name} cannot be read ({error.strerror}): {REMEDY}")


def _create_session(graph: bytes, folder: Path) -> onnxruntime.InferenceSession:
    """Load the graph, with its weights in ``folder``.

    ``folder`` must be a real folder: onnxruntime refuses weights that are reached through a link.
    """
    options = build_session_options()
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def build_session_options() -> Any:
    """Return how a graph is run.

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
    return options


class MiniLM:
    """The loaded default model.

    Its session and vocabulary are not changed after it is made, so any thread may use them.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        words: WordPieces,
        projection: TokenProjection,
        has_content: NDArray[np.bool_],
    ) -> None:
        """Keep the parts; ``has_content`` says of each word piece whether its token has a vector."""
        self._session = session
        self._words = words
        self._projection = projection
        self._has_content = has_content
        self._runs = FairSemaphore(CONCURRENT_RUNS)

    @property
    def identity(self) -> ModelIdentity:
        """The identity of the default model."""
        return IDENTITY

    @property
    def token_identity(self) -> ModelIdentity:
        """The identity of its token vectors."""
        return TOKEN_IDENTITY

    def embed_documents(self, texts: Sequence[str]) -> DocumentEmbeddings:
        """Embed texts; those that it cannot read have a vector of zeros and no token vectors."""
        ids_of = [self._tokenize_readable(text) for text in texts]
        return embed_in_batches(ids_of, self._run, self._find_content, self._projection)

    def embed_query(self, text: str) -> QueryEmbedding:
        """Embed a query, for which this model has no prompt."""
        ids = self._tokenize_readable(text)
        if ids is None:
            return QueryEmbedding(
                np.zeros(DIMENSION, np.float32),
                np.zeros((0, token_projection.DIMENSION), np.float32),
                np.zeros((0, 2), np.int64),
            )
        vectors, states = self._run([ids])
        kept = self._find_content(ids)
        found = islice(self._words.find_tokens(replace_surrogates(text)), len(ids) - 2)
        spans = np.array([span for _, span in found], np.int64).reshape(-1, 2)
        return QueryEmbedding(vectors[0], self._projection.project(states[0][kept]), spans[kept - 1])

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

    def _find_content(self, ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the positions of the tokens of a text, its marks included, that have a vector."""
        return np.flatnonzero(self._has_content[ids])

    def _run(self, tokens: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the model on a batch; shorter texts are padded, and the padding is masked.

        Returns unit vectors of shape (len(tokens), 384), and what the model computed for each token, of
        shape (len(tokens), longest, 384).
        """
        padded, mask = pad_tokens(tokens)
        inputs: dict[str, Any] = {"input_ids": padded, "attention_mask": mask}
        with self._runs.acquire(), translate_failures("onnxruntime"):
            made = cast("list[NDArray[np.float32]]", self._session.run(["embedding", "tokens"], inputs))
        return made[0], made[1]


def embed_in_batches(
    ids_of: Sequence[NDArray[np.int64] | None],
    run: Callable[[Sequence[NDArray[np.int64]]], tuple[NDArray[np.float32], NDArray[np.float32]]],
    find_content: Callable[[NDArray[np.int64]], NDArray[np.intp]],
    projection: TokenProjection,
) -> DocumentEmbeddings:
    """Embed texts by their token ids, which are None for one that the model cannot read.

    ``run`` takes a batch of ids, and returns vectors of shape (batch, 384) and what the model computed for
    each token, of shape (batch, longest, 384); ``find_content`` returns the positions of the tokens that have
    a vector of their own.
    """
    vectors = np.zeros((len(ids_of), DIMENSION), np.float32)
    tokens = [np.zeros((0, token_projection.DIMENSION), np.int8)] * len(ids_of)
    readable = [(row, ids) for row, ids in enumerate(ids_of) if ids is not None]
    for batch in split_into_batches([len(ids) for _, ids in readable]):
        own = [readable[place] for place in batch]
        vectors[[row for row, _ in own]], states = run([ids for _, ids in own])
        for (row, ids), text_states in zip(own, states, strict=True):
            kept = select_rarest(ids, find_content(ids))
            tokens[row] = quantize_tokens(projection.project(text_states[kept]))
    return DocumentEmbeddings(vectors, tokens)


def pad_tokens(tokens: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ids of texts, padded with zeros to the longest, and a mask of what is none."""
    shape = (len(tokens), max(len(ids) for ids in tokens))
    padded, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, ids in enumerate(tokens):
        padded[row, : len(ids)] = ids
        mask[row, : len(ids)] = 1
    return padded, mask


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
