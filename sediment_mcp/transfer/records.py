"""Define what every format is read into, and what is selected for an export."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.retention import Rule
from sediment_mcp.operations.arguments import StoreMemory

if TYPE_CHECKING:
    from sediment_mcp.transfer.source import ReadLimits, Source

T = TypeVar("T")
Role = Literal["user", "assistant"]

ALL_MEMORIES = Filters(include_superseded=True)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a memory comes from, if its source says so.

    Attributes:
        folder: the folder that it belongs to, whose project it gets; None: it belongs to no project.
        key: names it wherever it is read again, whatever is done to its text; None: its text does.
    """

    folder: str | None
    key: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """A memory to be imported.

    Attributes:
        location: its place in the source, such as "line 3" or the name of a file.
        arguments: the memory, validated as a store validates it.
        notes: sentences on what had to be changed to make it fit.
        origin: where it comes from, if the source says so.
    """

    location: str
    arguments: StoreMemory
    notes: tuple[str, ...] = ()
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """A retention rule to be imported."""

    location: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that cannot be imported, and why; the import continues after it."""

    location: str
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence on something that was left out on purpose, and that is no fault."""

    location: str
    text: str


Item = MemoryRecord | RuleRecord | Problem | Note


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side of a conversation has said at once, as its transcript has it.

    Attributes:
        location: its place in the source.
        role: who said it.
        text: what was said, with whatever the host has put into it.
        source: the program that wrote it down, such as "claude-code".
        key: what names the turn in all that this program writes.
        session: the conversation.
        occurred_at: when it was said; None: unknown.
        folder: the folder that the conversation was held in; None: in none.
        title: the name of the conversation, if it has one.
    """

    location: str
    role: Role
    text: str
    source: str
    key: tuple[str, ...]
    session: str | None = None
    occurred_at: datetime | None = None
    folder: str | None = None
    title: str | None = None


TurnItem = Turn | Problem | Note


@dataclass(frozen=True, slots=True)
class Format:
    """A file format that can be imported.

    Attributes:
        read: yields the items of a source.
        matches_line: says whether a JSON object, the first line of a source, is of this format.
        matches_document: says whether a JSON value, a source as a whole, is of this format.
    """

    read: Callable[[Source, ReadLimits], Iterator[Item]]
    matches_line: Callable[[Mapping[str, Any]], bool] = lambda fields: False
    matches_document: Callable[[object], bool] = lambda document: False


@dataclass(frozen=True, slots=True)
class TranscriptFormat:
    """A file format of conversations.

    Attributes:
        read_turns: yields what was said, by both sides.
        matches_line: says whether a JSON object, one of the first lines of a source, is of this format.
        matches_head: says whether a text, the beginning of a source, is of this format.
        has_header: the first line says what the others do not repeat, such as the session.
    """

    read_turns: Callable[[Source, ReadLimits], Iterator[TurnItem]]
    matches_line: Callable[[Mapping[str, Any]], bool] = lambda fields: False
    matches_head: Callable[[str], bool] = lambda head: False
    has_header: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """Which memories are exported; by default all of them, the deleted included."""

    filters: Filters = ALL_MEMORIES
    include_deleted: bool = True

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Selection()


def add_origin(items: Iterable[Item], origin: Origin | None) -> Iterator[Item]:
    """Yield the items, each memory with this origin."""
    for item in items:
        yield replace(item, origin=origin) if isinstance(item, MemoryRecord) else item


def split_into_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of ``size``, the last one shorter."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
