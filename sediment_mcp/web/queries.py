"""Queries: what the page shows.

Arguments are those of the tools, and checked as the tools check them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, get_args

from sediment_mcp import __version__
from sediment_mcp.config import NO_MODEL
from sediment_mcp.domain.memory import MAX_TAGS, Kind
from sediment_mcp.domain.retention import TRASH_LIFE
from sediment_mcp.embeddings.loader import LOADING
from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.arguments import (
    MAX_CONTENT_CHARS,
    ListMemories,
    QueryMemory,
    parse_arguments,
)
from sediment_mcp.operations.capture_state import read_state
from sediment_mcp.operations.captured import list_captured
from sediment_mcp.operations.history import history
from sediment_mcp.operations.language_hint import find_language_hint
from sediment_mcp.operations.list_memories import list_memories
from sediment_mcp.operations.query_memory import query_memory
from sediment_mcp.operations.results import HistoryResult, ListResult, QueryResult, TrashResult
from sediment_mcp.operations.signals import SIGNALS
from sediment_mcp.operations.stats import stats
from sediment_mcp.operations.trash import list_deleted
from sediment_mcp.system.text import HIDDEN, SHOWN_AS
from sediment_mcp.web.request import RequestArguments, RequestContext, RequestHandler, parse_id, take_project
from sediment_mcp.web.similar_pairs import list_similar_pairs
from sediment_mcp.web.text_diff import diff_texts

MAX_SEARCH_CHARS = 12_000  # of all results of a search; each comes as its best passage at least
MAX_TRASH = 1000  # memories of the trash in one answer
MAX_SESSIONS = 200  # names to choose from; any other can be typed


def search_memories(context: RequestContext, arguments: RequestArguments) -> QueryResult:
    """Search, as `query_memory` does."""
    project = take_project(context, arguments)
    query = parse_arguments(QueryMemory, {"max_chars": MAX_SEARCH_CHARS, "explain": True, **arguments})
    return query_memory(context.app, query, project)


def browse_memories(context: RequestContext, arguments: RequestArguments) -> ListResult:
    """List memories, as `list_memories` does."""
    project = take_project(context, arguments)
    return list_memories(context.app, parse_arguments(ListMemories, arguments), project)


def get_versions(context: RequestContext, arguments: RequestArguments) -> HistoryResult:
    """Return a memory whole, with all its versions; it may be current, superseded or deleted."""
    return history(context.app, parse_id(arguments), context.project)


def compare_versions(context: RequestContext, arguments: RequestArguments) -> dict[str, Any]:
    """Return how the text of a version differs from that of another one of the same memory."""
    texts = {version["id"]: version["content"] for version in get_versions(context, arguments)["versions"]}
    old = texts.get(str(arguments.get("from")))
    if old is None:
        raise BadArgument("These two are not versions of one memory: open its history again.")
    return {"difference": diff_texts(old, texts[parse_id(arguments)])}


def list_trash(context: RequestContext, arguments: RequestArguments) -> TrashResult:
    """Return the memories in the trash, up to ``limit``."""
    limit = arguments.get("limit", 50)
    if not isinstance(limit, int) or not 1 <= limit <= MAX_TRASH:
        raise BadArgument(f"limit must be a whole number from 1 to {MAX_TRASH}.")
    return list_deleted(context.app, limit, context.project)


def list_turns(context: RequestContext, arguments: RequestArguments) -> dict[str, Any]:
    """Return captured turns, newest first, and whether capture is on."""
    result = list_captured(context.app, parse_arguments(ListMemories, arguments), context.project)
    state = read_state(context.app.config.store_dir, context.app.encryption)
    return {**result, "on": state.since is not None}


def get_overview(context: RequestContext, arguments: RequestArguments) -> Mapping[str, Any]:
    """Return counts of memories, the sessions to choose from, latest first, and a hint."""
    app = context.app
    with app.storage.read() as session:
        sessions = session.statistics.sessions()
        hint = find_language_hint(session, app.config.model, app.now())
    return {**stats(app), "session_names": sessions[:MAX_SESSIONS], "language_hint": hint}


def get_status(context: RequestContext, arguments: RequestArguments) -> dict[str, Any]:
    """Return whether search by meaning works yet, and the facts that the page needs.

    It does not wait for the model.
    """
    app = context.app
    embedder = app.model.get()
    problem = "" if embedder else app.model.problem
    return {
        "version": __version__,
        "directory": os.path.realpath(app.config.store_dir),
        "project": context.project,
        "team": app.config.team,
        "model": app.config.model,
        "meaning": "ready" if embedder else _describe_missing_model(app.config.model, problem),
        "problem": problem,
        "backlog": app.services.embedding_queue.size,
        "signals": SIGNALS,
        "kinds": get_args(Kind),
        "shown_as": {
            **{chr(code): chr(picture) for code, picture in SHOWN_AS.items()},
            **{chr(code): f"<U+{code:04X}>" for code in HIDDEN},
        },
        "max_content": MAX_CONTENT_CHARS,
        "max_tags": MAX_TAGS,
        "trash_days": TRASH_LIFE.days,
    }


def _describe_missing_model(model: str, problem: str) -> str:
    if model == NO_MODEL:
        return "none"
    return "loading" if problem == LOADING else "failed"


QUERIES: dict[str, RequestHandler] = {
    "search": search_memories,
    "browse": browse_memories,
    "memory": get_versions,
    "changed": compare_versions,
    "trash": list_trash,
    "captured": list_turns,
    "overview": get_overview,
    "status": get_status,
    "pairs": list_similar_pairs,
}
"""Address below ``api/`` → the function that answers it."""
