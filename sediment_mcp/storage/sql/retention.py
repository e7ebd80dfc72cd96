"""Retention in SQL: the user's rules, the memories that may be due, and clock readings.

While there are no rules and nothing has expired, every statement here is only an index look-up, because
the background worker of every server runs them repeatedly.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sediment_mcp.domain.retention import GRACE, TRASH_LIFE, ClockReadings, RetentionCandidate, Rule
from sediment_mcp.storage.sql.audit import SqlAudit
from sediment_mcp.storage.sql.database import Database
from sediment_mcp.storage.sql.filters import tag_condition
from sediment_mcp.system.timestamps import from_micros, to_micros

ENDED = "(deleted_at <= ? OR expires_at <= ?)"
LATEST, BEFORE = "looked", "looked-before"  # counters that hold the clock's readings, in microseconds


class SqlRetentionReader:
    """The table ``retention`` and the memories its rules apply to, as one connection sees them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rules(self) -> list[Rule]:
        """Return the user's rules, by kind and tag."""
        return [
            Rule(row[0], row[1], None if row[2] is None else timedelta(days=row[2]), row[3])
            for row in self._database.rows(
                "SELECT subject, name, max_age, max_count FROM retention ORDER BY subject, name"
            )
        ]

    def readings(self) -> ClockReadings:
        """Return the recorded times at which memories looked due."""
        found = dict(
            self._database.rows("SELECT name, value FROM counters WHERE name IN (?,?)", (LATEST, BEFORE))
        )
        latest, before = (from_micros(found[name]) if name in found else None for name in (LATEST, BEFORE))
        return ClockReadings(latest, before)

    def candidates(self, rules: Sequence[Rule], now: datetime) -> list[RetentionCandidate]:
        """Return every memory that may be due: those that have expired or that a rule covers."""
        found = self._select(ENDED, (to_micros(now - TRASH_LIFE), to_micros(now - GRACE)))
        conditions = {"kind": "kind = ?", "tag": tag_condition(self._database.dialect)}
        for rule in rules:
            found += self._select(f"deleted_at IS NULL AND {conditions[rule.subject]}", (rule.folded_name,))
        return list({memory.memory_key: memory for memory in found}.values())

    def _select(self, condition: str, values: Sequence[object]) -> list[RetentionCandidate]:
        since = (
            f"{self._database.dialect.greatest}(created_at, occurred_at, COALESCE(restored_at, created_at))"
        )
        rows = self._database.rows(
            f"SELECT number, id, seq, kind, tags, importance, {since}, superseded_by IS NULL, "
            f"expires_at, deleted_at FROM memories WHERE {condition}",
            values,
        )
        return [
            RetentionCandidate(
                memory_key=row[0], memory_id=row[1], seq=row[2], kind=row[3], tags=tuple(json.loads(row[4])),
                importance=row[5], since=from_micros(int(row[6])), is_current=bool(row[7]),
                expires_at=None if row[8] is None else from_micros(row[8]),
                deleted_at=None if row[9] is None else from_micros(row[9]),
            )
            for row in rows
        ]  # fmt: skip


class SqlRetentionTable(SqlRetentionReader):
    """Changes to the rules and readings; every method needs a transaction."""

    def __init__(self, database: Database, audit: SqlAudit) -> None:
        super().__init__(database)
        self._audit = audit

    def set_rule(self, rule: Rule, changed_at: datetime | None = None) -> None:
        """Set the rule of a kind or tag, replacing any earlier one; see `RetentionTable`."""
        self._audit.record("rules")
        key = f"{self._database.dialect.tenant_key}subject, name"
        self._database.execute(
            "INSERT INTO retention (subject, name, max_age, max_count) VALUES (?,?,?,?) "
            f"ON CONFLICT ({key}) DO UPDATE SET max_age = excluded.max_age, "
            "max_count = excluded.max_count",
            (rule.subject, rule.name, rule.max_age and rule.max_age.days, rule.max_count),
        )

    def clear_rule(self, rule: Rule, changed_at: datetime | None = None) -> None:
        """Remove the rule of a kind or tag; see `RetentionTable`."""
        self._audit.record("rules")
        self._database.execute(
            f"DELETE FROM retention WHERE subject = ? AND name = ? AND {self._database.dialect.own_rows}",
            (rule.subject, rule.name),
        )

    def set_readings(self, readings: ClockReadings) -> None:
        """Replace the recorded clock readings."""
        own = self._database.dialect.own_rows
        self._database.execute(f"DELETE FROM counters WHERE name IN (?,?) AND {own}", (LATEST, BEFORE))
        for name, time in ((LATEST, readings.latest), (BEFORE, readings.before)):
            if time is not None:
                self._database.execute("INSERT INTO counters VALUES (?,?)", (name, to_micros(time)))
