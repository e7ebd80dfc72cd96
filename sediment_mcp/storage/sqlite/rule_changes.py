"""Date the changes of retention rules, so that the later of two devices' words counts.

A rule that was removed leaves its change behind.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from sediment_mcp.domain.retention import Rule
from sediment_mcp.storage.sql.audit import SqlAudit
from sediment_mcp.storage.sql.retention import SqlRetentionTable
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.system.timestamps import to_micros

COLUMNS = "subject, folded_name, name, max_age, max_count, changed_at"


class RuleChange(NamedTuple):
    """What a rule says since a moment; without limits it was removed then.

    ``changed_at`` is in microseconds, ``max_age`` in days.
    """

    subject: Literal["kind", "tag"]
    folded_name: str
    name: str
    max_age: int | None
    max_count: int | None
    changed_at: int

    @property
    def rank(self) -> tuple[int, str, int, int]:
        """What decides between two changes of one rule: the greater counts."""
        return self.changed_at, self.name, self.max_age or 0, self.max_count or 0

    @property
    def rule(self) -> Rule:
        """The rule; without limits it is one that was removed."""
        age = None if self.max_age is None else timedelta(days=self.max_age)
        return Rule(self.subject, self.name, age, self.max_count)

    @property
    def is_removal(self) -> bool:
        """Whether the rule was removed."""
        return self.max_age is None and self.max_count is None


class DatedRetentionTable(SqlRetentionTable):
    """Changes to the rules, with their times; every method needs a transaction."""

    def __init__(self, database: SqliteDatabase, audit: SqlAudit) -> None:
        super().__init__(database, audit)
        self._file = database

    def set_rule(self, rule: Rule, changed_at: datetime | None = None) -> None:
        """Set the rule of a kind or tag, replacing any earlier one; see `RetentionTable`."""
        super().set_rule(rule)
        if changed_at is not None:
            self._record(rule, changed_at)

    def clear_rule(self, rule: Rule, changed_at: datetime | None = None) -> None:
        """Remove the rule of a kind or tag; see `RetentionTable`."""
        super().clear_rule(rule)
        if changed_at is not None:
            self._record(Rule(rule.subject, rule.name), changed_at)

    def changes(self) -> list[RuleChange]:
        """Return the last change of each rule, of those that were removed too."""
        rows = self._file.rows(f"SELECT {COLUMNS} FROM rule_changes ORDER BY subject, folded_name")
        return [RuleChange(*row) for row in rows]

    def undated(self) -> list[Rule]:
        """Return what rules say that no change says, as after a backup was restored.

        One without limits was removed.
        """
        known = {(change.subject, change.folded_name): change for change in self.changes()}
        rules = {(rule.subject, rule.folded_name): rule for rule in self.rules()}
        removed = [
            Rule(change.subject, change.name)
            for key, change in known.items()
            if key not in rules and not change.is_removal
        ]
        return removed + [rule for key, rule in rules.items() if key not in known or known[key].rule != rule]

    def date_changes(self, now: datetime) -> None:
        """Count what nobody has dated as changed now."""
        for rule in self.undated():
            self._record(rule, now)

    def adopt(self, change: RuleChange) -> None:
        """Let a rule say what another device has changed it to."""
        for rule in self.rules():
            if (rule.subject, rule.folded_name) == (change.subject, change.folded_name):
                self.clear_rule(rule)
        if not change.is_removal:
            self.set_rule(change.rule)
        self._write(change)

    def _record(self, rule: Rule, changed_at: datetime) -> None:
        """Record a change as later than all before of the same rule, whatever the clock says."""
        ((last,),) = self._file.rows(
            "SELECT MAX(changed_at) FROM rule_changes WHERE subject = ? AND folded_name = ?",
            (rule.subject, rule.folded_name),
        )
        days = None if rule.max_age is None else rule.max_age.days
        time = max(to_micros(changed_at), (last or 0) + 1)
        self._write(RuleChange(rule.subject, rule.folded_name, rule.name, days, rule.max_count, time))

    def _write(self, change: RuleChange) -> None:
        self._file.execute(f"INSERT OR REPLACE INTO rule_changes ({COLUMNS}) VALUES (?,?,?,?,?,?)", change)
