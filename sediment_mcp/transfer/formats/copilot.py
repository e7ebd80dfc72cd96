"""Read sessions of Copilot CLI: ``~/.copilot/session-state/*/events.jsonl``.

A line is an event with ``type``, ``data``, ``id`` and ``timestamp``; the first one, "session.start", names
the session and its folder. Of all events two are what somebody has said. Known from version 1.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sediment_mcp.transfer.json_lines import read_by_line
from sediment_mcp.transfer.normalize import parse_time
from sediment_mcp.transfer.records import Role, TranscriptFormat, Turn, TurnItem
from sediment_mcp.transfer.source import ReadLimits, Source
from sediment_mcp.transfer.turns import digest, get_fields, get_text

SOURCE_NAME = "copilot"
START = "session.start"
ROLES: dict[str, Role] = {"user.message": "user", "assistant.message": "assistant"}


def is_line(fields: Mapping[str, Any]) -> bool:
    """Return True if this is a line of a session."""
    kind = get_text(fields, "type") or ""
    return (kind == START or kind in ROLES) and isinstance(fields.get("data"), dict) and "id" in fields


def read_turns(source: Source, limits: ReadLimits) -> Iterator[TurnItem]:
    """Yield what was said in a session."""
    header: dict[str, str | None] = {}
    return read_by_line(source, limits, lambda number, fields: _read_line(header, number, fields))


FORMAT = TranscriptFormat(read_turns, matches_line=is_line, has_header=True)


def _read_line(
    header: dict[str, str | None], number: int, fields: Mapping[str, Any]
) -> Iterable[Turn] | None:
    """Return the turn of a line; ``header`` gets what the first one says of the session."""
    kind, data = get_text(fields, "type") or "", get_fields(fields, "data")
    text = get_text(data, "content") or ""
    if kind == START:
        header["session"] = get_text(data, "sessionId")
        header["folder"] = get_text(get_fields(data, "context"), "cwd")
    if (role := ROLES.get(kind)) is None or not text.strip():
        return () if "." in kind else None
    session, time = header.get("session"), get_text(fields, "timestamp")
    key = (session or "", get_text(fields, "id") or f"{time} {digest(text)}")
    place, folder = f"line {number}", header.get("folder")
    return [Turn(place, role, text, SOURCE_NAME, key, session, parse_time(time), folder)]
