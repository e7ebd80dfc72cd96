"""Times as microseconds and as text."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.system.timestamps import EPOCH, from_micros, isoformat, parse_iso, to_micros

TIMES = st.datetimes(timezones=st.just(UTC))


@given(TIMES)
def test_every_time_comes_back_from_its_microseconds(time: datetime) -> None:
    assert from_micros(to_micros(time)) == time


@given(TIMES, TIMES)
def test_microseconds_are_in_the_order_of_the_times(one: datetime, other: datetime) -> None:
    assert (to_micros(one) < to_micros(other)) == (one < other)


@given(TIMES)
def test_a_time_ends_with_z_and_is_read_back(time: datetime) -> None:
    assert isoformat(time).endswith("Z")
    assert datetime.fromisoformat(isoformat(time)) == time


def test_no_time_stays_none() -> None:
    assert (to_micros(None), from_micros(None), isoformat(None)) == (None, None, None)


def test_the_epoch_is_zero_and_the_calendar_ends() -> None:
    assert to_micros(EPOCH) == 0
    with pytest.raises(OverflowError):
        from_micros(2**62)


# --- from text ----------------------------------------------------------------------------------

HALF_PAST_TWO = datetime(2026, 5, 8, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-08T14:30:00Z",
        "2026-05-08t14:30:00z",
        "2026-05-08 14:30:00Z",
        "  2026-05-08  14:30 ",
        "2026-05-08T14:30:00.000000000000000Z",
        "2026-05-08T14:30:00,0Z",
        "2026-05-08T14:30:00-00:00",
        "2026-05-08T14:30:00+00:00",
        "2026-05-08T16:30:00+02:00",
        "2026-05-08T16:30:00 +0200",
        "2026-05-08T16:30+02",
        "2026-05-08T09:00:00\u221205:30",
        "2026-05-09T04:29:59+13:59:59",
        "20260508T143000Z",
        "20260508T1430",
        "2026-W19-5T14:30Z",
        "2026W195T14:30Z",
        "2026-128T14:30Z",
        "2026-05-08T14:30:00 UTC",
        "2026-05-08 14:30 gmt",
    ],
)
def test_one_time_is_understood_however_it_is_written(text: str) -> None:
    assert parse_iso(text) == HALF_PAST_TWO


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-05-08T14", datetime(2026, 5, 8, 14, tzinfo=UTC)),
        ("2026-05-08T14:30:15.1234567890123456789Z", datetime(2026, 5, 8, 14, 30, 15, 123456, UTC)),
        ("2026-05-08T14:30:15.5", datetime(2026, 5, 8, 14, 30, 15, 500_000, UTC)),
        ("2026-05-08T24:00:00Z", datetime(2026, 5, 9, tzinfo=UTC)),
        ("2026-05-08T24:00", datetime(2026, 5, 9, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2017-01-01T05:29:60+05:30", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_the_rest_of_rfc_3339_is_understood(text: str, time: datetime) -> None:
    assert parse_iso(text) == time


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-05-08", date(2026, 5, 8), date(2026, 5, 8)),
        (" 20260508 ", date(2026, 5, 8), date(2026, 5, 8)),
        ("2026-W19-5", date(2026, 5, 8), date(2026, 5, 8)),
        ("2026w195", date(2026, 5, 8), date(2026, 5, 8)),
        ("2026-128", date(2026, 5, 8), date(2026, 5, 8)),
        ("2026128", date(2026, 5, 8), date(2026, 5, 8)),
        ("2024-366", date(2024, 12, 31), date(2024, 12, 31)),
        ("2026-W19", date(2026, 5, 4), date(2026, 5, 10)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2026", date(2026, 1, 1), date(2026, 12, 31)),
    ],
)
def test_a_date_alone_is_days(text: str, first: date, last: date) -> None:
    assert parse_iso(text) == (first, last)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "soon", "2026-13-01", "2026-02-30", "2025-366", "2026-000", "2026-W54", "2026-W19-8",
     "2026-05-0", "26-05-08", "2026-5-8", "2026/05/08", "08.05.2026", "2026-05-08T", "2026-05-08T25:00",
     "2026-05-08T24:00:01", "2026-05-08T24:00:00.5", "2026-05-08T14:60", "2026-05-08T14:30:61Z",
     "2026-05-08T14:30:60Z", "2026-05-08T14:3000", "2026-05-08T14:30:00+24:00", "2026-05-08T14:30:00+02:60",
     "2026-05-08T14:30:00X", "2026-05T14:30", "2026T10:00", "2026-0508", "202605", "1778250600", "0000-01-01",
     "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "9999-12-31T24:00", "14:30",
     "\u0662\u0660\u0662\u0666-\u0660\u0665-\u0660\u0668",
     "2026-05-08T14:30:00Z 2026", "-2026-05-08", "+2026-05-08", "P1D"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        parse_iso(text)


@given(st.text() | st.from_regex(r"[0-9TZW:.+ -]{0,30}"))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError, OverflowError):
        parse_iso(text)


@given(st.datetimes(timezones=st.timezones()), st.sampled_from(["T", " ", "t"]))
def test_what_python_writes_is_read_back(time: datetime, separator: str) -> None:
    with contextlib.suppress(OverflowError):
        assert parse_iso(time.isoformat(separator)) == time.astimezone(UTC)
