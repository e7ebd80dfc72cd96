"""Fit what other programs keep to a memory: tags, metadata, times, texts that are too long.

A memory that cannot be kept whole is kept in part, and each part that is left out is reported.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any, TypeVar, cast

from sediment_mcp.domain.chunking import split_text
from sediment_mcp.domain.memory import MAX_METADATA_BYTES, MAX_TAG, MAX_TAGS
from sediment_mcp.errors import BadArgument, SedimentError
from sediment_mcp.operations.arguments import (
    MAX_CONTENT_CHARS,
    MAX_SESSION_CHARS,
    StoreMemory,
    parse_arguments,
)
from sediment_mcp.system.encodings import NotText
from sediment_mcp.system.text import format_value, valid_text
from sediment_mcp.system.time_zone import Days, noon_of
from sediment_mcp.system.timestamps import isoformat, parse_iso
from sediment_mcp.transfer.json_text import BadJson, ParsedJson, parse_json
from sediment_mcp.transfer.records import Item, MemoryRecord, Problem
from sediment_mcp.transfer.source import ReadLimits, Source

ItemT = TypeVar("ItemT")
MAX_SECONDS = 100_000_000_000  # beyond the year 5000: a larger number counts milliseconds
MIN_SECONDS = 100_000_000  # in 1973: a smaller number is a year, an hour or a count, and no time
YEAR_NUMBERS = range(1900, 2100)
DAY_NUMBERS = range(1900_01_01, 2100_01_01)  # a number is a day of the calendar and no second of 1970
MAX_NAME_SHOWN = 40  # characters of a metadata name in a note
MAX_TIME_CHARS = 64  # longest text that may be a time
MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_CLOCK = r"(?:,?[ T]+(?P<clock>\d{1,2}:\d{2}(?::\d{2})?))?"
_MONTH = r"(?P<name>(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6})\.?"
_DAYS = tuple(
    re.compile(pattern + _CLOCK, re.IGNORECASE | re.ASCII)
    for pattern in (
        r"(?P<year>\d{4})[/.](?P<month>\d{1,2})[/.](?P<day>\d{1,2})",
        r"(?P<day>\d{1,2})\. ?(?P<month>\d{1,2})\. ?(?P<year>\d{4})",
        r"(?P<day>\d{1,2})/(?P<month>\d{1,2})/(?P<year>\d{4})",
        r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})",
        rf"(?:[a-z]{{3,9}},? )?(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.)?[ -]{_MONTH},?[ -](?P<year>\d{{4}})",
        rf"(?:[a-z]{{3,9}},? )?{_MONTH} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year>\d{{4}})",
    )
)


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

    It may be ISO 8601, a day as people write it, or seconds or milliseconds since 1970. ``convert`` gives the
    time that a date alone stands for.
    """
    try:
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        if isinstance(value, date):
            return convert(Days(value, value))
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return _parse_number(value, convert)
        if isinstance(value, str) and value.strip():
            return _parse_text(value.strip()[:MAX_TIME_CHARS], convert)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _parse_number(value: float, convert: Callable[[Days], datetime]) -> datetime | None:
    if isinstance(value, int) and (value in DAY_NUMBERS or value in YEAR_NUMBERS):  # as YAML reads them
        return parse_time(str(value), convert)
    if abs(value) < MIN_SECONDS:  # such as 12:30, which YAML reads as 750
        return None
    return datetime.fromtimestamp(value / 1000 if abs(value) > MAX_SECONDS else value, UTC)


def _parse_text(text: str, convert: Callable[[Days], datetime]) -> datetime | None:
    try:
        parsed = parse_iso(text)
    except (ValueError, OverflowError):
        return _parse_day(text, convert)
    return convert(parsed) if isinstance(parsed, Days) else parsed


def _parse_day(text: str, convert: Callable[[Days], datetime]) -> datetime | None:
    """Read a day such as 08.05.2026, 2026/5/8 or 8 May 2026; None if its month is in doubt."""
    for pattern in _DAYS:
        if match := pattern.fullmatch(text):
            parts = match.groupdict()
            named = parts.get("name")
            month = MONTHS[named[:3].lower()] if named else int(parts["month"])
            first, last = int(parts["day"]), month
            if "/" in text and not named and pattern is not _DAYS[0]:  # 5/8 may be May or August
                if first <= 12 and last <= 12 and first != last:
                    return None
                first, last = (first, last) if last <= 12 else (last, first)
            day = date(int(parts["year"]), last, first)
            if parts.get("clock") is None:
                return convert(Days(day, day))
            return datetime.combine(day, _read_clock(parts["clock"]), UTC)
    return None


def _read_clock(text: str) -> time:
    hour, minute, *second = map(int, text.split(":"))
    return time(hour, minute, second[0] if second else 0)


def take_time(
    fields: Mapping[str, Any], names: Iterable[str], convert: Callable[[Days], datetime] = noon_of
) -> tuple[datetime | None, dict[str, Any], list[str]]:
    """Return (the first of the fields that is a time, those left, notes on them).

    What is no time that is understood here is said in a note; so it is kept as metadata, and not lost.
    """
    found, left, notes = None, dict[str, Any](), list[str]()
    for name in names:
        value = fields.get(name)
        if value in (None, ""):
            continue
        read = parse_time(value, convert)
        if read is None:
            shown = format_value(str(value))
            notes.append(
                f"has {shown} for {name}, which is no date that is understood: it is kept as metadata."
            )
        if read is None or (found is not None and read != found):
            left[name] = value
        found = found or read
    return found, left, notes


def normalize_session(value: object) -> str | None:
    """Return the name of a session within its limit, None if there is none."""
    name = valid_text(str(value)).strip()[:MAX_SESSION_CHARS] if value else ""
    return name or None


def split_tags(value: object) -> list[object]:
    """Return tags that are a list, or one text with commas between them."""
    if isinstance(value, str):
        return list(value.split(","))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [value]
    return cast("list[object]", value) if isinstance(value, list) else []


# --- JSON ---------------------------------------------------------------------------------------


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
    document = read_document(source, limits)
    if isinstance(document, Problem):
        yield document
        return
    for number, value in enumerate(find_objects(document.value), start=1):
        if isinstance(value, dict):
            place = f"memory {number}"
            items = guard(place, read_object(place, cast("dict[str, Any]", value)))
            yield from add_notes(items, document.notes if number == 1 else ())
        else:
            yield Problem(f"memory {number}", "is no JSON object.")


def read_document(source: Source, limits: ReadLimits) -> ParsedJson | Problem:
    """Return the JSON value that a source is as a whole, or why it is none.

    Raises:
        BadArgument: the source is too large to be read as a whole.
    """
    try:
        decoded = source.decode_all(limits.max_document_bytes)
        document = parse_json(decoded.text)
    except NotText as error:
        return Problem(source.name, str(error))
    except BadJson as error:
        return Problem(source.name, f"is no JSON ({error}): it may have been cut off.")
    return ParsedJson(document.value, (*decoded.notes, *document.notes))


def guard(location: str, items: Iterable[ItemT]) -> Iterator[ItemT | Problem]:
    """Yield the items; an error that nobody has foreseen is a problem of this place alone."""
    try:
        yield from items
    except SedimentError:
        raise
    except Exception as error:  # noqa: BLE001 - one bad item must not end the import of the others
        yield Problem(location, f"cannot be imported ({type(error).__name__}).")


def add_notes(items: Iterable[Item], notes: tuple[str, ...]) -> Iterator[Item]:
    """Yield the items, the first memory with these notes too."""
    for item in items:
        if isinstance(item, MemoryRecord):
            yield replace(item, notes=(*notes, *item.notes))
            notes = ()
        else:
            yield item
