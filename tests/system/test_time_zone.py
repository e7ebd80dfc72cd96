"""Days in the time zone of the user."""

from __future__ import annotations

import time as clocks
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.system.time_zone import (
    FIRST_TIME,
    LAST_TIME,
    MACHINE_ZONE,
    MICROSECOND,
    Days,
    current_zone,
    end_of,
    local_day,
    midnight_of,
    noon_of,
    start_of,
    to_local,
    use_zone,
)

ZONES = st.one_of(
    st.sampled_from(sorted(available_timezones())).map(ZoneInfo),
    st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    st.just(MACHINE_ZONE),
)
DATES = st.dates(date(1900, 1, 2), date(2200, 1, 1))


@pytest.fixture
def machine_zone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[ZoneInfo]:
    """Let the machine be in another zone for a test."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        clocks.tzset()
        yield ZoneInfo(request.param)
    clocks.tzset()


def one_day(day: date) -> Days:
    return Days(day, day)


@given(DATES, ZONES)
def test_a_day_as_a_time_lies_within_the_day_and_is_of_its_date_in_utc(day: date, zone: tzinfo) -> None:
    with use_zone(zone):
        for moment in (midnight_of(one_day(day)), noon_of(one_day(day))):
            assert start_of(one_day(day)) <= moment <= end_of(one_day(day))
            assert moment.date() == day


@given(DATES, ZONES)
def test_days_follow_each_other_without_a_gap(day: date, zone: tzinfo) -> None:
    following = one_day(day + timedelta(days=1))
    with use_zone(zone):
        gap = start_of(following) - end_of(one_day(day))
    assert gap in (MICROSECOND, timedelta(0))  # zero if the zone has left the day out


@given(DATES, st.times(), st.sampled_from(["Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata"]))
def test_a_time_lies_within_the_day_that_it_is_of(day: date, clock: time, zone: str) -> None:
    moment = datetime.combine(day, clock, UTC)
    with use_zone(ZoneInfo(zone)):
        local = one_day(local_day(moment))
        assert start_of(local) <= moment <= end_of(local)


@pytest.mark.parametrize("day", [date.min, date.max])
@given(zone=ZONES)
def test_the_calendar_s_ends_are_days_too(day: date, zone: tzinfo) -> None:
    with use_zone(zone):
        assert start_of(one_day(day)) <= noon_of(one_day(day)) <= end_of(one_day(day))


@pytest.mark.parametrize("limit", [FIRST_TIME, LAST_TIME])
@given(zone=ZONES)
def test_a_time_at_the_calendar_s_ends_has_a_day_in_every_zone(limit: datetime, zone: tzinfo) -> None:
    assert to_local(limit, zone) == limit
    assert abs(local_day(limit, zone) - limit.date()) <= timedelta(days=1)


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 5, 8), 24)],
)
def test_the_days_of_the_change_of_clocks_are_shorter_and_longer(day: date, hours: int) -> None:
    with use_zone(ZoneInfo("Europe/Berlin")):
        assert end_of(one_day(day)) - start_of(one_day(day)) + MICROSECOND == timedelta(hours=hours)


@pytest.mark.skipif(not hasattr(clocks, "tzset"), reason="the machine's zone cannot be changed here")
@pytest.mark.parametrize(
    "machine_zone",
    ["Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata", "Pacific/Auckland", "UTC"],
    indirect=True,
)
def test_the_machine_s_zone_is_that_of_its_name_on_every_day(machine_zone: ZoneInfo) -> None:
    for month in range(1, 13):
        moment = datetime(2026, month, 8, 12, 30, tzinfo=UTC)
        local, named = moment.astimezone(MACHINE_ZONE), moment.astimezone(machine_zone)
        assert local.replace(tzinfo=None) == named.replace(tzinfo=None)
        assert (local.utcoffset(), local.tzname()) == (named.utcoffset(), named.tzname())
        assert local == moment
        with use_zone(machine_zone):
            expected = start_of(one_day(moment.date()))
        assert start_of(one_day(moment.date())) == expected


def test_a_zone_is_the_user_s_for_a_while() -> None:
    assert current_zone() is MACHINE_ZONE
    with use_zone(UTC), use_zone(None):
        assert current_zone() is UTC
    assert current_zone() is MACHINE_ZONE
