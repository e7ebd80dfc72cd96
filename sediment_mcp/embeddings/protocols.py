"""Text to unit vectors: what every runtime offers, and which runtime serves a configured model.

The runtimes live in a file each: `minilm` (onnxruntime, the default model) and `sentence_transformer`
(any other model). Both are imported when a model is loaded, never before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sediment_mcp.config import DEFAULT_MODEL, MODEL, NO_MODEL
from sediment_mcp.errors import ModelUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sediment_mcp.config import Config


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """What makes two vectors comparable: only those of the same ``fingerprint`` are ever compared.

    ``fingerprint`` is a SHA-256 in hex over the weights, the pooling, the maximum length, the
    normalisation and the prompts; ``dimension`` the length of a vector.
    """

    name: str
    fingerprint: str
    dimension: int


class Embedder(Protocol):
    """A loaded model. All methods may be called from any thread."""

    @property
    def identity(self) -> ModelIdentity: ...

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of shape (len(texts), dimension); the model's document prompt is honoured."""
        ...

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """One unit vector of shape (dimension,); the model's query prompt is honoured."""
        ...


def load_embedder(config: Config) -> Embedder:
    """Load the configured model; takes 0.3 s for the default one and up to ten seconds for others.

    Raises:
        ModelUnavailable: the model cannot be loaded, or the configuration asks for none.
    """
    if config.model == NO_MODEL:
        raise ModelUnavailable(
            f"Memories are found by their words only, because no model is configured ({MODEL}={NO_MODEL}): "
            "unset it to search by meaning too."
        )
    if config.model == DEFAULT_MODEL:
        return _load_minilm(config)
    return _load_sentence_transformer(config)


def _load_minilm(config: Config) -> Embedder:
    try:
        from sediment_mcp.embeddings import minilm
    except (ImportError, OSError) as error:  # OSError: a shared library that onnxruntime needs is missing
        raise ModelUnavailable(
            f"The default model needs onnxruntime and tokenizers, and they cannot be imported ({error}): "
            "run pip install --upgrade onnxruntime tokenizers."
        ) from error
    return minilm.load(config.data_dir)


def _load_sentence_transformer(config: Config) -> Embedder:
    try:
        from sediment_mcp.embeddings import sentence_transformers
    except (ImportError, OSError) as error:  # OSError: a shared library that torch needs is missing
        raise ModelUnavailable(
            f"The model {config.model} needs sentence-transformers, and it cannot be imported ({error}): "
            f"run pip install --upgrade sentence-transformers, or unset {MODEL} to use the default model."
        ) from error
    return sentence_transformers.load(config.model, config.data_dir)


def fingerprint(**parts: Any) -> str:
    """The SHA-256, in hex, of everything that decides what a vector means; ``parts`` must be plain JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def well_formed(text: str) -> str:
    """``text`` with lone surrogates, which no tokenizer accepts, turned into question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
