"""Text for people, terminals and JSON: names in messages, control characters, valid Unicode."""

from __future__ import annotations

import itertools
import json
import re
import reprlib
import unicodedata
from collections.abc import Sequence
from typing import Any

MAX_NAME_CHARS = 64  # longest value that a message quotes in full
MAX_NAMES = 5  # most names that a message lists

MAX_MARKS = 64  # combining marks in a row, far more than a letter of any language has

_SIGNS = re.compile(rf"[^\w\s\x00-\x7f]{{{MAX_MARKS},}}")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
_REPLACED = (*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
SHOWN_AS = _PICTURES | dict.fromkeys(_REPLACED, 0xFFFD)
"""Code of a character → code of the character that is shown in its place."""


# --- messages -----------------------------------------------------------------------------------


def format_value(value: object) -> str:
    """Return a value that a caller sent, for use in a message.

    Short printable text is unchanged; anything else is quoted on one line and shortened.
    """
    is_plain = isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) == len(value)
    return str(value) if is_plain and len(str(value)) <= MAX_NAME_CHARS else reprlib.repr(value)


def list_names(names: Sequence[str], limit: int = MAX_NAMES) -> str:
    """Return the first few names, and how many more there are."""
    more = len(names) - limit
    return ", ".join(map(format_value, names[:limit])) + (f" and {more} more" if more > 0 else "")


def join_messages(messages: Sequence[str], limit: int = MAX_NAMES) -> str:
    """Return the first few different messages as one text, and how many more there are."""
    different = list(dict.fromkeys(messages))
    more = len(different) - limit
    return " ".join(different[:limit]) + (f" {more} more arguments are wrong." if more > 0 else "")


# --- Unicode ------------------------------------------------------------------------------------


def compose_accents(text: str) -> str:
    """Return the text in Unicode's NFC form, in which an accented letter is spelled one way.

    A text with a run of more than `MAX_MARKS` combining marks is returned as it is: no writing has any, and
    Python sorts such a run in quadratic time.
    """
    return text if _has_many_marks(text) else unicodedata.normalize("NFC", text)


def _has_many_marks(text: str) -> bool:
    return any(
        is_mark and sum(1 for _ in characters) > MAX_MARKS
        for signs in _SIGNS.finditer(text)
        for is_mark, characters in itertools.groupby(
            signs.group(), lambda sign: unicodedata.combining(sign) > 0
        )
    )


# --- terminals ----------------------------------------------------------------------------------


def show_control_characters(text: str) -> str:
    """Return the text with control characters made visible.

    An escape sequence in a memory must not reach the terminal, and characters that reverse the
    direction of writing must not disguise the text.
    """
    return text.replace("\r\n", "\n").translate(SHOWN_AS)


# --- JSON ---------------------------------------------------------------------------------------


def valid_text(text: str) -> str:
    """Replace every half of a surrogate pair, which no encoding could carry, by U+FFFD."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def to_json(value: Any) -> str:
    """Return compact JSON that is always valid Unicode.

    Raises:
        ValueError: the value holds NaN or an infinite number.
    """
    return valid_text(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
