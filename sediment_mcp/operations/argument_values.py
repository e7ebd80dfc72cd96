"""Values as models and shells send them: text for lists, for objects, for nothing."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from typing import Any, cast

from sediment_mcp.domain.tags import clean_tag

MAX_LITERAL_CHARS = 20_000  # of a text that is read as a Python literal; more than any valid list needs
_NOTHING = frozenset({"", "null", "none", "undefined", "nil"})
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_SEPARATORS = re.compile("[,\n\uff0c\u3001]")
_SEMICOLONS = re.compile("[;\uff1b]")
_BULLET = re.compile(r"[-*\u2022]\s+")
_ID_SEPARATORS = re.compile(r"[\s,;]+")
_HASHTAGS = re.compile(r"#\S+(?:\s+#\S+)+")
_QUOTES = "\"'`\u2018\u2019\u201c\u201d"
_AROUND_ID = _QUOTES + "<>[](){}*\u200b\ufeff "  # what text, Markdown and lists put around an id
_ID_PREFIX = re.compile(r"memory:(?://)?|id[:=]", re.IGNORECASE)


def is_nothing(value: object) -> bool:
    """Return whether a value says that an argument is not given."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _NOTHING)


def parse_object(value: object) -> object:
    """Parse text that is JSON or a Python literal; return anything else unchanged."""
    return _parse_literal(value) if isinstance(value, str) else value


def parse_number(value: object) -> object:
    """Accept a decimal comma."""
    is_decimal = isinstance(value, str) and re.fullmatch(r"\s*\d{1,9},\d{1,9}\s*", value)
    return cast("str", value).replace(",", ".") if is_decimal else value


def parse_text(value: object) -> object:
    """Accept a number for the text that it is."""
    return _write(value)


def parse_tags(value: object) -> object:
    """Return the tags of a list, or of a text that means one."""
    items = split_list(value)
    if not isinstance(items, list):
        return items
    return [clean_tag(item) if isinstance(item, str) else item for item in cast("list[object]", items)]


def parse_ids(value: object) -> object:
    """Return the ids of a list, or of a text that means one, without what surrounds them.

    Every item may hold several, because an id holds neither white space nor a comma.
    """
    items = split_list(value)
    if not isinstance(items, list):
        return items
    ids: list[object] = []
    for item in cast("list[object]", items):
        ids += _split_ids(item) if isinstance(item, str) else [item]
    return ids


def parse_id(value: object) -> object:
    """Return one id without what surrounds it and the scheme of its URI."""
    return _bare_id(value) if isinstance(value, str) else value


def split_list(value: object) -> object:
    """Return a list of what a value means; a value that means none unchanged.

    It may be a list, a single item, a list written as JSON or in Python, or items with commas, semicolons or
    line ends between them. Items that say nothing are left out, numbers become text. Items of a real list,
    and of one written with quotation marks, are not split further.
    """
    if isinstance(value, tuple | set | frozenset):
        value = list(cast("Sequence[object]", value))
    if isinstance(value, str):
        value = _split_text(value.strip())
    if not isinstance(value, list):
        return value
    return [_write(item) for item in cast("list[object]", value) if not is_nothing(item)]


def _split_text(text: str) -> list[object]:
    is_quoted, is_set = text[:1] in ("'", '"'), text[:1] + text[-1:] == "{}"
    listed = f"[{text}]" if is_quoted else f"[{text[1:-1]}]" if is_set else text
    parsed = _parse_literal(listed) if listed[:1] in _BRACKETS else text
    if isinstance(parsed, list | tuple):
        return list(cast("Sequence[object]", parsed))
    if _HASHTAGS.fullmatch(text):
        return list(text.split())
    return [item.strip().strip(_QUOTES).strip() for item in _split_plain(text)]


def _split_plain(text: str) -> list[str]:
    """Split plain text at its commas and line ends, or else at its semicolons."""
    separators = next((each for each in (_SEPARATORS, _SEMICOLONS) if each.search(text)), None)
    if separators is None:
        return [text]
    if text and _BRACKETS.get(text[0]) == text[-1]:
        text = text[1:-1]
    return [_BULLET.sub("", item.strip(), count=1) for item in separators.split(text)]


def _split_ids(item: str) -> list[object]:
    bare = (_bare_id(part) for part in _ID_SEPARATORS.split(item))
    return [part for part in bare if part and not is_nothing(part)]


def _bare_id(text: str) -> str:
    text = text.strip()
    bare = _ID_PREFIX.sub("", text.strip(_AROUND_ID), count=1)
    return bare.strip(_AROUND_ID).rstrip("/") or text


def _parse_literal(text: str) -> object:
    """Return the value of JSON text or of a Python literal; any other text unchanged."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    text = text.strip()
    if len(text) > MAX_LITERAL_CHARS or text[:1] not in _BRACKETS:
        return text
    try:
        value: Any = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text
    return value


def _write(value: object) -> object:
    """Return a number or a truth value as the text that stands for it in JSON; others unchanged."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value) if isinstance(value, int | float) else value
