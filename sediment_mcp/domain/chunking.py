"""Long text to overlapping passages that fit an embedding model, cut along the text's own structure.

Passages are stored and outlive a change of model, so nothing here asks a tokenizer: `pieces` estimates,
on the safe side, how many word pieces an uncased BERT vocabulary makes of a text. Everything is a pure
function of the text and takes time proportional to its length.

How a cut is found: each position of the text has a strength (a heading is a better place than a blank
line, that is better than a line's end, and so on down to the gap between two characters). A passage
takes as much as the window holds and ends at the last of the strongest positions in its second half.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

WINDOW = 240
"""Estimated word pieces a passage. The default model reads 256, two of which are its own marks; the rest
is for texts whose words are rarer than their length tells (the densest code measured: 8 % more)."""

MIN_WINDOW = 16

# --- how long is a text for a model? ------------------------------------------------------------

_PIECE = 12  # costs are integers, in twelfths of a piece, so that sums are exact
_RESERVE = 2 * _PIECE  # a word cut in two may cost more than whole, by less than a piece at either end
_LETTERS = bytes([12, 0, 0, 0, 0]) + bytes([6]) * 100_000  # five letters are a piece, then two letters each
_DIGITS = bytes([12]) + bytes([7]) * 100_000
_DENSE = bytes([12]) + bytes([9]) * 100_000  # hex, base64, hashes: 1.4 characters a piece, measured
_SPACE = re.compile(r"\s+")
_VISIBLE = re.compile(r"\S")
_RUN = re.compile(r"[0-9A-Za-z\u00c0-\u024f\u1e00-\u1eff]+")
_PART = re.compile(
    r"[A-Z\u00c0-\u00de]*[a-z\u00df-\u024f\u1e00-\u1eff]+|[A-Z\u00c0-\u00de]+"
)  # camelCase is two words
_UNSPEAKABLE = re.compile(r"[b-df-hj-np-tv-xz]{5}", re.IGNORECASE)
_ACCENTED = re.compile(r"[\u00c0-\u024f\u1e00-\u1eff]")
_HANGUL = re.compile(
    r"[\uac00-\ud7a3]"
)  # uncased vocabularies take a syllable apart: 1.7 pieces each, measured


def pieces(text: str) -> int:
    """The estimated number of word pieces of ``text``, rounded up; never far below a real tokenizer's."""
    return -(-sum(_costs(text)) // _PIECE)


def _costs(text: str) -> bytearray:
    """The share of each character, in twelfths of a piece: space is free, and whatever is neither a Latin
    word nor a number (CJK, other alphabets, punctuation, emoji) is a piece a character."""
    costs = bytearray([_PIECE]) * len(text)
    for space in _SPACE.finditer(text):
        costs[space.start() : space.end()] = bytes(len(space[0]))
    for syllable in _HANGUL.finditer(text):
        costs[syllable.start()] = 2 * _PIECE
    for run in _RUN.finditer(text):
        _price(costs, run.start(), run[0])
    for letter in _ACCENTED.finditer(text):
        costs[letter.start()] += _PIECE // 2
    return costs


def _price(costs: bytearray, start: int, run: str) -> None:
    """Write the costs of a run of Latin letters and digits that begins at ``start``."""
    if run.isdecimal():
        costs[start : start + len(run)] = _pattern(_DIGITS, len(run))
    elif not run.isalpha() or _UNSPEAKABLE.search(run):
        costs[start : start + len(run)] = _pattern(_DENSE, len(run))
    else:
        for part in _PART.finditer(run):
            costs[start + part.start() : start + part.end()] = _pattern(_LETTERS, len(part[0]))


def _pattern(pattern: bytes, length: int) -> bytes:
    return pattern[:length] if length <= len(pattern) else pattern + pattern[-1:] * (length - len(pattern))


# --- where may it be cut? -----------------------------------------------------------------------

# The strength of a cut before a character, weakest first. INSIDE splits what a reader sees as one sign.
_INSIDE, _SIGN, _PUNCTUATION, _WORD, _SENTENCE, _LINE, _PARAGRAPH, _SECTION = range(8)
_AT_MOST_WORD = bytes(min(strength, _WORD) for strength in range(256))

_JOINED = re.compile(r"[\u0300-\u036f\u1ab0-\u1aff\u20d0-\u20ff\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]|\u200d.?")
_AFTER_PUNCTUATION = re.compile(r"(?<=[/,;:|=&?\])}>\u3001\uff0c\uff1a\uff1b])\S")
_AFTER_SPACE = re.compile(r"(?<=\s)\S")
_QUOTES = r"[\"')\]\u2019\u201d\u300d\u300f\uff09]{0,2}"
_AFTER_SENTENCE = re.compile(  # the full-width marks of Chinese and Japanese need no space after them
    rf"(?:[.!?\u2026]{_QUOTES}\s+|[\u3002\uff01\uff1f]{_QUOTES}\s*)(?=\S)"
)
_AFTER_LINE = re.compile(r"(?<=\n)")
_LINES = re.compile(r".*\n?")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+\S")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def _blocks(text: str) -> Iterator[tuple[str, int, int]]:
    """Headings, fenced code blocks and paragraphs as (name, start, end); blank lines belong to none."""
    fence, name, start, end = "", "", 0, 0
    for match in _LINES.finditer(text):
        line, mark = match[0], _FENCE.match(match[0])
        if fence:
            end = match.end()
            if mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
                yield "code", start, end
                fence = name = ""
            continue
        heading = bool(_HEADING.match(line))
        if name and (mark or heading or not line.strip()):
            yield name, start, end
            name = ""
        if heading:
            yield "heading", match.start(), match.end()
        elif mark or (line.strip() and not name):
            name, start, fence = "text", match.start(), mark[1] if mark else ""
        end = match.end()
    if name:
        yield ("code" if fence else name), start, end


def _units(blocks: Sequence[tuple[str, int, int]]) -> Iterator[tuple[int, int]]:
    """What belongs together: a fenced code block; one or more headings with the block after them."""
    first: int | None = None
    for name, start, end in blocks:
        if name == "heading":
            first = start if first is None else first
            continue
        if first is not None or name == "code":
            yield (start if first is None else first), end
        first = None


def _strengths(text: str, blocks: Sequence[tuple[str, int, int]]) -> bytearray:
    """The strength of a cut before each character, and at the end."""
    strengths = bytearray([_SIGN]) * (len(text) + 1)
    for pattern, strength in ((_AFTER_PUNCTUATION, _PUNCTUATION), (_AFTER_SPACE, _WORD)):
        for match in pattern.finditer(text):
            strengths[match.start()] = strength
    for match in _AFTER_SENTENCE.finditer(text):
        strengths[match.end()] = _SENTENCE
    for match in _AFTER_LINE.finditer(text):
        strengths[match.start()] = _LINE
    heading: int | None = None
    for name, start, _ in blocks:
        strengths[start] = _PARAGRAPH if name == "text" else _SECTION
        if heading is not None:  # a heading never ends a passage if anything better is at hand
            strengths[heading + 1 : start + 1] = strengths[heading + 1 : start + 1].translate(_AT_MOST_WORD)
        heading = start if name == "heading" else None
    for match in _JOINED.finditer(text):
        strengths[match.start() : match.end()] = bytes(match.end() - match.start())
    return strengths


# --- cutting ------------------------------------------------------------------------------------


def split(text: str, window: int = WINDOW) -> list[tuple[int, int]]:
    """Cut ``text`` into passages: spans (start, end) in characters, in order, both ends strictly growing.

    Every character that is not white space lies in a passage; a text that fits is one passage as it is,
    blank text has none. Neighbours share 8 to 15 % of a window. Each passage has at most ``window``
    estimated `pieces`.

    Raises:
        ValueError: ``window`` is below `MIN_WINDOW`.
    """
    if window < MIN_WINDOW:
        raise ValueError(f"A window of {window} pieces is too small: use {MIN_WINDOW} or more.")
    costs = _costs(text)
    if not text.strip():
        return []
    if sum(costs) <= window * _PIECE:
        return [(0, len(text))]
    blocks = list(_blocks(text))
    return list(_Cutter(text, costs, blocks, window).passages())


def parts(text: str, most: int) -> Iterator[str]:
    """Cut ``text`` end to end into parts of at most ``most`` characters (two or more): each ends at the last
    of the strongest positions in its second half. Put together they are the text again."""
    start = 0
    if len(text) > most:
        strengths = _strengths(text, list(_blocks(text)))
        while len(text) - start > most:
            reach = strengths[start + most // 2 : start + most + 1]
            cut = start + most // 2 + reach.rindex(max(reach))
            yield text[start:cut]
            start = cut
    yield text[start:]


class _Cutter:
    """The tables that one text's cuts are looked up in."""

    def __init__(
        self, text: str, costs: bytearray, blocks: Sequence[tuple[str, int, int]], window: int
    ) -> None:
        self.text = text
        self.room = window * _PIECE - _RESERVE
        self.spent = list(accumulate(costs, initial=0))  # spent[i]: the cost of text[:i]
        self.strengths = _strengths(text, blocks)
        fitting = [unit for unit in _units(blocks) if self.cost(*unit) <= self.room]
        self.unit_starts = [start for start, _ in fitting]
        self.unit_ends = [end for _, end in fitting]

    def cost(self, start: int, end: int) -> int:
        return self.spent[end] - self.spent[start]

    def passages(self) -> Iterator[tuple[int, int]]:
        last = len(self.text.rstrip())
        start = fresh = self.skip_space(0)  # fresh: the first character that no passage holds yet
        while self.cost(start, last) > self.room:
            cut = self.next_cut(start, fresh)
            yield start, len(self.text[start:cut].rstrip()) + start
            fresh = self.skip_space(cut)
            start = self.step_back(start, fresh)
        yield start, last

    def skip_space(self, position: int) -> int:
        match = _VISIBLE.search(self.text, position)
        return match.start() if match else len(self.text)

    def next_cut(self, start: int, fresh: int) -> int:
        """The end of the passage that begins at ``start``: after ``fresh``, within the room."""
        limit = bisect_right(self.spent, self.spent[start] + self.room) - 1
        unit = self.unit_across(limit)
        if unit is not None and unit > fresh:
            return unit
        half = bisect_left(self.spent, self.spent[start] + self.room // 2)
        return self.strongest(max(half, fresh + 1), limit + 1, last=True)

    def unit_across(self, position: int) -> int | None:
        """The start of the unit that ``position`` lies inside of, if there is one."""
        index = bisect_left(self.unit_starts, position) - 1
        return self.unit_starts[index] if index >= 0 and position < self.unit_ends[index] else None

    def step_back(self, start: int, fresh: int) -> int:
        """Where the next passage begins: a little before ``fresh``, so that neighbours overlap; but not
        where that would push a unit that begins at ``fresh`` out of the window."""
        low = max(start + 1, bisect_left(self.spent, self.spent[fresh] - self.room * 15 // 100))
        high = bisect_left(self.spent, self.spent[fresh] - self.room * 8 // 100)
        if low >= high:
            return fresh
        back = self.skip_space(self.strongest(low, high, last=False))
        index = bisect_left(self.unit_starts, fresh)
        whole = index < len(self.unit_starts) and self.unit_starts[index] == fresh
        return fresh if whole and self.cost(back, self.unit_ends[index]) > self.room else back

    def strongest(self, low: int, high: int, *, last: bool) -> int:
        """The first or last of the strongest cuts in ``range(low, high)``."""
        strengths = self.strengths[low:high]
        best = max(strengths)
        return low + (strengths.rindex(best) if last else strengths.index(best))
