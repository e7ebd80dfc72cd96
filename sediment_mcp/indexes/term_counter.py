"""Count a query's terms in texts, without analysing each text anew.

It exists for speed: in measurements, counting through `extract_terms` takes twenty times as long, most of a
query's time. All texts are cut at white space once, each piece (a *word*) becomes a number, and the rest is
arithmetic over arrays. It agrees with the analyzer by construction, because the terms of each word come from
it and are remembered; a property test over arbitrary text checks that.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

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
            if self.known_words > self._max_known_words:
                self._known = _Vocabulary()
            if self.known_texts > self._max_known_texts:
                self._known.texts.clear()
            read = self._known.read_texts(texts)
            holders, table = self._known.tabulate(wanted)
        numbers = np.concatenate([text.words for text in read])
        ends = np.cumsum([len(text.words) for text in read])
        lengths = np.array([text.length for text in read], np.float32)
        holding = np.flatnonzero(holders[numbers])
        if len(holding):
            rows = np.searchsorted(ends, holding, side="right")  # they ascend
            starts = np.flatnonzero(np.diff(rows, prepend=-1))
            counts[rows[starts]] = np.add.reduceat(table[holders[numbers[holding]]], starts, axis=0)
        for row in [row for row, text in enumerate(read) if text.has_unknown]:
            long = [word for word in texts[row].split() if len(word) > MAX_REMEMBERED_CHARS]
            terms = extract_terms(" ".join(long))
            lengths[row] += len(terms)
            counts[row] += [terms.count(term) for term in wanted]
        return counts, lengths


class _ReadText(NamedTuple):
    """A text as the numbers of its words, and the number of their terms, without unknown words."""

    words: NDArray[np.int32]
    length: int
    has_unknown: bool


class _Vocabulary:
    """The words seen so far, by number, with their terms; and the texts, by their hashes."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.texts: dict[int, _ReadText] = {}
        self._lengths = np.zeros(1, np.int32)  # in terms, by number of a word
        self._holders: dict[str, list[tuple[int, int]]] = {}  # term: each word that holds it, how often

    def read_texts(self, texts: Sequence[str]) -> list[_ReadText]:
        """Return the texts as the numbers of their words; new words and texts are learned."""
        keys = list(map(hash, texts))
        split = {key: text.split() for key, text in zip(keys, texts, strict=True) if key not in self.texts}
        if split:
            numbers = self._number(list(itertools.chain.from_iterable(split.values())))
            ends = np.cumsum([0, *map(len, split.values())])
            lengths = _sum_parts(self._lengths[numbers], ends)
            unknown = _sum_parts(numbers == UNKNOWN, ends)
            spans = itertools.pairwise(ends.tolist())
            for key, (start, end), length, count in zip(split, spans, lengths, unknown, strict=True):
                self.texts[key] = _ReadText(numbers[start:end].copy(), length, count > 0)
        return [self.texts[key] for key in keys]

    def _number(self, words: Sequence[str]) -> NDArray[np.int32]:
        """Return the number of each word, of shape (words,); new words are learned."""
        try:
            return np.fromiter(map(self.numbers.__getitem__, words), np.int32, len(words))
        except KeyError:  # some are new, or too long
            self._learn(set(words).difference(self.numbers))
            return np.array([self.numbers.get(word, UNKNOWN) for word in words], np.int32)

    def _learn(self, words: Iterable[str]) -> None:
        """Remember new words, unless too long, with their terms, which one analysis finds for all."""
        new = [(word, tokenize_chunk(word)) for word in words if len(word) <= MAX_REMEMBERED_CHARS]
        terms = iter(stem_tokens([token for _, tokens in new for token in tokens]))
        for number, (word, tokens) in enumerate(new, start=len(self._lengths)):
            self.numbers[word] = number
            own = list(itertools.islice(terms, len(tokens)))
            for term in own if len(own) == 1 else dict.fromkeys(own):  # most words are one term
                self._holders.setdefault(term, []).append((number, own.count(term)))
        self._lengths = np.append(self._lengths, np.array([len(tokens) for _, tokens in new], np.int32))

    def tabulate(self, wanted: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return by word its row in a table, and the table.

        A row, of shape (wanted,), is how often the word holds each ``wanted`` term. The first row, of words
        that hold none, is zero.
        """
        rows: dict[int, list[tuple[int, int]]] = {}
        for column, term in enumerate(wanted):
            for number, count in self._holders.get(term, ()):
                rows.setdefault(number, []).append((column, count))
        holders = np.zeros(len(self._lengths), np.int32)
        table = np.zeros((len(rows) + 1, len(wanted)), np.float32)
        for row, (number, held) in enumerate(rows.items(), start=1):
            holders[number] = row
            for column, count in held:
                table[row, column] = count
        return holders, table


def _sum_parts(values: NDArray[Any], ends: NDArray[np.int64]) -> list[int]:
    """Return the sums of the values between each end and the next; the first end is 0."""
    return np.diff(np.concatenate([[0], np.cumsum(values)])[ends]).tolist()


_shared = TermCounter()


def count_terms(
    texts: Sequence[str], wanted: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Count the ``wanted`` terms in each text, with the vocabulary shared by the process."""
    return _shared.count(texts, wanted)
