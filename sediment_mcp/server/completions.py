"""Completion of the arguments of prompts and resource templates, while a person types them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sediment_mcp.operations.arguments import MAX_SESSION_CHARS
from sediment_mcp.operations.stores import join_counts, list_stores
from sediment_mcp.server.jsonrpc import Message
from sediment_mcp.server.protocol_errors import raise_protocol_errors

if TYPE_CHECKING:
    from sediment_mcp.app import Application

MAX_COMPLETIONS = 100  # the protocol allows no more in one answer


def complete(app: Application, argument: str, prefix: str) -> Message:
    """Complete an argument that begins with ``prefix``.

    Raises:
        ProtocolError: the database cannot be read.
    """
    with raise_protocol_errors():
        found = _find_values(app, argument, prefix) if len(prefix) <= MAX_SESSION_CHARS else []
    values = found[:MAX_COMPLETIONS]
    has_more = len(values) < len(found)
    return {"completion": {"hasMore": has_more, "total": len(found), "values": values}}


def _find_values(app: Application, argument: str, prefix: str) -> list[str]:
    """Find values that begin with the prefix.

    A tag or a topic is completed by tags, the most used first; a session by sessions, the latest first.
    Other arguments have no completions.
    """
    tags: list[Mapping[str, int]] = []
    sessions: list[str] = []
    for store in list_stores(app):
        with store.storage.read() as session:
            if argument in ("tag", "topic"):
                tags.append(session.statistics.tags(app.now(), prefix))
            elif argument == "session":
                sessions += session.statistics.sessions(prefix)
    return list(join_counts(tags)) if tags else list(dict.fromkeys(sessions))
