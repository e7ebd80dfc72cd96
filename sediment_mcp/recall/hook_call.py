"""One call of a hook: what the host has said on standard input, whatever its spelling.

Hosts name the same things differently (``session_id``, ``sessionId``, ``conversation_id``), and send JSON
that nobody has checked. What cannot be read, or is of another type, is absent; nothing here raises an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    from sediment_mcp.config import Config

MAX_INPUT_BYTES = 4 * 1024 * 1024  # of what a host sends; a prompt with a pasted log has up to a megabyte
BLOCK = 64 * 1024  # bytes read at once

SESSION = ("session_id", "sessionId", "conversation_id", "conversationId")
FOLDER = ("cwd", "workingDirectory")
ROOTS = ("workspace_roots", "workspaceRoots")
PROMPT = ("prompt", "user_prompt", "userPrompt")
SOURCE = ("source", "trigger")
TRANSCRIPT = ("transcript_path", "transcriptPath")


@dataclass(frozen=True, slots=True)
class HookCall:
    """What a hook is called with; a text that the host has not sent is empty.

    ``event`` is our name of the event, ``source`` why a session starts (startup, resume, clear, compact).
    ``fields`` is all that the host has sent.
    """

    event: str
    host: str
    config: Config
    session: str
    folder: str
    prompt: str
    source: str
    transcript: str
    fields: Mapping[str, Any]


def build_call(event: str, host: str, config: Config, data: bytes) -> HookCall:
    """Return the call that the input of a hook describes."""
    fields = parse_fields(data)
    folder = _find_text(fields, FOLDER) or next(iter(_find_texts(fields, ROOTS)), "")
    return HookCall(
        event=event,
        host=host,
        config=config,
        session=_find_text(fields, SESSION),
        folder=folder,
        prompt=_find_text(fields, PROMPT),
        source=_find_text(fields, SOURCE),
        transcript=_find_text(fields, TRANSCRIPT),
        fields=fields,
    )


def read_input(stream: BinaryIO) -> bytes:
    """Return what the host sends, up to its end; nothing if it is longer than `MAX_INPUT_BYTES`.

    All of it is read: a host may take a closed pipe for an error.
    """
    blocks: list[bytes] = []
    size = 0
    while block := stream.read(BLOCK):
        size += len(block)
        if size <= MAX_INPUT_BYTES:
            blocks.append(block)
    return b"".join(blocks) if size <= MAX_INPUT_BYTES else b""


def parse_fields(data: bytes) -> Mapping[str, Any]:
    """Return the JSON object in the input; an empty one if there is none."""
    from sediment_mcp.system.text import valid_text

    try:
        fields: Any = json.loads(valid_text(data.decode("utf-8-sig", "replace")))
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", fields) if isinstance(fields, dict) else {}


def find_project(call: HookCall) -> str | None:
    """Return the project: what the user has configured, else that of the host's folder."""
    from pathlib import Path

    from sediment_mcp.system.project_root import find_project_of_roots, normalize_project

    configured = call.config.project
    if configured is not None:
        return normalize_project(configured) if configured else None
    try:
        return find_project_of_roots([Path(call.folder).as_uri()]) if call.folder else None
    except ValueError:  # a relative path, which names another folder for the host than here
        return None


def _find_text(fields: Mapping[str, Any], names: Iterable[str]) -> str:
    """Return the first text that stands under one of the names."""
    from sediment_mcp.system.text import valid_text

    found = (fields.get(name) for name in names)
    return valid_text(next((value for value in found if isinstance(value, str) and value), ""))


def _find_texts(fields: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Return the texts of the first list that stands under one of the names."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, list):
            return [item for item in cast("list[Any]", value) if isinstance(item, str) and item]
    return []
