"""The real model, counting what it embeds."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sediment_mcp.config import Config
from sediment_mcp.embeddings.loader import load_embedder
from sediment_mcp.embeddings.protocols import DocumentEmbeddings, Embedder, QueryEmbedding


class CountingModel:
    """The model in use, and how many texts it has embedded as documents."""

    def __init__(self) -> None:
        self._model = load_model()
        self.identity, self.token_identity = self._model.identity, self._model.token_identity
        self.documents = 0

    def embed_documents(self, texts: Sequence[str]) -> DocumentEmbeddings:
        self.documents += len(texts)
        return self._model.embed_documents(texts)

    def embed_query(self, text: str) -> QueryEmbedding:
        return self._model.embed_query(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


@functools.cache
def load_model() -> Embedder:
    """Load the model once a process."""
    with tempfile.TemporaryDirectory() as empty:
        return load_embedder(Config(Path(empty)))
