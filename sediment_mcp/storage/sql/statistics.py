"""Counts over the system of record: what there is, of which kind, whose, and since when.

Unless it says otherwise a count is of live memories: current, neither deleted nor expired.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sediment_mcp.domain.filters import condition, micros
from sediment_mcp.domain.memory import Filters
from sediment_mcp.storage.sqlite.connection import Database

STATE = (
    "CASE WHEN deleted_at IS NOT NULL THEN 'deleted' WHEN expires_at <= ? THEN 'expired' "
    "WHEN superseded_by IS NOT NULL THEN 'superseded' ELSE 'live' END"
)
STATES = ("live", "superseded", "expired", "deleted")
MONTH = "strftime('%Y-%m', created_at / 1000000, 'unixepoch')"
LIKE = "LIKE ? ESCAPE '\\'"


class Tallies:
    """What one connection's tables add up to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def states(self, now: datetime) -> dict[str, int]:
        """How many memories are "live", "superseded", "expired" and "deleted"; each counts once, by the last
        of these words that is true of it."""
        counted = self._counted(f"SELECT {STATE} AS word, COUNT(*) FROM memories GROUP BY word", micros(now))
        return {state: counted.get(state, 0) for state in STATES}

    def kinds(self, now: datetime) -> dict[str, int]:
        return self._live("kind", now)

    def projects(self, now: datetime) -> dict[str, int]:
        """Memories by project, the largest first; "" is global."""
        return self._live("COALESCE(project, '')", now)

    def months(self, now: datetime) -> dict[str, int]:
        """Memories by the month in which they were stored, such as "2026-05", the oldest first."""
        return dict(sorted(self._live(MONTH, now).items()))

    def tags(self, now: datetime, prefix: str = "") -> dict[str, int]:
        """Memories by tag, the most used first; only tags that begin like ``prefix``, in whatever case."""
        rule, values = condition(Filters(), now)
        return self._counted(
            "SELECT tag, COUNT(*) AS count FROM tags JOIN memories ON memories.number = tags.memory "
            f"WHERE tag {LIKE} AND {rule} GROUP BY tag ORDER BY count DESC, tag",
            _beginning(prefix), *values,
        )  # fmt: skip

    def sessions(self, prefix: str = "") -> list[str]:
        """Sessions of memories that are not deleted and that begin like ``prefix``, the latest first."""
        rows = self._database.rows(
            f"SELECT session FROM memories WHERE session {LIKE} AND session IS NOT NULL "
            "AND deleted_at IS NULL GROUP BY session ORDER BY MAX(occurred_at) DESC, session",
            (_beginning(prefix),),
        )
        return [row[0] for row in rows]

    def stored_since(self, times: Sequence[datetime], now: datetime) -> list[int]:
        """For each time, how many memories have been stored since."""
        rule, values = condition(Filters(), now)
        sums = ", ".join("TOTAL(created_at > ?)" for _ in times)
        sql = f"SELECT {sums} FROM memories WHERE {rule}"
        ((*counts,),) = self._database.rows(sql, (*map(micros, times), *values))
        return [int(count) for count in counts]

    def _live(self, column: str, now: datetime) -> dict[str, int]:
        rule, values = condition(Filters(), now)
        return self._counted(
            f"SELECT {column} AS word, COUNT(*) AS count FROM memories WHERE {rule} "
            "GROUP BY word ORDER BY count DESC, word",
            *values,
        )

    def _counted(self, sql: str, *values: object) -> dict[str, int]:
        return {row[0]: row[1] for row in self._database.rows(sql, values)}


def _beginning(prefix: str) -> str:
    """A pattern of LIKE for what begins with the prefix, whatever signs it holds."""
    return "".join(f"\\{sign}" if sign in "%_\\" else sign for sign in prefix) + "%"
