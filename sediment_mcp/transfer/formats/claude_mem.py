"""Read the database of claude-mem: ``~/.claude-mem/claude-mem.db``.

Its tables are ``user_prompts``, ``observations`` (what a model has made of the calls of tools) and
``session_summaries``. Columns have changed their names: each is looked for under all of them. Projects are
names of folders without their path there, so they become tags. Known from version 4 to 10.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from sediment_mcp.errors import BadArgument
from sediment_mcp.storage.sqlite.foreign_file import ForeignDatabase, open_foreign
from sediment_mcp.transfer.normalize import normalize_memory, normalize_session, parse_time
from sediment_mcp.transfer.records import Format, Item, MemoryRecord, Origin, Problem, Turn
from sediment_mcp.transfer.source import ReadLimits, Source, is_sqlite
from sediment_mcp.transfer.turns import build_items

SOURCE_NAME = "claude-mem"
PROMPTS, OBSERVATIONS, SUMMARIES = "user_prompts", "observations", "session_summaries"
SESSION_COLUMNS = (
    "content_session_id", "claude_session_id", "memory_session_id", "sdk_session_id", "session_id",
)  # fmt: skip
TIME_COLUMNS = ("created_at_epoch", "created_at")
TEXT_COLUMNS = ("narrative", "text")
SUMMARY_COLUMNS = ("request", "investigated", "learned", "completed", "next_steps", "notes")
LASTING_TYPES = ("decision", "discovery")  # of observations that stay true; others tell what was done


def is_database(path: Path) -> bool:
    """Return True if this is claude-mem's database.

    Raises:
        BadArgument: it cannot be read.
    """
    with open_foreign(path) as database:
        return not {PROMPTS, OBSERVATIONS}.isdisjoint(database.tables)


def read(source: Source, limits: ReadLimits) -> Iterator[Item]:
    """Yield what the user has typed, each observation and each summary."""
    if not is_sqlite(source.head()):
        yield Problem(source.name, "is no SQLite database: give the file claude-mem.db.")
        return
    try:
        with open_foreign(source.path) as database:
            yield from build_items(_read_prompts(database), "user")
            yield from _read_observations(database)
            yield from _read_summaries(database)
        source.finish()
    except BadArgument as error:
        yield Problem(source.name, str(error))


FORMAT = Format(read)


def _read_table(database: ForeignDatabase, table: str, *columns: str) -> Iterator[dict[str, Any]]:
    names = ("id", *SESSION_COLUMNS, *TIME_COLUMNS, *columns)
    for row in database.rows(table, names, "1 ORDER BY rowid"):
        yield {name: value for name, value in zip(names, row, strict=True) if value not in (None, "")}


def _find(row: dict[str, Any], names: tuple[str, ...]) -> object:
    return next((row[name] for name in names if name in row), None)


def _read_prompts(database: ForeignDatabase) -> Iterator[Turn]:
    for row in _read_table(database, PROMPTS, "prompt_text"):
        if isinstance(text := row.get("prompt_text"), str):
            session = normalize_session(_find(row, SESSION_COLUMNS))
            time = parse_time(_find(row, TIME_COLUMNS))
            number = str(row.get("id"))
            yield Turn(f"prompt {number}", "user", text, SOURCE_NAME, ("prompt", number), session, time)


def _read_observations(database: ForeignDatabase) -> Iterator[Item]:
    columns = ("project", "type", "title", "subtitle", "facts", "concepts", *TEXT_COLUMNS)
    for row in _read_table(database, OBSERVATIONS, *columns):
        facts = [f"- {fact}" for fact in _read_list(row.get("facts"))]
        parts = [row.get("title"), row.get("subtitle"), _find(row, TEXT_COLUMNS), "\n".join(facts)]
        kind = "semantic" if row.get("type") in LASTING_TYPES else "episodic"
        tags = [row.get("type"), row.get("project"), *_read_list(row.get("concepts"))]
        yield from _build(row, "observation", parts, tags, kind)


def _read_summaries(database: ForeignDatabase) -> Iterator[Item]:
    for row in _read_table(database, SUMMARIES, "project", *SUMMARY_COLUMNS):
        parts = [
            f"{name.replace('_', ' ').capitalize()}: {row[name]}" for name in SUMMARY_COLUMNS if name in row
        ]
        yield from _build(row, "summary", parts, ["summary", row.get("project")], "episodic")


def _build(row: dict[str, Any], name: str, parts: list[Any], tags: list[Any], kind: str) -> Iterator[Item]:
    items = normalize_memory(
        f"{name} {row.get('id')}",
        "\n\n".join(part for part in parts if isinstance(part, str) and part.strip()),
        tags=tags,
        metadata={"source": SOURCE_NAME, "project": row.get("project")},
        occurred_at=parse_time(_find(row, TIME_COLUMNS)),
        kind=kind,
        session=normalize_session(_find(row, SESSION_COLUMNS)),
    )
    for number, item in enumerate(items):
        key = (SOURCE_NAME, name, str(row.get("id")), str(number))
        yield replace(item, origin=Origin(None, key)) if isinstance(item, MemoryRecord) else item


def _read_list(value: object) -> list[str]:
    """Return the texts of a list that is written as JSON."""
    try:
        found: object = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return []
    return (
        [one for one in cast("list[object]", found) if isinstance(one, str)]
        if isinstance(found, list)
        else []
    )
