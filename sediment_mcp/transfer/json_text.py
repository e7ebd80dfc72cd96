"""Read JSON as people and programs leave it behind: cut off, glued together, edited by hand.

What is valid is read as it is. Else comments, commas at the ends, single quotes and the constants of Python
are repaired, and of a line with several objects, or with the half of one, each whole object is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

JSON_SUFFIXES = (".json", ".jsonl", ".ndjson", ".json5", ".jsonc")
MAX_VALUES = 1_000_000  # objects and lists of one document or line: an empty one takes 20 times its text
MAX_STRINGS = 4_000_000
MAX_DIGITS = 300  # of a number; longer ones stay text
PIECE_CHARS = 1000  # of a line that are read first where an object may begin
MAX_LITERAL_CHARS = 16  # that a decoder must see at once, such as -Infinity
SCAN_BUDGET = 20  # characters read per character of a line, while an object is looked for in broken text
REPAIRED = "was no valid JSON: comments, commas or quotes were repaired."

_TOKEN = re.compile(
    r"""(?P<double>"(?:\\.|[^"\\])*+(?:"|\Z))|(?P<single>'(?:\\.|[^'\\])*+(?:'|\Z))"""
    r"""|(?P<comment>//[^\n]*|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z)|(?:(?<=\n)|(?<=^)|(?<=[ \t]))\#[^\n]*)"""
    r"""|(?P<word>\b(?:None|True|False|undefined)\b)""",
    re.DOTALL,
)
_LAST_COMMA = re.compile(r"""("(?:\\.|[^"\\])*+(?:"|\Z))|,(?=\s*+[}\]])""", re.DOTALL)
_WORDS = {"None": "null", "True": "true", "False": "false", "undefined": "null"}
_GAP = re.compile(r"[\s,\0\ufeff]*+")
_START = re.compile(r"""\{(?=\s*+["}])|\[(?=\s*+[\[{"\]\d\-tfnIN])""")  # of a value that may be whole
_NAME = r"""["'][^"'\n]{0,200}+["']\s*+"""
_BEGINNING = re.compile(rf"""\s*+(?:\[\s*+)*+(?:\{{\s*+{_NAME}:|(?<=\[){_NAME},)""")


class _Parser:
    """A JSON decoder that remembers names that stand twice in one object."""

    def __init__(self) -> None:
        self.repeated: list[str] = []
        self.decoder = json.JSONDecoder(object_pairs_hook=self._build_object, parse_int=_parse_int)

    def _build_object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            names = [name for name, _ in pairs]
            self.repeated += (
                sorted({name for name in names if names.count(name) > 1}) if len(names) < 100 else []
            )
            self.repeated = self.repeated or ["a name"]
        return value


def _parse_int(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_DIGITS else digits


@dataclass(frozen=True, slots=True)
class ParsedJson:
    """A JSON value, and the ends of sentences on what was wrong with its text."""

    value: Any
    notes: tuple[str, ...] = ()


class BadJson(ValueError):
    """A text that is no JSON and cannot be repaired; the message says where."""


def parse_json(text: str) -> ParsedJson:
    """Return the value of a JSON text, repaired if need be; several values become a list.

    Raises:
        BadJson: it cannot be read.
    """
    parser = _Parser()
    text = text.strip("\ufeff\0 \t\r\n")
    if _has_too_many_values(text):
        raise BadJson(f"it holds more than {MAX_VALUES:,} objects and lists: divide it")
    try:
        return _finish(parser, parser.decoder.decode(text))
    except RecursionError:
        raise BadJson("it is nested too deeply") from None
    except ValueError as error:
        place = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else "a number"
    values = list(split_values(text))
    if len(values) > 1 and not any(isinstance(value, Fragment) for value in values):
        whole = [value for value in values if isinstance(value, ParsedJson)]
        return ParsedJson([value.value for value in whole], tuple(n for value in whole for n in value.notes))
    try:
        return _finish(parser, parser.decoder.decode(repair(text)), REPAIRED)
    except (ValueError, RecursionError):
        raise BadJson(place) from None


def _finish(parser: _Parser, value: Any, *notes: str) -> ParsedJson:
    if not parser.repeated:
        return ParsedJson(value, notes)
    names = ", ".join(dict.fromkeys(name[:40] for name in parser.repeated[:5]))
    return ParsedJson(value, (*notes, f"has {names} twice in one object: the last one counts."))


def repair(text: str) -> str:
    """Return the text without comments and last commas, and with JSON's quotes and constants."""
    return _LAST_COMMA.sub(lambda match: match[1] or "", _TOKEN.sub(_repair_token, text))


def _repair_token(match: re.Match[str]) -> str:
    if match["single"] is not None:
        inner = match["single"][1:].removesuffix("'")
        return json.dumps(re.sub(r"\\(.)", _unescape, inner, flags=re.DOTALL), ensure_ascii=False)
    if match["comment"] is not None:
        return " "
    return _WORDS[match["word"]] if match["word"] else match[0]


def _unescape(match: re.Match[str]) -> str:
    return {"n": "\n", "t": "\t", "r": "\r"}.get(match[1], match[1])


# --- several values -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a line that is no JSON value."""

    text: str


def split_values(line: str) -> Iterator[ParsedJson | Fragment]:
    """Yield each object and array of a line, and what is between them."""
    if _has_too_many_values(line):
        yield Fragment(line[:MAX_DIGITS])
        return
    end, budget = 0, SCAN_BUDGET * len(line) + 1000
    parser, decode = _Parser(), _decode_whole
    lost = 0  # where the fragment begins that was not yielded yet
    while (start := _GAP.match(line, end).end()) < len(line):  # pyright: ignore[reportOptionalMemberAccess]
        try:
            if line[start] not in "{[" or budget < 0:
                raise ValueError
            value, end = decode(parser.decoder, line, start)
        except (ValueError, RecursionError) as error:
            decode = _decode_piece
            parser.repeated = []
            deep = isinstance(error, RecursionError)
            budget -= len(line) if deep else max(getattr(error, "pos", start) - start, 1)
            found = _START.search(line, start + 1) if budget >= 0 else None
            end = found.start() if found else len(line)
            if found is None:
                yield Fragment(line[lost:].strip(" \t\r\n\0,\ufeff"))
                return
            continue
        if fragment := line[lost:start].strip(" \t\r\n\0,\ufeff"):
            yield Fragment(fragment)
        lost = end
        yield _finish(parser, value)
        parser.repeated = []


def _decode_whole(decoder: json.JSONDecoder, line: str, start: int) -> tuple[Any, int]:
    """Return (value, its end) of the value that begins at a place of the line."""
    return decoder.raw_decode(line, start)


def _decode_piece(decoder: json.JSONDecoder, line: str, start: int) -> tuple[Any, int]:
    """Return (value, its end) too, in a time that does not depend on what stands before it.

    An error of the decoder says in which line it is, and so reads the text from its beginning: in a line of
    many broken objects that would take quadratic time. So it gets a piece of the line, and a longer one if
    the value is cut off there.

    Raises:
        JSONDecodeError: there is no value.
    """
    chars = PIECE_CHARS
    while True:
        piece = line[start : start + chars]
        try:
            value, end = decoder.raw_decode(piece)
            return value, start + end
        except json.JSONDecodeError as error:
            is_cut = error.pos > len(piece) - MAX_LITERAL_CHARS or error.msg.startswith("Unterminated")
            if not is_cut or start + chars >= len(line):
                raise json.JSONDecodeError(error.msg, "", start + error.pos) from None
        chars *= 4


def _has_too_many_values(text: str) -> bool:
    """Return True if the values of a text would take far more memory than the text itself."""
    return text.count("{") + text.count("[") > MAX_VALUES or text.count('",') > MAX_STRINGS


def looks_like_json(text: str) -> bool:
    """Return True if a text begins as JSON does, and not as a note in brackets or braces."""
    return _BEGINNING.match(text) is not None or not any(map(str.isalnum, text[:MAX_DIGITS]))
