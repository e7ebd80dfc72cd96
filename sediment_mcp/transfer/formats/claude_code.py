"""Read transcripts of Claude Code: ``~/.claude/projects/*/*.jsonl``.

A line is a JSON object with ``type``, ``uuid``, ``sessionId``, ``cwd`` and ``timestamp``. What the user has
typed is of type "user", and so are results of tools, reminders and summaries, which are marked or are blocks
of another type. Known from versions 1.0 to 2.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sediment_mcp.transfer.json_lines import read_by_line
from sediment_mcp.transfer.normalize import parse_time
from sediment_mcp.transfer.records import TranscriptFormat, Turn, TurnItem
from sediment_mcp.transfer.source import ReadLimits, Source
from sediment_mcp.transfer.turns import digest, get_fields, get_text, join_blocks

SOURCE_NAME = "claude-code"
SAID_KINDS = ("user", "assistant")
OTHER_KINDS = frozenset(
    {
        "agent-color", "agent-name", "agent-setting", "ai-title", "api-request", "api-request-blob",
        "api-request-shape", "atis-latch", "attachment", "attribution-snapshot", "compact-boundary",
        "content-replacement", "context-collapse", "cost-state", "custom-title",
        "file-history-snapshot", "last-prompt", "mode", "permission-mode", "pr-link", "progress",
        "queue-operation", "speculation-accept", "started", "result", "summary", "system", "tag",
        "task-summary", "worktree-state",
    }
)  # fmt: skip
"""Types of lines that hold nothing that anybody has said."""

NOT_SAID = ("isMeta", "isSidechain", "isCompactSummary", "isVisibleInTranscriptOnly", "isApiErrorMessage")
"""Marks of lines that the program has written itself, or that belong to another agent."""


def is_line(fields: Mapping[str, Any]) -> bool:
    """Return True if this is a line of a transcript."""
    kind = get_text(fields, "type")
    if kind in SAID_KINDS:
        return isinstance(fields.get("sessionId"), str) and isinstance(fields.get("message"), dict)
    named = ("sessionId", "leafUuid", "messageId")
    return kind in OTHER_KINDS and any(isinstance(fields.get(name), str) for name in named)


def read_turns(source: Source, limits: ReadLimits) -> Iterator[TurnItem]:
    """Yield what was said in a transcript."""
    return read_by_line(source, limits, _read_line)


FORMAT = TranscriptFormat(read_turns, matches_line=is_line)


def _read_line(number: int, fields: Mapping[str, Any]) -> Iterable[Turn] | None:
    kind = get_text(fields, "type")
    if kind in SAID_KINDS:
        return _read_turn(f"line {number}", fields)
    return () if kind in OTHER_KINDS else None


def _read_turn(location: str, fields: Mapping[str, Any]) -> Iterator[Turn]:
    message = get_fields(fields, "message")
    text = join_blocks(message.get("content"))
    by_human = get_text(get_fields(fields, "origin"), "kind") in (None, "human")
    if not text.strip() or not by_human or any(fields.get(mark) is True for mark in NOT_SAID):
        return
    if message.get("model") == "<synthetic>":
        return
    session, time = get_text(fields, "sessionId"), get_text(fields, "timestamp")
    uuid = get_text(fields, "uuid")
    yield Turn(
        location,
        "assistant" if get_text(fields, "type") == "assistant" else "user",
        text,
        SOURCE_NAME,
        (uuid,) if uuid else (session or "", time or "", digest(text)),
        session=session,
        occurred_at=parse_time(time),
        folder=get_text(fields, "cwd"),
    )
