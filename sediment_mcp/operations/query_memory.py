"""Find memories by meaning and by words.

The steps: retrieve memories, fit their texts into the budget of characters, note what is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sediment_mcp.errors import StorageError
from sediment_mcp.operations.arguments import QueryMemory
from sediment_mcp.operations.content_notes import note_contents
from sediment_mcp.operations.project_scope import to_filters
from sediment_mcp.operations.projects import note_moved_project, open_project
from sediment_mcp.operations.results import QueryResult, RankedResult, build_result, describe_memory
from sediment_mcp.operations.stores import note_shown, retrieve, select_stores
from sediment_mcp.system.text import format_subject

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.search.retriever import Retrieval

logger = logging.getLogger(__name__)


def query_memory(app: Application, arguments: QueryMemory, project: str | None) -> QueryResult:
    """Find memories by meaning and by words, best first.

    Raises:
        NoProject: only the project's memories are asked for, and no project is known.
        BadArgument: only the team's are asked for, and there is no team.
    """
    from sediment_mcp.search.snippets import select_snippets

    filters, stores = to_filters(arguments, project), select_stores(app, arguments.scope)
    open_project(app, project)
    retrieval = retrieve(stores, arguments.query, filters, arguments.limit)
    ranked = retrieval.memories
    snippets = select_snippets(
        [(scored.memory.content, scored.passage) for scored in ranked], arguments.max_chars
    )
    notes = _note_missing_embeddings(stores, retrieval)
    if retrieval.note:
        notes.append(retrieval.note)
    if len(snippets) < len(ranked):
        missing = len(ranked) - len(snippets)
        notes.append(f"{missing} more did not fit: raise max_chars (now {arguments.max_chars}).")
    results = [
        build_result(
            RankedResult,
            **describe_memory(
                scored.memory, content, project, truncated=truncated, of_team=stores[scored.store].is_team
            ),
            score=scored.score,
            match=scored.match,
            signals=dict(scored.signals) if arguments.explain else None,
        )
        for scored, (content, truncated) in zip(ranked, snippets, strict=False)
    ]
    if arguments.scope in ("all", "project"):
        notes += note_moved_project(app, project, is_urgent=not results)
    notes += note_contents(results)
    if app.config.questions == "keep" and all(result["match"] == "weak" for result in results):
        _keep_query(app, arguments.query)
    shown = ((scored.memory.id, stores[scored.store]) for scored in ranked[: len(results)])
    note_shown(stores, "query", shown, arguments.query)
    mode = "hybrid" if retrieval.is_semantic else "lexical"
    return build_result(QueryResult, notes=notes, mode=mode, results=results)


def _note_missing_embeddings(stores: Sequence[Application], retrieval: Retrieval) -> list[str]:
    if retrieval.problem:
        return [retrieval.problem]
    if waiting := sum(store.services.embedding_queue.size for store in stores):
        return [f"{format_subject(waiting, 'passage')} still being embedded and found by words only."]
    return []


def _keep_query(app: Application, query: str) -> None:
    from sediment_mcp.search import unanswered_queries

    try:
        unanswered_queries.keep_query(app.config.store_dir, query, app.now(), app.encryption)
    except (OSError, StorageError) as error:  # a full disk is no reason to withhold an answer
        logger.warning("A question that found nothing could not be kept: %s", error)
