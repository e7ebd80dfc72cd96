"""Turn text into terms, for the text index, its memtable and every query alike.

    text → chunks between white space → tokens, normalised (`split_into_tokens`) → terms, stemmed as English

Words are runs of letters and digits. Names that are put together, such as ``snake_case``, ``camelCase``,
``3.2.1``, ``--no-cache``, a path, or an address, give the terms of their parts and one of the whole, their
compound. In scripts that are written without spaces each character is a term, and so is each pair of
neighbours; each emoji is one. What a chunk gives does not depend on the text around it.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import tantivy

from sediment_mcp.indexes.characters import EMOJI, UNSPACED, build_word_class, fold_case, normalize

if TYPE_CHECKING:
    from tantivy import TextAnalyzer

ANALYZER_NAME = "words-2"  # a new name causes every text index to be rebuilt
MAX_TERM_BYTES = 200  # longer tokens are data: they are found as a whole, by their hash
MAX_NAME_PARTS = 12  # a run with more changes of case is data too, such as base64
REMEMBERED_CHUNKS = 30_000  # whose tokens are remembered, as most are words that come again
MAX_REMEMBERED_CHARS = 64  # of a chunk; a longer one hardly comes again

# What may join parts, or stand before or after a name, and make it another one.
_JOINER = r"(?:://|:\\|::|->|\\\\|[-._@:/\\+~%&=#?])"
_JOINERS = re.compile(rf"{_JOINER}|_+")
_LEAD = r"(?:(?<![^\s\"'`(\[{<=,;:|*“„«「])(?:--?|[.@#$/~]+))"
_TRAIL = r"(?:\+\+|#)(?!\w)"
_OPENING, _CLOSING = "([{<\"'`*", ")]}>\"'`*,.;:!?"  # that neither join parts nor make another name
_CASE_CHANGE = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[0-9])(?=[A-Z][a-z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")


class Token(NamedTuple):
    """A token: a word, a name put together, a character, or a pair of characters.

    Emoji are words; characters and pairs are of scripts without spaces. ``parts`` are those of names, pairs.
    """

    text: str
    kind: Literal["word", "name", "character", "pair"] = "word"
    parts: tuple[str, ...] = ()


# --- terms --------------------------------------------------------------------------------------


@functools.cache
def get_analyzer() -> TextAnalyzer:
    """Return the process's analyzer for tokens between spaces, built on first use.

    Safe without a lock: it is immutable, and two threads that build it at once build the same.
    """
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
        .filter(tantivy.Filter.ascii_fold())
        .filter(tantivy.Filter.stemmer("english"))
        .build()
    )


def stem_tokens(tokens: Sequence[str]) -> list[str]:
    """Return the term of each token."""
    return get_analyzer().analyze(" ".join(tokens))


def extract_terms(text: str) -> list[str]:
    """Return the terms of a text, in order and with repetitions."""
    return stem_tokens(split_into_tokens(text))


# --- tokens -------------------------------------------------------------------------------------


def split_into_tokens(text: str) -> list[str]:
    """Return the tokens of a text in order, each of at most `MAX_TERM_BYTES`, without spaces."""
    return [token for chunk in text.split() for token in tokenize_chunk(chunk)]


def tokenize_chunk(chunk: str) -> tuple[str, ...]:
    """Return the tokens of a text without white space."""
    return (_remember_tokens if len(chunk) <= MAX_REMEMBERED_CHARS else _list_tokens)(chunk)


def _list_tokens(chunk: str) -> tuple[str, ...]:
    word = chunk.lstrip(_OPENING).rstrip(_CLOSING)
    if word.isascii() and word.isalnum() and word[1:] == word[1:].lower():
        return (shorten(word.lower()),)  # most are such words
    return tuple(shorten(token.text) for token in analyze_chunk(chunk))


_remember_tokens = functools.lru_cache(REMEMBERED_CHUNKS)(_list_tokens)


def analyze_chunk(chunk: str) -> Iterator[Token]:
    """Yield the tokens of a text without white space; a compound follows its parts.

    In a script without spaces a pair stands between its characters, so that what stands side by side in a
    text does so in its tokens.
    """
    spelling = normalize(chunk)
    for match in _build_pattern(is_ascii=spelling.isascii()).finditer(spelling):
        if (run := match["unspaced"]) is not None:
            yield from _pair_characters(_find_characters(fold_case(run)))
        elif (name := match["name"]) is not None:
            yield from _analyze_name(match["lead"] or "", name, match["trail"] or "")
        else:
            yield Token(match[0])


def _pair_characters(characters: Sequence[str]) -> Iterator[Token]:
    for before, character in zip((None, *characters), characters, strict=False):
        if before is not None:
            yield Token(before + character, "pair", (before, character))
        yield Token(character, "character")


def _analyze_name(lead: str, name: str, trail: str) -> Iterator[Token]:
    """Yield the parts of a name, then the name as a whole if it is more than a part."""
    words = [word for word in _split_at_joiners(name) if word]
    parts = [fold_case(part) for word in words for part in _split_at_case_changes(word)]
    if not parts:
        return
    version = re.fullmatch(r"v(\d+)", parts[0]) if len(parts) > 1 and "." in name else None
    for part in parts:
        yield Token(part)
    lead = "" if set(lead) <= {"/", "~"} else lead  # a path from the root is that path
    whole = fold_case(lead + name.strip("_") + trail)
    if whole != parts[0]:
        if len(words) > 1 and len(parts) > len(words):  # names in a path or an address
            for word in words:
                inner = tuple(fold_case(part) for part in _split_at_case_changes(word))
                if len(inner) > 1:
                    yield Token(fold_case(word), "name", inner)
        yield Token(whole, "name", tuple(parts))
    if version is not None:  # v1.2 is 1.2
        yield Token(version[1])
        yield Token(whole[1:], "name", (version[1], *parts[1:]))


def _split_at_joiners(name: str) -> list[str]:
    return _JOINERS.split(name)


def _split_at_case_changes(word: str) -> list[str]:
    if word.islower():
        return [word]
    if not word.isascii():
        word = _mark_case_changes(word)
        parts = word.split("\0")
    else:
        parts = _CASE_CHANGE.split(word)
    return parts if len(parts) <= MAX_NAME_PARTS else ["".join(parts)]


def _mark_case_changes(word: str) -> str:
    """Return a word with a zero character between each small letter and a capital after it."""
    return "".join(
        f"\0{after}" if before.islower() and after.isupper() else after
        for before, after in zip(f" {word}", word, strict=False)
    )


def shorten(token: str) -> str:
    """Return the token, or where it is too long for a term its beginning and its hash."""
    if len(token) * 4 <= MAX_TERM_BYTES:
        return token
    encoded = token.encode("utf-8", "surrogatepass")
    if len(encoded) <= MAX_TERM_BYTES:
        return token
    return f"{token[:16]}{hashlib.blake2b(encoded, digest_size=16).hexdigest()}"


@functools.cache
def _build_pattern(*, is_ascii: bool) -> re.Pattern[str]:
    """Return the pattern of a run of characters, a name, or an emoji; a quicker one for ASCII."""
    letter = "[A-Za-z0-9_]" if is_ascii else rf"(?:(?![{UNSPACED}])[{build_word_class()}])"
    return re.compile(
        rf"(?P<unspaced>[{UNSPACED}]+)"
        rf"|(?P<lead>{_LEAD})?(?P<name>{letter}+(?:{_JOINER}{letter}+)*)(?P<trail>{_TRAIL})?"
        rf"|[{EMOJI}]"
    )


def _find_characters(run: str) -> list[str]:
    """Return the letters of a run, each with its marks."""
    return re.findall(r"\w\W*", run) or [run]
