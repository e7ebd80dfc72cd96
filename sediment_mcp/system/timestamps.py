"""Convert times to microseconds, for the database, and to ISO 8601, for people and hosts.

The indexes use microseconds too. In between, every time is a timezone-aware ``datetime`` in UTC. None stands
for "no such time" and stays None.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import overload

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


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
