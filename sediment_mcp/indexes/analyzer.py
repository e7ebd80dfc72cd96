"""Text to terms: the one analysis that the text index, its tail and every query share.

Runs of letters, digits and underscores are words, lower-cased, without accents, stemmed as English.
Scripts that are written without spaces, and emoji, give one term a character.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tantivy import TextAnalyzer

ANALYZER = "words-1"  # a new name makes every text index be rebuilt
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
PATTERN = rf"[{UNSPACED}\p{{Emoji_Presentation}}]|[[\p{{L}}\p{{N}}\p{{M}}_]--[{UNSPACED}]]+"
LONGEST = 200  # bytes; longer runs are data, not words

# Words that make a text a question, and say nothing of what it is about. Prepositions and pronouns are
# not among them: dropping those as well costs notes of developers more than it gives conversations.
QUESTION_WORDS = (
    "a an the what when where which who whom whose why how am is are was were be been being do does did "
    "doing have has had having can could will would shall should may might must s"
)
KNOWN_WORDS = 20_000  # whose terms are remembered

_ASCII_WORDS = {code: chr(code).lower() if re.match(r"\w", chr(code)) else " " for code in range(128)}


@functools.cache
def analyzer() -> TextAnalyzer:
    import tantivy

    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(PATTERN))
        .filter(tantivy.Filter.remove_long(LONGEST))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
        .filter(tantivy.Filter.stemmer("english"))
        .build()
    )


def terms(text: str) -> list[str]:
    """The terms of a text, in order and with repetitions."""
    return analyzer().analyze(text)


def query_terms(text: str) -> list[str]:
    """The distinct terms of a question, without `QUESTION_WORDS` unless it consists of nothing else."""
    distinct = list(dict.fromkeys(terms(text)))
    return [term for term in distinct if term not in _question_terms()] or distinct


@functools.cache
def _question_terms() -> frozenset[str]:
    return frozenset(terms(QUESTION_WORDS))


def occurrences(texts: Sequence[str], wanted: Collection[str]) -> list[tuple[dict[str, int], int]]:
    """For each text, how often each of the ``wanted`` terms occurs in it that does, and the number of all its
    terms. The same as counting `terms`, at a tenth of the cost for ASCII text, whose words are taken apart
    here: there the term of a word that was seen before is remembered."""
    known = _vocabulary()
    if len(known.words) > KNOWN_WORDS:
        _vocabulary.cache_clear()
    split = [text.translate(_ASCII_WORDS).split() if text.isascii() else None for text in texts]
    known.learn(set[str]().union(*filter(None, split)))
    forms = {form: term for term in wanted for form in known.forms.get(term, ())}
    exact = {term: term for term in wanted}
    return [
        _counted(terms(text), exact, ()) if found is None else _counted(found, forms, known.forms.get("", ()))
        for text, found in zip(texts, split, strict=True)
    ]


def _counted(
    found: list[str], forms: dict[str, str], no_terms: Collection[str]
) -> tuple[dict[str, int], int]:
    counts: dict[str, int] = {}
    for form in forms.keys() & found if not forms.keys().isdisjoint(found) else ():
        counts[forms[form]] = counts.get(forms[form], 0) + found.count(form)
    return counts, len(found) - sum(map(found.count, no_terms))


class _Vocabulary:
    """The single ASCII words that were met, and by term the words that it stands for; those without a term
    stand under the empty one."""

    def __init__(self) -> None:
        self.words: set[str] = set()
        self.forms: dict[str, tuple[str, ...]] = {}

    def learn(self, found: set[str]) -> None:
        """Take up words that may be new, all in one analysis: it gives each a term, unless it is too long."""
        new = found - self.words
        short = [word for word in new if len(word) < LONGEST]
        self._note("", new.difference(short))
        for word, term in zip(short, terms(" ".join(short)), strict=True):
            self._note(term, (word,))

    def _note(self, term: str, words: Iterable[str]) -> None:
        self.forms[term] = (*self.forms.get(term, ()), *words)
        self.words.update(words)


@functools.cache
def _vocabulary() -> _Vocabulary:
    return _Vocabulary()
