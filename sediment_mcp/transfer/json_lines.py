"""Read files of JSON lines that programs append to: transcripts of conversations.

The last line may be half a line, as the program is writing it; a line that cannot be read loses only itself.
Kinds of lines that are not known here are counted and told, because the programs add new ones at any time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from sediment_mcp.system.text import format_count, format_value
from sediment_mcp.transfer.records import Note, Problem, Turn, TurnItem
from sediment_mcp.transfer.source import ReadLimits, Source

MAX_BROKEN = 20  # lines that cannot be read and are named; further ones are counted
MAX_KINDS = 8  # of lines that a note names
MAX_KIND_CHARS = 40
NOT_WHOLE = "is no whole JSON object: it was cut off, or is still being written."


@dataclass(slots=True)
class UnknownKinds:
    """Counts lines of a kind that is not known."""

    counts: Counter[str] = field(default_factory=Counter[str])

    def add(self, kind: object) -> None:
        """Count a line of this kind."""
        name = kind[:MAX_KIND_CHARS] if isinstance(kind, str) else "without a type"
        if name in self.counts or len(self.counts) < MAX_KINDS:
            self.counts[name] += 1
        else:
            self.counts["others"] += 1

    def describe(self, location: str) -> Iterator[Note]:
        """Yield a note on what was left out, if anything was."""
        if self.counts:
            kinds = ", ".join(f"{format_value(kind)}: {count:,}" for kind, count in self.counts.items())
            total = format_count(self.counts.total(), "line")
            yield Note(location, f"{total} of a kind that is not known left out ({kinds}).")


def read_by_line(
    source: Source,
    limits: ReadLimits,
    read_line: Callable[[int, dict[str, Any]], Iterable[Turn] | None],
) -> Iterator[TurnItem]:
    """Yield the turns of each line, and a note on the lines of unknown kinds.

    ``read_line`` gets the number of a line and its object, and returns None if it does not know the kind.
    """
    unknown = UnknownKinds()
    for line in read_lines(source, limits):
        if isinstance(line, Problem):
            yield line
            continue
        turns = read_line(*line)
        if turns is None:
            unknown.add(line[1].get("type"))
        else:
            yield from turns
    yield from unknown.describe(source.name)


def read_lines(source: Source, limits: ReadLimits) -> Iterator[tuple[int, dict[str, Any]] | Problem]:
    """Yield (number, object) of each line that is a JSON object, and a problem for what is none."""
    broken = 0
    for number, line in source.lines(limits.max_line_chars):
        if line is not None and not line.strip("\ufeff\0 \t\r\n"):
            continue
        value = None if line is None else _parse(line)
        if isinstance(value, dict):
            yield number, cast("dict[str, Any]", value)
            continue
        broken += 1
        if broken <= MAX_BROKEN:
            too_long = f"is longer than {limits.max_line_chars:,} characters."
            yield Problem(f"line {number}", too_long if line is None else NOT_WHOLE)
    if broken > MAX_BROKEN:
        yield Problem(source.name, f"has {broken - MAX_BROKEN:,} more lines that are no whole JSON objects.")


def _parse(line: str) -> object:
    try:
        return json.loads(line.strip("\ufeff\0 \t\r\n"))
    except (ValueError, RecursionError):
        return None
