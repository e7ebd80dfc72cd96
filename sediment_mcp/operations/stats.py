"""Statistics: memories by kind, tag, project and age, sizes, indexes, unanswered questions.

Needs no model and opens no index, so it is quick and can be called at any time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.config import TENANTS
from sediment_mcp.operations.results import (
    EmbeddingCount,
    IndexStats,
    MemoryCount,
    StatsResult,
    TeamStats,
    UnansweredResult,
)
from sediment_mcp.search import unanswered_queries
from sediment_mcp.storage.sqlite.storage import DATABASE

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.storage.protocols import ReadSession
    from sediment_mcp.system.directory_encryption import DirectoryEncryption

PERIOD_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
MAX_COUNTED = 10_000_000  # chunks; a greater number is given as this one
SIZE_CATEGORIES = (
    ("memories.db-", "log"),
    (DATABASE, "database"),
    ("text", "text index"),
    ("terms.", "text index"),
    ("vectors-", "vector index"),
    ("backups", "backups"),
)
"""How a file or folder of the data directory begins → what its size counts as."""


def stats(app: Application) -> StatsResult:
    """Count everything, at one moment of the database."""
    result = _count_own(app)
    if app.team is not None:
        result["team"] = _count_team(app.team)
    return result


def _count_team(team: Application) -> TeamStats:
    with team.storage.read() as session:
        counts, now = session.statistics, team.now()
        return TeamStats(name=team.config.tenant, memories=counts.states(now), kinds=counts.kinds(now))


def _count_own(app: Application) -> StatsResult:
    now, directory = app.now(), app.config.store_dir
    with app.storage.read() as session:
        counts = session.statistics
        return StatsResult(
            memories=counts.states(now),
            kinds=counts.kinds(now),
            projects=_list_counts(counts.projects(now)),
            tags=_list_counts(counts.tags(now)),
            sessions=len(counts.sessions()),
            stored_within=_count_recent(session, now),
            months=counts.months(now),
            passages=session.changes.count_chunks_until(session.changes.seq()),
            embeddings=[
                EmbeddingCount(model=stored.model.name, passages=stored.count)
                for stored in session.embeddings.models()
            ],
            token_vectors=[
                EmbeddingCount(model=stored.model.name, passages=stored.count)
                for stored in session.token_vectors.models()
            ],
            indexes=list(_describe_indexes(session, directory, app.encryption)),
            sizes=_measure_sizes(directory) if app.is_file else _measure_shared(session, directory),
            unanswered=[
                UnansweredResult(question=one.question, times=one.times, last=one.last)
                for one in unanswered_queries.list_unanswered(directory, app.encryption)
            ],
        )


def _list_counts(counts: Mapping[str, int]) -> list[MemoryCount]:
    return [MemoryCount(name=name, memories=count) for name, count in counts.items()]


def _count_recent(session: ReadSession, now: datetime) -> dict[str, int]:
    since = [now - timedelta(days=days) for days in PERIOD_DAYS.values()]
    return dict(zip(PERIOD_DAYS, session.statistics.stored_since(since, now), strict=True))


def _describe_indexes(
    session: ReadSession, directory: Path, encryption: DirectoryEncryption
) -> Iterator[IndexStats]:
    from sediment_mcp.indexes.quantized_index import QuantizedWriter
    from sediment_mcp.indexes.text_files import TextWriter

    exists = TextWriter(directory, encryption).exists()
    behind = session.changes.count_chunks_since(
        session.snapshots.reached(TextWriter.name) if exists else 0, MAX_COUNTED
    )
    yield IndexStats(name="text", exists=exists, behind=behind)
    for stored in session.embeddings.models():
        model = stored.model
        writer = QuantizedWriter(directory, model.fingerprint, model.dimension, encryption)
        exists = writer.exists()
        reached = session.snapshots.reached(writer.name) if exists else 0
        model_key = session.embeddings.model_key(model.fingerprint) or 0
        behind = session.embeddings.count_since(model_key, reached, MAX_COUNTED)
        yield IndexStats(name="vectors", model=model.name, exists=exists, behind=behind)


def _measure_sizes(directory: Path) -> dict[str, int]:
    """Return the bytes of each category in `SIZE_CATEGORIES`, the largest first."""
    sizes: dict[str, int] = {}
    for path in directory.iterdir():
        if path.name == TENANTS:  # whose sizes are in the statistics of each
            continue
        category = next((name for start, name in SIZE_CATEGORIES if path.name.startswith(start)), "other")
        sizes[category] = sizes.get(category, 0) + sum(map(_measure_file, (path, *path.rglob("*"))))
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def _measure_shared(session: ReadSession, directory: Path) -> dict[str, int]:
    """Return the bytes of what a tenant has on the server, and of its indexes on this machine."""
    from sediment_mcp.storage.postgres.inspection import measure_rows
    from sediment_mcp.storage.postgres.session import PostgresSession

    sizes = _measure_sizes(directory)
    for category in ("database", "log", "backups"):  # of a file whose memories were moved to the server
        sizes.pop(category, None)
    if isinstance(session, PostgresSession):
        sizes["database"] = measure_rows(session.database)
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def _measure_file(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # files of a snapshot are replaced at any moment
        return 0
