"""The fast counter of terms says what counting the analyzer's terms would say."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.indexes.analyzer import extract_terms
from sediment_mcp.indexes.term_counter import TermCounter, count_terms

TEXTS = (
    st.text(st.characters(codec="ascii"))
    | st.text()
    | st.sampled_from(
        ["run Runs RUNNING", "a" * 300, "getUser, get_user (3.2.1)", "牛奶放在冰箱里 牛奶", "İstanbul" * 9]
    )
)


@given(st.lists(TEXTS, max_size=5), st.sampled_from([0, 2, 20_000]))
def test_it_counts_what_the_analyzer_finds(texts, remembered):
    found = [extract_terms(text) for text in texts]
    wanted = {term for one in found for term in one[::2]}
    counter = TermCounter(remembered)
    for _ in range(2):
        counted = counter.count(texts, wanted)
        assert [length for _, length in counted] == [len(one) for one in found]
        by_hand = [Counter(term for term in one if term in wanted) for one in found]
        assert [counts for counts, _ in counted] == by_hand


def test_no_more_words_are_remembered_than_a_call_brings_beyond_the_limit():
    counter = TermCounter(50)
    for number in range(500):
        counter.count([f"word{number}"], {"word1"})
        assert counter.known_chunks <= 51


def test_what_is_too_long_for_a_term_counts_as_one():
    (length,) = extract_terms("a" * 300)
    assert count_terms(["a" * 300 + " b"], {"b", length}) == [({"b": 1, length: 1}, 2)]


def test_threads_that_count_at_once_count_right():
    """The vocabulary is thrown away again and again beneath them."""
    counter, faults = TermCounter(5), []

    def count(start):
        for number in range(start, start + 300):
            if counter.count([f"word{number} and word{number + 1}"], {f"word{number}"}) != [
                ({f"word{number}": 1}, 3)
            ]:
                faults.append(number)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(0, 400, 100)))
    assert faults == []
