"""Find phrases that name days in a text, by its words and numbers and a tree of phrases.

What a phrase means is known to `query_dates`. All functions are pure, and take time in proportion to the
length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sediment_mcp.search.date_words import GERMAN_WORDS, LANGUAGES, MODAL_CONTEXT
from sediment_mcp.system.text import normalize_unicode

_TOKEN = re.compile(
    r"(?<![\w@\\])(?<![^\W\d_]\.)"  # parts of names such as monday.com or march_2 are no words
    r"(?:[^\W\d_]++(?![\w@\\]|\.\w)"
    r"|(?<![0-9][.:/-])[0-9]++(?:[.:/-][0-9]++|,[0-9]{3}(?![0-9]))*+\w*+)"
)
"""A word, or a number with all that is written together with it."""
_GAP = re.compile(r"\s*+(?:[-'\u2019]\s*+)?")
_ORDINAL = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th|e|er|re|te|ten|ter|º|ª|°)?", re.IGNORECASE)
_YEAR_FIRST = re.compile(r"((?:19|20)[0-9]{2})([-./])([0-9]{1,2})\2([0-9]{1,2})(?:T[0-9]{2})?")
_YEAR_LAST = re.compile(r"([0-9]{1,2})([-./])([0-9]{1,2})\2((?:19|20)[0-9]{2})")
_SHORT_YEAR = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{2})")
_YEAR_AND_MONTH = re.compile(r"((?:19|20)[0-9]{2})-([0-9]{2})")
_DAY_AND_MONTH = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})")
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")
_LONGEST_ABBREVIATION = 5  # letters, as in "févr." and "sept."; a period after a longer word ends a sentence

Tree = dict[str, Any]
"""Words and slots → what may follow; "" → the meaning of the phrase that ends here.

A slot is named by its language, if it takes words, a period, and its value: "de.month", ".year".
"""
WrittenDate = tuple[int | None, int, int | None]
"""Year, month and day, as far as they are written."""


class Token(NamedTuple):
    """A word or number of the text.

    ``slots`` are the places of phrases that it can take, with its value there. ``is_joined`` says that only
    a blank, a hyphen or the like stands between it and the token before.
    """

    word: str
    slots: Mapping[str, Any]
    is_joined: bool


class Match(NamedTuple):
    """A phrase that was found: its meaning, the values of its slots, and where it ends.

    ``end`` is the place after its last token.
    """

    meaning: str
    values: dict[str, Any]
    end: int


def find_phrases(tokens: Sequence[Token]) -> Iterator[Match]:
    """Yield the phrases of a text, the longest at each place; none overlaps another."""
    tree, position = _build_tree(), 0
    while position < len(tokens):
        match = max(_match(tree, tokens, position, {}), key=lambda found: found.end, default=None)
        if match is not None:
            yield match
        position = position + 1 if match is None else match.end


def _match(
    node: Tree, tokens: Sequence[Token], position: int, values: dict[str, Any], *, is_first: bool = True
) -> Iterator[Match]:
    """Yield all phrases that go on from this node of the tree at this place of the text."""
    if "" in node:
        yield Match(node[""], values, position)
    if position == len(tokens) or not (is_first or tokens[position].is_joined):
        return
    token = tokens[position]
    if token.word in node:
        yield from _match(node[token.word], tokens, position + 1, values, is_first=False)
    for slot, value in token.slots.items():
        if slot in node:
            taken = {**values, slot.rpartition(".")[2]: value}
            yield from _match(node[slot], tokens, position + 1, taken, is_first=False)


# --- words and numbers --------------------------------------------------------------------------


def read_tokens(text: str) -> list[Token]:
    """Return the words and numbers of a text, without accents."""
    plain = text if text.isascii() else _remove_accents(text)
    found = list(_TOKEN.finditer(plain))
    words = [match[0].casefold() for match in found]
    is_german = not GERMAN_WORDS.isdisjoint(words)
    tokens: list[Token] = []
    for place, (match, word) in enumerate(zip(found, words, strict=True)):
        if match[0] in MODAL_CONTEXT and _is_verb(words, place):
            slots: Mapping[str, Any] = {}
        else:
            slots = _read_number(plain, match) if word[0].isdecimal() else _slots_of_words().get(word, {})
        is_joined = place > 0 and _is_joined(plain[found[place - 1].end() : match.start()], words, place)
        tokens.append(Token("" if word == "hier" and is_german else word, slots, is_joined))
    return tokens


def _remove_accents(text: str) -> str:
    return "".join(c for c in normalize_unicode("NFD", text) if not unicodedata.combining(c))


def _is_verb(words: Sequence[str], place: int) -> bool:
    """Return True if "may" or "march", in lower case, is a verb there."""
    before, after = MODAL_CONTEXT[words[place]]
    return (place > 0 and words[place - 1] in before) or (
        place + 1 < len(words) and words[place + 1] in after
    )


def _is_joined(gap: str, words: Sequence[str], place: int) -> bool:
    """Return True if the gap before the word at ``place`` can stand within a phrase."""
    before = words[place - 1]
    if gap.startswith("."):  # "8. Mai", "Nov. 24"
        gap = gap[1:] if before.isdecimal() or len(before) <= _LONGEST_ABBREVIATION else gap
    elif gap.startswith(","):  # "Friday, 8 May", "8 May, 2026"
        gap = gap[1:]
    return _GAP.fullmatch(gap) is not None


def _read_number(text: str, match: re.Match[str]) -> dict[str, Any]:
    """Return the slots that a number can take."""
    number = match[0]
    if dates := _read_dates(number, text[max(match.start() - 1, 0) : match.start()]):
        return {".date": dates}
    if (short := _DAY_AND_MONTH.fullmatch(number)) and text[match.end() : match.end() + 1] == ".":
        return {".short": _keep_possible([(None, int(short[2]), int(short[1]))])}
    slots: dict[str, Any] = {}
    if number.isdecimal() and len(number) <= 3:
        slots[".n"] = int(number)
    if (ordinal := _ORDINAL.fullmatch(number)) and 1 <= int(ordinal[1]) <= 31:
        slots[".day"] = int(ordinal[1])
    if _YEAR.fullmatch(number):
        slots[".year"] = int(number)
    return slots


def _read_dates(number: str, before: str) -> list[WrittenDate]:
    """Return the dates that digits can mean: two where day and month cannot be told apart."""
    if date := _YEAR_FIRST.fullmatch(number):
        return _keep_possible([(int(date[1]), int(date[3]), int(date[4]))])
    if date := _YEAR_AND_MONTH.fullmatch(number):
        return _keep_possible([(int(date[1]), int(date[2]), None)])
    if before in ("-", ".", "/", "_"):  # the end of a name with a version
        return []
    if date := _YEAR_LAST.fullmatch(number):
        one, separator, other, year = int(date[1]), date[2], int(date[3]), int(date[4])
        return _keep_possible([(year, other, one), *([(year, one, other)] if separator != "." else [])])
    if date := _SHORT_YEAR.fullmatch(number):
        one, other, year = int(date[1]), int(date[2]), 2000 + int(date[3])
        return _keep_possible([(year, other, one), (year, one, other)])
    return []


def _keep_possible(dates: Sequence[WrittenDate]) -> list[WrittenDate]:
    return [date for date in dates if 1 <= date[1] <= 12 and (date[2] is None or 1 <= date[2] <= 31)]


# --- the tree of phrases ------------------------------------------------------------------------


@cache
def _slots_of_words() -> dict[str, dict[str, int | str]]:
    """Return, for each word of the tables, the slots that it can take, with its value there."""
    slots: dict[str, dict[str, int | str]] = {}
    for code, language in LANGUAGES.items():
        for slot, words, first in (
            ("n", language.numbers, 1), ("weekday", language.weekdays, 0), ("month", language.months, 1)
        ):  # fmt: skip
            for value, names in enumerate(words.split(), first):
                for name in names.split("|"):
                    slots.setdefault(name, {})[f"{code}.{slot}"] = value
        for slot, table in (("unit", language.units), ("span", language.spans)):
            for unit, names in table.items():
                for name in names.split("|"):
                    slots.setdefault(name, {})[f"{code}.{slot}"] = unit
    return slots


@cache
def _build_tree() -> Tree:
    """Return the tree of the phrases of all languages."""
    tree: Tree = {}
    for code, language in LANGUAGES.items():
        for meaning, phrases in language.phrases.items():
            for phrase in phrases:
                _add(tree, [_read_element(element, code) for element in phrase.split()], meaning)
    return tree


def _add(node: Tree, elements: Sequence[tuple[list[str], bool]], meaning: str) -> None:
    if not elements:
        node.setdefault("", meaning)
        return
    (keys, is_optional), *rest = elements
    for key in keys:
        _add(node.setdefault(key, {}), rest, meaning)
    if is_optional:
        _add(node, rest, meaning)


def _read_element(element: str, code: str) -> tuple[list[str], bool]:
    """Return the words or slots of an element of a phrase, and whether it may be absent."""
    is_optional, element = element.endswith("?"), element.removesuffix("?")
    if not element.startswith("{"):
        return element.split("|"), is_optional
    slot = element.strip("{}")
    if slot in ("day", "year", "date", "short"):
        return [f".{slot}"], is_optional
    return [f"{code}.{slot}", *([".n"] if slot == "n" else [])], is_optional
