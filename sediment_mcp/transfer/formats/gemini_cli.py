"""Read chats of Gemini CLI: ``~/.gemini/tmp/*/chats/session-*`` and ``logs.json``.

Up to 2025 a chat was one JSON object with ``messages``; since then it is JSON lines: first the session, then
messages, of which a later one takes the place of an earlier one with its id, and ``$rewindTo``, with which
the user has taken back a message and all after it. ``logs.json`` has what the user typed, for chats whose
own file is gone. The folder of a chat is named in a file beside it. Known from version 0.4 to 0.61.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from sediment_mcp.transfer.json_lines import UnknownKinds, read_lines
from sediment_mcp.transfer.normalize import parse_time, read_document
from sediment_mcp.transfer.records import Note, Problem, Role, TranscriptFormat, Turn, TurnItem
from sediment_mcp.transfer.source import ReadLimits, Source
from sediment_mcp.transfer.turns import digest, get_list, get_text, join_blocks

SOURCE_NAME = "gemini-cli"
ROLES: dict[str, Role] = {"user": "user", "gemini": "assistant"}
OTHER_KINDS = frozenset({"info", "error", "warning"})
COMMAND_SIGNS = ("/", "?")  # a message that begins so is a command of the program, as it says itself
ROOT_FILE = ".project_root"  # beside the folder of chats: the folder that they were held in
MAX_ROOT_BYTES = 4096
LOG_FIELDS = {"sessionId", "messageId", "type", "message"}


def is_line(fields: Mapping[str, Any]) -> bool:
    """Return True if this is the first line of a chat, or a chat as a whole."""
    return isinstance(fields.get("sessionId"), str) and "projectHash" in fields


def is_head(head: str) -> bool:
    """Return True if a text begins as a chat, or as the list of what the user typed."""
    start = head[:2000]
    is_chat = start.startswith("{") and '"sessionId"' in start and '"projectHash"' in start
    return is_chat or (start.startswith("[") and all(f'"{name}"' in start for name in LOG_FIELDS))


def read_turns(source: Source, limits: ReadLimits) -> Iterator[TurnItem]:
    """Yield what was said in a chat, without what the user has taken back."""
    if source.path.suffix.lower() == ".jsonl":
        yield from _read_lines(source, limits)
    else:
        yield from _read_document(source, limits)


FORMAT = TranscriptFormat(read_turns, matches_line=is_line, matches_head=is_head, has_header=True)


def _read_lines(source: Source, limits: ReadLimits) -> Iterator[TurnItem]:
    header: dict[str, Any] = {}
    messages: dict[str, tuple[int, dict[str, Any]]] = {}
    for line in read_lines(source, limits):
        if isinstance(line, Problem):
            yield line
            continue
        number, fields = line
        rewound, message_id = get_text(fields, "$rewindTo"), get_text(fields, "id")
        if rewound is not None:
            _take_back(messages, rewound)
        elif message_id is not None:
            messages[message_id] = number, fields
        elif is_line(fields):
            header |= fields
    numbered = [(f"line {number}", fields) for number, fields in messages.values()]
    yield from _read_messages(source, header, numbered)


def _take_back(messages: dict[str, tuple[int, dict[str, Any]]], message_id: str) -> None:
    """Remove a message and all after it."""
    ids = list(messages)
    for later in ids[ids.index(message_id) if message_id in messages else 0 :]:
        del messages[later]


def _read_document(source: Source, limits: ReadLimits) -> Iterator[TurnItem]:
    document = read_document(source, limits)
    if isinstance(document, Problem):
        yield document
        return
    chat = cast("dict[str, Any]", document.value) if isinstance(document.value, dict) else {}
    found = cast("object", chat.get("messages") if chat else document.value)
    if not isinstance(found, list):
        yield Problem(source.name, "has no list of messages.")
        return
    entries = enumerate(cast("list[object]", found), start=1)
    messages = [(f"message {n}", cast("dict[str, Any]", e)) for n, e in entries if isinstance(e, dict)]
    yield from _read_messages(source, chat, messages)


def _read_messages(
    source: Source, header: Mapping[str, Any], messages: Iterable[tuple[str, Mapping[str, Any]]]
) -> Iterator[TurnItem]:
    if header.get("kind") == "subagent":
        yield Note(source.name, "is of an agent that another one has called: left out.")
        return
    unknown, folder = UnknownKinds(), _find_folder(source.path, header)
    for location, fields in messages:
        kind = get_text(fields, "type")
        text = join_blocks(fields.get("content", fields.get("message")))
        if (role := ROLES.get(kind or "")) is not None:
            if text.strip() and not (role == "user" and text.lstrip().startswith(COMMAND_SIGNS)):
                yield _build_turn(location, fields, role, text, header=header, folder=folder)
        elif kind not in OTHER_KINDS:
            unknown.add(kind)
    yield from unknown.describe(source.name)


def _build_turn(
    location: str,
    fields: Mapping[str, Any],
    role: Role,
    text: str,
    *,
    header: Mapping[str, Any],
    folder: str | None,
) -> Turn:
    session = get_text(header, "sessionId") or get_text(fields, "sessionId")
    number, time = fields.get("messageId"), get_text(fields, "timestamp")
    message_id = get_text(fields, "id") or (f"{number}" if isinstance(number, int) else None)
    return Turn(
        location,
        role,
        text,
        SOURCE_NAME,
        (session or "", message_id or f"{time or location} {digest(text)}"),
        session=session,
        occurred_at=parse_time(time),
        folder=folder,
    )


def _find_folder(path: Path, header: Mapping[str, Any]) -> str | None:
    """Return the folder that a chat was held in, by the file beside it or by the chat itself."""
    for parent in list(path.parents)[:2]:
        try:
            with (parent / ROOT_FILE).open("rb") as stream:
                return stream.read(MAX_ROOT_BYTES).decode("utf-8", "replace").strip() or None
        except (OSError, ValueError):
            continue
    return next((folder for folder in get_list(header, "directories") if isinstance(folder, str)), None)
