"""Bring text to one spelling, and know which characters words are made of.

What looks alike, or is typed alike, is one spelling: compatibility forms (full and half width, ligatures),
composed and decomposed letters, letters with and without marks, digits of every script. Characters that
cannot be seen are removed.

Marks are removed in scripts where they are left out in writing (Latin, Greek, Cyrillic, Arabic, Hebrew,
Syriac); in others, such as Devanagari, Thai or kana, they are part of the letter and kept.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator

from sediment_mcp.system.text import has_many_marks, normalize_unicode

UNSPACED = (
    r"\u0e01-\u0e4e\u0e80-\u0ece\u0edc-\u0edf"  # Thai, Lao
    r"\u1000-\u103f\u1050-\u108f\u109a-\u109f\ua9e0-\ua9ef\uaa60-\uaa7f"  # Myanmar
    r"\u1780-\u17d3\u17d7\u17dc\u17dd\u1950-\u19cf\u1a20-\u1a7f\uaa80-\uaadf"  # Khmer, Tai
    r"\u1b00-\u1b4f\ua980-\ua9c0\ua000-\ua48f"  # Balinese, Javanese, Yi
    r"\u1100-\u11ff\uac00-\ud7ff\ua960-\ua97f"  # Hangul
    r"\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff"  # Han
    r"\uf900-\ufaff\U00020000-\U000323af"
    r"\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\U0001b000-\U0001b16f"
)
"""Scripts that are written without spaces between words, as a set of `re`; Hangul is among them, because its
words end in particles."""
EMOJI = r"\u231a-\u23ff\u2600-\u27bf\u2b05-\u2b55\U0001f000-\U0001faff"

_REMOVED_MARKS = (
    (0x0300, 0x036F), (0x0483, 0x0489), (0x0591, 0x05C7), (0x0610, 0x061A), (0x0640, 0x0640),
    (0x064B, 0x065F), (0x0670, 0x0670), (0x06D6, 0x06DC), (0x06DF, 0x06E8), (0x06EA, 0x06ED),
    (0x0711, 0x0711), (0x0730, 0x074A), (0x08CA, 0x08FF), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF), (0xFE20, 0xFE2F),
)  # fmt: skip
_INVISIBLE = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""Default_Ignorable_Code_Point of Unicode: soft hyphens, joiners, directions, variation selectors, tags."""
_TRADE_MARKS = dict.fromkeys(map(ord, "™℠"), " ")  # NFKC would glue their letters to the word
_DASHES = dict.fromkeys(range(0x2010, 0x2013), "-") | {0x2212: "-", 0x2044: "/"}
_MARK_BLOCKS = (
    (0x0300, 0x1FFF), (0x2CEF, 0x2D7F), (0x302A, 0x309A), (0xA66F, 0xABFF), (0x10A00, 0x12000),
    (0x16AF0, 0x16F92), (0x1E000, 0x1E94A),
)  # fmt: skip
"""Blocks in which there are marks or decimal digits; all of Unicode would take a tenth of a second."""
_LATIN = ((0x80, 0x24F), (0x2010, 0x2044))
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")
_BEYOND_LATIN = re.compile("[^\x00-\u024f\u2010-\u2044]")
"""Latin letters and punctuation, most of all text: none of them is a mark, or composed with a letter."""


def normalize(text: str) -> str:
    """Return the text in its one spelling, with upper and lower case as they are."""
    if text.isascii():
        return text
    if not _BEYOND_LATIN.search(text):
        return _BEYOND_ASCII.sub(_normalize_match, text)
    return _normalize_any(text)


def _normalize_match(match: re.Match[str]) -> str:
    """Return what a character of `_LATIN` becomes, which does not depend on those around it."""
    return _build_latin_table()[match[0]]


@functools.cache
def _build_latin_table() -> dict[str, str]:
    return {chr(code): _normalize_any(chr(code)) for code in _expand(_LATIN)}


def _normalize_any(text: str) -> str:
    visible, marks = _build_tables()
    text = text.translate(visible)
    if has_many_marks(text):
        text = text.translate(marks)
    decomposed = normalize_unicode("NFD", normalize_unicode("NFKC", text))
    return normalize_unicode("NFC", decomposed.translate(marks))


def fold_case(text: str) -> str:
    """Return a normalised text without differences of case: ß is ss."""
    return text.lower() if text.isascii() else text.casefold()


@functools.cache
def build_word_class() -> str:
    r"""Return the characters of words in scripts with spaces, for a set of `re`.

    ``\w`` lacks the marks that are part of a letter.
    """
    marks = "".join(f"{chr(code)}" for code in _list_marks())
    return rf"\w{marks}"


@functools.cache
def _build_tables() -> tuple[dict[int, str | None], dict[int, str | None]]:
    """Return what to replace before and after decomposing; None removes a character."""
    visible: dict[int, str | None] = dict.fromkeys(_expand(_INVISIBLE)) | _TRADE_MARKS | _DASHES
    marks: dict[int, str | None] = dict.fromkeys(_expand(_REMOVED_MARKS))
    for code in _expand(_MARK_BLOCKS):
        if (value := unicodedata.decimal(chr(code), None)) is not None:
            marks[code] = str(value)
    return visible, marks


def _list_marks() -> list[int]:
    removed = set(_expand(_REMOVED_MARKS))
    unspaced = re.compile(f"[{UNSPACED}]")
    return [
        code
        for code in _expand(_MARK_BLOCKS)
        if unicodedata.category(chr(code)) in {"Mn", "Mc"}
        and code not in removed
        and not unspaced.match(chr(code))
    ]


def _expand(ranges: tuple[tuple[int, int], ...]) -> Iterator[int]:
    for first, last in ranges:
        yield from range(first, last + 1)
