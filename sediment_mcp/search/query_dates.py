"""Read which days a query names.

Days are named in words of four languages (`date_words`) or in digits. `date_phrases` finds the phrases, of
which the longest counts: "the day before yesterday" is no yesterday. All functions are pure.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import partial

from sediment_mcp.search.date_phrases import Match, Token, WrittenDate, find_phrases, read_tokens
from sediment_mcp.search.date_words import NO_DATE, PAST_ENDINGS, PAST_WORDS
from sediment_mcp.system.time_zone import local_day

MAX_PERIODS = 50  # that a query may name: every candidate is compared with each


@dataclass(frozen=True, slots=True)
class Period:
    """Days that a query names: from ``since`` to ``until``, both inclusive, in ``zone``.

    Where no year is named, the ``month``, or its ``day``, of any year.
    """

    since: date = date.min
    until: date = date.max
    month: int | None = None
    day: int | None = None
    zone: tzinfo = UTC

    def contains(self, time: datetime) -> bool:
        """Return True if the timezone-aware time is of one of these days."""
        day = local_day(time, self.zone)
        return (
            self.since <= day <= self.until
            and self.month in (None, day.month)
            and self.day in (None, day.day)
        )


def read_dates(query: str, now: datetime) -> list[Period]:
    """Return the days that the query names; ``now`` is in the time zone of the user."""
    zone = now.tzinfo or UTC
    return [replace(period, zone=zone) for period in find_periods(query, now.date())]


def find_periods(query: str, today: date) -> list[Period]:
    """Return the days that the query names, in words or in digits, as of ``today``.

    A year by itself counts if nothing else is named; "last Friday" and the like, if no whole date is: in
    "last Friday, on 23 January 2022" they are not meant as of today.
    """
    tokens = read_tokens(query)
    matches = list(find_phrases(tokens))
    left_out: set[str] = set() if _is_about_past(tokens) else {"today in the past"}
    if any(_is_whole_date(match) for match in matches):
        left_out |= STEPS
    named, years = list[Period](), list[Period]()
    for match in matches:
        if match.meaning not in left_out:
            (years if match.meaning == "year" else named).extend(_build_periods(match, today))
    return list(dict.fromkeys(named or years))[:MAX_PERIODS]


def _is_whole_date(match: Match) -> bool:
    is_whole = "date" in match.values or {"day", "year"} <= match.values.keys()
    return is_whole and match.meaning != NO_DATE


def _is_about_past(tokens: Iterable[Token]) -> bool:
    return any(token.word in PAST_WORDS or token.word.endswith(PAST_ENDINGS) for token in tokens)


def _build_periods(match: Match, today: date) -> Iterator[Period]:
    """Yield the days that a phrase means, or nothing if the calendar has none."""
    try:
        yield from MEANINGS[match.meaning](today, **match.values)
    except (OverflowError, ValueError):
        return


# --- what phrases mean --------------------------------------------------------------------------


def _read_day(today: date, offset: int) -> Iterator[Period]:
    yield _build_days(today + timedelta(days=offset))


def _read_ago(today: date, n: int, unit: str) -> Iterator[Period]:
    """Yield the day so long ago; with weeks and months also the days around it."""
    if unit == "year":
        yield _build_year(today.year - n)
        return
    length = _UNIT_DAYS[unit]
    middle, half = today - timedelta(days=n * length), timedelta(days=length // 2)
    yield _build_days(middle - half, middle + half)


def _read_recent(today: date, unit: str, n: int = 1) -> Iterator[Period]:
    yield _build_days(today - timedelta(days=n * _UNIT_DAYS[unit]), today)


def _read_step(
    today: date, steps: int, span: str = "", weekday: int | None = None, month: int | None = None
) -> Iterator[Period]:
    """Yield the span, weekday or month so many steps from this one.

    The last Friday is the one before today, the next the one after it; this Friday is that of this week.
    """
    if span:
        yield _build_span(span, today, steps)
    elif weekday is not None:
        ahead = weekday - today.weekday()
        if steps:
            ahead = ahead % 7 - 7 if steps < 0 else ahead % 7 or 7
        yield _build_days(today + timedelta(days=ahead))
    elif month is not None:
        is_passed = month < today.month if steps < 0 else month > today.month
        yield from _read_date(today, month=month, year=today.year + (0 if is_passed else steps))


def _read_latest(today: date, weekday: int) -> Iterator[Period]:
    yield _build_days(today - timedelta(days=(today.weekday() - weekday) % 7))


def _read_date(
    today: date, month: int, day: int | None = None, year: int | None = None, weekday: int | None = None
) -> Iterator[Period]:
    """Yield the month, or its day, or nothing for a date that does not exist."""
    last = monthrange(year or 2000, month)[1]
    if day is not None and day > last:
        return
    if year is None:
        yield Period(month=month, day=day)
    else:
        yield _build_days(date(year, month, day or 1), date(year, month, day or last))


def _read_written(
    today: date,
    date: Sequence[WrittenDate] = (),
    short: Sequence[WrittenDate] = (),
    weekday: int | None = None,
) -> Iterator[Period]:
    for year, month, day in (*date, *short):
        yield from _read_date(today, month, day, year)


def _read_year(today: date, year: int) -> Iterator[Period]:
    yield _build_year(year)


def _read_nothing(today: date, **values: object) -> Iterator[Period]:
    return iter(())


MEANINGS: Mapping[str, Callable[..., Iterator[Period]]] = {
    "today": partial(_read_day, offset=0),
    "today in the past": partial(_read_day, offset=0),
    "yesterday": partial(_read_day, offset=-1),
    "two days ago": partial(_read_day, offset=-2),
    "tomorrow": partial(_read_day, offset=1),
    "in two days": partial(_read_day, offset=2),
    "ago": _read_ago,
    "two ago": partial(_read_ago, n=2),
    "recent": _read_recent,
    "before last": partial(_read_step, steps=-2),
    "last": partial(_read_step, steps=-1),
    "last weekend": partial(_read_step, steps=-1, span="weekend"),
    "this": partial(_read_step, steps=0),
    "this weekend": partial(_read_step, steps=0, span="weekend"),
    "next": partial(_read_step, steps=1),
    "next weekend": partial(_read_step, steps=1, span="weekend"),
    "latest": _read_latest,
    "date": _read_date,
    "written": _read_written,
    "year": _read_year,
    NO_DATE: _read_nothing,
}
"""The meaning of a phrase → the function that yields its days, given today and the phrase's numbers."""

STEPS = {"last", "last weekend", "before last", "this", "this weekend", "next", "next weekend", "latest"}
"""The meanings that count from a day which need not be today."""

_UNIT_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


def _build_days(first: date, last: date | None = None) -> Period:
    return Period(first, last or first)


def _build_year(year: int) -> Period:
    return Period(date(year, 1, 1), date(year, 12, 31))


def _build_span(span: str, today: date, steps: int) -> Period:
    """Return the week, weekend, month or year so many steps from that of ``today``."""
    if span == "year":
        return _build_year(today.year + steps)
    if span == "month":
        months = today.year * 12 + today.month - 1 + steps
        year, month = months // 12, months % 12 + 1
        return Period(date(year, month, 1), date(year, month, monthrange(year, month)[1]))
    monday = today + timedelta(days=7 * steps - today.weekday())
    return Period(monday + timedelta(days=5 if span == "weekend" else 0), monday + timedelta(days=6))
