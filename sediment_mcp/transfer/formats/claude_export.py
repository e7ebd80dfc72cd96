"""Read ``conversations.json`` of an export from claude.ai.

It is a list of conversations, each with ``uuid``, ``name`` and ``chat_messages`` in their order, whose
``sender`` is "human" or "assistant". Known from 2023 to 2026: of 2023 has ``text`` alone, later ones
``content`` with blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, cast

from sediment_mcp.transfer.conversations import read_conversations
from sediment_mcp.transfer.normalize import parse_time
from sediment_mcp.transfer.records import Problem, Role, TranscriptFormat, Turn, TurnItem
from sediment_mcp.transfer.turns import digest, get_list, get_text, join_blocks

SOURCE_NAME = "claude.ai"
ROLES: dict[str, Role] = {"human": "user", "user": "user", "assistant": "assistant"}
_HEAD = re.compile(r'\[?\s*\{\s*"')


def is_head(head: str) -> bool:
    """Return True if a text begins as such an export."""
    return _HEAD.match(head) is not None and '"chat_messages"' in head and '"uuid"' in head


def _read_conversation(place: str, fields: Mapping[str, Any]) -> Iterator[TurnItem]:
    if not isinstance(fields.get("chat_messages"), list):
        yield Problem(place, "has no list chat_messages.")
        return
    session, title = get_text(fields, "uuid"), get_text(fields, "name")
    for number, message in enumerate(get_list(fields, "chat_messages"), start=1):
        text = _read_text(message)
        role = ROLES.get(get_text(message, "sender") or "")
        if role is None or not text.strip():
            continue
        time = get_text(message, "created_at")
        yield Turn(
            f"{place}, message {number}",
            role,
            text,
            SOURCE_NAME,
            (session or "", get_text(message, "uuid") or f"{number} {digest(text)}"),
            session=session,
            occurred_at=parse_time(time) or parse_time(fields.get("created_at")),
            title=title,
        )


def _read_text(message: object) -> str:
    """Return what was said, without calls of tools and their results."""
    fields = cast("dict[str, Any]", message) if isinstance(message, dict) else {}
    return join_blocks(fields.get("content")) or get_text(fields, "text") or ""


read_turns = partial(read_conversations, read_conversation=_read_conversation)
FORMAT = TranscriptFormat(read_turns, matches_head=is_head)
