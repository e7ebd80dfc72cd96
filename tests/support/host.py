"""An application over a temporary directory, called like a host would, and a clock that is told the time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sediment_mcp.app import Application
from sediment_mcp.config import KEPT_BACKUPS, Audit, Config, Questions
from sediment_mcp.embeddings.protocols import Embedder
from sediment_mcp.embeddings.reranker import Reranker
from sediment_mcp.errors import ModelUnavailable
from sediment_mcp.indexes.quantized_index import QuantizedIndex
from sediment_mcp.indexes.text_files import TextWriter
from sediment_mcp.operations.arguments import (
    DeleteMemory,
    ListMemories,
    QueryMemory,
    StoreMemory,
    parse_arguments,
)
from sediment_mcp.operations.delete_memory import delete_memory
from sediment_mcp.operations.list_memories import list_memories
from sediment_mcp.operations.query_memory import query_memory
from sediment_mcp.operations.store_memory import store_memory
from sediment_mcp.storage.sqlite.storage import SqliteStorage
from sediment_mcp.system.progress import ignore_progress
from sediment_mcp.tuning import Tuning
from support.answers import DELETE, STORE, complete_list, complete_query
from support.backends import settings, tables_with
from support.embedding_double import EmbeddingDouble
from support.traces import traces

if TYPE_CHECKING:
    from sediment_mcp.indexes.text_files import StoredTextIndex

QUIET = Tuning(settle_seconds=1e6)
"""The background thread waits for ever: tests say themselves when it works."""

SMALL = replace(QUIET, text_memtable_limit=4, exact_search_limit=6, vector_memtable_limit=4)
"""Snapshots are due after a handful of memories."""

NO_MODEL_TODAY = "There is no model today: memories are found by their words."


@dataclass
class Clock:
    """Time that moves only when it is told to."""

    time: datetime = datetime(2026, 5, 8, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **by: float) -> None:
        self.time += timedelta(**by)


@dataclass
class Host:
    """One process's application, called like a host would; the background works only when it is told to.

    Its answers are complete, as by a reader who knows what an absent field stands for.
    """

    directory: Path
    clock: Clock = field(default_factory=Clock)
    model: Embedder | None = field(default_factory=EmbeddingDouble)
    project: str | None = None
    kept: int = KEPT_BACKUPS
    tuning: Tuning = QUIET
    reranker: Reranker | None = None
    tenant: str = ""
    audit: Audit = ""
    team: str = ""
    questions: Questions = "forget"
    app: Application = field(init=False)

    def __post_init__(self) -> None:
        self._where: dict[str, Any] = settings(self.directory, self.tenant)
        self._where["team"] = settings(self.directory, self.team)["tenant"] if self.team else ""
        self.reopen()

    def reopen(self) -> None:
        config = Config(
            self.directory,
            backups=self.kept,
            audit=self.audit,
            questions=self.questions,
            tuning=self.tuning,
            **self._where,
        )
        self.app = Application(
            config, clock=self.clock, load=self._load, reranker=self.reranker, model_timeout=30
        )
        is_sqlite = isinstance(self.app.storage, SqliteStorage)
        assert is_sqlite != bool(config.database), "the test runs over the engine that it names"

    def traces(self, text: str) -> list[str]:
        """Where anything of a text is left: in its files, and in the rows of a server."""
        return traces(self.files, text) + tables_with(self.app.config, text)

    @property
    def files(self) -> Path:
        """The directory with the files of its store."""
        return self.app.config.store_dir

    def _load(self, _: Config) -> Embedder:
        if self.model is None:
            raise ModelUnavailable(NO_MODEL_TODAY)
        return self.model

    def store(self, content: str, **arguments: Any) -> Any:
        given = parse_arguments(StoreMemory, {"content": content, **arguments})
        return STORE | store_memory(self.app, given, self.project)

    def query(self, query: str, **arguments: Any) -> Any:
        given = parse_arguments(QueryMemory, {"query": query, "explain": True, **arguments})
        return complete_query(query_memory(self.app, given, self.project), self.project)

    def list(self, **arguments: Any) -> Any:
        given = parse_arguments(ListMemories, arguments)
        return complete_list(list_memories(self.app, given, self.project), self.project)

    def delete(self, *ids: str, permanent: bool = False) -> Any:
        arguments = parse_arguments(DeleteMemory, {"ids": list(ids), "permanent": permanent})
        return DELETE | delete_memory(self.app, arguments)

    def found(self, query: str, **arguments: Any) -> list[str]:
        """The ids found, best first."""
        return [result["id"] for result in self.query(query, **{"limit": 100, **arguments})["results"]]

    def found_by_words(self, query: str, **arguments: Any) -> set[str]:
        results = self.query(query, **{"limit": 100, "max_chars": 100_000, **arguments})["results"]
        return {result["id"] for result in results if result["signals"]["lexical"] > 0}

    def found_by_meaning(self, text: str, **arguments: Any) -> set[str]:
        """Ask for ``text`` backwards, which shares no word with it."""
        results = self.query(text[::-1], **{"limit": 100, "max_chars": 100_000, **arguments})["results"]
        return {result["id"] for result in results if result["signals"].get("semantic", 0) > 0.99}

    def run_jobs(self) -> None:
        """Let the background do once what it does when it is woken."""
        self.app.model.get()
        self.app.run_jobs(ignore_progress)

    def rebuild_text(self) -> None:
        self.app.storage.open()
        self.app.services.indexer.write_text(rebuild=True)

    def open_text_index(self) -> StoredTextIndex:
        """Open the snapshot of the text index, of the kind that the directory has."""
        return TextWriter(self.files, self.app.encryption).open()

    def open_vector_index(self) -> QuantizedIndex:
        """Open the snapshot of the vector index of the host's model."""
        assert self.model is not None
        identity = self.model.identity
        return QuantizedIndex(
            self.files, identity.fingerprint, identity.dimension, encryption=self.app.encryption
        )

    def crash(self) -> None:
        """Drop everything as it is, without closing, and start anew."""
        self.app._worker.close(0)  # a thread, unlike in a crashed process, would live on
        self.reopen()

    def end(self) -> None:
        self.app.close()
