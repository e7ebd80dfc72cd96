"""Read conversations of Cursor: ``agent-transcripts`` and the database ``state.vscdb``.

Transcripts are JSON lines of ``role`` and ``message`` without ids and times, so a turn is named by its line,
and has the file's time. In the database, table cursorDiskKV, "composerData:ID" lists the messages of a
conversation, each of which is "bubbleId:ID:MESSAGE" or stands in the list itself; its ``type`` is 1 for the
user. Databases of workspaces, beside it, say which conversation was held in which folder. Known from 0.43,
and transcripts from 2.4, to 3.18.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from sediment_mcp.errors import BadArgument
from sediment_mcp.storage.sqlite.foreign_file import ForeignDatabase, open_foreign
from sediment_mcp.system.project_root import parse_file_uri
from sediment_mcp.transfer.host_folders import find_slug_folder
from sediment_mcp.transfer.json_lines import read_by_line
from sediment_mcp.transfer.normalize import parse_time
from sediment_mcp.transfer.records import Problem, Role, TranscriptFormat, Turn, TurnItem
from sediment_mcp.transfer.source import ReadLimits, Source, is_sqlite
from sediment_mcp.transfer.turns import get_fields, get_list, get_text, join_blocks

SOURCE_NAME = "cursor"
ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant"}
BUBBLE_ROLES: dict[int, Role] = {1: "user", 2: "assistant"}
OTHER_KINDS = frozenset({"turn_ended"})
TABLE, ITEMS = "cursorDiskKV", "ItemTable"
COMPOSERS, WORKSPACE_COMPOSERS = "composerData:", "composer.composerData"
WITHIN_COMPOSERS = "key >= ? AND key < ?"  # by the index of the keys: the table may hold gigabytes
COMPOSER_RANGE = (COMPOSERS, COMPOSERS[:-1] + ";")
MAX_VALUE_CHARS = 16 * 1024 * 1024  # of one JSON value in the database
MAX_WORKSPACES = 2000


def is_line(fields: Mapping[str, Any]) -> bool:
    """Return True if this is a line of a transcript."""
    is_said = get_text(fields, "role") in ROLES and "content" in get_fields(fields, "message")
    return is_said and "sessionId" not in fields


def is_database(path: Path) -> bool:
    """Return True if this is Cursor's database of conversations.

    Raises:
        BadArgument: it cannot be read.
    """
    with open_foreign(path) as database:
        return TABLE in database.tables


def read_turns(source: Source, limits: ReadLimits) -> Iterator[TurnItem]:
    """Yield what was said in a transcript, or in all conversations of a database."""
    return _read_database(source) if is_sqlite(source.head()) else _read_lines(source, limits)


FORMAT = TranscriptFormat(read_turns, matches_line=is_line)


# --- transcripts --------------------------------------------------------------------------------


def _read_lines(source: Source, limits: ReadLimits) -> Iterator[TurnItem]:
    folder, session, time = _find_folder(source.path), source.path.stem, _get_time(source.path)

    def read_line(number: int, fields: Mapping[str, Any]) -> Iterable[Turn] | None:
        role = ROLES.get(get_text(fields, "role") or "")
        text = join_blocks(get_fields(fields, "message").get("content"))
        if role is None:
            return () if get_text(fields, "type") in OTHER_KINDS else None
        key = (session, str(number))
        turn = Turn(f"line {number}", role, text, SOURCE_NAME, key, session, time, folder)
        return [turn] if text.strip() else []

    return read_by_line(source, limits, read_line)


def _get_time(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, OverflowError, ValueError):
        return None


def _find_folder(path: Path) -> str | None:
    """Return the folder of a transcript at ``projects/SLUG/agent-transcripts/ID/ID.jsonl``."""
    place = next((parent for parent in path.parents if parent.name == "agent-transcripts"), None)
    return find_slug_folder(place.parent.name) if place is not None else None


# --- the database -------------------------------------------------------------------------------


def list_conversations(path: Path) -> list[str]:
    """Return the names of the conversations in a database.

    Raises:
        BadArgument: it cannot be read.
    """
    with open_foreign(path) as database:
        rows = list(database.rows(TABLE, ("key",), WITHIN_COMPOSERS, COMPOSER_RANGE))
    return [str(key).removeprefix(COMPOSERS) for (key,) in rows]


def _read_database(source: Source) -> Iterator[TurnItem]:
    path = source.path
    folders = _read_workspaces(path.parent.parent / "workspaceStorage")
    try:
        with open_foreign(path) as database:
            yield from _read_composers(database, folders)
        source.finish()
    except BadArgument as error:
        yield Problem(source.name, str(error))


def _read_composers(database: ForeignDatabase, folders: Mapping[str, str]) -> Iterator[TurnItem]:
    for key, value in database.rows(TABLE, ("key", "value"), WITHIN_COMPOSERS, COMPOSER_RANGE):
        name = str(key).removeprefix(COMPOSERS)
        composer = _parse(value)
        if isinstance(composer, dict):
            yield from _read_composer(database, name, cast("dict[str, Any]", composer), folders.get(name))
        elif value is not None:
            yield Problem(f"conversation {name}", "is no whole JSON object.")


def _read_composer(
    database: ForeignDatabase, name: str, composer: Mapping[str, Any], folder: str | None
) -> Iterator[Turn]:
    began = parse_time(composer.get("createdAt"))
    title = get_text(composer, "name")
    for bubble_id, bubble in _list_bubbles(database, name, composer):
        kind = bubble.get("type")
        role = BUBBLE_ROLES.get(kind) if isinstance(kind, int) else None
        text = get_text(bubble, "text") or ""
        if role is not None and text.strip():
            time = parse_time(bubble.get("createdAt")) or began
            place = f"conversation {name}, message {bubble_id}"
            yield Turn(place, role, text, SOURCE_NAME, (name, bubble_id), name, time, folder, title)


def _list_bubbles(
    database: ForeignDatabase, name: str, composer: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (id, message) in the order of the conversation."""
    headers = get_list(composer, "conversation") or get_list(composer, "fullConversationHeadersOnly")
    for number, header in enumerate(headers):
        bubble_id = get_text(header, "bubbleId") or str(number)
        if isinstance(header, dict) and "text" in header:
            yield bubble_id, cast("dict[str, Any]", header)
            continue
        for (value,) in database.rows(TABLE, ("value",), "key = ?", (f"bubbleId:{name}:{bubble_id}",)):
            bubble = _parse(value)
            if isinstance(bubble, dict):
                yield bubble_id, cast("dict[str, Any]", bubble)


def _parse(value: object) -> object:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    try:
        return json.loads(text) if isinstance(text, str) and len(text) <= MAX_VALUE_CHARS else None
    except (ValueError, RecursionError):
        return None


def _read_workspaces(storage: Path) -> dict[str, str]:
    """Return the folder of each conversation that a workspace's database names."""
    found: dict[str, str] = {}
    try:
        places = sorted(storage.iterdir())[:MAX_WORKSPACES]
    except OSError:
        return found
    for place in places:
        try:
            description = json.loads((place / "workspace.json").read_bytes())
            folder = parse_file_uri(get_text(description, "folder") or "")
            names = _list_composers(place / "state.vscdb") if folder else []
        except (OSError, ValueError, RecursionError, BadArgument):
            continue
        found |= dict.fromkeys(names, folder or "")
    return found


def _list_composers(path: Path) -> list[str]:
    with open_foreign(path) as database:
        rows = list(database.rows(ITEMS, ("value",), "key = ?", (WORKSPACE_COMPOSERS,)))
    composers = get_list(_parse(rows[0][0]), "allComposers") if rows else []
    return [name for one in composers if (name := get_text(one, "composerId"))]
