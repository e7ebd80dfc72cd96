"""A cheap, deterministic stand-in for the embedding model.

Each text has a random direction of its own, so that it is the one nearest to itself by far. A text read
backwards means the same as read forwards, and shares no word with it: that is how tests ask by meaning only.
Each word has a token vector, by the same rule.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from sediment_mcp.config import Config
from sediment_mcp.embeddings.codec import quantize_tokens
from sediment_mcp.embeddings.protocols import DocumentEmbeddings, ModelIdentity, QueryEmbedding
from sediment_mcp.embeddings.runtime import compute_fingerprint

DIMENSION = 32
TOKEN_DIMENSION = 64


class EmbeddingDouble:
    """Counts the documents it has embedded; two of different ``name`` are different models.

    It cannot read texts that hold a word of ``unknown``.
    """

    def __init__(
        self, name: str = "double", dimension: int = DIMENSION, unknown: Collection[str] = ()
    ) -> None:
        self.unknown = unknown
        self.identity = ModelIdentity(name, compute_fingerprint(name=name), dimension)
        self.token_identity: ModelIdentity | None = ModelIdentity(
            name, compute_fingerprint(name=name, of="tokens"), TOKEN_DIMENSION
        )
        self.documents = 0

    def embed_documents(self, texts: Sequence[str]) -> DocumentEmbeddings:
        self.documents += len(texts)
        made = [self.embed_query(text) for text in texts]
        return DocumentEmbeddings(
            np.array([one.vector for one in made]).reshape(-1, self.identity.dimension),
            [quantize_tokens(one.tokens) for one in made],
        )

    def can_read(self, text: str) -> bool:
        return not any(word in text for word in self.unknown)

    def embed_query(self, text: str) -> QueryEmbedding:
        is_read = self.can_read(text)
        words = list(re.finditer(r"\w+", text)) if is_read and self.token_identity else []
        vector = self._make(text, self.identity.dimension)
        tokens = [self._make(word[0], TOKEN_DIMENSION) for word in words]
        return QueryEmbedding(
            vector if is_read else np.zeros_like(vector),
            np.array(tokens, np.float32).reshape(-1, TOKEN_DIMENSION),
            np.array([word.span() for word in words], np.int64).reshape(-1, 2),
        )

    def _make(self, text: str, dimension: int) -> NDArray[np.float32]:
        """Make a unit vector, the same for a text read backwards."""
        meaning = min(text, text[::-1])
        seed = hashlib.sha256(f"{self.identity.name} {meaning}".encode("utf-8", "replace")).digest()
        vector = np.random.default_rng(int.from_bytes(seed[:8], "little")).standard_normal(dimension)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def load_double(_: Config) -> EmbeddingDouble:
    return EmbeddingDouble()
