"""A cheap, deterministic stand-in for the embedding model.

Each text has a random direction of its own, so that it is the one nearest to itself by far. A text read
backwards means the same as read forwards, and shares no word with it: that is how tests ask by meaning only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from sediment_mcp.config import Config
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.embeddings.runtime import compute_fingerprint

DIMENSION = 32


class EmbeddingDouble:
    """Counts the documents it has embedded; two of different ``name`` are different models.

    It cannot read texts that hold a word of ``unknown``.
    """

    def __init__(
        self, name: str = "double", dimension: int = DIMENSION, unknown: Collection[str] = ()
    ) -> None:
        self.unknown = unknown
        self.identity = ModelIdentity(name, compute_fingerprint(name=name), dimension)
        self.documents = 0

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.documents += len(texts)
        return np.stack([self.embed_query(text) for text in texts])

    def can_read(self, text: str) -> bool:
        return not any(word in text for word in self.unknown)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        if not self.can_read(text):
            return np.zeros(self.identity.dimension, np.float32)
        meaning = min(text, text[::-1])
        seed = hashlib.sha256(f"{self.identity.name} {meaning}".encode("utf-8", "replace")).digest()
        vector = np.random.default_rng(int.from_bytes(seed[:8], "little")).standard_normal(
            self.identity.dimension
        )
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def load_double(_: Config) -> EmbeddingDouble:
    return EmbeddingDouble()
