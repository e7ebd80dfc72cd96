"""Counts of memories by state, kind, project, month, tag and time.

Unless a method says otherwise, it counts live memories: current, neither deleted nor expired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.tags import fold_tag
from sediment_mcp.storage.sql.database import Database
from sediment_mcp.storage.sql.filters import live_condition
from sediment_mcp.system.timestamps import from_micros, to_micros

STATE = (
    "CASE WHEN deleted_at IS NOT NULL THEN 'deleted' WHEN expires_at <= ? THEN 'expired' "
    "WHEN superseded_by IS NOT NULL THEN 'superseded' ELSE 'live' END"
)
"""`Memory.state`, in SQL."""
STATES = ("live", "superseded", "expired", "deleted")
DAY_MICROS = 24 * 60 * 60 * 1_000_000
BEGINS_WITH = "LOWER({column}) LIKE LOWER(?) ESCAPE '\\'"


class SqlStatistics:
    """Counts over one connection's tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def states(self, now: datetime) -> dict[str, int]:
        """Return how many memories are "live", "superseded", "expired" and "deleted".

        Each counts once, under the last of these states that applies to it.
        """
        counted = self._count_rows(
            f"SELECT {STATE} AS word, COUNT(*) FROM memories GROUP BY word", to_micros(now)
        )
        return {state: counted.get(state, 0) for state in STATES}

    def kinds(self, now: datetime) -> dict[str, int]:
        """Return the number of memories by kind, the largest first."""
        return self._count_live("kind", now)

    def projects(self, now: datetime) -> dict[str, int]:
        """Return the number of memories by project, the largest first; "" is global."""
        return self._count_live("COALESCE(project, '')", now)

    def all_by_project(self) -> dict[str, int]:
        """Return the number of memories by project, the largest first; global ones are left out.

        Old versions, the expired and the trash count too.
        """
        return self._count_rows(
            "SELECT project, COUNT(*) AS total FROM memories WHERE project IS NOT NULL "
            "GROUP BY project ORDER BY total DESC, project"
        )

    def months(self, now: datetime) -> dict[str, int]:
        """Return the number of memories by the month of storing ("2026-05"), oldest first."""
        days = self._count_live(f"created_at / {DAY_MICROS}", now)
        months = Counter[str]()
        for day, count in days.items():
            months[f"{from_micros(int(day) * DAY_MICROS):%Y-%m}"] += count
        return dict(sorted(months.items()))

    def tags(self, now: datetime, prefix: str = "") -> dict[str, int]:
        """Return the number of memories by tag, the most used first.

        Only tags that begin with ``prefix`` count, upper and lower case alike. All spellings of a tag count
        as the most used of them.
        """
        rule, values = live_condition(self._database.dialect, Filters(), now)
        spellings = self._count_rows(
            "SELECT tag, COUNT(*) AS total FROM tags JOIN memories ON memories.number = tags.memory "
            f"WHERE {BEGINS_WITH.format(column='tag')} AND {rule} GROUP BY tag ORDER BY total DESC, tag",
            _build_prefix_pattern(prefix),
            *values,
        )
        names: dict[str, str] = {}
        totals = Counter[str]()
        for tag, total in spellings.items():
            totals[names.setdefault(fold_tag(tag), tag)] += total
        return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))

    def sessions(self, prefix: str = "") -> list[str]:
        """Return the sessions that begin with ``prefix``, latest first.

        Sessions of which all memories are deleted are left out.
        """
        rows = self._database.rows(
            f"SELECT session FROM memories WHERE {BEGINS_WITH.format(column='session')} "
            "AND session IS NOT NULL AND deleted_at IS NULL "
            "GROUP BY session ORDER BY MAX(occurred_at) DESC, session",
            (_build_prefix_pattern(prefix),),
        )
        return [row[0] for row in rows]

    def stored_since(self, times: Sequence[datetime], now: datetime) -> list[int]:
        """Return for each time how many memories have been stored since."""
        rule, values = live_condition(self._database.dialect, Filters(), now)
        sums = ", ".join("COUNT(CASE WHEN created_at > ? THEN 1 END)" for _ in times)
        ((*counts,),) = self._database.rows(
            f"SELECT {sums} FROM memories WHERE {rule}", (*map(to_micros, times), *values)
        )
        return [int(count) for count in counts]

    def _count_live(self, column: str, now: datetime) -> dict[str, int]:
        rule, values = live_condition(self._database.dialect, Filters(), now)
        return self._count_rows(
            f"SELECT {column} AS word, COUNT(*) AS total FROM memories WHERE {rule} "
            "GROUP BY word ORDER BY total DESC, word",
            *values,
        )

    def _count_rows(self, sql: str, *values: object) -> dict[str, int]:
        return {row[0]: row[1] for row in self._database.rows(sql, values)}


def _build_prefix_pattern(prefix: str) -> str:
    """Return a LIKE pattern for texts that begin with the prefix, whose wildcards are escaped."""
    return "".join(f"\\{sign}" if sign in "%_\\" else sign for sign in prefix) + "%"
