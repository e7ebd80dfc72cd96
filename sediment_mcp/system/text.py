"""Text for people, terminals and JSON: names in messages, control characters, valid Unicode."""

from __future__ import annotations

import itertools
import json
import re
import reprlib
import unicodedata
from collections.abc import Sequence
from typing import Any, Literal

MAX_NAME_CHARS = 64  # longest value that a message quotes in full
MAX_NAMES = 5  # most names that a message lists

MAX_MARKS = 64  # combining marks in a row, far more than a letter of any language has

_SIGNS = re.compile(rf"[^\w\s\x00-\x7f]{{{MAX_MARKS},}}")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
_INVISIBLE = re.compile(
    "\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f"  # a flag of a region, in which tag characters belong
    "|([\u180e\u200b\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
    "|(?<=[A-Za-z])[\u00ad\u200c-\u200f\u061c]+(?=[A-Za-z])"  # they belong into other writings, and to emoji
    "|(?<=[A-Za-z \ufe00-\ufe0f])[\ufe00-\ufe0f]"
    "|(?<![\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])[\U000e0100-\U000e01ef])"
)
_REPLACED = (*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
SHOWN_AS = _PICTURES | dict.fromkeys(_REPLACED, 0xFFFD)
"""Code of a character → code of the character that is shown in its place."""

_DROPPED = (
    0xAD,
    0x61C,
    0x180E,
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
)
_VARIATION_SELECTORS = (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
_TAGS = {0xE0000 + code: code if 0x20 <= code < 0x7F else None for code in range(0x80)}
_REVEALED = dict.fromkeys((*_DROPPED, *_VARIATION_SELECTORS)) | _TAGS
HIDDEN = (0x180E, 0x200B, *range(0x2060, 0x2065), 0xFEFF, *_TAGS)
"""Codes of characters that are invisible wherever they stand (tags but for the flags of some regions)."""

_HIDDEN = re.compile(f"[{''.join(map(chr, _REVEALED))}\ufff9-\ufffb]")
"""What `_INVISIBLE` counts and `reveal_invisible` removes, wherever it stands."""
_TAG_RUN = re.compile("[\U000e0000-\U000e007f]+")
_UNSAFE = re.compile(
    "[\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e01ef]"
)


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
    return re.sub(r"(?<![aeou])y$", "ie", noun) + "s"


def format_subject(count: int, noun: str) -> str:
    """Return a number with its noun and verb, such as "1 memory is" or "2,000 memories are"."""
    return f"{format_count(count, noun)} {'is' if count == 1 else 'are'}"


def join_messages(messages: Sequence[str], limit: int = MAX_NAMES) -> str:
    """Return the first few different messages as one text, and how many more there are."""
    different = list(dict.fromkeys(messages))
    more = len(different) - limit
    return " ".join(different[:limit]) + (f" {_format_more(more)} wrong." if more > 0 else "")


def _format_more(more: int) -> str:
    return "1 more argument is" if more == 1 else f"{more} more arguments are"


# --- Unicode ------------------------------------------------------------------------------------


def compose_accents(text: str) -> str:
    """Return the text in Unicode's NFC form, in which an accented letter is spelled one way.

    A text with a run of more than `MAX_MARKS` combining marks is returned as it is: no writing has any, and
    Python sorts such a run in quadratic time.
    """
    return normalize_unicode("NFC", text)


def normalize_unicode(form: Literal["NFC", "NFD", "NFKC"], text: str) -> str:
    """Return the text in a normal form of Unicode, or as it is if it has many marks in a row."""
    return text if has_many_marks(text) else unicodedata.normalize(form, text)


def has_many_marks(text: str) -> bool:
    """Return True if more than `MAX_MARKS` combining marks follow each other somewhere."""
    return len(text) > MAX_MARKS and any(
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
    return _INVISIBLE.sub(_show_invisible, text.replace("\r\n", "\n")).translate(SHOWN_AS)


def count_invisible(text: str) -> int:
    """Return how many characters cannot be seen, such as zero-width spaces and tags.

    Those that belong where they stand are not counted: joiners within emoji and in other writings than the
    Latin one, the tags of a flag, variants of an ideograph.
    """
    if not _has_hidden(text):
        return 0
    return sum(len(match[1]) for match in _INVISIBLE.finditer(text) if match[1])


def reveal_invisible(text: str) -> str:
    """Return the text as a machine reads it: tags as letters, nothing invisible."""
    return _TAG_RUN.sub(" \\g<0>", text).translate(_REVEALED) if _has_hidden(text) else text


def _has_hidden(text: str) -> bool:
    return not text.isascii() and _HIDDEN.search(text) is not None


def escape_invisible(json_text: str) -> str:
    """Return the same JSON with control and invisible characters as escapes, for a terminal."""
    return json_text if json_text.isascii() and "\x7f" not in json_text else _UNSAFE.sub(_escape, json_text)


def _show_invisible(match: re.Match[str]) -> str:
    return "".join(f"<U+{ord(character):04X}>" for character in match[1]) if match[1] else match[0]


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


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
