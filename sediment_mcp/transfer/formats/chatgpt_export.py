"""Read ``conversations.json`` of an export from ChatGPT, or one of its parts since 2026.

A conversation is a tree of nodes, ``mapping``, because messages can be edited and answered anew: what
counts is the path from ``current_node`` up to the root. Exports of 2026 are split into
``conversations-000.json`` and so on, leave out links to children and the metadata of some messages, and have
the model's name at the conversation. Hidden nodes, such as ``user_editable_context`` with the custom
instructions, were not said in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from sediment_mcp.transfer.conversations import read_conversations
from sediment_mcp.transfer.normalize import parse_time
from sediment_mcp.transfer.records import Problem, Role, TranscriptFormat, Turn, TurnItem
from sediment_mcp.transfer.turns import get_fields, get_list, get_text

SOURCE_NAME = "chatgpt"
ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant"}
SAID_TYPES = (None, "text", "multimodal_text")
HIDDEN_MARKS = ("is_visually_hidden_from_conversation", "is_user_system_message")
TO_ALL = (None, "all")  # recipients of what is said to the user; others are tools
_HEAD = re.compile(r'\[?\s*\{\s*"')


def is_head(head: str) -> bool:
    """Return True if a text begins as such an export."""
    return (
        _HEAD.match(head) is not None
        and '"mapping"' in head
        and any(f'"{name}"' in head for name in ("create_time", "conversation_id", "current_node"))
    )


def _read_conversation(place: str, fields: Mapping[str, Any]) -> Iterator[TurnItem]:
    nodes = get_fields(fields, "mapping")
    if not nodes:
        yield Problem(place, "has no messages (mapping).")
        return
    session = get_text(fields, "conversation_id", "id")
    title = get_text(fields, "title")
    for number, (node_id, message) in enumerate(_list_messages(fields, nodes), start=1):
        role = ROLES.get(get_text(get_fields(message, "author"), "role") or "")
        text = _read_text(message)
        if role is not None and text.strip():
            yield Turn(
                f"{place}, message {number}",
                role,
                text,
                SOURCE_NAME,
                (session or "", get_text(message, "id") or node_id),
                session=session,
                occurred_at=parse_time(message.get("create_time")) or parse_time(fields.get("create_time")),
                title=title,
            )


def _list_messages(fields: Mapping[str, Any], nodes: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the messages that the user saw last, or all by their time if that is not said."""
    path: list[tuple[str, dict[str, Any]]] = []
    node_id, seen = get_text(fields, "current_node"), set[str]()
    while node_id is not None and node_id in nodes and node_id not in seen:
        seen.add(node_id)
        if message := get_fields(nodes[node_id], "message"):
            path.append((node_id, message))
        node_id = get_text(nodes[node_id], "parent")
    if path:
        return path[::-1]
    found = [(name, message) for name, node in nodes.items() if (message := get_fields(node, "message"))]
    return sorted(found, key=lambda one: _get_seconds(one[1]))


def _get_seconds(message: Mapping[str, Any]) -> float:
    time = parse_time(message.get("create_time"))
    return time.timestamp() if time else 0.0


def _read_text(message: Mapping[str, Any]) -> str:
    """Return what was said; empty for what is hidden, a thought, or a call of a tool."""
    content, metadata = get_fields(message, "content"), get_fields(message, "metadata")
    is_hidden = any(metadata.get(mark) for mark in HIDDEN_MARKS)
    if is_hidden or get_text(message, "recipient") not in TO_ALL:
        return ""
    if get_text(content, "content_type") not in SAID_TYPES:
        return ""
    return (
        "\n".join(filter(None, map(_read_part, get_list(content, "parts"))))
        or get_text(content, "text")
        or ""
    )


def _read_part(part: object) -> str:
    """Return a part that is text, or the text of what was spoken."""
    return part if isinstance(part, str) else get_text(part, "text") or ""


read_turns = partial(read_conversations, read_conversation=_read_conversation)
FORMAT = TranscriptFormat(read_turns, matches_head=is_head)
