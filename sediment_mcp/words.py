"""Text to terms: the one analysis that the text index, its tail and every query share.

Runs of letters, digits and underscores are words, lower-cased, without accents, stemmed as English.
Scripts that are written without spaces, and emoji, give one term a character.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tantivy import TextAnalyzer

ANALYZER = "words-1"  # a new name makes every text index be rebuilt
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
PATTERN = rf"[{UNSPACED}\p{{Emoji_Presentation}}]|[[\p{{L}}\p{{N}}\p{{M}}_]--[{UNSPACED}]]+"
LONGEST = 200  # bytes; longer runs are data, not words


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
