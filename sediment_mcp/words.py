"""Text to terms: the one analysis that the text index, its tail and every query share.

Runs of letters, digits and underscores are words, lower-cased, without accents, stemmed as English.
Scripts that are written without spaces, and emoji, give one term a character.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Collection
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

_ASCII_WORD = re.compile(r"[a-z0-9_]+")


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


def occurrences(text: str, wanted: Collection[str]) -> tuple[Counter[str], int]:
    """How often the ``wanted`` terms occur in a text, and the number of all its terms.

    The same as counting `terms`, at a third of the cost for ASCII text: there the pattern finds the
    same words, and the term of a word that was seen before is remembered.
    """
    if not text.isascii():
        found = terms(text)
        return Counter(term for term in found if term in wanted), len(found)
    if len(_known) > KNOWN_WORDS:
        _known.clear()
    found = list(map(_known.__getitem__, _ASCII_WORD.findall(text.lower())))
    return Counter([term for term in found if term in wanted]), len(found) - found.count("")


class _Known(dict[str, str]):
    """The term of each single ASCII word that was met; empty where it has none."""

    def __missing__(self, word: str) -> str:
        term = self[word] = "".join(terms(word))
        return term


_known = _Known()
