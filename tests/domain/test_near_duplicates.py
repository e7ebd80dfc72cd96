"""What says the same in nearly the same words, and what only looks so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.domain.near_duplicates import MIN_COSINE, MIN_FRAMED_COSINE, is_near_duplicate

FACT = 'The API of Atlas must not cache more than 10 MB in /var/cache/atlas, see `maxCache` in "v1.2".'


@pytest.mark.parametrize(
    "again",
    [
        f"Note: {FACT}",
        f"Remember that t{FACT[1:]}",
        f"{FACT} (confirmed)",
        f"{FACT} — this is the current approach",
        f"Note: Remember that {FACT} (confirmed)",
        FACT[:-1],
        FACT.replace(",", ""),
        FACT.replace("The API", "API"),
        FACT.replace(" ", "  \n"),
        FACT.replace('"v1.2"', "\u201cv1.2\u201d"),
    ],
)
def test_a_frame_punctuation_and_articles_say_nothing(again: str) -> None:
    assert is_near_duplicate(FACT, again, MIN_COSINE)
    assert is_near_duplicate(again, FACT, MIN_COSINE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("10 MB", "100 MB"),
        ("10 MB", "10 GB"),
        ("10 MB", "10 Mb"),
        ("10 MB", "-10 MB"),
        ("must not", "must"),
        ("Atlas", "Orion"),
        ("/var/cache/atlas", "/var/cache/orion"),
        ("/var/cache/atlas", "/var/cache/Atlas"),
        ("`maxCache`", "`maxcache`"),
        ("v1.2", "v1.3"),
        ("more", "less"),
        ("10 MB in", "10 MB outside"),
        (", see", "? See"),
    ],
)
def test_one_word_that_differs_keeps_them_apart(old: str, new: str) -> None:
    assert old in FACT
    assert not is_near_duplicate(FACT, FACT.replace(old, new), 1.0)
    assert not is_near_duplicate(f"Note: {FACT}", FACT.replace(old, new), 1.0)


def test_the_order_of_words_counts() -> None:
    assert not is_near_duplicate("Redis replaced Memcached", "Memcached replaced Redis", 1.0)


def test_a_frame_that_says_something_is_none() -> None:
    assert not is_near_duplicate("Deploy on Friday", "Deploy on Friday (not confirmed)", 1.0)


def test_case_counts_in_code_and_not_at_the_beginning() -> None:
    assert is_near_duplicate("Postgres is used here", "postgres is used here", 1.0)
    assert not is_near_duplicate("set PATH", "set path", 1.0)
    assert not is_near_duplicate("Set userId first", "Set userid first", 1.0)


def test_a_text_without_capitals_is_the_same_text_written_carelessly() -> None:
    assert is_near_duplicate("Use PostgreSQL for the API", "use postgresql for the api", 1.0)
    assert not is_near_duplicate("Use PostgreSQL, key userId", "use postgresql, key userid", 1.0)


def test_texts_that_lie_far_apart_never_merge() -> None:
    assert not is_near_duplicate("Tea at four", "tea at four.", MIN_COSINE - 0.001)
    assert is_near_duplicate("Tea at four", "Note: Tea at four", MIN_FRAMED_COSINE)
    assert not is_near_duplicate("Tea at four", "Note: Tea at four", MIN_FRAMED_COSINE - 0.001)


words = st.lists(
    st.sampled_from(["Redis", "not", "10", "MB", "uses", "the", "/a/b", "userId", "-", "5%"]), min_size=1
)


@given(words, words)
def test_the_rule_is_symmetric(one: list[str], other: list[str]) -> None:
    pair = " ".join(one), " ".join(other)
    assert is_near_duplicate(*pair, 1.0) == is_near_duplicate(*reversed(pair), 1.0)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_can_be_compared(one: str, other: str) -> None:
    assert is_near_duplicate(one, other, 1.0) in (True, False)


@given(words, st.integers(0, 999), st.integers(0, 999))
def test_another_number_anywhere_keeps_them_apart(rest: list[str], one: int, other: int) -> None:
    texts = [" ".join([*rest, str(number), *rest]) for number in (one, other)]
    assert is_near_duplicate(*texts, 1.0) == (one == other)


@pytest.mark.parametrize("long", ["(" * 100_000, "`" * 100_000, "' " * 50_000, '"a ' * 30_000, "- " * 50_000])
def test_a_long_odd_text_is_compared_in_no_time(long: str) -> None:
    assert not is_near_duplicate(long, f"{long}x", 1.0)
