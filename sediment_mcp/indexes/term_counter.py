"""Count a query's terms in texts: a second, fast tokenizer for ASCII text beside tantivy's.

It exists for speed: in measurements, counting through `extract_terms` takes ten times as long, most of a
query's time. It agrees with tantivy's analysis by construction, because the term of each word comes from
`extract_terms` and is remembered; a property test over arbitrary text checks that. Text beyond ASCII goes
through tantivy as a whole.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable, Sequence

from sediment_mcp.indexes.analyzer import MAX_TERM_BYTES, extract_terms

MAX_KNOWN_WORDS = 20_000  # whose terms are remembered

_ASCII_WORDS = {code: chr(code).lower() if re.match(r"\w", chr(code)) else " " for code in range(128)}

TermCounts = tuple[dict[str, int], int]
"""How often each wanted term occurs in a text that holds it, and the number of all terms of the text."""


class TermCounter:
    """Counts terms, and remembers the term of each word.

    May be used from any thread.
    """

    def __init__(self, max_known_words: int = MAX_KNOWN_WORDS) -> None:
        self._max_known_words = max_known_words
        self._lock = threading.Lock()
        self._known = _Vocabulary()

    @property
    def known_words(self) -> int:
        """The number of words remembered: at most the limit plus the new words of one call."""
        return len(self._known.words)

    def count(self, texts: Sequence[str], wanted: Collection[str]) -> list[TermCounts]:
        """Return for each text the counts of the ``wanted`` terms among its `extract_terms`."""
        split = [text.translate(_ASCII_WORDS).split() if text.isascii() else None for text in texts]
        with self._lock:
            if self.known_words > self._max_known_words:
                self._known = _Vocabulary()
            self._known.learn(set[str]().union(*filter(None, split)))
            forms = {form: term for term in wanted for form in self._known.forms.get(term, ())}
            no_terms = self._known.forms.get("", ())
        exact = {term: term for term in wanted}
        return [
            _count_words(extract_terms(text), exact, ())
            if words is None
            else _count_words(words, forms, no_terms)
            for text, words in zip(texts, split, strict=True)
        ]


def _count_words(words: list[str], forms: dict[str, str], no_terms: Collection[str]) -> TermCounts:
    counts: dict[str, int] = {}
    for form in forms.keys() & words if not forms.keys().isdisjoint(words) else ():
        counts[forms[form]] = counts.get(forms[form], 0) + words.count(form)
    return counts, len(words) - sum(map(words.count, no_terms))


class _Vocabulary:
    """The ASCII words seen so far, and by term the words that have it.

    Words that are too long to have a term are listed under the empty term.
    """

    def __init__(self) -> None:
        self.words: set[str] = set()
        self.forms: dict[str, tuple[str, ...]] = {}

    def learn(self, words: set[str]) -> None:
        """Remember words that may be new, with their terms, which one analysis finds for all.

        Words that are too long have no term.
        """
        new = words - self.words
        short = [word for word in new if len(word) < MAX_TERM_BYTES]
        self._add("", new.difference(short))
        for word, term in zip(short, extract_terms(" ".join(short)), strict=True):
            self._add(term, (word,))

    def _add(self, term: str, words: Iterable[str]) -> None:
        self.forms[term] = (*self.forms.get(term, ()), *words)
        self.words.update(words)


_shared = TermCounter()


def count_terms(texts: Sequence[str], wanted: Collection[str]) -> list[TermCounts]:
    """Count the ``wanted`` terms in each text, with the vocabulary shared by the process."""
    return _shared.count(texts, wanted)
