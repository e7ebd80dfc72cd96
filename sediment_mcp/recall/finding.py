"""Find the memories that a prompt calls for: few, and only where they fit beyond doubt.

Nobody has asked for them, so one that does not fit costs more than one that is missing. Beside the match the
score decides, from a threshold on. It says how probable it is that a memory answers a question; an order is
seldom answered by anything, so one that only orders something needs a higher score. `benchmarks/recall.py`
says how the thresholds were chosen, and what they give.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sediment_mcp.domain.filters import Filters
from sediment_mcp.recall.asked_text import has_question
from sediment_mcp.recall.found_memory import FoundMemory
from sediment_mcp.recall.wording import can_be_shown
from sediment_mcp.search.joint_retrieval import retrieve
from sediment_mcp.search.similar import find_newer
from sediment_mcp.search.snippets import select_snippets
from sediment_mcp.system.timestamps import to_micros

if TYPE_CHECKING:
    from sediment_mcp.domain.memory import Memory, ScoredMemory
    from sediment_mcp.embeddings.protocols import ModelIdentity
    from sediment_mcp.search.retriever import Retriever
    from sediment_mcp.storage.protocols import ReadSession

MIN_SCORE = 0.68  # of a memory that is shown, with the model
MIN_SCORE_OF_ANSWER = 0.46  # where the prompt asks a question
MIN_SCORE_BY_WORDS = 0.6  # without the model
SEARCHED = 12  # memories that are looked at
MOST_FOUND = 6  # memories that are returned, because some may have been shown already
MAX_SNIPPET_CHARS = 500


class SearchedStore(NamedTuple):
    """A store that is searched: its retriever, and how it is read."""

    retriever: Retriever
    read: Callable[[], AbstractContextManager[ReadSession]]
    is_team: bool = False


def find_memories(
    stores: Sequence[SearchedStore], model: ModelIdentity | None, asked: str, project: str | None
) -> list[FoundMemory]:
    """Return the memories that fit beyond doubt, best first; those of other projects never do.

    ``model`` is the one in use, if it is loaded.
    """
    candidates, least = find_candidates([store.retriever for store in stores], asked, project)
    fitting = [scored for scored in candidates if scored.score >= least][:MOST_FOUND]
    newer = [
        _find_newer(store, model, [scored.memory for scored in fitting if scored.store == place])
        for place, store in enumerate(stores)
    ]
    return [
        _describe(scored, newer[scored.store].get(scored.memory.key), of_team=stores[scored.store].is_team)
        for scored in fitting
    ]


def _find_newer(
    store: SearchedStore, model: ModelIdentity | None, memories: Sequence[Memory]
) -> dict[int, Memory]:
    """Return by key of a memory a newer one of its store that may contradict it."""
    if not memories or model is None:
        return {}
    with store.read() as session:
        return find_newer(store.retriever, session, model, memories)


def find_candidates(
    retrievers: Sequence[Retriever], asked: str, project: str | None
) -> tuple[list[ScoredMemory], float]:
    """Return the memories that may be shown, best first, and the score that one must have."""
    retrieval = retrieve(retrievers, asked, Filters(project=project), SEARCHED)
    candidates = [
        scored
        for scored in retrieval.memories
        if scored.match == "strong"
        and scored.memory.project in (None, project)
        and can_be_shown(scored.memory.content, scored.memory.tags)
    ]
    if not retrieval.is_semantic:
        return candidates, MIN_SCORE_BY_WORDS
    return candidates, MIN_SCORE_OF_ANSWER if has_question(asked) else MIN_SCORE


def _describe(scored: ScoredMemory, newer: Memory | None, *, of_team: bool) -> FoundMemory:
    memory = scored.memory
    ((text, _),) = select_snippets([(memory.content, scored.passage)], MAX_SNIPPET_CHARS)
    found = FoundMemory(memory.id, text, to_micros(memory.occurred_at), of_team=of_team)
    if newer is None:
        return found
    return replace(found, newer=newer.id, newer_at=to_micros(newer.occurred_at))
