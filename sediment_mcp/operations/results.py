"""The results of the operations, as typed dictionaries, and functions that build them.

All results are defined here, those of the four tools and those that the command line and the web page add.
The tools' output schemas are made from these types.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic refuses typing's own before Python 3.12

from sediment_mcp.domain.memory import Kind, Memory
from sediment_mcp.system.timestamps import isoformat

PREVIEW_CHARS = 300

VersionState = Literal["current", "superseded", "expired", "deleted"]


# --- the four tools -----------------------------------------------------------------------------


class MemoryResult(TypedDict):
    """A memory.

    ``truncated`` says that ``content`` is only a part of its text. Times are in ISO 8601.
    """

    id: str
    content: str
    truncated: bool
    kind: Kind
    tags: list[str]
    scope: Literal["project", "global"]
    project: str | None
    session: str | None
    importance: float
    metadata: dict[str, Any]
    occurred_at: str
    created_at: str
    expires_at: str | None
    superseded_by: str | None


class RankedResult(MemoryResult):
    """A memory that was found; ``signals`` are the parts of its score."""

    score: float
    signals: dict[str, float]
    match: Literal["strong", "weak"]


class SimilarResult(TypedDict):
    """A memory that may repeat or contradict the one that was stored.

    ``similarity`` is the cosine of their embeddings.
    """

    id: str
    similarity: float
    content: str


class StoreResult(TypedDict):
    """What became of a text, and the ids of the memories that it superseded."""

    id: str
    status: Literal["stored", "duplicate", "merged"]
    superseded: list[str]
    similar: list[SimilarResult]
    expires_at: str | None
    warnings: list[str]


class QueryResult(TypedDict):
    """Memories, best first; ``mode`` is lexical where the embedding model took no part."""

    results: list[RankedResult]
    mode: Literal["hybrid", "lexical"]
    notes: list[str]


class ListResult(TypedDict):
    """One page of ``total`` memories; without ``next_cursor`` it is the last one."""

    memories: list[MemoryResult]
    total: int
    next_cursor: NotRequired[str]
    notes: NotRequired[list[str]]


class ProjectResult(TypedDict):
    """A project with the number of its memories, and whether its folder is there."""

    project: str
    memories: int
    exists: bool


MoveResult = TypedDict(
    "MoveResult", {"moved": int, "from": str, "to": str, "there_before": int, "notes": list[str]}
)
"""How many memories moved between two projects, and how many the second one had already."""


class DeleteResult(TypedDict):
    """Ids of memories; ``recoverable_until`` is null where nothing can be restored."""

    deleted: list[str]
    not_found: list[str]
    recoverable_until: str | None


# --- trash and retention ------------------------------------------------------------------------


class DeletedMemory(MemoryResult):
    """A memory in the trash."""

    deleted_at: str
    recoverable_until: str


class TrashResult(TypedDict):
    """Memories in the trash, the last deleted first; there are ``total`` of them."""

    memories: list[DeletedMemory]
    total: int


class DueMemory(MemoryResult):
    """A memory that retention removes: to the ``trash``, or for good (``erase``)."""

    action: Literal["erase", "trash"]
    reason: str


class RetentionPreview(TypedDict):
    """What a run would remove now: ``total`` memories, of which only the first may be listed."""

    memories: list[DueMemory]
    total: int


class RetentionResult(TypedDict):
    """The ids of what a run has removed.

    ``erased`` were in the trash for long enough, or had expired; ``trashed`` went to the trash by a rule.
    """

    erased: list[str]
    trashed: list[str]


class RuleResult(TypedDict):
    """A retention rule for a ``kind`` or for a ``tag``, the other is null; ``max_age`` in days."""

    kind: str | None
    tag: str | None
    max_age: int | None
    max_count: int | None


# --- history ------------------------------------------------------------------------------------


class VersionResult(MemoryResult):
    """One version, whole, and its state."""

    state: VersionState
    deleted_at: str | None


class HistoryResult(TypedDict):
    """All versions, oldest first; ``current`` is the one that queries find, null if none is."""

    versions: list[VersionResult]
    current: str | None


class RevertResult(TypedDict):
    """What reverting did: ``id`` is the current version now.

    It is a new memory, or one that already had the same text as ``reverted_to``.
    """

    id: str
    reverted_to: str
    superseded: str | None


# --- statistics ---------------------------------------------------------------------------------


class MemoryCount(TypedDict):
    """How many memories have a tag, or belong to a project."""

    name: str
    memories: int


class EmbeddingCount(TypedDict):
    """How many chunks have an embedding of a model."""

    model: str
    passages: int


class IndexStats(TypedDict):
    """One index, which lacks ``behind`` chunks.

    Chunks that it lacks are searched directly; where no index ``exists``, all are.
    """

    name: str
    model: str | None
    exists: bool
    behind: int


class UnansweredResult(TypedDict):
    """A query that found nothing: how often it was asked, and when last."""

    question: str
    times: int
    last: str


class StatsResult(TypedDict):
    """Counts of live memories, sizes in bytes, indexes.

    ``memories`` counts by state. ``projects`` has "" for global memories. ``stored_within`` counts by age
    since they were stored, ``months`` by month.
    """

    memories: dict[str, int]
    kinds: dict[str, int]
    projects: list[MemoryCount]
    tags: list[MemoryCount]
    sessions: int
    stored_within: dict[str, int]
    months: dict[str, int]
    passages: int
    embeddings: list[EmbeddingCount]
    indexes: list[IndexStats]
    sizes: dict[str, int]
    unanswered: list[UnansweredResult]


# --- maintenance --------------------------------------------------------------------------------


class ReindexResult(TypedDict):
    """How many of the ``passages`` are ``embedded`` by ``model``, which is null without one."""

    model: str | None
    passages: int
    embedded: int


class RestorePreview(TypedDict):
    """What a backup holds, and what going back to it would mean.

    ``returning`` memories come back, ``leaving`` go to the trash, ``changing`` get back the attributes that
    they had then. These are null where the present database is damaged and cannot be compared.
    """

    backup: str
    memories: int
    newest: str | None
    returning: int | None
    leaving: int | None
    changing: int | None


class RestoreResult(RestorePreview):
    """What was restored; ``kept`` names the backup or file that has the state before, if any."""

    kept: str | None


class SalvageResult(TypedDict):
    """Memories that were read from a damaged database, and those that were not.

    ``from_backup`` came from the backup named ``backup``; ``lost`` are known to be missing; the text of the
    ``doubtful`` ones does not agree with its hash. ``is_complete`` says whether the list of all memories
    could be read, so that none can be missing unnoticed. ``kept`` names the file in which the damaged
    database is kept.
    """

    read: int
    from_backup: int
    backup: str | None
    lost: int
    doubtful: int
    is_complete: bool
    kept: str


# --- how to build them --------------------------------------------------------------------------


def preview_memory(memory: Memory) -> MemoryResult:
    """Describe a memory with the beginning of its text."""
    return describe_memory(
        memory, memory.content[:PREVIEW_CHARS], truncated=len(memory.content) > PREVIEW_CHARS
    )


def describe_similar(memory: Memory, cosine: float) -> SimilarResult:
    """Describe a memory that is similar to a new one, with the beginning of its text."""
    return SimilarResult(
        id=memory.id, similarity=round(min(1.0, cosine), 4), content=memory.content[:PREVIEW_CHARS]
    )


def describe_memory(memory: Memory, content: str, *, truncated: bool) -> MemoryResult:
    """Describe a memory with ``content`` for its text."""
    return MemoryResult(
        id=memory.id,
        content=content,
        truncated=truncated,
        kind=memory.kind,
        tags=list(memory.tags),
        scope="global" if memory.project is None else "project",
        project=memory.project,
        session=memory.session,
        importance=memory.importance,
        metadata=dict(memory.metadata),
        occurred_at=isoformat(memory.occurred_at),
        created_at=isoformat(memory.created_at),
        expires_at=isoformat(memory.expires_at),
        superseded_by=memory.superseded_by,
    )


SIGNALS = {
    "semantic": ("meaning", "cosine of the question and the best passage"),
    "lexical": ("words", "BM25 of that passage, as a share of the highest"),
    "date": ("date", "1: of a day that the question names"),
    "context": ("session", "share of the relevance that its neighbours in the session lend"),
    "relevance": ("relevance", "all of these together, as a share of the most relevant"),
    "recency": ("recency", "factor: the newer, the nearer to 1"),
    "importance": ("importance", "factor: the more important, the nearer to 1"),
    "project": ("project", "factor: below 1 for another project's"),
}
"""Name of a signal in a result → a word for people, and what its value means."""
