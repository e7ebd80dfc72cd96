"""What may go, and why: the pure decision that a preview shows and a run carries out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.domain.retention import (
    GRACE,
    MIN_READING_INTERVAL,
    TRASH_LIFE,
    ClockReadings,
    RetentionCandidate,
    Rule,
    plan_removals,
)

NOW = datetime(2026, 5, 8, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


def aged(number: int = 1, *, days: float = 0, **more: object) -> RetentionCandidate:
    defaults = {"kind": "semantic", "tags": (), "importance": 0.5, "since": NOW - days * DAY}
    return RetentionCandidate(memory_key=number, memory_id=f"m{number}", seq=number, **{**defaults, **more})  # type: ignore[arg-type]


def gone(memories: list[RetentionCandidate], *rules: Rule) -> dict[str, str]:
    """id → action"""
    return {one.memory_id: one.action for one in plan_removals(memories, rules, NOW)}


def test_without_rules_nothing_goes_that_does_not_say_so_itself() -> None:
    assert gone([aged(1, days=100_000, importance=0.0), aged(2, is_current=False, days=9_000)]) == {}


@pytest.mark.parametrize(("early", "expected"), [(MOMENT, {}), (timedelta(0), {"m1": "erase"})])
def test_the_expired_goes_after_its_days_of_grace(early: timedelta, expected: dict[str, str]) -> None:
    assert gone([aged(expires_at=NOW - GRACE + early)]) == expected


@pytest.mark.parametrize(("early", "expected"), [(MOMENT, {}), (timedelta(0), {"m1": "erase"})])
def test_the_deleted_goes_at_the_end_of_the_trash(early: timedelta, expected: dict[str, str]) -> None:
    assert gone([aged(deleted_at=NOW - TRASH_LIFE + early)]) == expected


def test_the_trash_keeps_its_thirty_days_for_what_has_expired_there() -> None:
    assert gone([aged(expires_at=NOW - 90 * DAY, deleted_at=NOW - DAY)]) == {}


def test_a_pinned_memory_goes_only_if_it_was_deleted() -> None:
    old = aged(days=900, importance=1.0, expires_at=NOW - 90 * DAY)
    rules = [Rule("kind", "semantic", DAY, 1), Rule("kind", "semantic", None, 1)]
    assert gone([old, aged(2, importance=1.0, days=800)], *rules) == {}
    assert gone([replace(old, deleted_at=NOW - 31 * DAY)], *rules) == {"m1": "erase"}


def test_an_age_is_counted_to_the_day_and_goes_to_the_trash() -> None:
    rule = Rule("kind", "semantic", 10 * DAY)
    assert gone([aged(1, days=10), aged(2, days=9.99), aged(3, days=99, kind="working")], rule) == {
        "m1": "trash"
    }


def test_a_tag_s_rule_speaks_of_nothing_else() -> None:
    rule = Rule("tag", "red", DAY)
    memories = [aged(1, days=5, tags=("red", "x")), aged(2, days=5, tags=("redder",)), aged(3, days=5)]
    assert gone(memories, rule) == {"m1": "trash"}


def test_of_too_many_history_goes_first_and_then_the_oldest() -> None:
    memories = [
        aged(1, days=1, is_current=False),
        aged(2, days=2),
        aged(3, days=4),
        aged(4, days=3),
        aged(5, days=0, importance=1.0),
    ]
    rule = Rule("kind", "semantic", max_count=3)
    assert gone(memories, rule) == {"m1": "trash"}
    assert gone(memories, replace(rule, max_count=1)) == {"m1": "trash", "m3": "trash", "m4": "trash"}


def test_what_cannot_be_found_any_more_does_not_count() -> None:
    memories = [aged(1, days=3), aged(2, expires_at=NOW), aged(3, deleted_at=NOW)]
    assert gone(memories, Rule("kind", "semantic", max_count=1)) == {}


def test_the_reason_names_the_rule() -> None:
    (one,) = plan_removals([aged(days=5, tags=("red",))], [Rule("tag", "red", DAY)], NOW)
    assert one.reason == "tag red: older than 1 day"


DAYS = st.integers(-5, 60)
MEMORIES = st.lists(
    st.builds(
        aged,
        days=DAYS,
        kind=st.sampled_from(["semantic", "episodic"]),
        tags=st.lists(st.sampled_from(["red", "round"]), unique=True).map(tuple),
        importance=st.sampled_from([0.0, 0.5, 1.0]),
        is_current=st.booleans(),
        expires_at=st.none() | DAYS.map(lambda days: NOW - days * DAY),
        deleted_at=st.none() | st.integers(0, 60).map(lambda days: NOW - days * DAY),
    ),
    max_size=12,
).map(lambda found: [replace(m, memory_key=n, memory_id=f"m{n}") for n, m in enumerate(found)])
LIMITS = {
    "max_age": st.none() | st.integers(1, 50).map(lambda n: n * DAY),
    "max_count": st.none() | st.integers(1, 5),
}
RULES = st.lists(
    st.builds(Rule, st.just("kind"), st.sampled_from(["semantic", "episodic"]), **LIMITS)
    | st.builds(Rule, st.just("tag"), st.sampled_from(["red", "round"]), **LIMITS),
    max_size=4,
)


@given(memories=MEMORIES, rules=RULES)
def test_once_done_nothing_more_goes(memories: list[RetentionCandidate], rules: list[Rule]) -> None:
    actions = gone(memories, *rules)
    left = [
        replace(m, deleted_at=NOW) if actions.get(m.memory_id) == "trash" else m
        for m in memories
        if actions.get(m.memory_id) != "erase"
    ]
    assert gone(left, *rules) == {}


@given(memories=MEMORIES, rules=RULES)
def test_what_was_not_deleted_and_does_not_expire_is_never_erased_at_once(
    memories: list[RetentionCandidate], rules: list[Rule]
) -> None:
    known = {memory.memory_id: memory for memory in memories}
    for one in plan_removals(memories, rules, NOW):
        memory = known[one.memory_id]
        assert memory.importance < 1 or memory.deleted_at is not None
        if one.action == "erase":
            assert memory.deleted_at is not None or memory.expires_at is not None


@given(memories=MEMORIES, rules=RULES)
def test_the_limits_are_kept(memories: list[RetentionCandidate], rules: list[Rule]) -> None:
    actions = gone(memories, *rules)
    for rule in rules:
        own = [
            m
            for m in memories
            if m.memory_id not in actions and m.deleted_at is None and m.importance < 1
            and (m.expires_at is None or m.expires_at > NOW)
            and (rule.name in m.tags if rule.subject == "tag" else rule.name == m.kind)
        ]  # fmt: skip
        assert rule.max_count is None or len(own) <= rule.max_count
        assert rule.max_age is None or all(m.since > NOW - rule.max_age for m in own)


# --- looks at the clock -------------------------------------------------------------------------

HOURS = st.integers(1, 2000).map(lambda hours: timedelta(hours=hours))
BRIEF = st.lists(st.integers(0, 23), min_size=1, max_size=5).map(sorted)  # hours from its begin


@given(st.lists(st.tuples(HOURS, st.integers(-9000, 9000), BRIEF), max_size=12))
def test_a_clock_that_is_wrong_for_less_than_a_day_at_a_time_never_gets_ahead(
    episodes: list[tuple[timedelta, int, list[int]]],
) -> None:
    """Before and after each time that it is wrong there is a look while it is right."""
    looks, true = ClockReadings(), NOW
    for apart, off, wrong in episodes:
        looks = looks.add(true)
        for hours in wrong:
            looks = looks.add(true + timedelta(days=off, hours=hours))
            assert looks.before is None or looks.before <= true + timedelta(hours=hours)
        true += timedelta(hours=wrong[-1]) + apart
    assert looks.before is None or looks.before <= true


@given(st.lists(HOURS, min_size=1))
def test_the_moment_to_go_by_was_shown_and_is_at_least_a_day_before_the_latest(
    steps: list[timedelta],
) -> None:
    looks, now, shown = ClockReadings(), NOW, set[datetime]()
    for step in steps:
        now += step
        looks = looks.add(now)
        shown.add(now)
        assert looks.latest in shown
        assert now - looks.latest < MIN_READING_INTERVAL
        assert looks.before is None or (
            looks.before in shown and looks.latest - looks.before >= MIN_READING_INTERVAL
        )
    assert looks.before is not None or now - NOW - steps[0] < MIN_READING_INTERVAL


def test_a_clock_set_back_for_good_is_trusted_again_after_a_day() -> None:
    looks = ClockReadings(NOW + 300 * DAY, NOW + 200 * DAY).add(NOW)
    assert looks == ClockReadings(NOW)
    assert looks.add(NOW + DAY - MOMENT) == looks
    assert looks.add(NOW + DAY) == ClockReadings(NOW + DAY, NOW)
