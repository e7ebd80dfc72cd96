"""What other programs keep, made to fit: their tags, metadata and times, and texts that are too long.

Nothing is refused that can be kept in part, and each part that is left out is told.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from sediment_mcp.domain.chunking import parts
from sediment_mcp.domain.memory import MAX_METADATA_BYTES, MAX_TAG, MAX_TAGS
from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.arguments import MAX_CONTENT, StoreMemory, parse
from sediment_mcp.server.jsonrpc import valid_text
from sediment_mcp.transfer.records import Item, Problem, Record

MAX_SESSION = 256
MILLISECONDS = 100_000_000_000  # a larger number of seconds lies beyond the year 5000


def fitted(
    place: str,
    content: object,
    *,
    tags: Iterable[object] = (),
    metadata: Mapping[str, Any] | None = None,
    occurred_at: datetime | None = None,
    notes: Iterable[str] = (),
    **attributes: Any,
) -> Iterator[Item]:
    """A text as one memory, or as several if it is too long for one; or why it is none."""
    if not isinstance(content, str) or not content.strip():
        yield Problem(place, "holds no text.")
        return
    told = list(notes)
    kept, left = _fitting_tags(tags)
    if left:
        told.append(f"{left} tags were left out: a memory has at most {MAX_TAGS}.")
    small, dropped = _fitting_metadata(metadata or {})
    if dropped:
        told.append(f"metadata was cut to {MAX_METADATA_BYTES} bytes, without {', '.join(dropped)}.")
    texts = [text for text in parts(valid_text(content), MAX_CONTENT) if text.strip()]
    if len(texts) > 1:
        told.append(f"was longer than {MAX_CONTENT:,} characters and became {len(texts)} memories.")
    given = {**attributes, "tags": kept, "metadata": small}
    given |= {"occurred_at": occurred_at.isoformat()} if occurred_at else {}
    for number, text in enumerate(texts, start=1):
        try:
            memory = parse(StoreMemory, {**given, "content": text})
            yield Record(place, memory, tuple(told) if number == 1 else ())
        except BadArgument as error:
            yield Problem(place, str(error))


def _fitting_tags(tags: Iterable[object]) -> tuple[list[str], int]:
    """(tags within the limits, how many were too many)."""
    words = (" ".join(valid_text(str(tag)).split()).lstrip("#").strip()[:MAX_TAG] for tag in tags if tag)
    distinct = list(dict.fromkeys(filter(None, (word.strip() for word in words))))
    return distinct[:MAX_TAGS], len(distinct[MAX_TAGS:])


def _fitting_metadata(metadata: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(what fits, the names of what does not): the largest go first."""
    plain = {
        valid_text(str(name)): _plain(value) for name, value in metadata.items() if value not in (None, "")
    }
    by_size = sorted(plain, key=lambda name: _size(plain[name]), reverse=True)
    dropped: list[str] = []
    while _size(plain) > MAX_METADATA_BYTES:
        dropped.append(by_size[len(dropped)])
        del plain[dropped[-1]]
    return plain, [name[:40] for name in dropped]


def _plain(value: Any) -> Any:
    """The value as JSON has it: times and other strange things as text, broken Unicode mended."""
    try:
        written = valid_text(json.dumps(value, ensure_ascii=False, default=str))
        return json.loads(written, parse_constant=str)
    except (TypeError, ValueError):  # such as a date for a key, which YAML allows
        return valid_text(str(value))
    except RecursionError:
        return "nested too deeply to be kept"


def _size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


def moment(value: object) -> datetime | None:
    """A time as other programs write it: ISO 8601, or seconds or milliseconds since 1970; None if it is
    neither. A day is its noon in UTC, which is the same day nearly everywhere."""
    try:
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, 12, tzinfo=UTC)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return datetime.fromtimestamp(value / 1000 if abs(value) > MILLISECONDS else value, UTC)
        if isinstance(value, str) and value.strip():
            return _parsed(value.strip())
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _parsed(text: str) -> datetime | None:
    try:
        return moment(date.fromisoformat(text))
    except ValueError:
        return moment(datetime.fromisoformat(text))


def session(value: object) -> dict[str, str]:
    """The argument for a session, if there is one."""
    name = valid_text(str(value)).strip()[:MAX_SESSION] if value else ""
    return {"session": name} if name else {}
