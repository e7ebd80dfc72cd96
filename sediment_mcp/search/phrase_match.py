"""Measure how far a text holds the query's own wording, rather than a permutation of it.

All functions are pure.

    phrase = 1                                        the text holds the query as it is
           = SHARES · quotations, names, neighbours   else: the shares of these that it holds

Bags of words do not tell "libfoo 3.2.1" from "libfoo 1.2.3", or "dog bites man" from "man bites dog". Names
are those put together (versions, addresses, flags, paths), neighbours are words side by side in the query,
the ordered pairs of D. Metzler and W. B. Croft, "A Markov random field model for term dependencies", SIGIR
2005. Case, white space and spelling do not matter, and a string counts half if letters or digits go on
beyond it behind a joint, as 3.2.1 does in 3.2.1.4.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sediment_mcp.indexes.analyzer import Token, analyze_chunk
from sediment_mcp.indexes.characters import UNSPACED, fold_case, normalize
from sediment_mcp.indexes.query_analysis import QUESTION_WORDS, find_quotations

if TYPE_CHECKING:
    from sediment_mcp.search.candidates import Column

# Of the best relevance: a memory that holds the query as it is comes first, whatever its age and project.
PHRASE_WEIGHT = 1.4
QUOTED_SHARE = 1.0
NAME_SHARE = 0.5
NEIGHBOUR_SHARE = 0.05
PARTIAL = 0.5  # of a string within a longer name
MAX_PAIRS = 16
MAX_STRINGS = 50  # names, and quotations, of a query that are looked for
MAX_READINGS = 50  # of a text, for a string that overlaps with itself more often than any word does
MIN_PARTS = 3  # of a name; with two, such as JavaScript, McDonald, Node.js and and/or, it is like a word

_ENDS = " \t?!.,;:…¿¡\"'“”„«»「」`"
_JOINTS_BEFORE, _JOINTS_AFTER = "-._@+/\\", "-._@+/\\%"
_UNSPACED = re.compile(f"[{UNSPACED}]")
_QUESTION_WORDS = frozenset(QUESTION_WORDS.split())


@dataclass(frozen=True, slots=True)
class Wording:
    """The strings of a query that may stand in a text as they are, folded.

    ``whole`` is the query itself, empty if it is a single word or character, of which there is no other
    order. ``pairs`` are words side by side in it, with a space, that say what it is about.
    """

    whole: str
    quotations: tuple[str, ...]
    names: tuple[str, ...]
    pairs: tuple[str, ...]


def read_wording(query: str) -> Wording:
    """Return the strings of a query that may stand in a text."""
    chunks = [list(analyze_chunk(chunk)) for chunk in query.split()]
    tokens = [token for chunk in chunks for token in chunk]
    names = dict.fromkeys(token.text for token in tokens if _is_distinct(token))
    whole = _fold_ends(query)
    quotations = [folded for text in find_quotations(query) if (folded := _fold_ends(text))]
    return Wording(
        whole if len(tokens) > 1 else "",
        tuple(quotations[:MAX_STRINGS]),
        tuple(name for name in names if name[1:] not in names)[:MAX_STRINGS],  # of v1.2 and 1.2, the latter
        _pair_words(chunks),
    )


def fold_text(text: str) -> str:
    """Return the text in its one spelling, in small letters, with single spaces."""
    folded = text.lower() if text.isascii() else fold_case(normalize(text))
    is_single_spaced = folded.isprintable() and "  " not in folded  # quicker than to split and join
    return folded if is_single_spaced else " ".join(folded.split())


def _fold_ends(text: str) -> str:
    return fold_text(text).strip(_ENDS)


def score_phrases(texts: Sequence[str], wording: Wording, held: Sequence[int], asked: int) -> list[float]:
    """Return for each text how far it holds the wording, 0 to 1.

    ``held`` is how many of the ``asked`` terms of the query each text holds: one that holds none holds no
    phrase either, and need not be read.
    """
    fewest = 1 if wording.names or wording.quotations else min(2, asked) if wording.pairs else asked
    return [
        _score(fold_text(text), wording, holds_all=count == asked) if count >= fewest else 0.0
        for text, count in zip(texts, held, strict=True)
    ]


def compute_phrase_gains(phrases: Column, relevances: Column) -> Column:
    """Return what each candidate's relevance (n,) gains by its phrase (n,)."""
    return PHRASE_WEIGHT * (float(relevances.max(initial=0.0)) or 1.0) * phrases


def _score(text: str, wording: Wording, *, holds_all: bool) -> float:
    whole = measure_string(text, wording.whole) if holds_all and wording.whole else 0.0
    if whole == 1.0:
        return 1.0
    quoted, named = (
        sum([measure_string(text, string) for string in strings]) / len(strings) if strings else 0.0
        for strings in (wording.quotations, wording.names)
    )
    paired = sum([pair in text for pair in wording.pairs]) / max(len(wording.pairs), 1)
    return max(whole, min(1.0, QUOTED_SHARE * quoted + NAME_SHARE * named + NEIGHBOUR_SHARE * paired))


def measure_string(text: str, string: str) -> float:
    """Return 1 if a text holds the string by itself, `PARTIAL` if only within a name, else 0."""
    best, start = 0.0, text.find(string)
    read_chars = 0
    while start >= 0 and best < 1.0 and read_chars <= MAX_READINGS * len(text):
        end = start + len(string)
        read_chars += len(string)
        before = _measure_end(string[0], text[max(start - 3, 0) : start][::-1], _JOINTS_BEFORE)
        best = max(best, min(before, _measure_end(string[-1], text[end : end + 3], _JOINTS_AFTER)))
        start = text.find(string, start + 1)
    return best


def _measure_end(own: str, beyond: str, joints: str) -> float:
    """Return how well a string that ends with ``own`` is set off from the characters beyond it."""
    if not beyond or (own.isalnum() and _UNSPACED.match(own)):
        return 1.0
    if beyond[0].isalnum() and not _UNSPACED.match(beyond[0]):
        is_version = beyond[0] == "v" and own.isdigit() and not beyond[1:2].isalnum()
        return 1.0 if is_version or not own.isalnum() else 0.0
    goes_on = beyond[0] in joints and beyond.lstrip(joints)[:1].isalnum()
    return PARTIAL if goes_on else 1.0


def _is_distinct(token: Token) -> bool:
    """Return True for a name such as 3.2.1, but not for words in a row such as long-term."""
    if token.kind != "name":
        return False
    joints = {character for character in token.text if not character.isalnum()}
    is_set_off = not token.text[0].isalnum() or any(character.isdigit() for character in token.text)
    return is_set_off or not joints <= set("-/.") or (joints != {"-"} and len(token.parts) >= MIN_PARTS)


def _pair_words(chunks: Sequence[Sequence[Token]]) -> tuple[str, ...]:
    """Return the pairs of words in neighbouring chunks, without question words."""
    words = [
        chunk[0].text if len(chunk) == 1 and chunk[0].text not in _QUESTION_WORDS else None
        for chunk in chunks
    ]
    pairs = [f"{before} {after}" for before, after in itertools.pairwise(words) if before and after]
    return tuple(dict.fromkeys(pairs))[:MAX_PAIRS]
