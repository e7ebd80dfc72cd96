"""Turn text into terms, for the text index, its memtable and every query alike.

Runs of letters, digits and underscores are words, lower-cased, without accents, stemmed as English. In
scripts that are written without spaces each character is a term, and so is each emoji.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import tantivy

if TYPE_CHECKING:
    from tantivy import TextAnalyzer

ANALYZER_NAME = "words-1"  # a new name causes every text index to be rebuilt
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
PATTERN = rf"[{UNSPACED}\p{{Emoji_Presentation}}]|[[\p{{L}}\p{{N}}\p{{M}}_]--[{UNSPACED}]]+"
MAX_TERM_BYTES = 200  # longer runs are data, not words

# Words that make a text a question but do not say what it is about. Prepositions and pronouns are not among
# them: leaving those out too worsens search in developers' notes more than it improves it in conversations.
QUESTION_WORDS = (
    "a an the what when where which who whom whose why how am is are was were be been being do does did "
    "doing have has had having can could will would shall should may might must s"
)


@functools.cache
def get_analyzer() -> TextAnalyzer:
    """Return the process's analyzer, built on first use.

    Safe without a lock: it is immutable, and two threads that build it at once build the same.
    """
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(PATTERN))
        .filter(tantivy.Filter.remove_long(MAX_TERM_BYTES))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
        .filter(tantivy.Filter.stemmer("english"))
        .build()
    )


def extract_terms(text: str) -> list[str]:
    """Return the terms of a text, in order and with repetitions."""
    return get_analyzer().analyze(text)


def extract_query_terms(query: str) -> list[str]:
    """Return the distinct terms of a query that say what it is about.

    Those of `QUESTION_WORDS` are left out, unless the query consists of nothing else.
    """
    distinct = list(dict.fromkeys(extract_terms(query)))
    return [term for term in distinct if term not in _extract_question_terms()] or distinct


@functools.cache
def _extract_question_terms() -> frozenset[str]:
    return frozenset(extract_terms(QUESTION_WORDS))
