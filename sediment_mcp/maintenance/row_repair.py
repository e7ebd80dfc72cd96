"""A memory's row as a damaged database gives it, made one that may be kept: nothing about it is believed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast, get_args

from sediment_mcp.domain.duplicates import text_key
from sediment_mcp.domain.filters import micros, time_of
from sediment_mcp.domain.memory import Kind
from sediment_mcp.storage.sqlite.connection import Database

IMPORTANCE = 0.5


@dataclass(frozen=True, slots=True)
class Row:
    """``values`` are the id and the columns that `adoption.KEPT` names, then ``restored_at`` and
    ``changed_at``; ``agrees`` says whether they are those of the row: nothing was impossible, and the text is
    what its hash was made of."""

    number: int
    seq: int
    id: str
    content: str
    tags: tuple[str, ...]
    agrees: bool
    values: tuple[Any, ...]


def mended(row: Sequence[Any]) -> Row | None:
    """The row with whatever is impossible in it replaced by the usual; None without an id or a text."""
    number, identity, seq, content, _, kind, tags, project, session = row[:9]
    importance, metadata, occurred, created, expires, successor, deleted = row[9:16]
    restored, changed = (_time(value) for value in (*row[16:], None, None)[:2])  # not in every schema
    if not (isinstance(content, str) and content and isinstance(identity, str) and identity):
        return None
    own_tags = _tags(tags)
    created, deleted = _time(created) or _time(occurred) or 0, _time(deleted)
    values = (
        identity, content, text_key(content), kind if kind in get_args(Kind) else "semantic", _dump(own_tags),
        _text(project), _text(session), _importance(importance), _dump(_object(metadata)),
        _time(occurred) or created, created, _time(expires), _text(successor), deleted,
        restored, max(created, deleted or 0, restored or 0) if changed is None else changed,
    )  # fmt: skip
    is_same = (identity, *row[3:]) == values[: len(row) - 2]
    return Row(number, seq if isinstance(seq, int) else 0, identity, content, own_tags, is_same, values)


def wrong_rows(database: Database) -> int:
    """How many memories are not what was stored, though SQLite finds nothing wrong: a page of text that was
    overwritten is as good to it as any other. Two seconds at 100,000 memories."""
    found = (mended(row) for row in database.iterate("SELECT * FROM memories", ()))
    return sum(row is None or not row.agrees for row in found)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _parsed(text: object) -> Any:
    """What the JSON says; None if it is none."""
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _tags(text: object) -> tuple[str, ...]:
    found = _parsed(text)
    return (
        tuple(tag for tag in cast("list[object]", found) if isinstance(tag, str))
        if isinstance(found, list)
        else ()
    )


def _object(text: object) -> dict[str, Any]:
    found = _parsed(text)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _importance(value: object) -> float:
    if isinstance(value, int | float) and math.isfinite(value):
        return min(1.0, max(0.0, float(value)))
    return IMPORTANCE


def _time(value: object) -> int | None:
    """Microseconds of a time that the calendar has."""
    if not isinstance(value, int):
        return None
    try:
        time: datetime = time_of(value)
    except (OverflowError, ValueError, OSError):
        return None
    return micros(time)
