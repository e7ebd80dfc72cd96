"""Read sessions of Copilot CLI: ``~/.copilot/session-state/*/events.jsonl``.

A line is an event with ``type``, ``data``, ``id`` and ``timestamp``; the first one, "session.start", names
the session and its folder. Of all events two are what somebody has said. Known from version 1.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sediment_mcp.transfer.json_lines import UnknownKinds, read_lines
from sediment_mcp.transfer.normalize import parse_time
from sediment_mcp.transfer.records import Problem, Role, TranscriptFormat, Turn, TurnItem
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
    unknown = UnknownKinds()
    session, folder = None, None
    for line in read_lines(source, limits):
        if isinstance(line, Problem):
            yield line
            continue
        number, fields = line
        kind, data = get_text(fields, "type") or "", get_fields(fields, "data")
        text = get_text(data, "content") or ""
        if kind == START:
            session = get_text(data, "sessionId")
            folder = get_text(get_fields(data, "context"), "cwd")
        elif (role := ROLES.get(kind)) is not None and text.strip():
            time = get_text(fields, "timestamp")
            key = (session or "", get_text(fields, "id") or f"{time} {digest(text)}")
            yield Turn(f"line {number}", role, text, SOURCE_NAME, key, session, parse_time(time), folder)
        elif "." not in kind:
            unknown.add(kind or None)
    yield from unknown.describe(source.name)


FORMAT = TranscriptFormat(read_turns, matches_line=is_line, has_header=True)
