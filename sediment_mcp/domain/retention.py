"""What may go, and why: the one function that decides both what a preview lists and what a run removes.

Two things end by themselves: a memory that said when it expires, and one that somebody deleted. Everything
else stays, unless a rule of the user's own gives its kind or tag a maximum age or a maximum number. What a
rule takes goes to the trash first. A memory of importance 1 is pinned: neither its end nor a rule removes
it, only a delete does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

WORKING_LIFE = timedelta(hours=24)  # of a memory of this kind that does not say when it ends
TRASH_LIFE = timedelta(days=30)  # how long a deleted memory can be restored
GRACE = timedelta(days=7)  # from the end of a memory, found by nothing, to the end of its text
PINNED = 1.0  # importance
APART = timedelta(days=1)  # two looks at the clock that must agree before anything goes unasked


@dataclass(frozen=True, slots=True)
class Rule:
    """The user's word on one kind, or on one tag: at most so old, at most so many. None means no limit."""

    subject: Literal["kind", "tag"]
    name: str
    max_age: timedelta | None = None
    max_count: int | None = None


@dataclass(frozen=True, slots=True)
class Aged:
    """What of a memory decides whether it may go.

    ``since`` is the latest of when it was stored, when it happened and when it was last restored: its age
    counts from there, so that neither a report of long ago nor what was just restored goes at once.
    """

    number: int
    id: str
    seq: int
    kind: str
    tags: tuple[str, ...]
    importance: float
    since: datetime
    is_current: bool = True
    expires_at: datetime | None = None
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A memory that goes: to the ``trash``, or for good (``erase``), and why. ``seq`` is the change that
    it was decided on: one that has changed since is left for the next time."""

    number: int
    id: str
    seq: int
    action: Literal["erase", "trash"]
    reason: str


@dataclass(frozen=True, slots=True)
class Looks:
    """What the clock showed when something looked due: at the ``latest`` look that counts, and before it.

    A machine's clock may be wrong for a while, by years after an empty battery, and what is erased is gone.
    So what goes unasked goes as of the look before, at least `APART` earlier: a clock that jumps ahead and is
    put right within that time removes nothing.
    """

    latest: datetime | None = None
    before: datetime | None = None

    def then(self, now: datetime) -> Looks:
        """After one more look. Times that lie ahead of it were shown by a clock that has been put right."""
        if self.latest is None or now < self.latest:
            return Looks(now, None if self.before is None or now < self.before else self.before)
        return Looks(now, self.latest) if now - self.latest >= APART else self


def due(aged: Iterable[Aged], rules: Iterable[Rule], now: datetime) -> list[Due]:
    """Everything that goes now, each memory once. Once it is gone, nothing more goes at the same ``now``."""
    everything = list(aged)
    found = {memory.number: memory for memory in _ended(everything, now)}
    subject_to_rules = [memory for memory in everything if _is_subject_to_rules(memory, now)]
    for rule in rules:
        for memory in _beyond(rule, subject_to_rules, now):
            found.setdefault(memory.number, memory)
    return list(found.values())


def end_of_returned(kind: str, expires_at: datetime | None, now: datetime) -> datetime | None:
    """When a memory that comes back ends: as it said, unless that is over, or nothing would find it."""
    if expires_at is None or expires_at > now:
        return expires_at
    return now + WORKING_LIFE if kind == "working" else None


def _ended(aged: Iterable[Aged], now: datetime) -> Iterator[Due]:
    for memory in aged:
        if memory.deleted_at is not None:
            if memory.deleted_at <= now - TRASH_LIFE:
                yield _due(memory, "erase", f"deleted {TRASH_LIFE.days} days ago")
        elif memory.importance < PINNED and memory.expires_at and memory.expires_at <= now - GRACE:
            yield _due(memory, "erase", f"expired {GRACE.days} days ago")


def _is_subject_to_rules(memory: Aged, now: datetime) -> bool:
    is_expired = memory.expires_at is not None and memory.expires_at <= now
    return memory.deleted_at is None and not is_expired and memory.importance < PINNED


def _beyond(rule: Rule, aged: Sequence[Aged], now: datetime) -> Iterator[Due]:
    """What one rule takes. A maximum number counts history too, and history goes first."""
    own = [m for m in aged if rule.name in (m.tags if rule.subject == "tag" else (m.kind,))]
    if rule.max_age is not None:
        reason = f"{rule.subject} {rule.name}: older than {_days(rule.max_age)}"
        yield from (_due(memory, "trash", reason) for memory in own if memory.since <= now - rule.max_age)
    if rule.max_count is not None:
        best = sorted(own, key=lambda memory: (memory.is_current, memory.since, memory.number), reverse=True)
        reason = f"{rule.subject} {rule.name}: more than {rule.max_count}"
        yield from (_due(memory, "trash", reason) for memory in best[rule.max_count :])


def _days(time: timedelta) -> str:
    return "1 day" if time.days == 1 else f"{time.days} days"


def _due(memory: Aged, action: Literal["erase", "trash"], reason: str) -> Due:
    return Due(memory.number, memory.id, memory.seq, action, reason)
