"""Convert times to microseconds for the database, and to and from ISO 8601 for people.

Hosts use ISO 8601 too, and the indexes microseconds. In between, every time is a timezone-aware ``datetime``
in UTC. None stands for "no such time" and stays None.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, timezone
from typing import overload

from sediment_mcp.system.time_zone import MICROSECOND, Days

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE_AND_TIME = re.compile(
    r"""([0-9W-]+)
    (?:(?:T|\s+)
    ([0-9]{2})(?:(:?)([0-9]{2})(?:\3([0-9]{2})(?:[.,]([0-9]+))?)?)?
    \s*(Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2})?)?)?
    )?""",
    re.VERBOSE | re.IGNORECASE,
)
"""A date; hour, colon, minute, second and fraction; the offset."""
_DAY = re.compile(r"([0-9]{4})(-?)([0-9]{2})\2([0-9]{2})")
_DAY_OF_YEAR = re.compile(r"([0-9]{4})-?([0-9]{3})")
_DAY_OF_WEEK = re.compile(r"([0-9]{4})(-?)W([0-9]{2})\2([1-7])", re.IGNORECASE)
_WEEK = re.compile(r"([0-9]{4})-?W([0-9]{2})", re.IGNORECASE)
_MONTH_OR_YEAR = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?")


@overload
def to_micros(time: datetime) -> int: ...
@overload
def to_micros(time: datetime | None) -> int | None: ...
def to_micros(time: datetime | None) -> int | None:
    """Return the microseconds from 1970 in UTC to ``time``."""
    return None if time is None else (time - EPOCH) // MICROSECOND


@overload
def from_micros(micros: int) -> datetime: ...
@overload
def from_micros(micros: int | None) -> datetime | None: ...
def from_micros(micros: int | None) -> datetime | None:
    """Return the time that is ``micros`` microseconds after 1970 in UTC.

    Raises:
        OverflowError: the calendar has no such time.
    """
    return None if micros is None else EPOCH + micros * MICROSECOND


@overload
def isoformat(time: datetime) -> str: ...
@overload
def isoformat(time: datetime | None) -> str | None: ...
def isoformat(time: datetime | None) -> str | None:
    """Return a UTC time in ISO 8601 with the suffix Z."""
    return None if time is None else time.isoformat().replace("+00:00", "Z")


@overload
def isoformat_to_second(time: datetime) -> str: ...
@overload
def isoformat_to_second(time: datetime | None) -> str | None: ...
def isoformat_to_second(time: datetime | None) -> str | None:
    """Return a UTC time as `isoformat` does, cut to seconds, as times are shown."""
    return isoformat(time and cut_to_second(time))


def cut_to_second(time: datetime) -> datetime:
    """Return the beginning of the second that a time lies in."""
    return time.replace(microsecond=0)


def means_time(given: datetime | None, time: datetime | None) -> bool:
    """Return whether what was given is this time, as it is or as it is shown."""
    return given == time or (time is not None and given == cut_to_second(time))


# --- from text ----------------------------------------------------------------------------------


def parse_iso(text: str) -> datetime | Days:
    """Return a time of ISO 8601 in UTC, or the days of a date alone.

    A time without an offset is UTC. All of RFC 3339 is understood: a space instead of T, lower case,
    fractions of any length, leap seconds, which are the second before; and of ISO 8601 also dates by week
    and by day of the year, whole weeks, months and years, no separators, and 24:00.

    Raises:
        ValueError: it is no such time.
        OverflowError: the calendar has no such time.
    """
    found = _DATE_AND_TIME.fullmatch(text.strip().replace("\u2212", "-"))
    if found is None:
        raise ValueError("not ISO 8601")
    written, hour, _, minute, second, fraction, offset = found.groups()
    if hour is None:
        return _parse_days(written)
    midnight = datetime.combine(_parse_day(written), datetime.min.time(), _parse_offset(offset or "Z"))
    micros = int(f"{fraction or 0:0<6}"[:6])
    clock = _build_clock(int(hour), int(minute or 0), int(second or 0), micros)
    time = (midnight + clock).astimezone(UTC)
    if second == "60" and (time.hour, time.minute) != (23, 59):
        raise ValueError("no leap second")
    return time


def _build_clock(hour: int, minute: int, second: int, micros: int) -> timedelta:
    """Return how long after midnight a time is; a leap second is the second before."""
    clock = timedelta(hours=hour, minutes=minute, seconds=min(second, 59), microseconds=micros)
    if minute > 59 or second > 60 or clock > timedelta(days=1):
        raise ValueError("no time of day")
    return clock


def _parse_offset(text: str) -> timezone:
    if text[0] not in "+-":
        return UTC
    digits = f"{text[1:].replace(':', ''):0<6}"
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:]))
    if int(digits[2:4]) > 59 or int(digits[4:]) > 59:
        raise ValueError("no offset")
    return timezone(-offset if text[0] == "-" else offset)


def _parse_day(text: str) -> date:
    if found := _DAY.fullmatch(text):
        return date(int(found[1]), int(found[3]), int(found[4]))
    if found := _DAY_OF_WEEK.fullmatch(text):
        return date.fromisocalendar(int(found[1]), int(found[3]), int(found[4]))
    if found := _DAY_OF_YEAR.fullmatch(text):
        day = date(int(found[1]), 1, 1) + timedelta(days=int(found[2]) - 1)
        if day.year == int(found[1]):
            return day
    raise ValueError("no day")


def _parse_days(text: str) -> Days:
    if found := _WEEK.fullmatch(text):
        monday = date.fromisocalendar(int(found[1]), int(found[2]), 1)
        return Days(monday, monday + timedelta(days=6))
    if found := _MONTH_OR_YEAR.fullmatch(text):
        year, month = int(found[1]), found[2]
        if month is None:
            return Days(date(year, 1, 1), date(year, 12, 31))
        return Days(date(year, int(month), 1), date(year, int(month), monthrange(year, int(month))[1]))
    day = _parse_day(text)
    return Days(day, day)
