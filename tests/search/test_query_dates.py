"""What a question says about time."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.search.query_dates import Period, find_periods

TODAY = date(2026, 5, 8)  # a Friday


@pytest.mark.parametrize(
    ("question", "period"),
    [
        ("What happened on 3 June, 2023?", Period(date(2023, 6, 3), date(2023, 6, 3))),
        ("on June 3rd, 2023", Period(date(2023, 6, 3), date(2023, 6, 3))),
        ("the 3rd of June 2023", Period(date(2023, 6, 3), date(2023, 6, 3))),
        ("meetings of 2023-06-03", Period(date(2023, 6, 3), date(2023, 6, 3))),
        ("in February 2024", Period(date(2024, 2, 1), date(2024, 2, 29))),
        ("what did she do in May?", Period(month=5)),
        ("her birthday, 8 May", Period(month=5, day=8)),
        ("trips in 2022", Period(date(2022, 1, 1), date(2022, 12, 31))),
        ("what did I do yesterday", Period(date(2026, 5, 7), date(2026, 5, 7))),
        ("decisions of last week", Period(date(2026, 4, 27), date(2026, 5, 3))),
        ("plans for this week", Period(date(2026, 5, 4), date(2026, 5, 10))),
        ("last month", Period(date(2026, 4, 1), date(2026, 4, 30))),
        ("last year", Period(date(2025, 1, 1), date(2025, 12, 31))),
        ("3 days ago", Period(date(2026, 5, 5), date(2026, 5, 5))),
        ("two things 2 weeks ago", Period(date(2026, 4, 21), date(2026, 4, 27))),
    ],
)
def test_the_days_a_question_names(question, period):
    assert find_periods(question, TODAY) == [period]


@pytest.mark.parametrize(
    "question",
    ["may I deploy?", "march on", "port 8080", "HTTP 2023 errors", "on 31 February 2023", "2023-13-01", ""],
)
def test_what_names_no_day(question):
    assert find_periods(question, TODAY) == []


def test_a_month_without_a_year_is_that_of_any_year():
    assert Period(month=5).contains(date(2019, 5, 31))
    assert not Period(month=5).contains(date(2019, 6, 1))


@given(st.text(), st.dates(date(1900, 1, 1), date(2200, 1, 1)))
def test_any_text_can_be_asked(question, today):
    for period in find_periods(question, today):
        assert period.since <= period.until


@given(st.integers(0, 999), st.sampled_from(["day", "week", "month"]), st.dates(date(1900, 1, 1)))
def test_so_long_ago_lies_in_the_past(count, unit, today):
    (period,) = find_periods(f"{count} {unit}s ago", today)
    assert period.since <= today
