"""Read transcripts of Codex: ``~/.codex/sessions/**/rollout-*.jsonl``.

The first line, ``session_meta``, names the session and its folder. Each message stands in a line of type
"response_item" and, as versions differ in, once more in one of type "event_msg": both are read, and pairs of
the same text count once. Sessions of 2025 have the message itself as a line. Known up to version 0.169.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sediment_mcp.domain.turn_text import strip_turn
from sediment_mcp.transfer.json_lines import read_by_line
from sediment_mcp.transfer.normalize import parse_time
from sediment_mcp.transfer.records import Role, TranscriptFormat, Turn, TurnItem
from sediment_mcp.transfer.source import ReadLimits, Source
from sediment_mcp.transfer.turns import digest, get_fields, get_text, join_blocks

SOURCE_NAME = "codex"
ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant"}
EVENT_ROLES: dict[str, Role] = {"user_message": "user", "agent_message": "assistant"}
WRAPPERS = frozenset(
    {
        "compacted", "event_msg", "ghost_snapshot", "response_item", "session_meta", "token_usage_record",
        "turn_context", "world_state",
    }
)  # fmt: skip
BARE_KINDS = frozenset(
    {
        "message", "reasoning", "function_call", "function_call_output", "local_shell_call",
        "custom_tool_call", "custom_tool_call_output", "web_search_call",
    }
)  # fmt: skip
"""Types of lines in sessions of 2025, and of what a ``response_item`` holds."""


def is_line(fields: Mapping[str, Any]) -> bool:
    """Return True if this is a line of a transcript."""
    kind = get_text(fields, "type")
    if kind in WRAPPERS:
        return isinstance(fields.get("payload"), dict)
    is_header = {"id", "timestamp", "instructions"} <= fields.keys()
    is_message = kind == "message" and get_text(fields, "role") in (*ROLES, "developer", "system")
    return is_header or is_message or fields.get("record_type") == "state"


@dataclass(slots=True)
class _Session:
    """What is known of the session, and which messages still await their other line.

    ``pending`` counts, for each (line type, role, text), lines whose pair was not seen yet.
    """

    name: str | None = None
    folder: str | None = None
    pending: Counter[tuple[str, str, str]] = field(default_factory=Counter[tuple[str, str, str]])

    def read_header(self, fields: Mapping[str, Any]) -> None:
        self.name = get_text(fields, "id", "session_id") or self.name
        self.folder = get_text(fields, "cwd") or self.folder

    def is_pair(self, kind: str, other: str, role: str, text: str) -> bool:
        """Return whether the other line of this message was read already."""
        said = digest(strip_turn(text))
        if self.pending[other, role, said] > 0:
            self.pending[other, role, said] -= 1
            return True
        self.pending[kind, role, said] += 1
        return False


def read_turns(source: Source, limits: ReadLimits) -> Iterator[TurnItem]:
    """Yield what was said in a transcript."""
    session = _Session()
    return read_by_line(source, limits, lambda number, fields: _read_line(session, number, fields))


FORMAT = TranscriptFormat(read_turns, matches_line=is_line, has_header=True)


def _read_line(session: _Session, number: int, fields: Mapping[str, Any]) -> Iterable[Turn] | None:
    kind, payload = get_text(fields, "type"), get_fields(fields, "payload")
    if kind == "session_meta" or (kind is None and "id" in fields):
        session.read_header(payload or fields)
    elif kind == "turn_context":
        session.folder = session.folder or get_text(payload, "cwd")
    elif kind in ("response_item", "message"):
        return _read_message(f"line {number}", fields, payload or fields, session)
    elif kind == "event_msg":
        return _read_event(f"line {number}", fields, session)
    is_known = kind in WRAPPERS | BARE_KINDS or (kind is None and ("id" in fields or "record_type" in fields))
    return () if is_known else None


def _read_message(
    location: str, line: Mapping[str, Any], message: Mapping[str, Any], session: _Session
) -> Iterator[Turn]:
    role, text = ROLES.get(get_text(message, "role") or ""), join_blocks(message.get("content"))
    is_message = message.get("type") == "message" and role is not None and text.strip()
    if is_message and role and not session.is_pair("item", "event", role, text):
        yield _build_turn(location, line, role, text, session)


def _read_event(location: str, line: Mapping[str, Any], session: _Session) -> Iterator[Turn]:
    event = get_fields(line, "payload")
    role, text = EVENT_ROLES.get(get_text(event, "type") or ""), get_text(event, "message")
    if role and text and not session.is_pair("event", "item", role, text):
        yield _build_turn(location, line, role, text, session)


def _build_turn(location: str, line: Mapping[str, Any], role: Role, text: str, session: _Session) -> Turn:
    time = get_text(line, "timestamp")
    return Turn(
        location,
        role,
        text,
        SOURCE_NAME,
        (session.name or "", time or location, role, digest(text)),
        session=session.name,
        occurred_at=parse_time(time),
        folder=session.folder,
    )
