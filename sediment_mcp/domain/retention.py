"""Decide which memories retention removes, and why: the same for a preview and for a run.

Two kinds of memories are removed without a rule: those that have expired, and those that were deleted. All
others stay, unless a rule of the user gives their kind or tag a maximum age or a maximum number. What a rule
removes goes to the trash first. A memory of importance 1 is pinned: neither its expiry nor a rule
removes it, only a delete does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sediment_mcp.domain.memory import State, find_state
from sediment_mcp.domain.tags import fold_tag

WORKING_LIFE = timedelta(hours=24)  # of a working memory without an expiry of its own
TRASH_LIFE = timedelta(days=30)  # how long a deleted memory can be restored
GRACE = timedelta(days=7)  # from the expiry of a memory, after which nothing finds it, to its erasure
PINNED_IMPORTANCE = 1.0
MIN_READING_INTERVAL = timedelta(days=1)  # between the two readings of the clock for an automatic removal
MAX_RULE_DAYS = 36_500  # the greatest age that a rule may name


@dataclass(frozen=True, slots=True)
class Rule:
    """A retention rule: maximum age and number of memories of a kind or tag; None is no limit."""

    subject: Literal["kind", "tag"]
    name: str
    max_age: timedelta | None = None
    max_count: int | None = None

    @property
    def folded_name(self) -> str:
        """The name as it is compared: there is one rule for all spellings of a tag."""
        return fold_tag(self.name) if self.subject == "tag" else self.name

    def covers(self, candidate: RetentionCandidate) -> bool:
        """Return whether a memory is of the rule's kind, or has its tag."""
        if self.subject == "kind":
            return candidate.kind == self.name
        return self.folded_name in map(fold_tag, candidate.tags)


@dataclass(frozen=True, slots=True)
class RetentionCandidate:
    """The attributes of a memory that decide whether retention removes it.

    ``since`` is the latest of when it was stored, when it happened and when it was last restored: its age
    counts from then, so that neither a memory of a past event nor a restored one is removed at once.
    """

    memory_key: int
    memory_id: str
    seq: int
    kind: str
    tags: tuple[str, ...]
    importance: float
    since: datetime
    is_current: bool = True
    expires_at: datetime | None = None
    deleted_at: datetime | None = None

    def state(self, now: datetime) -> State:
        """Return the state of the memory at ``now``."""
        return find_state(
            is_deleted=self.deleted_at is not None,
            is_superseded=not self.is_current,
            expires_at=self.expires_at,
            now=now,
        )


@dataclass(frozen=True, slots=True)
class Removal:
    """A memory to remove, to the ``trash`` or for good (``erase``), and the reason.

    ``seq`` is that of the memory when this was decided: if it has changed since, it is left for the next run.
    """

    memory_key: int
    memory_id: str
    seq: int
    action: Literal["erase", "trash"]
    reason: str


@dataclass(frozen=True, slots=True)
class ClockReadings:
    """Two readings of the clock: the ``latest``, and one from some time ``before`` it.

    A machine's clock may be wrong for a while, by years after an empty battery, and what is erased cannot be
    restored. So an automatic run takes the earlier reading, at least `MIN_READING_INTERVAL` before, for the
    present time: a clock that jumps ahead and is corrected within that time removes nothing.
    """

    latest: datetime | None = None
    before: datetime | None = None

    def add(self, now: datetime) -> ClockReadings:
        """Return the readings with ``now`` added.

        Readings later than ``now`` are dropped: the clock was wrong then, and has been corrected since.
        """
        if self.latest is None or now < self.latest:
            return ClockReadings(now, None if self.before is None or now < self.before else self.before)
        return ClockReadings(now, self.latest) if now - self.latest >= MIN_READING_INTERVAL else self


def plan_removals(
    candidates: Iterable[RetentionCandidate], rules: Iterable[Rule], now: datetime
) -> list[Removal]:
    """Return everything to remove now, each memory once.

    After these are removed, another plan for the same ``now`` is empty.
    """
    everything = list(candidates)
    planned = {removal.memory_key: removal for removal in _find_ended(everything, now)}
    subject_to_rules = [candidate for candidate in everything if _is_subject_to_rules(candidate, now)]
    for rule in rules:
        for removal in _apply_rule(rule, subject_to_rules, now):
            planned.setdefault(removal.memory_key, removal)
    return list(planned.values())


def renew_expiry(kind: str, expires_at: datetime | None, now: datetime) -> datetime | None:
    """Return when a restored memory expires.

    An expiry in the past is renewed or dropped, because otherwise nothing would find the memory.
    """
    if expires_at is None or expires_at > now:
        return expires_at
    return now + WORKING_LIFE if kind == "working" else None


def _find_ended(candidates: Iterable[RetentionCandidate], now: datetime) -> Iterator[Removal]:
    for candidate in candidates:
        if candidate.deleted_at is not None:
            if candidate.deleted_at <= now - TRASH_LIFE:
                yield _build_removal(candidate, "erase", f"deleted {TRASH_LIFE.days} days ago")
        elif not _is_pinned(candidate) and candidate.expires_at and candidate.expires_at <= now - GRACE:
            yield _build_removal(candidate, "erase", f"expired {GRACE.days} days ago")


def _is_subject_to_rules(candidate: RetentionCandidate, now: datetime) -> bool:
    return candidate.state(now) in ("live", "superseded") and not _is_pinned(candidate)


def _is_pinned(candidate: RetentionCandidate) -> bool:
    return candidate.importance >= PINNED_IMPORTANCE


def _apply_rule(rule: Rule, candidates: Sequence[RetentionCandidate], now: datetime) -> Iterator[Removal]:
    """Yield what one rule removes; superseded memories count too, and are removed first."""
    own = [one for one in candidates if rule.covers(one)]
    if rule.max_age is not None:
        reason = f"{rule.subject} {rule.name}: older than {_format_days(rule.max_age)}"
        yield from (_build_removal(one, "trash", reason) for one in own if one.since <= now - rule.max_age)
    if rule.max_count is not None:
        best_first = sorted(own, key=lambda one: (one.is_current, one.since, one.memory_key), reverse=True)
        reason = f"{rule.subject} {rule.name}: more than {rule.max_count}"
        yield from (_build_removal(one, "trash", reason) for one in best_first[rule.max_count :])


def describe_rule(rule: Rule) -> str:
    """Return a rule in words, such as "tag db: at most 30 days old, at most 7 of them"."""
    days = None if rule.max_age is None else rule.max_age.days
    return f"{rule.subject} {rule.name}: {describe_limits(days, rule.max_count)}"


def describe_limits(max_days: int | None, max_count: int | None) -> str:
    """Return the limits of a rule in words."""
    age = f"at most {max_days} days old" if max_days else ""
    count = f"at most {max_count:,} of them" if max_count else ""
    return ", ".join(filter(None, (age, count)))


def _format_days(time: timedelta) -> str:
    return "1 day" if time.days == 1 else f"{time.days} days"


def _build_removal(candidate: RetentionCandidate, action: Literal["erase", "trash"], reason: str) -> Removal:
    return Removal(candidate.memory_key, candidate.memory_id, candidate.seq, action, reason)
