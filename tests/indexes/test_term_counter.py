"""The fast counter of terms says what counting the analyzer's terms would say."""

from __future__ import annotations

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


@given(st.lists(TEXTS, max_size=5), st.sampled_from([0, 2, 20_000]), st.sampled_from([0, 2, 20_000]))
def test_it_counts_what_the_analyzer_finds(texts, words, remembered):
    found = [extract_terms(text) for text in texts]
    wanted = list(dict.fromkeys(term for one in found for term in one[::2]))
    counter = TermCounter(words, remembered)
    for _ in range(2):
        counts, lengths = counter.count(texts, wanted)
        assert lengths.tolist() == [len(one) for one in found]
        assert counts.tolist() == [[one.count(term) for term in wanted] for one in found]


def test_no_more_words_and_texts_are_remembered_than_a_call_brings_beyond_the_limit():
    few_words, few_texts = TermCounter(50), TermCounter(max_known_texts=50)
    for number in range(500):
        for counter in (few_words, few_texts):
            counter.count([f"word{number}"], ["word1"])
        assert few_words.known_words <= 51
        assert few_texts.known_texts <= 51


def test_what_is_too_long_for_a_term_counts_as_one():
    (length,) = extract_terms("a" * 300)
    counts, lengths = count_terms(["a" * 300 + " b"], ["b", length])
    assert (counts.tolist(), lengths.tolist()) == ([[1, 1]], [2])


def test_threads_that_count_at_once_count_right():
    """The vocabulary is thrown away again and again beneath them."""
    counter, faults = TermCounter(5), []

    def count(start):
        for number in range(start, start + 300):
            counts, lengths = counter.count([f"word{number} and word{number + 1}"], [f"word{number}"])
            if (counts.tolist(), lengths.tolist()) != ([[1]], [3]):
                faults.append(number)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(0, 400, 100)))
    assert faults == []
