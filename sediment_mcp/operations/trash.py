"""How memories leave, and how they come back: delete, restore, trash, the rules of retention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from typing_extensions import TypedDict  # the results below extend those of the contract

from sediment_mcp.background.retention import upcoming
from sediment_mcp.domain.memory import Memory
from sediment_mcp.domain.retention import TRASH_LIFE, Due, Rule
from sediment_mcp.operations.arguments import DeletedMemory, DeleteResult, MemoryResult, TrashResult
from sediment_mcp.operations.results import iso, preview, written

if TYPE_CHECKING:
    from sediment_mcp.app import Library


class DueMemory(MemoryResult):
    """A memory that retention removes: to the ``trash``, or for good (``erase``)."""

    action: Literal["erase", "trash"]
    reason: str


class Upcoming(TypedDict):
    """What a run would remove at this moment; ``total`` of them, of which only the first may be shown."""

    memories: list[DueMemory]
    total: int


class Removed(TypedDict):
    """What a run has removed, as ids: from the trash or for being expired, and to the trash by a rule."""

    erased: list[str]
    trashed: list[str]


class RuleResult(TypedDict):
    """A rule of retention; ``max_age`` in days. One of ``kind`` and ``tag`` is given."""

    kind: str | None
    tag: str | None
    max_age: int | None
    max_count: int | None


# --- delete and restore -------------------------------------------------------------------------


def delete(library: Library, ids: Sequence[str], *, permanent: bool) -> DeleteResult:
    """Delete memories in one transaction; see `operations.delete_memory`. What they had replaced stays
    history."""
    now = library.now()
    wanted = list(dict.fromkeys(ids))
    with library.write(erase=permanent) as store:
        found = {i: m for i, m in store.by_ids(wanted).items() if permanent or m.deleted_at is None}
        for memory in found.values():
            if permanent:
                store.erase(memory)
            else:
                store.update(replace(memory, deleted_at=now), now)
    if permanent and found:
        library.erasing.elsewhere()
    return DeleteResult(
        deleted=[identity for identity in wanted if identity in found],
        not_found=[identity for identity in wanted if identity not in found],
        recoverable_until=iso(now + TRASH_LIFE) if found and not permanent else None,
    )


def restore_memories(library: Library, ids: list[str]) -> tuple[list[str], list[str]]:
    """Bring deleted memories back; returns the ids (restored, not found in the trash)."""
    now = library.now()
    with library.write() as store:
        found = {i: m for i, m in store.by_ids(ids).items() if m.deleted_at is not None}
        for memory in found.values():
            store.restore(memory, now)
    return [i for i in ids if i in found], [i for i in ids if i not in found]


def list_deleted(library: Library, limit: int) -> TrashResult:
    """What `restore_memories` could bring back, the last deleted first."""
    with library.read() as store:
        memories, total = store.trash(limit), store.tallies.states(library.now())["deleted"]
    return TrashResult(memories=[_deleted(memory) for memory in memories], total=total)


def _deleted(memory: Memory) -> DeletedMemory:
    deleted_at = memory.deleted_at or memory.created_at
    return DeletedMemory(
        **preview(memory), deleted_at=written(deleted_at), recoverable_until=written(deleted_at + TRASH_LIFE)
    )


# --- retention ----------------------------------------------------------------------------------


def preview_retention(library: Library, limit: int) -> Upcoming:
    """What `run_retention` would remove at this moment: its first ``limit`` memories, and how many in all."""
    with library.read() as store:
        found = upcoming(store, library.now())
        shown = store.by_ids([one.id for one in found[:limit]])
    memories = [
        DueMemory(**preview(shown[one.id]), action=one.action, reason=one.reason) for one in found[:limit]
    ]
    return Upcoming(memories=memories, total=len(found))


def run_retention(library: Library) -> Removed:
    """Remove what `preview_retention` lists, as every server does in its background a day later.

    Raises:
        Busy: another process is at it, and goes on for too long.
    """
    return _removed(library.retain())


def _removed(removed: Sequence[Due]) -> Removed:
    def ids(action: str) -> list[str]:
        return [one.id for one in removed if one.action == action]

    return Removed(erased=ids("erase"), trashed=ids("trash"))


def retention_rules(library: Library) -> list[RuleResult]:
    with library.read() as store:
        return [_described(rule) for rule in store.ages.rules()]


def set_rule(library: Library, rule: Rule) -> RuleResult:
    """Make it the only rule of its kind or tag. Nothing is removed before the next run."""
    with library.write() as store:
        store.ages.set_rule(rule)
    return _described(rule)


def clear_rules(library: Library, subject: Literal["kind", "tag"] | None, name: str) -> list[RuleResult]:
    """Forget the rule of a kind or tag, or all if there is no ``subject``; returns what was forgotten."""
    with library.write() as store:
        cleared = [
            rule
            for rule in store.ages.rules()
            if subject is None or (rule.subject, rule.name) == (subject, name)
        ]
        for rule in cleared:
            store.ages.clear_rule(rule)
    return [_described(rule) for rule in cleared]


def _described(rule: Rule) -> RuleResult:
    return RuleResult(
        kind=rule.name if rule.subject == "kind" else None,
        tag=rule.name if rule.subject == "tag" else None,
        max_age=None if rule.max_age is None else rule.max_age // timedelta(days=1),
        max_count=rule.max_count,
    )
