"""What a question says about time."""

from __future__ import annotations

from datetime import UTC, date, datetime
from unicodedata import normalize
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.search.date_phrases import _build_tree, _match, read_tokens
from sediment_mcp.search.query_dates import Period, find_periods, read_dates

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
    ("questions", "since", "until"),
    [
        (("Was war gestern Abend?", "Qu'ai-je noté hier soir ?", "¿Qué anoté anoche?"), "05-07", "05-07"),
        (("Was habe ich vorgestern notiert?", "avant-hier", "antes de ayer"), "05-06", "05-06"),
        (("in der letzten Woche", "la semaine dernière", "la semana pasada"), "04-27", "05-03"),
        (("vor zwei Wochen", "il y a deux semaines", "hace un par de semanas"), "04-21", "04-27"),
        (("letzten Dienstag", "mardi dernier", "el martes pasado"), "05-05", "05-05"),
        (("letztes Wochenende", "le week-end dernier", "el fin de semana pasado"), "05-02", "05-03"),
        (
            ("in den letzten drei Tagen", "ces trois derniers jours", "en los últimos tres días"),
            "05-05",
            "05-08",
        ),
        (("nächste Woche", "la semaine prochaine", "la próxima semana"), "05-11", "05-17"),
        (("am 3. Mai 2026", "le 3 mai 2026", "el 3 de mayo de 2026"), "05-03", "05-03"),
    ],
)
def test_the_days_a_question_in_german_french_or_spanish_names(questions, since, until):
    expected = Period(date.fromisoformat(f"2026-{since}"), date.fromisoformat(f"2026-{until}"))
    for question in questions:
        assert find_periods(question, TODAY) == [expected], question


@pytest.mark.parametrize(
    "question",
    ["may I deploy?", "march on", "port 8080", "HTTP 2023 errors", "on 31 February 2023", "2023-13-01", ""],
)
def test_what_names_no_day(question):
    assert find_periods(question, TODAY) == []


def test_a_month_without_a_year_is_that_of_any_year():
    assert Period(month=5).contains(datetime(2019, 5, 31, tzinfo=UTC))
    assert not Period(month=5).contains(datetime(2019, 6, 1, tzinfo=UTC))


@given(st.text(), st.dates(date(1900, 1, 1), date(2200, 1, 1)))
def test_any_text_can_be_asked(question, today):
    for period in find_periods(question, today):
        assert period.since <= period.until


@given(st.integers(0, 999), st.sampled_from(["day", "week", "month"]), st.dates(date(1900, 1, 1)))
def test_so_long_ago_lies_in_the_past(count, unit, today):
    (period,) = find_periods(f"{count} {unit}s ago", today)
    assert period.since <= today


# --- words and forms ----------------------------------------------------------------------------


def day(text: str) -> Period:
    return Period(date.fromisoformat(text), date.fromisoformat(text))


def days(first: str, last: str) -> Period:
    return Period(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    ("period", "questions"),
    [
        (day("2026-05-08"), [
          "What did I do today?", "What happened this morning?", "dinner tonight", "earlier today",
          "notes from today", "today's notes", "Was habe ich heute gemacht?", "heute früh", "heute frueh",
          "heute Abend", "Qu'ai-je fait aujourd'hui ?", "ce matin", "cet après-midi", "¿Qué hice hoy?",
          "¿Qué decidimos hoy?", "esta mañana"]),
        (day("2026-05-07"), [
          "What did I discuss yesterday?", "yesterday's call", "Yesterday morning", "last night", "gestern",
          "gestern Abend", "letzte Nacht", "Qu'est-ce que j'ai fait hier ?", "hier soir", "d'hier", "hier",
          "ayer", "ayer por la mañana", "anoche"]),
        (day("2026-05-06"), [
          "the day before yesterday", "two days ago", "2 days ago", "a couple of days ago", "vorgestern",
          "vor zwei Tagen", "avant-hier", "avant hier", "il y a deux jours", "anteayer", "antes de ayer",
          "hace dos días", "hace 2 dias", "dos días atrás"]),
        (day("2026-05-05"), [
          "three days ago", "Three-days-ago", "vor drei Tagen", "vor 3 Tagen", "il y a trois jours",
          "hace tres días", "hace tres dias", "on Tuesday", "am Dienstag", "mardi", "el martes"]),
        (day("2026-05-09"), ["tomorrow", "für morgen", "demain", "mañana", "manana por la manana"]),
        (day("2026-05-10"), [
          "the day after tomorrow", "übermorgen", "uebermorgen", "après-demain", "pasado mañana"]),
        (day("2026-05-01"), [
          "last Friday", "letzten Freitag", "vergangenen Freitag", "vendredi dernier", "el viernes pasado",
          "el pasado viernes"]),
        (day("2026-05-08"), ["on Friday", "am Freitag", "el viernes", "this Friday", "diesen Freitag"]),
        (day("2026-05-15"), [
          "next Friday", "nächsten Freitag", "naechsten Freitag", "vendredi prochain", "el próximo viernes",
          "el viernes que viene"]),
        (days("2026-04-28", "2026-05-04"), [
          "a week ago", "one week ago", "vor einer Woche", "il y a une semaine", "hace una semana"]),
        (days("2026-04-21", "2026-04-27"), [
          "two weeks ago", "vor zwei Wochen", "il y a deux semaines", "hace dos semanas"]),
        (days("2026-04-27", "2026-05-03"), [
          "last week", "letzte Woche", "vorige Woche", "la semaine dernière", "la semaine derniere",
          "la semana pasada"]),
        (days("2026-05-02", "2026-05-03"), [
          "last weekend", "am letzten Wochenende", "le week-end dernier", "el fin de semana pasado"]),
        (days("2026-04-20", "2026-04-26"), [
          "the week before last", "vorletzte Woche", "l'avant-dernière semaine"]),
        (days("2026-05-04", "2026-05-10"), ["this week", "diese Woche", "cette semaine", "esta semana"]),
        (days("2026-04-01", "2026-04-30"), [
          "last month", "letzten Monat", "le mois dernier", "el mes pasado"]),
        (days("2025-01-01", "2025-12-31"), [
          "last year", "letztes Jahr", "l'année dernière", "l'an dernier", "el año pasado", "a year ago",
          "vor einem Jahr"]),
        (days("2026-05-05", "2026-05-08"), [
          "in the last 3 days", "the past three days", "in den letzten drei Tagen",
          "ces trois derniers jours", "los últimos tres días"]),
        (days("2025-05-01", "2025-05-31"), [
          "last May", "letzten Mai", "en mai dernier", "mayo pasado", "May 2025", "Anfang Mai 2025",
          "fin mai 2025", "mayo de 2025", "2025-05"]),
        (Period(month=5), ["in May", "im Mai", "en mai", "à la mi-mai", "en mayo"]),
        (Period(month=3), ["in March", "im März", "im Maerz", "en mars", "en marzo"]),
        (Period(month=8), ["in August", "d'août", "d'aout", "en agosto"]),
        (Period(month=5, day=8), [
          "8 May", "May 8th", "the 8th of May", "am 8. Mai", "den 8.Mai", "le 8 mai", "el 8 de mayo",
          "8 mayo", "am 8.5. war was"]),
        (Period(month=5, day=1), ["le 1er mai", "May 1st", "1º de mayo", "1. Mai"]),
        (days("2023-01-01", "2023-12-31"), [
          "in 2023", "im Jahr 2023", "en 2023", "en el año 2023", "l'année 2023"]),
        (day("2026-11-24"), [
          "24.11.2026", "11/24/2026", "24/11/2026", "2026/11/24", "2026-11-24", "2026.11.24", "24-11-2026",
          "11/24/26", "24 Nov 2026", "24-Nov-2026", "Nov 24, 2026", "Nov. 24 2026", "November 24th, 2026",
          "24. November 2026", "am Dienstag, den 24. November 2026", "am Dienstag, dem 24.11.2026",
          "on Tuesday, 24 November 2026", "le 24 novembre 2026", "le mardi 24 novembre 2026",
          "el 24 de noviembre de 2026", "24 de noviembre del 2026", "el martes 24 de noviembre de 2026",
          "notes/2026-11-24.md", "2026-11-24T10:00:00Z"]),
    ],
)  # fmt: skip
def test_one_meaning_has_many_words(period: Period, questions: list[str]) -> None:
    assert {question: find_periods(question, TODAY) for question in questions} == {
        question: [period] for question in questions
    }


def test_a_date_whose_day_and_month_cannot_be_told_apart_is_both() -> None:
    assert find_periods("5/6/2026", TODAY) == [day("2026-06-05"), day("2026-05-06")]
    assert find_periods("5.6.2026", TODAY) == [day("2026-06-05")]


def test_a_weekday_beside_a_whole_date_is_not_as_of_today() -> None:
    assert find_periods("What did Kim finish last Friday on 23 January, 2022?", TODAY) == [day("2022-01-23")]
    assert find_periods("the last weekend before 24.11.2026", TODAY) == [day("2026-11-24")]


@pytest.mark.parametrize(
    "question",
    ["this may be wrong", "I may have told you", "3 may not work", "we march on to 3", "version 3.4.2026",
     "v3.4.2026", "libfoo-3.4.2026", "libfoo_3.4.2026", "10.0.2026.1", "1.2.3", "10.11.2026.1",
     "192.168.10.11", "port 2026", "2026", "12:30", "24/7 support", "3/4 of users", "5,433 days ago",
     "the hierarchy", "Was steht hier im Code?", "Wer ist hier zuständig?", "hierbei", "sun exposure",
     "Sat on a chair", "a second opinion", "Ich mag Kuchen", "Das mag er", "la planète Mars",
     "the planet Mars", "mars", "Mai", "monday.com", "march_2026", "a@monday.com", "on Black Friday",
     "Guten Morgen", "am Morgen", "por la mañana", "todos los lunes", "le lundi", "on Mondays",
     "What is Anna's phone number today?", "Wo wohnt Anna heute?", "the last straw", "last day of school",
     "an hour ago", "ago 5", "set 5", "una tarde", "mardi gras", "13/13/2026", "31/02/2026", "30.2.2026",
     "0.5.2026"],
)  # fmt: skip
def test_words_that_only_look_like_dates(question: str) -> None:
    assert find_periods(question, TODAY) == []


def split(words: str) -> list[str]:
    return words.split()


WORDS = split(
    "the build fails with an error in staging because port config server token second sun sat mon may march "
    "hier mag mars die das wir est une version day week month year last this ago on el la le an a one two "
    "three un tres"
)


@given(
    st.lists(
        st.sampled_from(WORDS).filter(lambda word: word not in ("in", "last", "this", "hier", "of")),
        min_size=1,
    ),
    st.sampled_from([" ", "-", ", "]),
)
def test_plain_words_name_no_day(words: list[str], between: str) -> None:
    assert "ago" in words or find_periods(between.join(words), TODAY) == []


ENGLISH_MONTHS = [f"{date(2000, month, 1):%B}" for month in range(1, 13)]
GERMAN_MONTHS = split("Januar Februar März April Mai Juni Juli August September Oktober November Dezember")
FRENCH_MONTHS = split("janvier février mars avril mai juin juillet août septembre octobre novembre décembre")
SPANISH_MONTHS = split(
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
)
FORMS = (
    lambda d: f"{d:%Y-%m-%d}",
    lambda d: f"{d:%Y/%m/%d}",
    lambda d: f"{d.day}.{d.month}.{d.year}",
    lambda d: f"{d:%d.%m.%Y}",
    lambda d: f"{d:%m/%d/%Y}",
    lambda d: f"{d:%d/%m/%Y}",
    lambda d: f"{d.day} {d:%b} {d.year}",
    lambda d: f"{ENGLISH_MONTHS[d.month - 1]} {d.day}, {d.year}",
    lambda d: f"{d.day} {ENGLISH_MONTHS[d.month - 1]} {d.year}",
    lambda d: f"{d:%A}, {d.day} {ENGLISH_MONTHS[d.month - 1]} {d.year}",
    lambda d: f"{d.day}. {GERMAN_MONTHS[d.month - 1]} {d.year}",
    lambda d: f"{d.day} {FRENCH_MONTHS[d.month - 1]} {d.year}",
    lambda d: f"{d.day} de {SPANISH_MONTHS[d.month - 1]} de {d.year}",
)


@given(
    st.dates(date(1900, 1, 1), date(2099, 12, 31)),
    st.sampled_from(FORMS),
    st.sampled_from(["NFC", "NFD"]),
    st.sampled_from([str, str.lower, str.upper]),
    st.sampled_from(
        [("", ""), ("What was on ", "?"), ("Was war am ", " los"), ("(", ")"), ("Qu'ai-je fait le ", ".")]
    ),
)
def test_every_date_is_recognised_in_every_form(when, write, form, case, around) -> None:
    question = normalize(form, case(write(when))).join(around)
    assert Period(when, when) in find_periods(question, TODAY)


@given(st.text() | st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join), st.dates())
def test_any_text_can_be_asked_on_any_day(question, today):
    for period in find_periods(question, today):
        assert period.since <= period.until


@pytest.mark.parametrize(
    "piece", ["may ", "last ", "11/", "on monday the 3 of may of ", "a week ", " ", "1.1."]
)
def test_a_long_text_takes_a_time_in_proportion(piece: str) -> None:
    tokens = read_tokens(piece * 2000)
    assert sum(1 for _ in _match_everywhere(tokens)) <= 10 * (len(tokens) + 1)


def _match_everywhere(tokens):
    """Yield each phrase that is considered at any place."""
    for position in range(len(tokens)):
        yield from _match(_build_tree(), tokens, position, {})


# --- whose days ---------------------------------------------------------------------------------


def test_days_are_those_of_the_user() -> None:
    zone = ZoneInfo("America/Los_Angeles")
    now = datetime(2026, 11, 25, 23, 55, tzinfo=zone)  # it is the 26th in UTC
    (yesterday,) = read_dates("What did I discuss yesterday?", now)
    assert yesterday.contains(datetime(2026, 11, 24, 12, tzinfo=zone))
    assert yesterday.contains(datetime(2026, 11, 25, 7, 59, tzinfo=UTC))
    assert not yesterday.contains(datetime(2026, 11, 25, 8, tzinfo=UTC))
    assert not yesterday.contains(datetime(2026, 11, 25, 10, tzinfo=zone))
