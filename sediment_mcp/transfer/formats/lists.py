# ruff: noqa: RUF001 - dashes and quotes as people type them
"""Read a list of memories: lines as assistants hand them out, or JSON, YAML or CSV of texts.

Asked for their memories, assistants answer with a line each: "[2025-04-01] - User lives in Oslo.", a number
or a bullet before it, headings and a fence around it. What is no item belongs to the item before it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from sediment_mcp.system.encodings import NotText
from sediment_mcp.system.text import format_value
from sediment_mcp.transfer.formats.front_matter import BadYaml, load_yaml
from sediment_mcp.transfer.json_text import (
    JSON_SUFFIXES,
    BadJson,
    ParsedJson,
    looks_like_json,
    parse_json,
    split_values,
)
from sediment_mcp.transfer.normalize import (
    add_notes,
    guard,
    normalize_memory,
    normalize_session,
    parse_time,
    split_tags,
    take_time,
)
from sediment_mcp.transfer.records import Format, Item, Problem
from sediment_mcp.transfer.source import ReadLimits, Source

TEXT_FIELDS = ("content", "text", "memory", "fact", "note", "observation", "body")
TIME_FIELDS = ("occurred_at", "created_at", "createdAt", "created", "date", "timestamp", "time", "updated_at")
TAG_FIELDS = ("tags", "tag", "categories", "category", "labels")
LIST_FIELDS = ("memories", "facts", "notes", "items", "results", "data", "entries", "records")
YAML_SUFFIXES, CSV_SUFFIXES = (".yaml", ".yml"), (".csv", ".tsv")
MAX_YAML_CHARS = 1_000_000  # which take seconds to parse
MAX_LINES = 1000  # of a text that are looked at
MIN_ITEMS = 2  # of lines that are taken for a list
MIN_SHARE = 0.5  # of the lines that are items in a list

_DATE = r"\[(?P<date>[^\[\]\n]{1,40})\](?!\()"
_DATED = re.compile(rf"\s*(?:(?:[-*•+]|\d{{1,4}}[.)])\s+)?\**{_DATE}\**\s*(?:[-–—:]+\s*)?(?P<text>\S.*)")
_ITEM = re.compile(r"\s{0,8}(?:[-*•+]|\d{1,4}[.)])\s+(?!\[[ xX]\])(?P<text>\S.*)")
_USER = re.compile(r"\**(?:the )?user(?:'s|’s)?\b", re.IGNORECASE)
_HEADING = re.compile(r"\s*+(?:#{1,6}\s++(?P<marked>.*)|\*\*(?P<bold>[^*]++)\*\*:?\s*+)")
_FENCE = re.compile(r"\s*(?:```|~~~|---+\s*$|===+\s*$)")
_NO_DATE = ("unknown", "n/a", "no date", "date unknown", "undated", "?")


# --- what is a list -----------------------------------------------------------------------------


def is_dated_list(text: str, min_share: float = MIN_SHARE) -> bool:
    """Return True if most lines of a text begin with a day in brackets, or say "User …" each."""
    lines = _list_lines(text)
    dated = [line for line in lines if _is_dated(line)]
    says = [line for line in lines if _USER.match(_strip_bullet(line))]
    return (any(_find_date(line) for line in dated) and len(dated) >= min_share * len(lines)) or (
        len(says) >= MIN_ITEMS and len(says) >= min_share * len(lines)
    )


def is_plain_list(text: str) -> bool:
    """Return True if all lines of a text begin with a number or a bullet."""
    lines = _list_lines(text)
    return len(lines) >= MIN_ITEMS and all(_ITEM.fullmatch(line) for line in lines)


def is_table(text: str) -> bool:
    """Return True if the first line of a text is the heading of a table with a column of texts."""
    first, _, rest = text.lstrip("\ufeff").partition("\n")
    names = [name.strip().strip('"').lower() for name in re.split(r"[,;\t]", first[:1000])]
    return len(names) > 1 and bool(rest.strip()) and any(name in TEXT_FIELDS for name in names)


def is_list(document: object) -> bool:
    """Return True if a JSON value is a list of texts, or of objects with a text each."""
    items = _find_items(document)
    return bool(items) and all(_find_text(item) is not None for item in items[:100])


def _list_lines(text: str) -> list[str]:
    lines = [line for line in text.splitlines()[:MAX_LINES] if line.strip() and not _FENCE.match(line)]
    lines = [line for line in lines if not line[0].isspace() or _is_dated(line) or _ITEM.fullmatch(line)]
    return [line for line in lines if _find_title(line) is None]


def _find_title(line: str) -> str | None:
    """Return the title of a line that is a heading, which may be empty; None for any other line."""
    heading = _HEADING.fullmatch(line)
    if heading is None:
        return None
    if (title := heading["marked"]) is not None:
        return title.rstrip().rstrip("#").rstrip()
    return heading["bold"].removesuffix(":") or heading["bold"]


def _is_dated(line: str) -> bool:
    match = _DATED.fullmatch(line)
    return match is not None and (parse_time(match["date"]) is not None or match["date"].lower() in _NO_DATE)


def _find_date(line: str) -> object:
    match = _DATED.fullmatch(line)
    return parse_time(match["date"]) if match else None


def _strip_bullet(line: str) -> str:
    match = _ITEM.fullmatch(line)
    return match["text"] if match else line.strip()


def _find_items(document: object) -> list[Any]:
    for _ in range(3):
        if not isinstance(document, dict):
            break
        fields = cast("dict[str, Any]", document)
        found = next(
            (fields[name] for name in LIST_FIELDS if isinstance(fields.get(name), (list, dict))), None
        )
        if found is None and _find_text(fields) is not None:
            return [fields]
        document = found
    return cast("list[Any]", document) if isinstance(document, list) else []


def _find_text(item: object) -> str | None:
    if isinstance(item, str):
        return item
    fields = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
    return next((name for name in TEXT_FIELDS if isinstance(fields.get(name), str)), None)


# --- read ---------------------------------------------------------------------------------------


def read(source: Source, limits: ReadLimits) -> Iterator[Item]:
    """Yield the memories of a list of any kind.

    Raises:
        BadArgument: the source is too large to be read as a whole.
    """
    try:
        decoded = source.decode_all(limits.max_document_bytes)
    except NotText as error:
        yield Problem(source.name, str(error))
        return
    yield from add_notes(_read_text(source, decoded.text), decoded.notes)


FORMAT = Format(read, matches_document=is_list, matches_line=lambda fields: _find_text(fields) is not None)


def _read_text(source: Source, text: str) -> Iterator[Item]:
    suffix = source.path.suffix.lower()
    is_named_json = suffix in JSON_SUFFIXES
    begins_as_json = text.lstrip("\ufeff \t\r\n\0")[:1] in ("[", "{", "/")
    if (begins_as_json or is_named_json) and not is_dated_list(text):
        try:
            document = parse_json(text)
        except BadJson:
            is_broken = is_named_json or looks_like_json(text)
            yield from _read_broken_json(text) if is_broken else _read_lines(text)
            return
        yield from add_notes(_read_items(source.name, _find_items(document.value)), document.notes)
    elif suffix in YAML_SUFFIXES and len(text) > MAX_YAML_CHARS:
        yield Problem(source.name, f"is longer than {MAX_YAML_CHARS:,} characters: divide it, or use JSON.")
    elif suffix in YAML_SUFFIXES:
        try:
            yield from _read_items(source.name, _find_items(load_yaml(text)))
        except BadYaml:
            yield Problem(source.name, "is no valid YAML, or holds aliases.")
    elif suffix in CSV_SUFFIXES or is_table(text):
        yield from _read_table(source.name, text)
    else:
        yield from _read_lines(text)


def _read_broken_json(text: str) -> Iterator[Item]:
    """Yield each whole object of a document that was cut off or edited."""
    for number, part in enumerate(split_values(text), start=1):
        if isinstance(part, ParsedJson):
            yield from add_notes(_read_item(f"memory {number}", part.value), part.notes)
        elif fragment := part.text.strip("[], \t\r\n"):
            reason = f"is no whole JSON object, it may have been cut off: {format_value(fragment)}"
            yield Problem(f"part {number}", reason)


def _read_items(name: str, items: list[Any]) -> Iterator[Item]:
    if not items:
        yield Problem(
            name, f"holds no list of memories: a list of texts, or of objects with {TEXT_FIELDS[0]}."
        )
    for number, item in enumerate(items, start=1):
        yield from guard(f"memory {number}", _read_item(f"memory {number}", item))


def _read_item(location: str, item: object) -> Iterator[Item]:
    if not isinstance(item, dict):
        yield from normalize_memory(location, item)
        return
    fields = cast("dict[Any, Any]", item)
    named = {str(name): value for name, value in fields.items()}
    text = _find_text(named)
    occurred_at, left, notes = take_time(named, TIME_FIELDS)
    used = {text, "session", *TIME_FIELDS, *TAG_FIELDS}
    yield from normalize_memory(
        location,
        named.get(text or ""),
        tags=[tag for name in TAG_FIELDS for tag in split_tags(named.get(name))],
        metadata={name: value for name, value in named.items() if name not in used} | left,
        occurred_at=occurred_at,
        notes=notes,
        session=normalize_session(named.get("session")),
    )


def _read_table(name: str, text: str) -> Iterator[Item]:
    text = text.lstrip("\ufeff")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    heading: list[str] = []
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Problem(f"line {rows.line_num}", f"is no row of a table ({error}).")
            continue
        location = f"line {rows.line_num}"
        if not heading:
            heading = [cell.strip().lower() for cell in row]
            if not any(cell in TEXT_FIELDS for cell in heading):
                yield Problem(name, f"has no column of texts: name it {TEXT_FIELDS[0]}.")
                return
        elif any(cell.strip() for cell in row):
            names = heading + [f"column {number}" for number in range(len(heading) + 1, len(row) + 1)]
            yield from guard(location, _read_item(location, dict(zip(names, row, strict=False))))


# --- lines --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Line:
    """An item under way: its place, its day as it is written, its lines."""

    location: str
    date: str | None
    lines: list[str] = field(default_factory=list[str])
    section: str | None = None
    notes: list[str] = field(default_factory=list[str])


def _read_lines(text: str) -> Iterator[Item]:
    """Yield a memory an item; lines without a mark are items too where no line has one."""
    lines = text.lstrip("\ufeff").splitlines()
    has_marks = any(_DATED.fullmatch(line) or _ITEM.fullmatch(line) for line in lines)
    section, before = None, list[str]()
    item: _Line | None = None
    for number, line in enumerate(lines, start=1):
        if not line.strip() or _FENCE.match(line):
            continue
        if (title := _find_title(line)) is not None:
            section = title or None
            continue
        started = _start_item(line, f"line {number}", has_marks)
        if started is None and item is not None:
            item.lines.append(line.strip())
        elif started is None:
            before.append(line.strip())
        else:
            if item is not None:
                yield from _finish_item(item)
            item = started
            item.section = section
            if before:
                item.notes.append(
                    f"was preceded by what is no item and was left out: {format_value(before[0])}"
                )
                before = []
    if item is not None:
        yield from _finish_item(item)


def _start_item(line: str, location: str, has_marks: bool) -> _Line | None:
    dated, marked = _DATED.fullmatch(line), _ITEM.fullmatch(line)
    if dated and (parse_time(dated["date"]) or dated["date"].lower() in _NO_DATE):
        return _Line(location, dated["date"], [dated["text"]])
    if marked and not line[:1].isspace():
        return _Line(location, None, [marked["text"]])
    return _Line(location, None, [line.strip()]) if not has_marks or _USER.match(line) else None


def _finish_item(item: _Line) -> Iterator[Item]:
    yield from normalize_memory(
        item.location,
        "\n".join(item.lines),
        occurred_at=parse_time(item.date),
        metadata={"section": item.section} if item.section else {},
        notes=item.notes,
    )
