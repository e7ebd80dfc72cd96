"""Split long text along its structure into overlapping chunks that fit an embedding model.

Chunks are stored and outlive a change of model, so no tokenizer is used here: `estimate_word_pieces`
estimates, on the safe side, how many word pieces an uncased BERT vocabulary makes of a text. Everything is a
pure function of the text and takes time proportional to its length.

How a cut is found: each position of the text has a strength (a heading is a better place than a blank
line, that is better than a line's end, and so on down to the gap between two characters). A chunk takes as
much as the window holds and ends at the last of the strongest positions in its second half.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

WINDOW_PIECES = 240
"""Estimated word pieces a chunk. The default model reads 256, two of which are its own marks; the rest is a
reserve for texts that have more pieces than estimated (the densest code measured: 8 % more)."""

MIN_WINDOW_PIECES = 16

# --- the length of a text in word pieces ---------------------------------------------------------

_PIECE = 12  # costs are integers, in twelfths of a piece, so that sums are exact
_RESERVE = 2 * _PIECE  # a word cut in two may cost more than the whole word, by less than a piece at each end
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


def estimate_word_pieces(text: str) -> int:
    """Return the estimated number of word pieces, rounded up.

    It is never far below the number that a real tokenizer makes.
    """
    return -(-sum(_compute_costs(text)) // _PIECE)


def _compute_costs(text: str) -> bytearray:
    """Return the cost of each character, in twelfths of a piece.

    Space is free, and whatever is neither a Latin word nor a number (CJK, other alphabets, punctuation,
    emoji) is a piece a character.
    """
    costs = bytearray([_PIECE]) * len(text)
    for space in _SPACE.finditer(text):
        costs[space.start() : space.end()] = bytes(len(space[0]))
    for syllable in _HANGUL.finditer(text):
        costs[syllable.start()] = 2 * _PIECE
    for run in _RUN.finditer(text):
        _set_run_costs(costs, run.start(), run[0])
    for letter in _ACCENTED.finditer(text):
        costs[letter.start()] += _PIECE // 2
    return costs


def _set_run_costs(costs: bytearray, start: int, run: str) -> None:
    """Write the costs of a run of Latin letters and digits that begins at ``start``."""
    if run.isdecimal():
        costs[start : start + len(run)] = _fit_pattern(_DIGITS, len(run))
    elif not run.isalpha() or _UNSPEAKABLE.search(run):
        costs[start : start + len(run)] = _fit_pattern(_DENSE, len(run))
    else:
        for part in _PART.finditer(run):
            costs[start + part.start() : start + part.end()] = _fit_pattern(_LETTERS, len(part[0]))


def _fit_pattern(pattern: bytes, length: int) -> bytes:
    return pattern[:length] if length <= len(pattern) else pattern + pattern[-1:] * (length - len(pattern))


# --- strengths of cuts ---------------------------------------------------------------------------

# The strength of a cut before a character, weakest first. _INSIDE splits what a reader sees as one character.
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


def _find_blocks(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield headings, fenced code and paragraphs as (name, start, end), without blank lines."""
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


def _find_units(blocks: Sequence[tuple[str, int, int]]) -> Iterator[tuple[int, int]]:
    """Yield spans to keep in one chunk: a code block, or headings with the block after them."""
    first: int | None = None
    for name, start, end in blocks:
        if name == "heading":
            first = start if first is None else first
            continue
        if first is not None or name == "code":
            yield (start if first is None else first), end
        first = None


def _compute_strengths(text: str, blocks: Sequence[tuple[str, int, int]]) -> bytearray:
    """Return the strength of a cut before each character, and at the end."""
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
        if heading is not None:  # a chunk does not end after a heading if there is a better place
            strengths[heading + 1 : start + 1] = strengths[heading + 1 : start + 1].translate(_AT_MOST_WORD)
        heading = start if name == "heading" else None
    for match in _JOINED.finditer(text):
        strengths[match.start() : match.end()] = bytes(match.end() - match.start())
    return strengths


# --- cutting ------------------------------------------------------------------------------------


def split_into_chunks(text: str, window: int = WINDOW_PIECES) -> list[tuple[int, int]]:
    """Return the chunks of a text as spans (start, end) in characters, in order.

    Both ends strictly grow. Every character that is not white space lies in a chunk; a text that fits is one
    chunk, blank text has none. Neighbours share 8 to 15 % of a window. Each chunk has at most
    ``window`` pieces, as `estimate_word_pieces` counts them.

    Raises:
        ValueError: ``window`` is below `MIN_WINDOW_PIECES`.
    """
    if window < MIN_WINDOW_PIECES:
        raise ValueError(f"A window of {window} pieces is too small: use {MIN_WINDOW_PIECES} or more.")
    costs = _compute_costs(text)
    if not text.strip():
        return []
    if sum(costs) <= window * _PIECE:
        return [(0, len(text))]
    blocks = list(_find_blocks(text))
    return list(_Splitter(text, costs, blocks, window).find_chunks())


def split_text(text: str, max_chars: int) -> Iterator[str]:
    """Yield the text in parts of at most ``max_chars`` characters, without overlap.

    ``max_chars`` is two or more. Each part ends at the last of the strongest positions in its second half.
    Joined, the parts are the text.
    """
    start = 0
    if len(text) > max_chars:
        strengths = _compute_strengths(text, list(_find_blocks(text)))
        while len(text) - start > max_chars:
            reach = strengths[start + max_chars // 2 : start + max_chars + 1]
            cut = start + max_chars // 2 + reach.rindex(max(reach))
            yield text[start:cut]
            start = cut
    yield text[start:]


class _Splitter:
    """Finds the cuts of one text, with tables of costs and strengths for every position."""

    def __init__(
        self, text: str, costs: bytearray, blocks: Sequence[tuple[str, int, int]], window: int
    ) -> None:
        self.text = text
        self.max_cost = window * _PIECE - _RESERVE
        self.spent = list(accumulate(costs, initial=0))  # spent[i]: the cost of text[:i]
        self.strengths = _compute_strengths(text, blocks)
        fitting_units = [unit for unit in _find_units(blocks) if self.compute_cost(*unit) <= self.max_cost]
        self.unit_starts = [start for start, _ in fitting_units]
        self.unit_ends = [end for _, end in fitting_units]

    def compute_cost(self, start: int, end: int) -> int:
        return self.spent[end] - self.spent[start]

    def find_chunks(self) -> Iterator[tuple[int, int]]:
        last = len(self.text.rstrip())
        start = fresh = self.skip_space(0)  # fresh: the first character that no chunk holds yet
        while self.compute_cost(start, last) > self.max_cost:
            cut = self.find_cut(start, fresh)
            yield start, len(self.text[start:cut].rstrip()) + start
            fresh = self.skip_space(cut)
            start = self.step_back(start, fresh)
        yield start, last

    def skip_space(self, position: int) -> int:
        match = _VISIBLE.search(self.text, position)
        return match.start() if match else len(self.text)

    def find_cut(self, start: int, fresh: int) -> int:
        """Return the end of the chunk that begins at ``start``: after ``fresh``, within the window."""
        limit = bisect_right(self.spent, self.spent[start] + self.max_cost) - 1
        unit = self.find_unit_across(limit)
        if unit is not None and unit > fresh:
            return unit
        half = bisect_left(self.spent, self.spent[start] + self.max_cost // 2)
        return self.find_strongest(max(half, fresh + 1), limit + 1, last=True)

    def find_unit_across(self, position: int) -> int | None:
        """Return the start of the unit that ``position`` lies inside of, if there is one."""
        index = bisect_left(self.unit_starts, position) - 1
        return self.unit_starts[index] if index >= 0 and position < self.unit_ends[index] else None

    def step_back(self, start: int, fresh: int) -> int:
        """Return where the next chunk begins: a little before ``fresh``, so that neighbours overlap.

        It begins at ``fresh`` where an overlap would push a unit that begins there out of the window.
        """
        low = max(start + 1, bisect_left(self.spent, self.spent[fresh] - self.max_cost * 15 // 100))
        high = bisect_left(self.spent, self.spent[fresh] - self.max_cost * 8 // 100)
        if low >= high:
            return fresh
        back = self.skip_space(self.find_strongest(low, high, last=False))
        index = bisect_left(self.unit_starts, fresh)
        whole = index < len(self.unit_starts) and self.unit_starts[index] == fresh
        return fresh if whole and self.compute_cost(back, self.unit_ends[index]) > self.max_cost else back

    def find_strongest(self, low: int, high: int, *, last: bool) -> int:
        """Return the first or last of the strongest cuts in ``range(low, high)``."""
        strengths = self.strengths[low:high]
        best = max(strengths)
        return low + (strengths.rindex(best) if last else strengths.index(best))
