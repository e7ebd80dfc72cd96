"""Count a query's terms in texts, without analysing each text anew.

It exists for speed: in measurements, counting through `extract_terms` takes twenty times as long, most of a
query's time. All texts are cut at white space once, each piece (a *word*) becomes a number, and the rest is
arithmetic over arrays. It agrees with the analyzer by construction, because the terms of each word come from
it and are remembered; a property test over arbitrary text checks that.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.indexes.analyzer import MAX_REMEMBERED_CHARS, extract_terms, stem_tokens, tokenize_chunk

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_KNOWN_WORDS = 30_000  # whose terms are remembered
MAX_KNOWN_TEXTS = 20_000  # whose words are remembered, as numbers: some 300 bytes each
UNKNOWN = 0  # the number of all words that are too long to be remembered


class TermCounter:
    """Counts terms, and remembers the terms of words and the words of texts.

    A word is what stands between white space. Of a text only its hash is kept. May be used from any thread.
    """

    def __init__(
        self, max_known_words: int = MAX_KNOWN_WORDS, max_known_texts: int = MAX_KNOWN_TEXTS
    ) -> None:
        self._max_known_words = max_known_words
        self._max_known_texts = max_known_texts
        self._lock = threading.Lock()
        self._known = _Vocabulary()

    @property
    def known_words(self) -> int:
        """The number of words remembered: at most the limit plus the new ones of one call."""
        return len(self._known.numbers)

    @property
    def known_texts(self) -> int:
        """The number of texts remembered: at most the limit plus the new ones of one call."""
        return len(self._known.texts)

    def count(
        self, texts: Sequence[str], wanted: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return how often each of the ``wanted`` terms is among the `extract_terms` of each text.

        Returns counts of shape (texts, wanted), and the number of all terms of each text, of shape (texts,).
        """
        counts = np.zeros((len(texts), len(wanted)), np.float32)
        if not texts:
            return counts, np.zeros(0, np.float32)
        with self._lock:
            if self.known_words > self._max_known_words or self.known_texts > self._max_known_texts:
                self._known = _Vocabulary()
            numbered = self._known.number_texts(texts)
            numbers = np.concatenate(numbered)
            word_lengths = self._known.lengths[numbers]
            holders, table = self._known.tabulate(wanted)
        rows = np.repeat(np.arange(len(texts)), list(map(len, numbered)))
        lengths = np.bincount(rows, word_lengths, minlength=len(texts)).astype(np.float32)
        holding = np.flatnonzero(holders[numbers])
        if len(holding):
            held_by, starts = np.unique(rows[holding], return_index=True)  # rows ascend
            counts[held_by] = np.add.reduceat(table[holders[numbers[holding]]], starts, axis=0)
        for row in {int(row) for row in rows[numbers == UNKNOWN]}:
            long = [word for word in texts[row].split() if len(word) > MAX_REMEMBERED_CHARS]
            terms = extract_terms(" ".join(long))
            lengths[row] += len(terms)
            counts[row] += [terms.count(term) for term in wanted]
        return counts, lengths


class _Vocabulary:
    """The words seen so far, by number, with their terms.

    ``lengths`` are how many terms each has, ``texts`` the numbers of the words of each text, by its hash.
    """

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.lengths: NDArray[np.int32] = np.zeros(1, np.int32)
        self.texts: dict[int, NDArray[np.int32]] = {}
        self._holders: dict[str, list[tuple[int, int]]] = {}  # term: each word that holds it, how often

    def number_texts(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Return the numbers of the words of each text, in order; new words and texts are learned."""
        keys = list(map(hash, texts))
        numbered = list(map(self.texts.get, keys))
        new = [place for place, known in enumerate(numbered) if known is None]
        split = [texts[place].split() for place in new]
        numbers = self._number_words(list(chain.from_iterable(split)))
        end = 0
        for place, words in zip(new, split, strict=True):
            start, end = end, end + len(words)
            numbered[place] = self.texts[keys[place]] = numbers[start:end].copy()
        return [known for known in numbered if known is not None]

    def _number_words(self, words: Sequence[str]) -> NDArray[np.int32]:
        """Return the number of each word, of shape (words,); new words are learned."""
        numbers = list(map(self.numbers.get, words))
        if None in numbers:
            self._learn({word for word, number in zip(words, numbers, strict=True) if number is None})
            numbers = [self.numbers.get(word, UNKNOWN) for word in words]
        return np.array(numbers, np.int32)

    def _learn(self, words: Iterable[str]) -> None:
        """Remember new words, unless too long, with their terms, which one analysis finds for all."""
        new = [(word, tokenize_chunk(word)) for word in words if len(word) <= MAX_REMEMBERED_CHARS]
        terms = iter(stem_tokens([token for _, tokens in new for token in tokens]))
        for number, (word, tokens) in enumerate(new, start=len(self.numbers) + 1):
            self.numbers[word] = number
            for term, count in Counter(islice(terms, len(tokens))).items():
                self._holders.setdefault(term, []).append((number, count))
        self.lengths = np.append(self.lengths, [len(tokens) for _, tokens in new]).astype(np.int32)

    def tabulate(self, wanted: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return by word its row in a table, and the table.

        A row, of shape (wanted,), is how often the word holds each ``wanted`` term. The first row, of words
        that hold none, is zero.
        """
        rows: dict[int, list[tuple[int, int]]] = {}
        for column, term in enumerate(wanted):
            for number, count in self._holders.get(term, ()):
                rows.setdefault(number, []).append((column, count))
        holders = np.zeros(len(self.lengths), np.int32)
        table = np.zeros((len(rows) + 1, len(wanted)), np.float32)
        for row, (number, held) in enumerate(rows.items(), start=1):
            holders[number] = row
            for column, count in held:
                table[row, column] = count
        return holders, table


_shared = TermCounter()


def count_terms(
    texts: Sequence[str], wanted: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Count the ``wanted`` terms in each text, with the vocabulary shared by the process."""
    return _shared.count(texts, wanted)
