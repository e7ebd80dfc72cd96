"""A memory that a prompt calls for, as a server hands it to a hook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FoundMemory:
    """A memory that a prompt calls for: its best passage, and when it happened.

    Times are in microseconds since 1970. ``newer`` is the id of a newer memory that may contradict it,
    ``newer_at`` when that one happened. ``of_team`` says that it is one of the team's.
    """

    id: str
    text: str
    at: int
    newer: str = ""
    newer_at: int = 0
    of_team: bool = False

    def to_fields(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        return asdict(self)


def parse_found(rows: Sequence[Any]) -> list[FoundMemory]:
    """Return the memories of rows that `FoundMemory.to_fields` made.

    Raises:
        TypeError: a row is none.
    """
    return [FoundMemory(**row) for row in rows]
