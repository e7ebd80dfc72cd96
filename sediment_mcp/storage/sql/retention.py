"""Retention in the system of record: the user's rules, what may be due by them, and when it was looked.

Every statement here is an index look-up while there are no rules and nothing has ended: it is asked again
and again in the background of every server.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sediment_mcp.domain.filters import micros, time_of
from sediment_mcp.domain.retention import GRACE, TRASH_LIFE, Aged, Looks, Rule
from sediment_mcp.storage.sqlite.connection import Database

AGED = (
    "SELECT number, id, seq, kind, tags, importance, "
    "MAX(created_at, occurred_at, COALESCE(restored_at, created_at)), superseded_by IS NULL, "
    "expires_at, deleted_at FROM memories WHERE"
)
ENDED = "(deleted_at <= ? OR expires_at <= ?)"
OWN = {"kind": "kind = ?", "tag": "number IN (SELECT memory FROM tags WHERE tag = ?)"}
LATEST, BEFORE = "looked", "looked-before"  # counters that hold the looks, in microseconds


class Ages:
    """The table ``retention`` of one connection, and the times of its memories."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rules(self) -> list[Rule]:
        return [
            Rule(row[0], row[1], None if row[2] is None else timedelta(days=row[2]), row[3])
            for row in self._database.rows(
                "SELECT subject, name, max_age, max_count FROM retention ORDER BY subject, name", ()
            )
        ]

    def set_rule(self, rule: Rule) -> None:
        """Put the rule in the place of whatever was said of its kind or tag; inside a transaction."""
        self._database.execute(
            "INSERT OR REPLACE INTO retention (subject, name, max_age, max_count) VALUES (?,?,?,?)",
            (rule.subject, rule.name, rule.max_age and rule.max_age.days, rule.max_count),
        )

    def clear_rule(self, rule: Rule) -> None:
        """Forget what was said of the rule's kind or tag; inside a transaction."""
        self._database.execute(
            "DELETE FROM retention WHERE subject = ? AND name = ?", (rule.subject, rule.name)
        )

    def looks(self) -> Looks:
        """What the clock showed when something looked due."""
        found = dict(
            self._database.rows("SELECT name, value FROM counters WHERE name IN (?,?)", (LATEST, BEFORE))
        )
        latest, before = (time_of(found[name]) if name in found else None for name in (LATEST, BEFORE))
        return Looks(latest, before)

    def set_looks(self, looks: Looks) -> None:
        """Keep this; inside a transaction."""
        self._database.execute("DELETE FROM counters WHERE name IN (?,?)", (LATEST, BEFORE))
        for name, time in ((LATEST, looks.latest), (BEFORE, looks.before)):
            if time is not None:
                self._database.execute("INSERT INTO counters VALUES (?,?)", (name, micros(time)))

    def candidates(self, rules: Sequence[Rule], now: datetime) -> list[Aged]:
        """Every memory that may be due: those that have ended, and those that a rule speaks of."""
        found = self._aged(ENDED, (micros(now - TRASH_LIFE), micros(now - GRACE)))
        for rule in rules:
            found += self._aged(f"deleted_at IS NULL AND {OWN[rule.subject]}", (rule.name,))
        return list({memory.number: memory for memory in found}.values())

    def _aged(self, condition: str, values: Sequence[object]) -> list[Aged]:
        return [
            Aged(
                number=row[0], id=row[1], seq=row[2], kind=row[3], tags=tuple(json.loads(row[4])),
                importance=row[5], since=time_of(row[6]), is_current=bool(row[7]),
                expires_at=None if row[8] is None else time_of(row[8]),
                deleted_at=None if row[9] is None else time_of(row[9]),
            )
            for row in self._database.rows(f"{AGED} {condition}", values)
        ]  # fmt: skip
