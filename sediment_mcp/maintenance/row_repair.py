"""Validate and repair memory rows read from a damaged database; no column is trusted."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from sediment_mcp.domain.duplicates import compute_content_hash
from sediment_mcp.domain.memory import Kind
from sediment_mcp.storage.sql.fields import MEMORY_FIELDS
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.salvage import iterate_memory_rows
from sediment_mcp.system.timestamps import from_micros

DEFAULT_KIND: Kind = "semantic"
DEFAULT_IMPORTANCE = 0.5


@dataclass(frozen=True, slots=True)
class RepairedRow:
    """A memory's row that may be kept.

    ``values`` has every column of `MEMORY_COLUMNS`. ``is_sound`` says that nothing had to be repaired: every
    value was possible, and the text agrees with its hash.
    """

    memory_key: int
    seq: int
    values: Mapping[str, Any]
    tags: tuple[str, ...]
    is_sound: bool

    @property
    def content(self) -> str:
        """The text of the memory."""
        return self.values["content"]


def repair_row(row: Mapping[str, Any]) -> RepairedRow | None:
    """Return the row with impossible values replaced by defaults.

    ``row`` has its values by column name, of any schema. None if it has no id or no text.
    """
    memory_id, content = row["id"], row["content"]
    if not (isinstance(content, str) and content and isinstance(memory_id, str) and memory_id):
        return None
    values = {column: repair(row.get(column)) for column, repair in _REPAIRS.items()}
    values |= {"id": memory_id, "content": content, "text_key": compute_content_hash(content)}
    values |= _repair_times(row, values)
    is_sound = all(row[column] == value for column, value in values.items() if column in row)
    seq = row["seq"] if isinstance(row["seq"], int) else 0
    return RepairedRow(row["number"], seq, values, _read_tags(row.get("tags")), is_sound)


def count_wrong_rows(database: SqliteDatabase) -> int:
    """Return how many memories are damaged without SQLite noticing.

    SQLite does not notice that text within a page was overwritten. Takes some seconds at 100,000 memories.

    Raises:
        DamagedDatabase: a row cannot be read.
    """
    repaired = (repair_row(row) for row in iterate_memory_rows(database))
    return sum(row is None or not row.is_sound for row in repaired)


# --- columns ------------------------------------------------------------------------------------


def _repair_kind(value: object) -> str:
    return cast("str", value) if value in get_args(Kind) else DEFAULT_KIND


def _repair_tags(value: object) -> str:
    return _dump(_read_tags(value))


def _repair_metadata(value: object) -> str:
    found = _parse(value)
    return _dump(cast("dict[str, Any]", found) if isinstance(found, dict) else {})


def _repair_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _repair_importance(value: object) -> float:
    if isinstance(value, int | float) and math.isfinite(value):
        return min(1.0, max(0.0, float(value)))
    return DEFAULT_IMPORTANCE


def _repair_time(value: object) -> int | None:
    """Return the microseconds if they are a valid time, otherwise None."""
    if not isinstance(value, int):
        return None
    try:
        from_micros(value)
    except (OverflowError, ValueError, OSError):
        return None
    return value


_SPECIAL_REPAIRS: Mapping[str, Callable[[object], Any]] = {
    "kind": _repair_kind,
    "tags": _repair_tags,
    "importance": _repair_importance,
    "metadata": _repair_metadata,
}
_REPAIRS: Mapping[str, Callable[[object], Any]] = {
    field.column: _SPECIAL_REPAIRS.get(field.name, _repair_time if field.is_time else _repair_text)
    for field in MEMORY_FIELDS
}
"""Every other attribute is a time or a text, or None."""


def _repair_times(row: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, int]:
    """Return the times that every memory must have, derived from others where they are missing.

    Older schemas and older versions of this package record no time of change: then the latest other time
    counts.
    """
    created: int = values["created_at"] or values["occurred_at"] or 0
    latest = max(created, values["deleted_at"] or 0, values["restored_at"] or 0)
    changed = values["changed_at"]
    return {
        "created_at": created,
        "occurred_at": values["occurred_at"] or created,
        "changed_at": latest if changed is None else changed,
    }


def _read_tags(value: object) -> tuple[str, ...]:
    found = _parse(value)
    if not isinstance(found, list):
        return ()
    return tuple(tag for tag in cast("list[object]", found) if isinstance(tag, str))


def _parse(text: object) -> Any:
    """Return the value that is written as JSON; None if it is no JSON."""
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
