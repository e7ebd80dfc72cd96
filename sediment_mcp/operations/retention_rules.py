"""Retention rules: list, set and clear them, preview what they remove, and run them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from sediment_mcp.background.retention import list_due
from sediment_mcp.domain.retention import Removal, Rule
from sediment_mcp.operations.results import (
    DueMemory,
    RetentionPreview,
    RetentionResult,
    RuleResult,
    build_result,
    preview_memory,
)

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.storage.protocols import ReadSession


def preview_retention(app: Application, limit: int, project: str | None = None) -> RetentionPreview:
    """Return what `run_retention` would remove now.

    That is the first ``limit`` memories, and how many there are in all. ``project`` is the one of the caller.
    """
    with app.storage.read() as session:
        removals = list_due(session, app.now())
        memories = session.get([removal.memory_id for removal in removals[:limit]])
    return RetentionPreview(
        memories=[
            DueMemory(
                **preview_memory(memories[removal.memory_id], project),
                action=removal.action,
                reason=removal.reason,
            )
            for removal in removals[:limit]
        ],
        total=len(removals),
    )


def run_retention(app: Application) -> RetentionResult:
    """Remove what `preview_retention` lists.

    Every server does the same in the background, a day later.

    Raises:
        Busy: another process runs retention, and does not finish in time.
    """
    removed = app.run_retention()
    return RetentionResult(erased=_select_ids(removed, "erase"), trashed=_select_ids(removed, "trash"))


def _select_ids(removed: Sequence[Removal], action: Literal["erase", "trash"]) -> list[str]:
    return [removal.memory_id for removal in removed if removal.action == action]


def list_rules(app: Application) -> list[RuleResult]:
    """Return all retention rules."""
    with app.storage.read() as session:
        return [describe_rule(rule) for rule in session.retention.rules()]


def set_rule(app: Application, rule: Rule) -> RuleResult:
    """Set the rule of a kind or tag, in place of any other of the same.

    Nothing is removed before the next run.
    """
    with app.storage.write() as session:
        for other in _find_rules(session, rule.subject, rule.name):
            session.retention.clear_rule(other, app.now())
        session.retention.set_rule(rule, app.now())
    return describe_rule(rule)


def clear_rules(app: Application, subject: Literal["kind", "tag"] | None, name: str) -> list[RuleResult]:
    """Remove the rule of a kind or tag, or all rules if there is no ``subject``.

    Returns the rules that were removed.
    """
    with app.storage.write() as session:
        cleared = session.retention.rules() if subject is None else _find_rules(session, subject, name)
        for rule in cleared:
            session.retention.clear_rule(rule, app.now())
    return [describe_rule(rule) for rule in cleared]


def _find_rules(session: ReadSession, subject: Literal["kind", "tag"], name: str) -> list[Rule]:
    """Return the rules of a kind, or of a tag in any spelling."""
    wanted = Rule(subject, name).folded_name
    rules = session.retention.rules()
    return [rule for rule in rules if rule.subject == subject and rule.folded_name == wanted]


def describe_rule(rule: Rule) -> RuleResult:
    """Return a rule as a result."""
    return build_result(
        RuleResult,
        kind=rule.name if rule.subject == "kind" else None,
        tag=rule.name if rule.subject == "tag" else None,
        max_age=None if rule.max_age is None else rule.max_age // timedelta(days=1),
        max_count=rule.max_count,
    )
