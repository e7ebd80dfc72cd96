"""What a session begins with: the memories that matter before anything is asked.

In this order, while the budget lasts: what is tagged `pinned`, the project's newest facts and how-tos, its
notes that have not expired, the user's preferences, those of the team. It needs no model and no index.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sediment_mcp.config import Config
from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import Kind, Memory
from sediment_mcp.recall.hook_call import HookCall, find_project
from sediment_mcp.recall.reading import list_readable, open_unchanged
from sediment_mcp.recall.shown import open_record
from sediment_mcp.recall.wording import OF_TEAM, can_be_shown, describe_age, fill, render_block, render_memory
from sediment_mcp.storage.protocols import ReadSession

MAX_CHARS = 1_500  # of the whole block
MAX_MEMORY_CHARS = 240  # of one memory's line
PINNED_TAG = "pinned"
PREFERENCE_TAGS = ("preference", "preferences")
PREFERENCE_IMPORTANCE = 0.8  # of a global memory that counts as a preference without the tag
MOST_PINNED = 6
MOST_FACTS = 5
MOST_NOTES = 3
MOST_PREFERENCES = 4
PAGE = 50  # memories that are read to find those of a group
LOST = ("compact", "clear")  # sources after which the host no longer has what it was shown
UNFINISHED = "unfinished note"
PINNED = "pinned"
PREFERENCE = "preference"


def recall_at_start(call: HookCall) -> str:
    """Return the block for the beginning of a session; empty if there is nothing new to say.

    Raises:
        StorageError: the memories cannot be read.
    """
    stores = list_readable(call.config)
    if not stores:
        return ""
    now = datetime.now(UTC)
    chosen: list[tuple[Memory, str]] = []
    for config in stores:
        is_team = config.tenant != call.config.tenant
        of_store = _choose_in(config, None if is_team else find_project(call), now)
        chosen += [(memory, f"{remark} {OF_TEAM}" if is_team else remark) for memory, remark in of_store]
    chosen.sort(key=lambda pair: not pair[1].startswith(PINNED))
    record, is_lost = open_record(call), call.source in LOST
    known: set[str] = set() if is_lost else record.read_shown()
    lines = {memory.id: _render(memory, remark, now) for memory, remark in chosen if memory.id not in known}
    fitting = fill(lines, MAX_CHARS - len(render_block([])) - 1)
    claimed = record.claim(fitting, now.timestamp(), len(fitting), anew=is_lost)
    return render_block([lines[memory_id] for memory_id in claimed]) if claimed else ""


def _choose_in(config: Config, project: str | None, now: datetime) -> list[tuple[Memory, str]]:
    """Return the memories of one store that matter; see `choose_memories`."""
    with contextlib.closing(open_unchanged(config)) as storage, storage.read() as session:
        return choose_memories(session, project, now)


def choose_memories(session: ReadSession, project: str | None, now: datetime) -> list[tuple[Memory, str]]:
    """Return the memories in the order in which they are shown, each with a remark on why."""
    chosen: dict[int, tuple[Memory, str]] = {}
    for memory, remark in _list_groups(session, project, now):
        if can_be_shown(memory.content, memory.tags):
            chosen.setdefault(memory.key, (memory, remark))
    return list(chosen.values())


def _list_groups(session: ReadSession, project: str | None, now: datetime) -> Iterator[tuple[Memory, str]]:
    scopes = [Filters(scope="global")]
    if project is not None:
        scopes.insert(0, Filters(scope="project", project=project))

    def page(scope: Filters, limit: int, kind: Kind | None = None, tag: str | None = None) -> list[Memory]:
        tags = () if tag is None else (tag,)
        filters = Filters(scope=scope.scope, project=scope.project, kind=kind, tags=tags)
        return session.page(filters, now, "newest", limit)

    for scope in scopes:
        yield from ((memory, PINNED) for memory in page(scope, MOST_PINNED, tag=PINNED_TAG))
    if project is not None:
        facts = _merge([page(scopes[0], PAGE, "semantic"), page(scopes[0], PAGE, "procedural")])
        yield from ((memory, "") for memory in _take(facts, MOST_FACTS))
        yield from ((memory, UNFINISHED) for memory in page(scopes[0], MOST_NOTES, "working"))
    tagged = [page(scopes[-1], MOST_PREFERENCES, tag=tag) for tag in PREFERENCE_TAGS]
    important = [memory for memory in page(scopes[-1], PAGE) if memory.importance >= PREFERENCE_IMPORTANCE]
    preferences = _take(_merge([*tagged, important]), MOST_PREFERENCES)
    yield from ((memory, PREFERENCE) for memory in preferences)


def _merge(pages: Sequence[Sequence[Memory]]) -> list[Memory]:
    """Return the memories of several pages, each once, newest first."""
    merged = {memory.key: memory for page in pages for memory in page}
    return sorted(merged.values(), key=lambda memory: (memory.occurred_at, memory.key), reverse=True)


def _take(memories: Sequence[Memory], limit: int) -> list[Memory]:
    return [memory for memory in memories if can_be_shown(memory.content, memory.tags)][:limit]


def _render(memory: Memory, remark: str, now: datetime) -> str:
    age = describe_age(memory.occurred_at, now)
    return render_memory(memory.id, memory.content, age, MAX_MEMORY_CHARS, remark)
