"""The two ways to ask: the real server over stdio, and the same operations in this process for ablations."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from stdio_client import Server, close_input

from sediment_mcp.app import Application
from sediment_mcp.config import DEFAULT_MODEL, MODEL, NO_MODEL, Config
from sediment_mcp.embeddings.loader import load_embedder
from sediment_mcp.embeddings.protocols import DocumentEmbeddings, Embedder, QueryEmbedding
from sediment_mcp.embeddings.reranker import Reranker, TextScores
from sediment_mcp.operations.arguments import QueryMemory, StoreMemory, parse_arguments
from sediment_mcp.operations.query_memory import query_memory
from sediment_mcp.operations.store_memory import store_memory
from sediment_mcp.tuning import Tuning

SCRIPT = Path(sys.executable).with_name("sediment-mcp")
Made = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A text's embedding, its token vectors, and their spans in a query."""


class Host(Protocol):
    def store(self, arguments: dict[str, Any]) -> str: ...
    def query(self, arguments: dict[str, Any]) -> dict[str, Any]: ...
    def close(self) -> None: ...


class OverStdio:
    """A server process on a data directory of its own."""

    def __init__(self, command: Sequence[str], model: bool = True) -> None:
        self._directory = tempfile.mkdtemp(prefix="sediment-retrieval-")
        variables = {} if model else {MODEL: NO_MODEL}
        self._server = Server(command, Path(self._directory), **variables)
        self._server.initialize()

    def store(self, arguments: dict[str, Any]) -> str:
        return str(self._server.call("store_memory", arguments)[1]["id"])

    def query(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return dict(self._server.call("query_memory", arguments)[1])

    def close(self) -> None:
        self._server.end(close_input)
        shutil.rmtree(self._directory)


class InProcess:
    """The operations called directly, with embeddings that are remembered from run to run."""

    def __init__(
        self, remembered: Remembered | None, tuning: Tuning, reranker: Reranker | None = None
    ) -> None:
        self._directory = tempfile.mkdtemp(prefix="sediment-retrieval-")
        model = remembered.name if remembered else NO_MODEL
        config = Config(Path(self._directory), project="", model=model, tuning=tuning)
        self._app = Application(
            config, is_resident=False, load=lambda c: remembered or load_embedder(c), reranker=reranker
        )

    def store(self, arguments: dict[str, Any]) -> str:
        return store_memory(self._app, parse_arguments(StoreMemory, arguments), None)["id"]

    def query(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return dict(query_memory(self._app, parse_arguments(QueryMemory, arguments), None))

    def close(self) -> None:
        self._app.close()
        shutil.rmtree(self._directory)


class CountedReranker(Reranker):
    """A reranker that counts the answers that it was asked for, and those that it ordered."""

    asked = ordered = 0

    def score(self, query: str, texts: Sequence[str]) -> TextScores:
        scores = super().score(query, texts)
        self.asked += 1
        self.ordered += bool(scores.values)
        return scores


class Remembered:
    """A model, asked once a text; `save` keeps the answers in a file."""

    def __init__(self, file: Path | None, name: str = DEFAULT_MODEL) -> None:
        self._file, self.name = file, name
        with tempfile.TemporaryDirectory() as empty:
            self._embedder: Embedder = load_embedder(Config(Path(empty), model=name))
        self.identity, self.token_identity = self._embedder.identity, self._embedder.token_identity
        self._made: dict[str, Made] = {}
        if file is not None and file.exists():
            self._read(file)

    def embed_documents(self, texts: Sequence[str]) -> DocumentEmbeddings:
        made = [self._remember("document", text, self._embed_document) for text in texts]
        vectors = np.array([vector for vector, _, _ in made], np.float32).reshape(-1, self.identity.dimension)
        return DocumentEmbeddings(vectors, [tokens.astype(np.int8) for _, tokens, _ in made])

    def embed_query(self, text: str) -> QueryEmbedding:
        return QueryEmbedding(*self._remember("query", text, self._embed_query))

    def _remember(self, role: str, text: str, embed: Callable[[str], Made]) -> Made:
        key = hashlib.sha256(f"{self._fingerprints} {role} {text}".encode()).hexdigest()
        if key not in self._made:
            self._made[key] = embed(text)
        return self._made[key]

    @property
    def _fingerprints(self) -> str:
        return f"{self.identity.fingerprint} {self.token_identity and self.token_identity.fingerprint}"

    def _embed_document(self, text: str) -> Made:
        made = self._embedder.embed_documents([text])
        tokens = made.tokens[0].astype(np.float32)
        return made.vectors[0], tokens, np.zeros((len(tokens), 2), np.int64)

    def _embed_query(self, text: str) -> Made:
        made = self._embedder.embed_query(text)
        return made.vector, made.tokens, made.spans

    def can_read(self, text: str) -> bool:
        return self._embedder.can_read(text)

    def save(self) -> None:
        """Write a row for each text, and a row for each token of all texts, with how many a text has."""
        if self._file is not None:
            vectors, tokens, spans = zip(*self._made.values(), strict=True)
            np.savez(
                self._file,
                keys=np.array(list(self._made)),
                vectors=np.stack(vectors),
                counts=np.array([len(one) for one in tokens]),
                tokens=np.concatenate(tokens),
                spans=np.concatenate(spans),
            )

    def _read(self, file: Path) -> None:
        with np.load(file) as kept:
            if "counts" not in kept:  # it was written when there were no token vectors
                return
            ends = np.cumsum(kept["counts"])[:-1]
            parts = zip(
                kept["vectors"], np.split(kept["tokens"], ends), np.split(kept["spans"], ends), strict=True
            )
            self._made = dict(zip(kept["keys"].tolist(), parts, strict=True))
