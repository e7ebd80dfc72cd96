"""Text for people, terminals and JSON: names in messages, control characters, valid Unicode."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Sequence
from typing import Any

MAX_NAME_CHARS = 64  # longest value that a message quotes in full
MAX_NAMES = 5  # most names that a message lists

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
_INVISIBLE = (0x061C, 0x200B, 0x200E, 0x200F, *range(0x2060, 0x2065), 0xFEFF, *range(0xE0000, 0xE0080))
_REPLACED = (*range(0x80, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A), *_INVISIBLE)
_REPLACED_SET = frozenset((*_REPLACED, 0x7F))
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


def format_count(count: int, noun: str) -> str:
    """Return a number with its noun, such as "1 memory" or "2,000 memories"."""
    return f"{count:,} {inflect(count, noun)}"


def inflect(count: int, noun: str) -> str:
    """Return a noun in the number that goes with a count."""
    if count == 1:
        return noun
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"


def join_messages(messages: Sequence[str], limit: int = MAX_NAMES) -> str:
    """Return the first few different messages as one text, and how many more there are."""
    different = list(dict.fromkeys(messages))
    more = len(different) - limit
    return " ".join(different[:limit]) + (f" {_format_more(more)} wrong." if more > 0 else "")


def _format_more(more: int) -> str:
    return "1 more argument is" if more == 1 else f"{more} more arguments are"


# --- terminals ----------------------------------------------------------------------------------


def show_control_characters(text: str) -> str:
    """Return the text with control characters made visible.

    An escape sequence in a memory must not reach the terminal, and characters that reverse the
    direction of writing must not disguise the text.
    """
    return text.replace("\r\n", "\n").translate(SHOWN_AS)


def escape_control_characters(text: str) -> str:
    """Return JSON text with control and invisible characters as escapes, for a terminal.

    It is the same value. JSON itself escapes only those below the blank.
    """
    return "".join(_escape(sign) if ord(sign) in _REPLACED_SET else sign for sign in text)


def _escape(sign: str) -> str:
    return json.dumps(sign)[1:-1] if sign != "\x7f" else "\\u007f"


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
