"""Transcripts and databases of other assistants, as they write them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NOON = "2026-05-01T12:00:00.000Z"


def json_lines(*objects: Mapping[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in objects)


def claude(text: object, number: int = 1, **fields: Any) -> dict[str, Any]:
    role = fields.get("type", "user")
    return {
        "type": role, "uuid": f"u{number}", "sessionId": "s1", "cwd": "/nowhere/shop", "timestamp": NOON,
        "message": {"role": role, "content": text}, **fields,
    }  # fmt: skip


def codex(kind: str, payload: Mapping[str, Any], time: str = NOON) -> dict[str, Any]:
    return {"timestamp": time, "type": kind, "payload": payload}


def codex_message(text: str, role: str = "user") -> dict[str, Any]:
    block = {"type": "input_text" if role == "user" else "output_text", "text": text}
    return codex("response_item", {"type": "message", "role": role, "content": [block]})


META = codex("session_meta", {"id": "c1", "cwd": "/nowhere/shop", "cli_version": "0.169.0"})


def copilot(kind: str, number: int = 1, **data: Any) -> dict[str, Any]:
    return {"type": kind, "data": data, "id": f"e{number}", "timestamp": NOON, "parentId": None}


COPILOT = [
    copilot("session.start", 0, sessionId="p1", context={"cwd": "/nowhere/shop"}),
    copilot("user.message", 1, content="Which port?", transformedContent="<current_datetime/> Which port?"),
    copilot("system.message", 2, role="system", content="You are an assistant."),
    copilot("assistant.message", 3, content="It is 5433.", toolRequests=[]),
]


CHAT: dict[str, Any] = {"sessionId": "g1", "projectHash": "h", "startTime": NOON, "lastUpdated": NOON}


def gemini(text: object, number: int = 1, kind: str = "user") -> dict[str, Any]:
    return {"id": f"m{number}", "timestamp": NOON, "type": kind, "content": text}


def cursor(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "message": {"content": [{"type": "text", "text": text}]}}


def write_database(path: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    for table, rows in tables.items():
        columns = list(rows[0])
        connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", [[*row.values()] for row in rows])
    connection.commit()
    connection.close()
    return path


def write_cursor_database(user: Path) -> Path:
    composer = {
        "name": "Ports", "createdAt": 1777636800000,
        "fullConversationHeadersOnly": [{"bubbleId": "b1", "type": 1}, {"bubbleId": "b2", "type": 2}],
    }  # fmt: skip
    inline = {"createdAt": 1777636800000, "conversation": [{"bubbleId": "b3", "type": 1, "text": "Older."}]}
    rows = [
        {"key": "composerData:c1", "value": json.dumps(composer)},
        {"key": "bubbleId:c1:b1", "value": json.dumps({"type": 1, "text": "Which port?"})},
        {"key": "bubbleId:c1:b2", "value": json.dumps({"type": 2, "text": "It is 5433."}).encode()},
        {"key": "composerData:c2", "value": json.dumps(inline)},
        {"key": "composerData:c3", "value": "{broken"},
        {"key": "composerData:c4", "value": None},
    ]
    workspace = user / "workspaceStorage" / "w1"
    listed = {"key": "composer.composerData", "value": json.dumps({"allComposers": [{"composerId": "c1"}]})}
    write_database(workspace / "state.vscdb", {"ItemTable": [listed]})
    (workspace / "workspace.json").write_text(json.dumps({"folder": "file:///nowhere/shop"}))
    return write_database(user / "globalStorage" / "state.vscdb", {"cursorDiskKV": rows})


def write_claude_mem(path: Path) -> Path:
    return write_database(
        path,
        {
            "user_prompts": [
                {"id": 1, "content_session_id": "s", "prompt_number": 1, "prompt_text": "Which port?",
                 "created_at_epoch": 1777636800000},
            ],
            "observations": [
                {"id": 1, "memory_session_id": "s", "project": "shop", "type": "decision",
                 "title": "The port", "subtitle": None, "facts": '["It is 5433."]',
                 "narrative": "We chose it.", "concepts": '["net"]', "created_at_epoch": 1777636800000},
                {"id": 2, "memory_session_id": "s", "project": "shop", "type": "bugfix", "title": "Mended",
                 "subtitle": None, "facts": "no json", "narrative": None, "concepts": None,
                 "created_at_epoch": 1777636800000},
            ],
            "session_summaries": [
                {"id": 1, "sdk_session_id": "s", "project": "shop", "request": "Find it", "learned": "5433",
                 "created_at": NOON},
            ],
        },
    )  # fmt: skip
