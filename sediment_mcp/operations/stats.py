"""What there is, in numbers: memories by kind, tag, project and age, sizes, indexes, unanswered questions.

Needs no model and opens no index, so it is quick and can be asked at any moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import TypedDict

from sediment_mcp.app import DATABASE, Library
from sediment_mcp.indexes import tantivy_index, usearch_index
from sediment_mcp.indexes.text_search import INDEX_NAME
from sediment_mcp.indexes.vector_search import index_name
from sediment_mcp.operations import unanswered_queries

if TYPE_CHECKING:
    from sediment_mcp.storage.sql.memories import Store

AGES = {"day": 1, "week": 7, "month": 30, "year": 365}  # days
EVERYTHING = 10_000_000  # passages; more are not told apart
PLACES = (
    ("memories.db-", "log"),
    (DATABASE, "database"),
    ("text", "text index"),
    ("vectors-", "vector index"),
    ("backups", "backups"),
)
"""How a file or folder of the data directory begins → what its size counts as."""


class Counted(TypedDict):
    name: str
    memories: int


class IndexState(TypedDict):
    """``behind`` passages are not in the index yet and are searched directly; without an index all are."""

    name: str
    model: str | None
    exists: bool
    behind: int


class Embedded(TypedDict):
    model: str
    passages: int


class Asked(TypedDict):
    question: str
    times: int
    last: str


class Stats(TypedDict):
    """``kinds``, ``tags``, ``projects`` ("" is global), ``stored_within`` and ``months`` count live memories;
    ``stored_within`` by age since they were stored. ``sizes`` are in bytes."""

    memories: dict[str, int]
    kinds: dict[str, int]
    projects: list[Counted]
    tags: list[Counted]
    sessions: int
    stored_within: dict[str, int]
    months: dict[str, int]
    passages: int
    embeddings: list[Embedded]
    indexes: list[IndexState]
    sizes: dict[str, int]
    unanswered: list[Asked]


def stats(library: Library) -> Stats:
    """Count everything, at one moment of the database."""
    now, directory = library.now(), library.config.data_dir
    with library.read() as store:
        tallies, embeddings = store.tallies, store.embeddings
        return Stats(
            memories=tallies.states(now),
            kinds=tallies.kinds(now),
            projects=_named(tallies.projects(now)),
            tags=_named(tallies.tags(now)),
            sessions=len(tallies.sessions()),
            stored_within=_ages(store, now),
            months=tallies.months(now),
            passages=store.settled_chunks(store.seq()),
            embeddings=[Embedded(model=name, passages=count) for name, _, _, count in embeddings.models()],
            indexes=list(_indexes(store, directory)),
            sizes=_sizes(directory),
            unanswered=[
                Asked(question=one.question, times=one.times, last=one.last)
                for one in unanswered_queries.unanswered(directory)
            ],
        )


def _named(counts: Mapping[str, int]) -> list[Counted]:
    return [Counted(name=name, memories=count) for name, count in counts.items()]


def _ages(store: Store, now: datetime) -> dict[str, int]:
    since = [now - timedelta(days=days) for days in AGES.values()]
    return dict(zip(AGES, store.tallies.stored_since(since, now), strict=True))


def _indexes(store: Store, directory: Path) -> Iterator[IndexState]:
    exists = tantivy_index.is_anything_there(directory)
    behind = store.changed_chunks(store.reached(INDEX_NAME) if exists else 0, EVERYTHING)
    yield IndexState(name="text", model=None, exists=exists, behind=behind)
    for name, fingerprint, _, _ in store.embeddings.models():
        exists = usearch_index.is_there(directory, fingerprint)
        number = store.embeddings.number_of(fingerprint) or 0
        reached = store.reached(index_name(fingerprint)) if exists else 0
        behind = store.embeddings.count_since(number, reached, EVERYTHING)
        yield IndexState(name="vectors", model=name, exists=exists, behind=behind)


def _sizes(directory: Path) -> dict[str, int]:
    """Bytes by what they are for, the largest first."""
    sizes: dict[str, int] = {}
    for path in directory.iterdir():
        place = next((place for start, place in PLACES if path.name.startswith(start)), "other")
        sizes[place] = sizes.get(place, 0) + sum(map(_bytes, (path, *path.rglob("*"))))
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # files of a snapshot are replaced at any moment
        return 0
