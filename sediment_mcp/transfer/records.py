"""Define what every format is read into, and what is selected for an export."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.retention import Rule
from sediment_mcp.operations.arguments import StoreMemory

if TYPE_CHECKING:
    from sediment_mcp.transfer.source import ReadLimits, Source

T = TypeVar("T")

ALL_MEMORIES = Filters(include_superseded=True)


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """A memory to be imported.

    Attributes:
        location: its place in the source, such as "line 3" or the name of a file.
        arguments: the memory, validated as a store validates it.
        notes: sentences on what had to be changed to make it fit.
    """

    location: str
    arguments: StoreMemory
    notes: tuple[str, ...] = ()


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


Item = MemoryRecord | RuleRecord | Problem


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
class Selection:
    """Which memories are exported; by default all of them, the deleted included."""

    filters: Filters = ALL_MEMORIES
    include_deleted: bool = True

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Selection()


def split_into_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of ``size``, the last one shorter."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
