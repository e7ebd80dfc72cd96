"""Days in the time zone of the user: when they begin and end, which one a time is of.

The zone is that of the machine, unless the configuration or the client of a call names another: the entry
points, and the server for a single call, say so with `use_zone`.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

MICROSECOND = timedelta(microseconds=1)
NOON = time(12)
FIRST_TIME = datetime.min.replace(tzinfo=UTC)
LAST_TIME = datetime.max.replace(tzinfo=UTC)


class MachineZone(tzinfo):
    """The time zone of this machine, with all its changes over the years.

    The standard library knows it only for one time after the other: ``datetime.astimezone()``.
    """

    def utcoffset(self, dt: datetime | None) -> timedelta:
        """Return the offset from UTC at a local time."""
        return _to_machine_time(dt).utcoffset() or timedelta(0)

    def dst(self, dt: datetime | None) -> None:
        """Return None: it is not known how much of the offset is daylight-saving time."""

    def tzname(self, dt: datetime | None) -> str | None:
        """Return the name of the zone at a local time, such as CET or CEST."""
        return _to_machine_time(dt).tzname()

    def fromutc(self, dt: datetime) -> datetime:
        """Return the local time of a time that is given in UTC."""
        local = _to_machine_time(dt.replace(tzinfo=UTC))
        return local.replace(tzinfo=self)


def _to_machine_time(dt: datetime | None) -> datetime:
    """Return a time in the machine's zone; without a zone of its own it is local already.

    Some systems cannot convert times long ago or far away, which are taken for UTC then.
    """
    try:
        if dt is None:
            return datetime.now().astimezone()
        return (dt if dt.tzinfo is UTC else dt.replace(tzinfo=None)).astimezone()
    except (OverflowError, OSError, ValueError):
        return (dt or FIRST_TIME).replace(tzinfo=UTC)


MACHINE_ZONE = MachineZone()

_zone: ContextVar[tzinfo] = ContextVar("zone", default=MACHINE_ZONE)


def current_zone() -> tzinfo:
    """Return the time zone of the user in the call under way."""
    return _zone.get()


@contextmanager
def use_zone(zone: tzinfo | None) -> Generator[None]:
    """Make this the time zone of the user for a while; None leaves it as it is."""
    token = _zone.set(zone or _zone.get())
    try:
        yield
    finally:
        _zone.reset(token)


# --- days ---------------------------------------------------------------------------------------


def to_utc(local: datetime) -> datetime:
    """Return a time with a zone in UTC; beyond the calendar's limits, its first or last time."""
    try:
        return local.astimezone(UTC)
    except (OverflowError, ValueError):
        return FIRST_TIME if local.year < 5000 else LAST_TIME


def to_local(moment: datetime, zone: tzinfo | None = None) -> datetime:
    """Return a timezone-aware time in this zone, the user's by default.

    It stays in UTC where it would leave the calendar.
    """
    try:
        return moment.astimezone(zone or current_zone())
    except (OverflowError, ValueError):
        return moment.astimezone(UTC)


def local_day(moment: datetime, zone: tzinfo | None = None) -> date:
    """Return the day of a time in this zone, the user's by default."""
    return to_local(moment, zone).date()


class Days(NamedTuple):
    """A day, or a row of days, of the user."""

    first: date
    last: date


def start_of(days: Days) -> datetime:
    """Return the first time of these days, in UTC."""
    return to_utc(datetime.combine(days.first, time.min, current_zone()))


def end_of(days: Days) -> datetime:
    """Return the last microsecond of these days, in UTC.

    A day that a zone has left out, when it crossed the date line, ends where it begins.
    """
    if days.last == date.max:
        return LAST_TIME
    following = days.last + timedelta(days=1)
    return max(start_of(days), start_of(Days(following, following)) - MICROSECOND)


def midnight_of(days: Days) -> datetime:
    """Return the first day's beginning in UTC, or the nearest time that is of the user's day.

    So it is of this day both in UTC and for the user.
    """
    return _move_into_day(days.first, time.min)


def noon_of(days: Days) -> datetime:
    """Return noon in UTC of the first day, or the nearest time that is of the user's day.

    So it is of this day both in UTC and for the user, and the same time on nearly all machines, which the
    ids of imported events are derived from.
    """
    return _move_into_day(days.first, NOON)


def _move_into_day(day: date, clock: time) -> datetime:
    days = Days(day, day)
    moment = datetime.combine(day, clock, UTC)
    return min(max(moment, start_of(days)), end_of(days).replace(microsecond=0))
