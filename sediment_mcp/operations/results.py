"""The results of the operations, as typed dictionaries, and functions that build them.

Those of the four tools are defined here, and those that the command line and the web page add; those of
maintenance are in `maintenance.results`.
The tools' output schemas are made from these types.

A model pays for each field that it reads, so a field that says nothing is absent: what is empty, false or
not there, and what equals the default in `DEFAULTS`. Only the required fields of a type are always there.
"""

# Annotations are evaluated here, so that each type knows which of its fields are required.

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, NotRequired, TypedDict, TypeVar, cast

from sediment_mcp.domain.memory import TEAM, Kind, Memory
from sediment_mcp.operations.arguments import StoreMemory
from sediment_mcp.system.timestamps import isoformat_to_second

PREVIEW_CHARS = 300
MAX_PROJECT_CHARS = 1024  # of a project's path that are shown; no real one is longer
MAX_DELAY = timedelta(minutes=1)  # between a memory's time and its storing, up to which one time tells both

DEFAULTS: Mapping[str, Any] = {
    "mode": "hybrid",
    **{name: StoreMemory.parameters[name].default for name in ("kind", "importance")},
}
"""Field → the value that it has where it is absent; any other is empty, false or not there."""

OWNERS = {"project": "this project", TEAM: "the team"}
"""Scope of a result → whom the memory belongs to, in words."""

VersionState = Literal["current", "superseded", "expired", "deleted"]


# --- the four tools -----------------------------------------------------------------------------


class MemoryResult(TypedDict):
    """A memory.

    ``truncated`` says that ``content`` is only a part of its text. ``scope`` says that it belongs to the
    caller's own project or to the team, ``project`` names another one; a global memory has neither. Times are
    in ISO 8601 and cut to seconds; ``created_at`` is there where it is not about the same as ``occurred_at``.
    """

    id: str
    content: str
    truncated: NotRequired[bool]
    kind: NotRequired[Kind]
    tags: NotRequired[list[str]]
    scope: NotRequired[Literal["project", "team"]]
    project: NotRequired[str]
    session: NotRequired[str]
    importance: NotRequired[float]
    metadata: NotRequired[dict[str, Any]]
    occurred_at: str
    created_at: NotRequired[str]
    expires_at: NotRequired[str]
    superseded_by: NotRequired[str]


class RankedResult(MemoryResult):
    """A memory that was found; ``signals`` are the parts of its score, if asked for."""

    score: float
    signals: NotRequired[dict[str, float]]
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
    superseded: NotRequired[list[str]]
    similar: NotRequired[list[SimilarResult]]
    expires_at: NotRequired[str]
    warnings: NotRequired[list[str]]


class QueryResult(TypedDict):
    """Memories, best first; ``mode`` is lexical where the embedding model took no part.

    Notes come first, so that a reader meets a warning before its memory.
    """

    notes: NotRequired[list[str]]
    mode: NotRequired[Literal["hybrid", "lexical"]]
    results: list[RankedResult]


class ListedMemory(MemoryResult):
    """A memory in a list; ``related`` is why it is related to the one that was asked for."""

    related: NotRequired[str]


class ListResult(TypedDict):
    """One page of ``total`` memories; without ``next_cursor`` it is the last one.

    ``not_found`` are ids that were asked for and are not there. Notes come first, as in a `QueryResult`.
    """

    notes: NotRequired[list[str]]
    memories: list[ListedMemory]
    total: int
    next_cursor: NotRequired[str]
    not_found: NotRequired[list[str]]


class ProjectResult(TypedDict):
    """A project with the number of its memories, and whether its folder is there."""

    project: str
    memories: int
    exists: bool


MoveResult = TypedDict(
    "MoveResult", {"moved": int, "from": str, "to": str, "there_before": int, "notes": NotRequired[list[str]]}
)
"""How many memories moved between two projects, and how many the second one had already."""


class DeleteResult(TypedDict):
    """Ids of memories; ``recoverable_until`` is absent where nothing can be restored."""

    deleted: list[str]
    not_found: NotRequired[list[str]]
    recoverable_until: NotRequired[str]


# --- trash and retention ------------------------------------------------------------------------


class DeletedMemory(MemoryResult):
    """A memory in the trash."""

    deleted_at: str
    recoverable_until: str


class UndeleteResult(TypedDict):
    """The ids of memories that came back, and of those that were not in the trash."""

    restored: list[str]
    not_found: NotRequired[list[str]]


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
    """A retention rule for a ``kind`` or for a ``tag``; ``max_age`` in days."""

    kind: NotRequired[str]
    tag: NotRequired[str]
    max_age: NotRequired[int]
    max_count: NotRequired[int]


# --- history ------------------------------------------------------------------------------------


class VersionResult(MemoryResult):
    """One version, whole, and its state."""

    state: VersionState
    deleted_at: NotRequired[str]


class HistoryResult(TypedDict):
    """All versions, oldest first; ``current`` is the one that queries find, if there is one."""

    versions: list[VersionResult]
    current: NotRequired[str]


class RevertResult(TypedDict):
    """What reverting did: ``id`` is the current version now.

    It is a new memory, or one that already had the same text as ``reverted_to``.
    """

    id: str
    reverted_to: str
    superseded: NotRequired[str]


# --- statistics ---------------------------------------------------------------------------------


class MemoryCount(TypedDict):
    """How many memories have a tag, or belong to a project."""

    name: str
    memories: int


class EmbeddingCount(TypedDict):
    """How many chunks have an embedding, or token vectors, of a model."""

    model: str
    passages: int


class IndexStats(TypedDict):
    """One index, which lacks ``behind`` chunks.

    Chunks that it lacks are searched directly; where no index ``exists``, all are.
    """

    name: str
    model: NotRequired[str]
    exists: bool
    behind: int


class UnansweredResult(TypedDict):
    """A query that found nothing: how often it was asked, and when last."""

    question: str
    times: int
    last: str


class TeamStats(TypedDict):
    """The name of the caller's team, and its memories by state and kind."""

    name: str
    memories: dict[str, int]
    kinds: dict[str, int]


class StatsResult(TypedDict):
    """Counts of live memories, sizes in bytes, indexes; of the team's, where there is one, less.

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
    token_vectors: list[EmbeddingCount]
    indexes: list[IndexStats]
    sizes: dict[str, int]
    unanswered: list[UnansweredResult]
    team: NotRequired[TeamStats]


# --- how to build them --------------------------------------------------------------------------

ResultT = TypeVar("ResultT")


def build_result(result: type[ResultT], **fields: object) -> ResultT:
    """Return a result of this type, without the optional fields that say nothing."""
    required: frozenset[str] = getattr(result, "__required_keys__")  # noqa: B009 - no attribute of any type
    kept = {name: value for name, value in fields.items() if name in required or _says_something(name, value)}
    return cast("ResultT", kept)


def _says_something(name: str, value: object) -> bool:
    return value is not None and value is not False and value not in ("", [], {}, DEFAULTS.get(name))


def preview_memory(memory: Memory, project: str | None, *, of_team: bool = False) -> MemoryResult:
    """Describe a memory with the beginning of its text, to a caller of this project."""
    content, truncated = memory.content[:PREVIEW_CHARS], len(memory.content) > PREVIEW_CHARS
    return describe_memory(memory, content, project, truncated=truncated, of_team=of_team)


def describe_similar(memory: Memory, cosine: float) -> SimilarResult:
    """Describe a memory that is similar to a new one, with the beginning of its text."""
    return SimilarResult(
        id=memory.id, similarity=round(min(1.0, cosine), 4), content=memory.content[:PREVIEW_CHARS]
    )


def describe_memory(
    memory: Memory, content: str, project: str | None, *, truncated: bool = False, of_team: bool = False
) -> MemoryResult:
    """Describe a memory with ``content`` for its text, to a caller of this project.

    ``of_team`` says that it is one of the team's.
    """
    is_own = memory.project is not None and memory.project == project
    is_delayed = abs(memory.created_at - memory.occurred_at) > MAX_DELAY
    return build_result(
        MemoryResult,
        id=memory.id,
        content=content,
        truncated=truncated,
        kind=memory.kind,
        tags=list(memory.tags),
        scope=TEAM if of_team else "project" if is_own else None,
        project=None if is_own or memory.project is None else memory.project[:MAX_PROJECT_CHARS],
        session=memory.session,
        importance=memory.importance,
        metadata=dict(memory.metadata),
        occurred_at=isoformat_to_second(memory.occurred_at),
        created_at=isoformat_to_second(memory.created_at) if is_delayed else None,
        expires_at=isoformat_to_second(memory.expires_at),
        superseded_by=memory.superseded_by,
    )


def name_owner(memory: MemoryResult) -> str:
    """Return in words whom a memory belongs to; empty if to another project, or to none."""
    return OWNERS.get(memory.get("scope", ""), "")


def stored_at(memory: MemoryResult) -> str:
    """Return when a memory was stored, to the minute where the result leaves it out."""
    return memory.get("created_at", memory["occurred_at"])
