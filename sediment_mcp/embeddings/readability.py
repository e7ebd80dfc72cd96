"""Tell whether a model can read a text at all, by what its tokenizer makes of it.

What a vocabulary does not cover becomes the unknown token, and texts that are mostly unknown have nearly the
same embedding whatever they say. Such a text has no embedding rather than a wrong one.

Seen with all-MiniLM-L6-v2: Thai, Lao, Khmer, Burmese and Amharic are unknown as a whole, Chinese by half and
more, Georgian and Tamil by three quarters; French, German, and English with a foreign name hardly are.
Japanese, Korean, Hindi, Arabic, Hebrew, Armenian and Greek are spelled out in single characters: unrelated
texts come as near as 0.6 to 0.9. Russian is so in part, and comes as near as 0.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_UNKNOWN_SHARE = 0.5  # a text of which so much is unknown is not read
MAX_TOKEN_WEIGHT = 10  # characters; an unknown token of data does not outweigh the words around it
MAX_SURE_WORD = 100  # characters; a longer one is unknown to a WordPiece tokenizer

SPELLED_OUT = re.compile(
    r"[\u0370-\u03ff\u1f00-\u1fff\u0530-\u058f\u0590-\u08ff\u0900-\u0dff\ufb1d-\ufdff\ufe70-\ufefe"
    r"\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3031-\u30ff\u3105-\u318f\u31a0-\u31ff\u3400-\u9fff"
    r"\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U0001b000-\U0001b16f\U00020000-\U000323af]"
)
"""Han, kana, Hangul, Greek, Armenian, Hebrew, Arabic and the scripts of India, of which an English vocabulary
knows single characters at best."""


def is_plain_english(text: str) -> bool:
    """Return True for words that every English vocabulary covers, without tokenizing them."""
    return (
        text.isascii()
        and any(map(str.isalnum, text))
        and (len(text) <= MAX_SURE_WORD or max(map(len, text.split())) <= MAX_SURE_WORD)
    )


def measure_unknown_share(
    text: str, tokens: Iterable[tuple[bool, tuple[int, int]]], unread: re.Pattern[str] | None = None
) -> float:
    """Return the share of a text's letters and digits that are unknown; 1 if it has none.

    ``tokens`` are, for each one, whether it is the unknown token, and its span in the text. Characters that
    match ``unread`` count as unknown.
    """
    known = unknown = 0.0
    last = (0, 0)
    for is_unknown, span in tokens:
        if span == last:  # several tokens of one character
            continue
        last = span
        letters = [character for character in text[slice(*span)] if character.isalnum()]
        weight = min(len(letters), MAX_TOKEN_WEIGHT)
        if is_unknown or (unread is not None and any(map(unread.match, letters))):
            unknown += weight
        else:
            known += weight
    return unknown / (known + unknown) if known + unknown else 1.0
