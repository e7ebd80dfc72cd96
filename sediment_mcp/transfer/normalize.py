"""Fit what other programs keep to a memory: tags, metadata, times, texts that are too long.

A memory that cannot be kept whole is kept in part, and each part that is left out is reported.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, cast

from sediment_mcp.domain.chunking import split_text
from sediment_mcp.domain.memory import MAX_METADATA_BYTES, MAX_TAG, MAX_TAGS
from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.arguments import (
    MAX_CONTENT_CHARS,
    MAX_SESSION_CHARS,
    StoreMemory,
    parse_arguments,
)
from sediment_mcp.system.text import valid_text
from sediment_mcp.system.time_zone import Days, noon_of
from sediment_mcp.system.timestamps import isoformat, parse_iso
from sediment_mcp.transfer.records import Item, MemoryRecord, Problem
from sediment_mcp.transfer.source import ReadLimits, Source, decode_text

MAX_SECONDS = 100_000_000_000  # beyond the year 5000: a larger number counts milliseconds
MAX_NAME_SHOWN = 40  # characters of a metadata name in a note


def normalize_memory(
    location: str,
    content: object,
    *,
    tags: Iterable[object] = (),
    metadata: Mapping[str, Any] | None = None,
    occurred_at: datetime | None = None,
    notes: Iterable[str] = (),
    **attributes: Any,
) -> Iterator[Item]:
    """Yield a text as one memory, as several if it is too long for one, or as a problem."""
    if not isinstance(content, str) or not content.strip():
        yield Problem(location, "holds no text.")
        return
    kept_tags, tag_notes = _fit_tags(tags)
    kept_metadata, metadata_notes = _fit_metadata(metadata or {})
    texts, text_notes = _fit_content(content)
    all_notes = (*notes, *tag_notes, *metadata_notes, *text_notes)
    arguments = {**attributes, "tags": kept_tags, "metadata": kept_metadata}
    arguments |= {"occurred_at": isoformat(occurred_at)} if occurred_at else {}
    for number, text in enumerate(texts):
        try:
            memory = parse_arguments(StoreMemory, {**arguments, "content": text})
            yield MemoryRecord(location, memory, () if number else all_notes)
        except BadArgument as error:
            yield Problem(location, str(error))


def _fit_content(content: str) -> tuple[list[str], list[str]]:
    """Cut a text to the length of a memory; return (texts, notes)."""
    texts = [text for text in split_text(valid_text(content), MAX_CONTENT_CHARS) if text.strip()]
    if len(texts) <= 1:
        return texts, []
    return texts, [f"was longer than {MAX_CONTENT_CHARS:,} characters and became {len(texts)} memories."]


def _fit_tags(tags: Iterable[object]) -> tuple[list[str], list[str]]:
    """Shorten tags, and leave out those beyond the limit; return (tags, notes)."""
    words = (" ".join(valid_text(str(tag)).split()).lstrip("#").strip()[:MAX_TAG] for tag in tags if tag)
    distinct = list(dict.fromkeys(filter(None, (word.strip() for word in words))))
    left_out = len(distinct[MAX_TAGS:])
    if not left_out:
        return distinct, []
    return distinct[:MAX_TAGS], [f"{left_out} tags were left out: a memory has at most {MAX_TAGS}."]


def _fit_metadata(metadata: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Leave out values, the largest first, until the rest fits; return (metadata, notes)."""
    plain = {
        valid_text(str(name)): _to_plain_json(value)
        for name, value in metadata.items()
        if value not in (None, "")
    }
    by_size = sorted(plain, key=lambda name: _count_json_bytes(plain[name]), reverse=True)
    dropped: list[str] = []
    while _count_json_bytes(plain) > MAX_METADATA_BYTES:
        dropped.append(by_size[len(dropped)])
        del plain[dropped[-1]]
    if not dropped:
        return plain, []
    names = ", ".join(name[:MAX_NAME_SHOWN] for name in dropped)
    return plain, [f"metadata was cut to {MAX_METADATA_BYTES} bytes, without {names}."]


def _to_plain_json(value: Any) -> Any:
    """Return the value in types of JSON: others become text, and invalid Unicode is replaced."""
    try:
        text = valid_text(json.dumps(value, ensure_ascii=False, default=str))
        return json.loads(text, parse_constant=str)
    except (TypeError, ValueError):  # such as a date for a key, which YAML allows
        return valid_text(str(value))
    except RecursionError:
        return "nested too deeply to be kept"


def _count_json_bytes(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


# --- single values ------------------------------------------------------------------------------


def parse_time(value: object, convert: Callable[[Days], datetime] = noon_of) -> datetime | None:
    """Return a time in UTC; None if the value is none.

    It may be ISO 8601, or seconds or milliseconds since 1970. ``convert`` gives the time that a date alone
    stands for.
    """
    try:
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        if isinstance(value, date):
            return convert(Days(value, value))
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return datetime.fromtimestamp(value / 1000 if abs(value) > MAX_SECONDS else value, UTC)
        if isinstance(value, str) and value.strip():
            time = parse_iso(value)
            return convert(time) if isinstance(time, Days) else time
    except (ValueError, OverflowError, OSError):
        return None
    return None


def normalize_session(value: object) -> str | None:
    """Return the name of a session within its limit, None if there is none."""
    name = valid_text(str(value)).strip()[:MAX_SESSION_CHARS] if value else ""
    return name or None


def split_tags(value: object) -> list[object]:
    """Return tags that are a list, or one text with commas between them."""
    if isinstance(value, str):
        return list(value.split(","))
    return cast("list[object]", value) if isinstance(value, list) else []


# --- JSON ---------------------------------------------------------------------------------------


def parse_json(text: str) -> object:
    """Return the value of a JSON text; None if it is not valid, or nested too deeply."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_json_objects(
    source: Source,
    find_objects: Callable[[object], list[Any]],
    read_object: Callable[[str, Mapping[str, Any]], Iterator[Item]],
    limits: ReadLimits,
) -> Iterator[Item]:
    """Yield the items of each object in a source of one JSON document.

    ``find_objects`` finds the objects in the document; ``read_object`` is called with the location of each
    and the object.

    Raises:
        BadArgument: the source is too large to be read as a whole.
    """
    data = source.read_all(limits.max_document_bytes)
    try:
        document: object = json.loads(decode_text(data)[0])
    except (ValueError, RecursionError):
        yield Problem(source.name, "is no JSON: it may have been cut off.")
        return
    for number, value in enumerate(find_objects(document), start=1):
        if isinstance(value, dict):
            yield from read_object(f"memory {number}", cast("dict[str, Any]", value))
        else:
            yield Problem(f"memory {number}", "is no JSON object.")
