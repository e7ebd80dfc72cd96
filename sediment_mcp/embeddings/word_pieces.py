"""Split text into the word pieces of BERT's vocabulary for lower-case English.

The steps are those published with BERT (Devlin et al. 2019, `tokenization.py`): drop control characters,
space out Chinese ones, lower-case, strip accents, split at white space and punctuation, then cut each word
into the longest pieces from the left. Which characters each step concerns comes from a table that was
measured on the published tokenizer (scripts/minilm/characters.py), so that neither the version of Python nor
that of Unicode changes an embedding.
"""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

Span = tuple[int, int]
"""Begin and end of a token in the text, in characters."""

UNKNOWN = "[UNK]"
BEGIN, END = "[CLS]", "[SEP]"
CONTINUED = "##"  # stands before a piece that continues a word
MAX_WORD = 100  # characters; a longer word is unknown as a whole
MAX_CACHED = 4_096  # words whose pieces are remembered
MAX_TABLED = 4_096  # characters whose replacement is remembered

_SPECIAL = re.compile(r"\[(?:PAD|UNK|CLS|SEP|MASK)\]")
"""Tokens of the vocabulary that are recognised when they stand in the text itself."""
_ASCII_CHUNK = re.compile(r"[^ \t\n\r]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+|[^a-z0-9]")
_ASCII_REMOVED = dict.fromkeys([*range(0x20), 0x7F])


class CharacterTable(dict[str, str]):
    """What each character becomes: nothing, others, or these with spaces around them."""

    def __init__(self, encoded: bytes) -> None:
        """Read the table that `scripts/minilm/characters.py` makes."""
        table: dict[str, Any] = json.loads(encoded)
        super().__init__()
        self._replaced: dict[str, str] = table["replaced"]
        kinds = sorted(
            (first, last, form)
            for name, form in (("removed", ""), ("spaces", " "), ("isolated", " {} "))
            for first, last in table[name]
        )
        self._first = [first for first, _, _ in kinds]
        self._last = [last for _, last, _ in kinds]
        self._form = [form for _, _, form in kinds]

    def __missing__(self, character: str) -> str:
        """Look a character up, and remember it if there is room."""
        code = ord(character)
        replaced = self._replaced.get(character) or _decompose_hangul(character)
        place = bisect_right(self._first, code) - 1
        if place >= 0 and code <= self._last[place]:
            replaced = self._form[place].format(replaced)
        if len(self) < MAX_TABLED:
            self[character] = replaced
        return replaced


def _decompose_hangul(character: str) -> str:
    return unicodedata.normalize("NFD", character) if "\uac00" <= character <= "\ud7a3" else character


class WordPieces:
    """A vocabulary, and how text is split into its pieces; any thread may use it."""

    def __init__(self, vocabulary: Sequence[str], characters: bytes) -> None:
        """Keep the pieces in the order of their ids, and the encoded `CharacterTable`.

        Raises:
            ValueError: the vocabulary lacks a token that every text needs, or the table cannot be read.
            KeyError: the table lacks a part.
        """
        self._ids = {piece: number for number, piece in enumerate(vocabulary)}
        if missing := {UNKNOWN, BEGIN, END} - self._ids.keys():
            raise ValueError(f"The vocabulary lacks {min(missing)}.")
        self.unknown = self._ids[UNKNOWN]
        self._begin, self._end = self._ids[BEGIN], self._ids[END]
        self._longest = max(map(len, vocabulary))
        self._characters = CharacterTable(characters)
        self._cut_word = lru_cache(MAX_CACHED)(self._cut)
        self._cut_short_chunk = lru_cache(MAX_CACHED)(self._cut_whole_chunk)

    def add_marks(self, ids: Sequence[int]) -> list[int]:
        """Put the marks of begin and end around the ids of a text."""
        return [self._begin, *ids, self._end]

    def tokenize_ascii(self, text: str, limit: int) -> list[int]:
        """Return the ids of the first ``limit`` tokens of a text of ASCII characters.

        They are those of `find_tokens`, in a tenth of its time, without the spans.
        """
        ids: list[int] = []
        for match in _ASCII_CHUNK.finditer(text):
            chunk = match[0]
            if len(chunk) <= MAX_WORD:
                ids += self._cut_short_chunk(chunk)
            else:
                ids += islice(self._cut_chunk(chunk), limit)
            if len(ids) >= limit:
                break
        return ids[:limit]

    def find_tokens(self, text: str) -> Iterator[tuple[int, Span]]:
        """Yield the id and the span of each token of a text, without the marks around it."""
        start = 0
        for match in _SPECIAL.finditer(text):
            yield from self._find_pieces(text, start, match.start())
            yield self._ids[match[0]], match.span()
            start = match.end()
        yield from self._find_pieces(text, start, len(text))

    def _find_pieces(self, text: str, start: int, end: int) -> Iterator[tuple[int, Span]]:
        for word, places in self._find_words(text, start, end):
            for piece, first, last in self._cut_word(word) if len(word) <= MAX_WORD else self._cut(word):
                yield piece, (places[first], places[last - 1] + 1)

    def _find_words(self, text: str, start: int, end: int) -> Iterator[tuple[str, list[int]]]:
        """Yield each word, and for each of its characters the place of the one that it comes from."""
        word: list[str] = []
        places: list[int] = []
        for place in range(start, end):
            for character in self._characters[text[place]]:
                if character != " ":
                    word.append(character)
                    places.append(place)
                elif word:
                    yield "".join(word), places
                    word, places = [], []
        if word:
            yield "".join(word), places

    def _cut_whole_chunk(self, chunk: str) -> tuple[int, ...]:
        return tuple(self._cut_chunk(chunk))

    def _cut_chunk(self, chunk: str) -> Iterator[int]:
        """Yield the ids of what stands between white space in a text of ASCII characters."""
        if "[" in chunk and _SPECIAL.search(chunk):
            yield from (piece for piece, _ in self.find_tokens(chunk))
            return
        for match in _ASCII_WORD.finditer(chunk.translate(_ASCII_REMOVED).lower()):
            yield from (piece for piece, _, _ in self._cut_word(match[0]))

    def _cut(self, word: str) -> tuple[tuple[int, int, int], ...]:
        """Cut a word into the longest pieces from the left: the id, the begin and the end of each.

        A word that cannot be cut up, or is too long, is unknown as a whole.
        """
        pieces: list[tuple[int, int, int]] = []
        start = 0
        while start < len(word) <= MAX_WORD:
            prefix = CONTINUED if start else ""
            for end in range(min(len(word), start + self._longest), start, -1):
                piece = self._ids.get(prefix + word[start:end])
                if piece is not None:
                    break
            else:
                break
            pieces.append((piece, start, end))
            start = end
        return tuple(pieces) if start == len(word) else ((self.unknown, 0, len(word)),)
