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


class Embedder(Protocol):
    """A loaded model, whose methods may be called from any thread."""

    @property
    def identity(self) -> ModelIdentity:
        """The identity of the model, which tells with which embeddings its own are comparable."""
        ...

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts with the model's prompt for documents.

        Returns unit vectors of shape (len(texts), dimension), in the order of ``texts``, and zeros for a text
        that the model cannot read.

        Raises:
            ModelFailed: the model fails on one of the texts.
        """
        ...

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Embed a query with the model's prompt for queries.

        Returns one unit vector of shape (dimension,), or zeros if the model cannot read the query.

        Raises:
            ModelFailed: the model fails on the text.
        """
        ...

    def can_read(self, text: str) -> bool:
        """Return whether the model's vocabulary covers the text, see `readability`."""
        ...
