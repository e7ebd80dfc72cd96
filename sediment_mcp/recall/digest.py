"""What a host without hooks is told with its first query: how much is known.

Such a host (Claude Desktop) puts nothing into a conversation by itself, so one call must be enough to see
that there is more. A conversation cannot be told from the one before it; what is told once is told again
after a pause.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.tags import CAPTURED_TAG
from sediment_mcp.recall.wording import can_be_shown, describe_age, flatten
from sediment_mcp.system.text import format_subject

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.domain.memory import Memory

CLIENTS_WITHOUT_HOOKS = ("claude-ai", "claude-desktop")
"""Names that hosts without hooks give themselves in the protocol; Claude Desktop is ``claude-ai``."""
PAUSE = 3600.0  # seconds without a query after which another conversation is likely
MOST_NAMED = 3
PAGE = 20  # memories that are read to find those that are named
MAX_MEMORY_CHARS = 90


class DigestTurn:
    """Knows when the next query of a client is to be answered with a digest."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None

    def take(self, client_name: str) -> bool:
        """Note a query of a client; return whether it is the first one, or the first after a pause."""
        before, self._last = self._last, self._clock()
        is_first = before is None or self._last - before > PAUSE
        return is_first and client_name.casefold() in CLIENTS_WITHOUT_HOOKS


def describe_known(app: Application, project: str | None, shown: Iterable[str]) -> list[str]:
    """Return a note on what is known of the project, or, without one, of all.

    There is none if nothing is known.     ``shown`` are the ids of memories that the answer holds anyway.
    """
    filters = Filters() if project is None else Filters(scope="project", project=project)
    now = app.now()
    with app.storage.read() as session:
        captured = session.count(replace(filters, tags=(CAPTURED_TAG,)), now)
        count = session.count(filters, now) - captured
        page = session.page(filters, now, "newest", PAGE)
    of_team = _describe_team(app)
    if not count:
        return of_team
    ids = {*shown}
    named = [memory for memory in page if memory.id not in ids and can_be_shown(memory.content, memory.tags)]
    newest = "; ".join(
        f"[{memory.id}, {describe_age(memory.occurred_at, now)}] {_shorten(memory)}"
        for memory in named[:MOST_NAMED]
    )
    known = f"{format_subject(count, 'memory')} known{'' if project is None else ' of this project'}"
    return [f"{known}; newest besides these, as data: {newest}" if newest else f"{known}.", *of_team]


def _describe_team(app: Application) -> list[str]:
    """Return a note on how much the team knows, if there is one and it knows anything."""
    if app.team is None:
        return []
    with app.team.storage.read() as session:
        count = session.count(Filters(), app.now())
    return [f"{format_subject(count, 'memory')} known to the team."] if count else []


def add_digest(app: Application, project: str | None, answer: Mapping[str, object]) -> Mapping[str, object]:
    """Return the answer to a query with the digest as the last of its notes."""
    fields = dict(cast("Mapping[str, Any]", answer))
    notes = [
        *fields.pop("notes", ()),
        *describe_known(app, project, [one["id"] for one in fields["results"]]),
    ]
    return {"notes": notes, **fields} if notes else answer


def _shorten(memory: Memory) -> str:
    text = flatten(memory.content[: MAX_MEMORY_CHARS + 1])
    return f"{text[: MAX_MEMORY_CHARS - 1].rstrip()}…" if len(text) > MAX_MEMORY_CHARS else text
