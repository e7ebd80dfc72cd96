"""Times as microseconds and as text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.system.timestamps import EPOCH, from_micros, isoformat, to_micros

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
