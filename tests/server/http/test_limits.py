"""What one caller may ask for takes nothing from another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.server.http.limits import BURST_SECONDS, MAX_IDLE_CALLERS, CallLimits
from sediment_mcp.server.http.settings import MAX_SESSIONS_OF_CALLER, SESSION_SECONDS, HttpSettings

ANN, BEN = ("ann", "laptop"), ("ben", "laptop")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make_limits(clock: Clock, *, rate: int = 5, calls_at_once: int = 3) -> CallLimits:
    return CallLimits(HttpSettings(rate=rate, calls_at_once=calls_at_once), clock)


@given(
    rate=st.integers(1, 20),
    pauses=st.lists(st.floats(0, 1.5), max_size=150),
)
def test_no_span_of_time_holds_more_calls_than_the_rate_and_one_burst(rate: int, pauses: list[float]) -> None:
    clock = Clock()
    limits = make_limits(clock, rate=rate)
    allowed: list[float] = []
    for pause in pauses:
        clock.now += pause
        if limits.start(ANN) is None:
            limits.finish(ANN)
            allowed.append(clock.now)
    for first in range(len(allowed)):
        for last in range(first, len(allowed)):
            most = rate * (allowed[last] - allowed[first] + BURST_SECONDS)
            assert last - first + 1 <= most + 1e-6


def test_a_refused_caller_is_let_in_after_the_time_that_it_is_told() -> None:
    clock = Clock()
    limits = make_limits(clock, rate=2)
    refusal = None
    while refusal is None:
        refusal = limits.start(ANN)
        if refusal is None:
            limits.finish(ANN)
    assert refusal.reason == "rate"
    clock.now += refusal.retry_after
    assert limits.start(ANN) is None


def test_a_caller_at_its_limit_keeps_nobody_else_out() -> None:
    limits = make_limits(Clock(), calls_at_once=2)
    assert [limits.start(ANN) for _ in range(2)] == [None, None]
    refusal = limits.start(ANN)
    assert refusal is not None
    assert refusal.reason == "concurrency"
    assert limits.start(BEN) is None
    limits.finish(ANN)
    assert limits.start(ANN) is None


def test_without_a_rate_any_number_of_calls_is_allowed() -> None:
    limits = make_limits(Clock(), rate=0)
    for _ in range(500):
        assert limits.start(ANN) is None
        limits.finish(ANN)


def test_sessions_are_bounded_and_forgotten_when_they_end_or_are_left_alone() -> None:
    clock = Clock()
    limits = make_limits(clock)
    for number in range(MAX_SESSIONS_OF_CALLER):
        assert limits.check_session(ANN) is None
        limits.note_session(ANN, f"s{number}")
    refusal = limits.check_session(ANN)
    assert refusal is not None
    assert refusal.reason == "sessions"
    assert limits.check_session(BEN) is None
    limits.forget_session(ANN, "s0")
    assert limits.check_session(ANN) is None
    limits.note_session(ANN, "s0")
    clock.now += SESSION_SECONDS
    assert limits.check_session(ANN) is None


def test_callers_who_have_left_are_forgotten_and_those_at_work_are_not() -> None:
    clock = Clock()
    limits = make_limits(clock, calls_at_once=1)
    assert limits.start(ANN) is None
    for number in range(2 * MAX_IDLE_CALLERS):
        clock.now += BURST_SECONDS
        caller = ("t", str(number))
        assert limits.start(caller) is None
        limits.finish(caller)
    assert len(limits._callers) <= MAX_IDLE_CALLERS + 1
    assert limits.start(ANN) is not None
