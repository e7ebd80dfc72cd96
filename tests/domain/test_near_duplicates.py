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
        f"  {FACT}\r\n",
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


def test_case_counts_but_in_the_first_letter() -> None:
    assert is_near_duplicate("Postgres is used here", "postgres is used here", 1.0)
    assert not is_near_duplicate("set PATH", "set path", 1.0)
    assert not is_near_duplicate("Set userId first", "Set userid first", 1.0)
    assert not is_near_duplicate("Use PostgreSQL for the API", "use postgresql for the api", 1.0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna has hepatitis a.", "Anna has hepatitis."),
        ("We chose plan a for the move.", "We chose plan for the move."),
        ("Vitamin a is missing.", "Vitamin is missing."),
        ("A few users complained.", "Few users complained."),
        ("There was a little rain.", "There was little rain."),
        ("Bob is the only admin.", "Bob is only admin."),
        ("A levels are in May.", "Levels are in May."),
        ("The band likes the Who.", "The band likes Who."),
        ("Choose between a and b.", "Choose between and b."),
        ("The user likes Go.", "The user likes go."),
        ("The user likes Go.", "the user likes go."),
        ("Call the Polish office.", "Call the polish office."),
        ("Ask for Bill.", "Ask for bill."),
        ("Bill is due on Friday.", "bill is due on Friday."),
        ("The US office called.", "The us office called."),
        ("Ask IT about it.", "Ask it about it."),
        ("US staff called.", "Us staff called."),
        ("Bob can deploy.", "Bob can't deploy."),
        ("Use C here.", "Use C++ here."),
        ("Use C++ here.", "Use C# here."),
        ("Use .NET here.", "Use NET here."),
        ("Growth was 5% in all.", "Growth was 5 in all."),
        ("It costs $5 now.", "It costs 5 now."),
        ("Keep a < b here.", "Keep a > b here."),
        ("Compute x - y first.", "Compute x y first."),
        ("Release v1.0 is out.", "Release v10 is out."),
        ("The answer is 5!", "The answer is 5"),
        ("The demo went well \U0001f44d", "The demo went well \U0001f44e"),
        ("The demo went well :)", "The demo went well :("),
        ("Invite Anna, Maria and Bob.", "Invite Anna Maria and Bob."),
        ('He said "yes" to that.', "He said yes to that."),
        ("The word is Masse.", "The word is Ma\u00dfe."),
        ("server:\n  tls: on\n  port: x", "server:\n  tls: on\nport: x"),
        ("a:\n- x\n- y", "a:\nx\ny"),
        ("run a  b now", "run a b now"),
        ("cut -f x\ty", "cut -f x y"),
        ("one line\n\nanother", "one line\nanother"),
    ],
)
def test_what_may_carry_meaning_is_kept(one: str, other: str) -> None:
    assert not is_near_duplicate(one, other, 1.0)
    assert not is_near_duplicate(other, one, 1.0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The build uses the cache.", "The build uses cache."),
        ("Bob is a manager of Atlas.", "Bob is manager of Atlas."),
        ("A test is missing.", "Test is missing."),
        ("Line one.\r\nLine two.", "Line one.\nLine two"),
        ("Deploy first \u2014 then test.", "Deploy first then test"),
    ],
)
def test_articles_before_a_noun_line_ends_and_dashes_say_nothing(one: str, other: str) -> None:
    assert is_near_duplicate(one, other, 1.0)
    assert is_near_duplicate(other, one, 1.0)


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
