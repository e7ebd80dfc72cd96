"""What an audit records: who stored, changed, deleted or asked for what, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

Action = Literal[
    "store",
    "change",
    "delete",
    "restore",
    "erase",
    "move",
    "rules",
    "restore-backup",
    "query",
    "list",
    "read",
    "export",
]
ACTIONS: tuple[Action, ...] = get_args(Action)

RETENTION = "retention"
"""Who removes what has ended or what a rule covers, in an audit."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change, or one answer.

    ``memory_ids`` are those changed, or those in the answer. ``text`` is that of a query where it is kept.
    """

    at: datetime
    caller: str
    action: Action
    memory_ids: tuple[str, ...]
    text: str | None = None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; what is None matters not."""

    since: datetime | None = None
    caller: str | None = None
    action: Action | None = None
    memory_id: str | None = None
