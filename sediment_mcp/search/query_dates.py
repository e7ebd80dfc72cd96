"""Read what a query says about time.

That is whether it asks about the present, and which days it names. All functions are pure.

Only English words for time are recognised; for a query without them the result is empty.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

_PRESENT = re.compile(
    r"\b(?:current|currently|now|nowadays|presently|at present|at the moment|these days|today|still"
    r"|latest|newest|most recent|up[- ]to[- ]date|as of)\b",
    re.IGNORECASE,
)
_VERSION = re.compile(
    r"\b(?:what|which)\s+versions?\b", re.IGNORECASE
)  # a newer version replaces an older one
_PAST = re.compile(r"\b(?:did|was|were|had|used\s+to)\b", re.IGNORECASE)

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip
_MONTH_NUMBER = {
    name: number for number, month in enumerate(_MONTHS, 1) for name in (month, month[:3])
} | {"sept": 9}  # fmt: skip
_NAMES = "|".join(sorted(_MONTH_NUMBER, key=len, reverse=True))
_YEAR = r"(?:19|20)\d\d"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_ISO = re.compile(rf"\b({_YEAR})-(\d\d)(?:-(\d\d))?\b")
_SPOKEN = re.compile(
    rf"\b(?:({_DAY})(?:\s+of)?\s+)?({_NAMES})\b\.?(?:\s+({_DAY})\b)?(?:,?\s*(?:of\s+)?({_YEAR})\b)?",
    re.IGNORECASE,
)
_BEFORE_MONTH = re.compile(
    r"\b(?:in|during|since|until|by|of|early|late|mid|last|this)[\s-]+$", re.IGNORECASE
)
_BARE_YEAR = re.compile(rf"\b(?:in|during|of|year)\s+({_YEAR})\b", re.IGNORECASE)
_RELATIVE = re.compile(
    r"\b(?:(yesterday)|(last|this)\s+(week|month|year)|(\d{1,3})\s+(day|week|month)s?\s+ago)\b", re.IGNORECASE
)
_UNIT_DAYS = {"day": 1, "week": 7, "month": 30}


@dataclass(frozen=True, slots=True)
class Period:
    """Days that a query names: from ``since`` to ``until``, both inclusive.

    Where no year is named, the ``month``, or its ``day``, of any year.
    """

    since: date = date.min
    until: date = date.max
    month: int | None = None
    day: int | None = None

    def contains(self, day: date) -> bool:
        """Return True if the day is one of these."""
        return (
            self.since <= day <= self.until
            and self.month in (None, day.month)
            and self.day in (None, day.day)
        )


class QueryDates(NamedTuple):
    """The days that a query names, and whether it asks about the present."""

    periods: list[Period]
    is_about_present: bool


def read_dates(query: str, today: date) -> QueryDates:
    """Return what the query says about time, as of ``today``."""
    return QueryDates(find_periods(query, today), is_about_present(query))


def is_about_present(query: str) -> bool:
    """Return True if the query asks for the newest of several states.

    It says "current", "now", "latest", or asks for a version, but not in the past tense.
    """
    if _PRESENT.search(query):
        return True
    return bool(_VERSION.search(query)) and not _PAST.search(query)


def find_periods(query: str, today: date) -> list[Period]:
    """Return the days that the query names in words ("8 May", "last week") or as ISO dates."""
    named = [*_find_iso(query), *_find_spoken(query), *_find_relative(query, today)]
    return named or [_build_year(int(match[1])) for match in _BARE_YEAR.finditer(query)]


def _find_iso(query: str) -> Iterator[Period]:
    for match in _ISO.finditer(query):
        year, month, day = match.groups()
        yield from _build_period(int(year), int(month), int(day) if day else None)


def _find_spoken(query: str) -> Iterator[Period]:
    for match in _SPOKEN.finditer(query):
        before, name, after, year = match.groups()
        day = before or after
        if (
            day or year or _BEFORE_MONTH.search(query[max(0, match.start() - 24) : match.start()])
        ):  # otherwise "may" or "march" is a verb
            number = int(re.sub(r"\D", "", day)) if day else None
            yield from _build_period(int(year) if year else None, _MONTH_NUMBER[name.lower()], number)


def _build_period(year: int | None, month: int, day: int | None) -> Iterator[Period]:
    """Yield the period, or nothing for a date that does not exist."""
    if not 1 <= month <= 12 or (day is not None and not 1 <= day <= monthrange(year or 2000, month)[1]):
        return
    if year is None:
        yield Period(month=month, day=day)
    else:
        last = monthrange(year, month)[1]
        yield Period(date(year, month, day or 1), date(year, month, day or last))


def _build_year(year: int) -> Period:
    return Period(date(year, 1, 1), date(year, 12, 31))


def _find_relative(query: str, today: date) -> Iterator[Period]:
    for match in _RELATIVE.finditer(query):
        yesterday, which, unit, count, step = (group and group.lower() for group in match.groups())
        if yesterday:
            yield Period(today - timedelta(days=1), today - timedelta(days=1))
        elif count and step:
            length = _UNIT_DAYS[step]
            middle, half = today - timedelta(days=int(count) * length), timedelta(days=length // 2)
            yield Period(middle - half, middle + half)
        elif unit:
            yield _build_calendar_period(unit, today, before=which == "last")


def _build_calendar_period(unit: str, today: date, *, before: bool) -> Period:
    """Return the calendar week, month or year of ``today``, or the one before it."""
    if unit == "week":
        monday = today - timedelta(days=today.weekday() + (7 if before else 0))
        return Period(monday, monday + timedelta(days=6))
    if unit == "year":
        return _build_year(today.year - before)
    last = today.replace(day=1) - timedelta(days=1) if before else today
    return Period(last.replace(day=1), last.replace(day=monthrange(last.year, last.month)[1]))
