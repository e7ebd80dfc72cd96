"""What a question says about time: whether it asks for how things are now, and which days it names.

English only, and only what can be told from words; a question without such words says nothing. Pure.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

_PRESENT = re.compile(
    r"\b(?:current|currently|now|nowadays|presently|at present|at the moment|these days|today|still"
    r"|latest|newest|most recent|up[- ]to[- ]date|as of)\b",
    re.IGNORECASE,
)
_VERSION = re.compile(r"\b(?:what|which)\s+versions?\b", re.IGNORECASE)  # versions succeed one another
_PAST = re.compile(r"\b(?:did|was|were|had|used\s+to)\b", re.IGNORECASE)

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip
_NUMBER = {
    name: number for number, month in enumerate(_MONTHS, 1) for name in (month, month[:3])
} | {"sept": 9}  # fmt: skip
_NAMES = "|".join(sorted(_NUMBER, key=len, reverse=True))
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
_LENGTH = {"day": 1, "week": 7, "month": 30}  # days


@dataclass(frozen=True, slots=True)
class Period:
    """Days that a question names: from ``since`` to ``until``, both inclusive; where no year is named, the
    ``month``, or its ``day``, of any year."""

    since: date = date.min
    until: date = date.max
    month: int | None = None
    day: int | None = None

    def holds(self, when: date) -> bool:
        return (
            self.since <= when <= self.until
            and self.month in (None, when.month)
            and self.day in (None, when.day)
        )


def asks_for_the_present(question: str) -> bool:
    """Whether the question is for the newest of several states: "current", "now", "latest", or a version,
    unless that is asked in the past tense."""
    if _PRESENT.search(question):
        return True
    return bool(_VERSION.search(question)) and not _PAST.search(question)


def periods(question: str, today: date) -> list[Period]:
    """The days that the question names, in words ("8 May 2023", "in May", "last week") or as ISO dates."""
    named = [*_iso(question), *_spoken(question), *_relative(question, today)]
    return named or [_year(int(match[1])) for match in _BARE_YEAR.finditer(question)]


def _iso(question: str) -> Iterator[Period]:
    for match in _ISO.finditer(question):
        year, month, day = match.groups()
        yield from _period(int(year), int(month), int(day) if day else None)


def _spoken(question: str) -> Iterator[Period]:
    for match in _SPOKEN.finditer(question):
        before, name, after, year = match.groups()
        day = before or after
        if (
            day or year or _BEFORE_MONTH.search(question[: match.start()])
        ):  # else "may" is a verb, "march" too
            number = int(re.sub(r"\D", "", day)) if day else None
            yield from _period(int(year) if year else None, _NUMBER[name.lower()], number)


def _period(year: int | None, month: int, day: int | None) -> Iterator[Period]:
    """Nothing for a date that no calendar has."""
    if not 1 <= month <= 12 or (day is not None and not 1 <= day <= monthrange(year or 2000, month)[1]):
        return
    if year is None:
        yield Period(month=month, day=day)
    else:
        last = monthrange(year, month)[1]
        yield Period(date(year, month, day or 1), date(year, month, day or last))


def _year(year: int) -> Period:
    return Period(date(year, 1, 1), date(year, 12, 31))


def _relative(question: str, today: date) -> Iterator[Period]:
    for match in _RELATIVE.finditer(question):
        yesterday, which, unit, count, step = (group and group.lower() for group in match.groups())
        if yesterday:
            yield Period(today - timedelta(days=1), today - timedelta(days=1))
        elif count and step:
            length = _LENGTH[step]
            middle, half = today - timedelta(days=int(count) * length), timedelta(days=length // 2)
            yield Period(middle - half, middle + half)
        elif unit:
            yield _calendar(unit, today, before=which == "last")


def _calendar(unit: str, today: date, *, before: bool) -> Period:
    """The calendar week, month or year of ``today``, or the one before it."""
    if unit == "week":
        monday = today - timedelta(days=today.weekday() + (7 if before else 0))
        return Period(monday, monday + timedelta(days=6))
    if unit == "year":
        return _year(today.year - before)
    last = today.replace(day=1) - timedelta(days=1) if before else today
    return Period(last.replace(day=1), last.replace(day=monthrange(last.year, last.month)[1]))
