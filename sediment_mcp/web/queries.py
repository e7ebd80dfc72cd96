"""What the page shows. Arguments are those of the tools, checked as the tools check them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, get_args

from sediment_mcp import __version__
from sediment_mcp.cli.render import SIGNALS
from sediment_mcp.config import NO_MODEL
from sediment_mcp.domain.memory import MAX_TAGS, Kind
from sediment_mcp.domain.retention import TRASH_LIFE
from sediment_mcp.embeddings.loader import LOADING
from sediment_mcp.errors import BadArgument
from sediment_mcp.operations import tools
from sediment_mcp.operations.arguments import (
    MAX_CONTENT,
    ListMemories,
    ListResult,
    QueryMemory,
    QueryResult,
    TrashResult,
    parse,
)
from sediment_mcp.operations.history import HistoryResult, history
from sediment_mcp.operations.stats import stats
from sediment_mcp.operations.trash import list_deleted
from sediment_mcp.system.text import SHOWN_AS
from sediment_mcp.web.request import Asked, Desk, Job, id_of, project_of
from sediment_mcp.web.similar_pairs import pairs
from sediment_mcp.web.text_diff import difference

SHOWN = 12_000  # characters of all results of a search; each comes as its best passage at least
MOST_SHOWN = 1000  # of the trash
MOST_SESSIONS = 200  # to choose from; any other can be typed


def search(desk: Desk, asked: Asked) -> QueryResult:
    project = project_of(desk, asked)
    arguments = parse(QueryMemory, {"max_chars": SHOWN, **asked})
    return tools.query_memory(desk.library, arguments, project)


def browse(desk: Desk, asked: Asked) -> ListResult:
    project = project_of(desk, asked)
    return tools.list_memories(desk.library, parse(ListMemories, asked), project)


def memory(desk: Desk, asked: Asked) -> HistoryResult:
    """A memory whole, with all its versions, be it current, history or deleted."""
    return history(desk.library, id_of(asked))


def changed(desk: Desk, asked: Asked) -> dict[str, Any]:
    """How the text of a version differs from that of another in its chain."""
    texts = {version["id"]: version["content"] for version in memory(desk, asked)["versions"]}
    old = texts.get(str(asked.get("from")))
    if old is None:
        raise BadArgument("These two are not versions of one memory: open its history again.")
    return {"difference": difference(old, texts[id_of(asked)])}


def trash(desk: Desk, asked: Asked) -> TrashResult:
    limit = asked.get("limit", 50)
    if not isinstance(limit, int) or not 1 <= limit <= MOST_SHOWN:
        raise BadArgument(f"limit must be a whole number from 1 to {MOST_SHOWN}.")
    return list_deleted(desk.library, limit)


def overview(desk: Desk, asked: Asked) -> Mapping[str, Any]:
    """What there is in numbers, and the sessions to choose from, the latest first."""
    with desk.library.read() as store:
        sessions = store.tallies.sessions()
    return {**stats(desk.library), "session_names": sessions[:MOST_SESSIONS]}


def status(desk: Desk, asked: Asked) -> dict[str, Any]:
    """Whether search goes by meaning yet, and what the page has to know; waits for nothing."""
    library = desk.library
    embedder = library.embedder()
    problem = "" if embedder else library.model_problem
    return {
        "version": __version__,
        "directory": os.path.realpath(library.config.data_dir),
        "project": desk.project,
        "model": library.config.model,
        "meaning": "ready" if embedder else _without(library.config.model, problem),
        "problem": problem,
        "backlog": library.backlog.size,
        "signals": SIGNALS,
        "kinds": get_args(Kind),
        "shown_as": {chr(code): chr(picture) for code, picture in SHOWN_AS.items()},
        "most_content": MAX_CONTENT,
        "most_tags": MAX_TAGS,
        "trash_days": TRASH_LIFE.days,
    }


def _without(model: str, problem: str) -> str:
    if model == NO_MODEL:
        return "none"
    return "loading" if problem == LOADING else "failed"


READINGS: dict[str, Job] = {
    "search": search,
    "browse": browse,
    "memory": memory,
    "changed": changed,
    "trash": trash,
    "overview": overview,
    "status": status,
    "pairs": pairs,
}
"""Address below ``api/`` → what answers it."""
