"""The two ways to ask: the real server over stdio, and the same operations in this process for ablations."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from stdio_client import Server, close_input

from sediment_mcp.app import Application
from sediment_mcp.config import DEFAULT_MODEL, MODEL, NO_MODEL, Config, Tuning
from sediment_mcp.embeddings.loader import load_embedder
from sediment_mcp.embeddings.protocols import Embedder
from sediment_mcp.embeddings.reranker import Reranker, TextScores
from sediment_mcp.operations.arguments import QueryMemory, StoreMemory, parse_arguments
from sediment_mcp.operations.query_memory import query_memory
from sediment_mcp.operations.store_memory import store_memory

SCRIPT = Path(sys.executable).with_name("sediment-mcp")


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
        model = DEFAULT_MODEL if remembered else NO_MODEL
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
    """The default model, asked once a text; `save` keeps the answers in a file."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._vectors: dict[str, np.ndarray] = {}
        if file is not None and file.exists():
            with np.load(file) as kept:
                self._vectors = dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))
        with tempfile.TemporaryDirectory() as empty:
            self._embedder: Embedder = load_embedder(Config(Path(empty)))
        self.identity = self._embedder.identity

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([self.embed_query(text) for text in texts])

    def embed_query(self, text: str) -> np.ndarray:
        key = hashlib.sha256(text.encode()).hexdigest()
        if key not in self._vectors:
            self._vectors[key] = self._embedder.embed_query(text)
        return self._vectors[key]

    def can_read(self, text: str) -> bool:
        return self._embedder.can_read(text)

    def save(self) -> None:
        if self._file is not None:
            keys = list(self._vectors)
            np.savez(self._file, keys=np.array(keys), vectors=np.stack([self._vectors[key] for key in keys]))
