"""A text that holds the query as it is beats its permutations."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.host import QUIET, Host

from sediment_mcp.search.phrase_match import (
    PARTIAL,
    compute_phrase_gains,
    measure_string,
    read_wording,
    score_phrases,
)

WORDS = st.sampled_from(["dog", "bites", "man", "kettle", "red"])


def score(text: str, query: str) -> float:
    return score_phrases([text], read_wording(query), [9], 9)[0]


@pytest.mark.parametrize(
    ("query", "verbatim", "permuted"),
    [
        ("libfoo 3.2.1", "libfoo 3.2.1 has the fix.", "libfoo 1.2.3 crashes."),
        ("192.168.1.10", "Device alpha has 192.168.1.10.", "Device beta has 192.168.10.1."),
        ("192.168.1.10", "http://192.168.1.10:8080", "192.168.1.101"),
        ("jane.doe@example.com", "Ask Jane.Doe@example.com", "doe.jane@example.com"),
        ("--cache", "with --cache on laptops", "with --no-cache in CI"),
        ("--cache", "--cache=yes", "--cache-dir"),
        ("牛奶", "牛奶放在冰箱里", "奶牛在农场里"),
        ('what of "exact words in quotes"?', "these: exact words\nin quotes", "in quotes exact words"),
        ("dog bites man", "The news: Dog bites man!", "man bites dog"),
        ("src/app/main.py", "/home/x/src/app/main.py", "app/src/main.py"),
        ("v1.2", "version 1.2", "version 2.1"),
        ("1.2", "v1.2", "v1.2.3"),
        ("what changed in 3.2.1?", "3.2.1 has the fix", "1.2.3 changed"),
        ("C++", "he likes C++", "he likes C#"),
        ("Zoë Müller", "ZOE\u0308 MÜLLER called", "Müller, Zoë"),
    ],
)
def test_the_verbatim_text_scores_above_its_permutation(query: str, verbatim: str, permuted: str) -> None:
    assert score(verbatim, query) > score(permuted, query)


@given(st.lists(WORDS, min_size=2, max_size=5, unique=True))
def test_of_all_orders_of_the_words_only_the_query_is_whole(words: list[str]) -> None:
    whole = [order for order in permutations(words) if score(" ".join(order), " ".join(words)) == 1.0]
    assert whole == [tuple(words)]


def test_a_plain_question_gains_little_by_words_side_by_side() -> None:
    gain = score("The staging database is here", "What port has the staging database?")
    assert 0 < gain <= 0.05


@pytest.mark.parametrize("query", ["kettle", "What is JavaScript for?", "the long-term plan of Node.js?"])
def test_words_that_are_written_together_are_no_names(query: str) -> None:
    assert read_wording(query).names == ()


@given(
    st.lists(st.tuples(st.floats(0, 50, allow_subnormal=False), st.floats(0, 0.9)), min_size=1, max_size=8),
    st.integers(0, 7),
)
def test_the_query_as_it_is_comes_first_whatever_the_rest_says(
    rows: list[tuple[float, float]], place: int
) -> None:
    rows = [*rows[:place], (0.0, 1.0), *[(value, 0.0) for value, _ in rows[place:]]]
    values, phrases = np.array(rows).T
    gained = (values + compute_phrase_gains(phrases, values)).tolist()
    others = [value for value, (_, phrase) in zip(gained, rows, strict=True) if phrase == 0.0]
    assert all(gained[min(place, len(rows) - 1)] > value for value in others)


def test_a_string_by_itself_is_found_behind_many_that_are_none() -> None:
    assert measure_string("x3.2.1y " * 500 + "3.2.1", "3.2.1") == 1.0
    assert measure_string("3.2.1.4 " * 500, "3.2.1") == PARTIAL
    assert measure_string("nono no", "no no") == 0.0
    assert measure_string("xa a a", "a a") == 1.0


@pytest.mark.parametrize("is_written", [False, True], ids=["memtable", "snapshot"])
@pytest.mark.parametrize(
    ("query", "verbatim", "other"),
    [
        ("192.168.1.10", "In the hall and far away from all the others: 192.168.1.10", "192.168.10.1 {0}"),
        ("--cache", "On laptops, and only there, build it with --cache", "cache {0} --no-cache"),
        ("dog bites man", "Once upon a time there was a dog bites man story", "man bites dog {0}"),
        ('the "red kettle" thing', "In the kitchen stands an old red kettle of ours", "kettle red {0} thing"),
        ("牛奶", "今天早上我把牛奶放在冰箱里了", "奶牛{0}"),
    ],
)
def test_the_verbatim_text_is_found_among_a_hundred_permutations(
    open_host: Callable[..., Host], query: str, verbatim: str, other: str, is_written: bool
) -> None:
    host = open_host(tuning=QUIET)
    wanted = host.store(verbatim)["id"]
    for number in range(100):
        host.store(other.format(number))
    if is_written:
        host.rebuild_text()
    assert host.found(query, limit=5)[0] == wanted
