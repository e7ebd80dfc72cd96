"""What every format is read into, item by item, each with the place where it stood."""

from __future__ import annotations

from dataclasses import dataclass

from sediment_mcp.domain.retention import Rule
from sediment_mcp.operations.arguments import StoreMemory


@dataclass(frozen=True, slots=True)
class Record:
    """A memory to be taken in; ``notes`` say what of it had to be changed to fit."""

    place: str
    arguments: StoreMemory
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """A rule of retention to be taken over."""

    place: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that cannot be taken in, and why; the rest goes on."""

    place: str
    reason: str


Item = Record | RuleRecord | Problem
