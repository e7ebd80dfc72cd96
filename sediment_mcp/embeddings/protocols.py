"""The interface of every embedding model, whichever runtime computes it.

This module imports no runtime, so that every module can use these types without loading one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """The identity of a model: only embeddings of the same ``fingerprint`` are compared.

    ``fingerprint`` is a SHA-256 in hex over the weights, the pooling, the maximum length, the normalisation
    and the prompts; ``dimension`` is the length of an embedding.
    """

    name: str
    fingerprint: str
    dimension: int


@dataclass(frozen=True, slots=True, eq=False)
class DocumentEmbeddings:
    """What a model makes of texts: an embedding of each, and the token vectors of the same run.

    ``vectors`` are unit vectors of shape (n, dimension), zeros for a text that the model cannot read.
    ``tokens`` has for each text an array of 8-bit integers, of shape (kept tokens, dimension of the token
    identity), see `codec`; it is empty for a text without any, and for all if the model has no token vectors.
    """

    vectors: NDArray[np.float32]
    tokens: Sequence[NDArray[np.int8]]


@dataclass(frozen=True, slots=True, eq=False)
class QueryEmbedding:
    """What a model makes of a query: its embedding, and the token vectors of the same run.

    ``vector`` is a unit vector of shape (dimension,), or zeros if the model cannot read the query. ``tokens``
    are unit vectors of shape (kept tokens, dimension of the token identity), without function words and
    punctuation; ``spans``, of shape (kept tokens, 2), are begin and end of each in the query, in characters.
    """

    vector: NDArray[np.float32]
    tokens: NDArray[np.float32]
    spans: NDArray[np.int64]


class Embedder(Protocol):
    """A loaded model, whose methods may be called from any thread."""

    @property
    def identity(self) -> ModelIdentity:
        """The identity of the model, which tells with which embeddings its own are comparable."""
        ...

    @property
    def token_identity(self) -> ModelIdentity | None:
        """The identity of its token vectors, with its own fingerprint; None if it has none."""
        ...

    def embed_documents(self, texts: Sequence[str]) -> DocumentEmbeddings:
        """Embed texts with the model's prompt for documents, in the order of ``texts``.

        Raises:
            ModelFailed: the model fails on one of the texts.
        """
        ...

    def embed_query(self, text: str) -> QueryEmbedding:
        """Embed a query with the model's prompt for queries.

        Raises:
            ModelFailed: the model fails on the text.
        """
        ...

    def can_read(self, text: str) -> bool:
        """Return whether the model's vocabulary covers the text, see `readability`."""
        ...
