"""The interface between shared SQL and a database engine.

It is what the statements in this folder need of a connection.

The statements keep to the SQL that SQLite and PostgreSQL share; the few expressions in which engines differ
are the constants of a `Dialect`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

MAX_VARIABLES = 500  # bound parameters in one statement, well below SQLite's limit of 32,766

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Dialect:
    """The SQL expressions in which engines differ."""

    is_same: str
    """The comparison for which NULL equals NULL."""
    ordered_join: str
    """A join that keeps the order written; without it SQLite may scan a whole table."""
    greatest: str
    """The function that gives the largest of its arguments."""
    least: str
    """The function that gives the smallest of its arguments."""
    joined_keys: str
    """The aggregate that gives a column ``number`` as text, separated by commas."""
    text_value: str
    """A placeholder for text that stands where no column says so."""
    tenant_key: str
    """The beginning of each key that a table with several tenants has."""
    own_rows: str
    """The condition that a row to be changed is one of the tenant's."""
    tagged: str
    """The keys of the memories that have a tag in any spelling; takes the folded tag."""
    has_tag: str
    """The condition that a row of ``tags`` is of a tag in any spelling; takes the folded tag."""
    keeps_folded_tags: bool
    """Whether ``tags`` has the folded tag as a column."""


class Database(Protocol):
    """One connection to a database engine.

    Not thread-safe.
    """

    @property
    def dialect(self) -> Dialect:
        """The SQL expressions of this engine."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all reads inside see the same moment."""
        ...

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a statement."""
        ...

    def column(self, sql: str, values: Sequence[object] = ()) -> list[int]:
        """Return the first column of all rows of a statement."""
        ...

    def scalar(self, sql: str, values: Sequence[object] = ()) -> int:
        """Return the first column of the first row of a statement."""
        ...

    def iterate(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield rows one by one, where all of them at once would be too many for memory."""
        ...

    def execute(self, sql: str, values: Sequence[object] = ()) -> None:
        """Run a statement that returns nothing."""
        ...

    def execute_many(self, sql: str, values: Iterable[Sequence[object]]) -> None:
        """Run a statement once for each set of values."""
        ...

    def insert_numbered(self, table: str, columns: str, values: Sequence[object]) -> int:
        """Insert a row of memories or chunks, and return its number; inside a transaction."""
        ...

    def seq(self) -> int:
        """Return the number of the newest change."""
        ...

    def next_seq(self) -> int:
        """Return the number of a new change; inside a transaction."""
        ...

    def assert_current(self) -> None:
        """Check that this is still the database that was opened.

        Raises:
            StorageError: another one has replaced it.
        """
        ...


def placeholders(values: Sequence[object]) -> str:
    """Return a placeholder for each value, separated by commas."""
    return ",".join("?" * len(values))


def batched(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut values into pieces that fit into one statement."""
    for start in range(0, len(values), MAX_VARIABLES):
        yield values[start : start + MAX_VARIABLES]


def batched_evenly(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut values into pieces that fit into one statement, of few different lengths.

    Each piece is filled up with its last value to a power of two, or to `MAX_VARIABLES`, so that an engine
    that keeps its last statements prepared need not parse one for each number of values.
    """
    for batch in batched(values):
        length = min(1 << (len(batch) - 1).bit_length(), MAX_VARIABLES)
        yield [*batch, *[batch[-1]] * (length - len(batch))]
