"""Load the embedding model when it is first needed, and embed with it.

The runtimes are imported when a model is loaded, never before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from sediment_mcp.config import (
    DEFAULT_MODEL,
    MODEL,
    MODEL_EXTRA,
    MULTILINGUAL_EXTRA,
    MULTILINGUAL_MODEL,
    NO_MODEL,
    Config,
)
from sediment_mcp.embeddings.background_load import BackgroundLoader, LoadMessages
from sediment_mcp.embeddings.codec import encode_tokens, encode_vectors
from sediment_mcp.embeddings.protocols import Embedder, ModelIdentity
from sediment_mcp.errors import ModelFailed, ModelUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOADING = "The embedding model is still loading: ask again in a few seconds to search by meaning too."
FAILED_TO_LOAD = "The embedding model failed to load: run `sediment-mcp doctor` to see why."
LOAD_TIMEOUT = 3.0  # seconds that a call waits for the model; the default one takes a fifth of one

logger = logging.getLogger(__name__)


# --- which runtime serves a configured model ----------------------------------------------------


def load_embedder(config: Config) -> Embedder:
    """Load the configured model.

    Takes 0.2 s for the default one and up to ten seconds for others.

    Raises:
        ModelUnavailable: the model cannot be loaded, or the configuration asks for none.
    """
    is_file = Path(config.model).expanduser().is_file()
    return RUNTIMES.get(config.model, _load_multilingual if is_file else _load_sentence_transformers)(config)


def _refuse(config: Config) -> Embedder:
    raise ModelUnavailable(
        f"Memories are found by their words only, because no model is configured ({MODEL}={config.model}): "
        "unset it to search by meaning too."
    )


def _load_minilm(config: Config) -> Embedder:
    try:
        from sediment_mcp.embeddings import minilm
    except (ImportError, OSError) as error:  # OSError: a shared library that onnxruntime needs is missing
        raise ModelUnavailable(
            f"The default model needs onnxruntime, and it cannot be imported ({error}): "
            "run pip install --upgrade onnxruntime."
        ) from error
    return minilm.load(config.data_dir)


def _load_multilingual(config: Config) -> Embedder:
    try:
        from sediment_mcp.embeddings import multilingual
    except (ImportError, OSError) as error:  # OSError: a shared library that sentencepiece needs is missing
        raise _build_extra_missing("The multilingual model", MULTILINGUAL_EXTRA, error) from error
    return multilingual.load(config.model, config.data_dir)


def _load_sentence_transformers(config: Config) -> Embedder:
    try:
        from sediment_mcp.embeddings import sentence_transformers
    except (ImportError, OSError) as error:  # OSError: a shared library that torch needs is missing
        raise _build_extra_missing(f"The model {config.model}", MODEL_EXTRA, error) from error
    return sentence_transformers.load(config.model, config.data_dir)


def _build_extra_missing(model: str, package: str, error: Exception) -> ModelUnavailable:
    """Return the error of a model whose extra cannot be imported.

    ``package`` is what is to be installed, with the extra in brackets.
    """
    extra = package.partition("[")[2].removesuffix("]")
    return ModelUnavailable(
        f"{model} needs the extra {extra}, and it cannot be imported ({error}): "
        f'run pip install "{package}" or start with uvx --from "{package}" '
        f"sediment-mcp, or unset {MODEL} to use the default model."
    )


RUNTIMES: dict[str, Callable[[Config], Embedder]] = {
    NO_MODEL: _refuse,
    DEFAULT_MODEL: _load_minilm,
    MULTILINGUAL_MODEL: _load_multilingual,
}
"""Configured model → function that loads it; sentence-transformers loads every other that is no file."""


# --- loading in the background ------------------------------------------------------------------


class EmbeddedTexts(NamedTuple):
    """Embeddings and token vectors of texts, encoded by `codec`, and what made them.

    Those of a text that the model cannot read are empty. ``token_model`` is None, and ``tokens`` says
    nothing, if the model has no token vectors, or if these are not known.
    """

    model: ModelIdentity
    vectors: list[bytes]
    token_model: ModelIdentity | None
    tokens: list[bytes]


class EmbeddedQuery(NamedTuple):
    """A query's embedding and token vectors, and what made them.

    ``vector`` is of shape (dimension,), or None if the model cannot read the query; ``tokens`` and ``spans``
    are as in `QueryEmbedding`. ``token_model`` is None if the model has no token vectors.
    """

    model: ModelIdentity
    vector: NDArray[np.float32] | None
    token_model: ModelIdentity | None
    tokens: NDArray[np.float32]
    spans: NDArray[np.int64]


def embed_texts(model: Embedder, texts: Sequence[str]) -> EmbeddedTexts:
    """Embed texts, and encode what the model makes of them for storage.

    Raises:
        ModelFailed: the model fails on one of the texts.
    """
    made = model.embed_documents(texts)
    return EmbeddedTexts(
        model.identity, encode_vectors(made.vectors), model.token_identity, encode_tokens(made.tokens)
    )


EmbeddedT = TypeVar("EmbeddedT", EmbeddedTexts, EmbeddedQuery)


class ModelLoader(BackgroundLoader[Embedder]):
    """Loads the embedding model when it is first needed, and embeds; any thread may use it."""

    def __init__(self, load: Callable[[], Embedder], timeout: float = LOAD_TIMEOUT) -> None:
        """Keep ``load`` for the first call that needs it, which waits ``timeout`` seconds."""
        messages = LoadMessages(LOADING, FAILED_TO_LOAD, "Memories are found by their words alone.")
        super().__init__(load, timeout, messages)

    def embed_documents(self, texts: Sequence[str]) -> EmbeddedTexts | None:
        """Embed texts; return None while there is no model, or if it fails on one of them."""
        return self._embed_if_possible(lambda model: embed_texts(model, texts))

    def embed_query(self, text: str) -> EmbeddedQuery | None:
        """Embed a query; return None while there is no model, or if it fails on the query."""

        def embed(model: Embedder) -> EmbeddedQuery:
            made = model.embed_query(text)
            vector = made.vector if made.vector.any() else None
            return EmbeddedQuery(model.identity, vector, model.token_identity, made.tokens, made.spans)

        return self._embed_if_possible(embed)

    def _embed_if_possible(self, embed: Callable[[Embedder], EmbeddedT]) -> EmbeddedT | None:
        """Call ``embed`` with the model; return None without a model, or if it fails.

        Only `ModelFailed` is caught, so that a mistake in this package is not taken for a failure of the
        model.
        """
        embedder = self.get()
        try:
            return None if embedder is None else embed(embedder)
        except ModelFailed:
            logger.exception("The embedding model failed on a text")
            return None
