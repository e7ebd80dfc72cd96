"""Recognize near-duplicates: two texts that say the same, in nearly the same words.

A wrong merge hides a fact that somebody relied on, a missed one costs a line in a list. So two texts say the
same only if they consist of the same words in the same order, and what may differ is listed here: a frame
around the whole ("Note: …", "… (confirmed)"), punctuation that only divides, articles before an ordinary
noun, and the capital of the first letter. Numbers, versions, units, identifiers, paths, URLs, negations,
names, quoted text, indentation and white space of more than a blank are words like all others: two texts in
which one differs, is missing or stands elsewhere are no near-duplicates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sediment_mcp.domain.duplicates import fold_text

MIN_COSINE = 0.95  # two texts from this value on may say the same
MIN_FRAMED_COSINE = 0.85  # if one has a frame, which changes the cosine of a short text by up to .13
MIN_SIMILAR_COSINE = 0.6  # memories from here on may contradict or repeat; half of all real updates are above
MAX_SIMILAR = 3  # memories listed as similar to a new one
MAX_WORD_LENGTH = 100  # characters; longer ones are data, and compared unchanged

_OPENING = re.compile(
    r"(?:please )?(?:note|remember|keep in mind) that "
    r"|(?:please )?(?:note|remember|reminder|fyi|memo) ?[:\u2014\u2013] ",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r" ?\((?:confirmed|verified|unchanged|still (?:true|valid))\)[.!]?$"
    r"|(?: ?[\u2014\u2013] ?| --? )this is (?:still )?(?:the )?current (?:approach|practice|setup)[.!]?$",
    re.IGNORECASE,
)
_TYPOGRAPHY = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"'})
_QUOTED = re.compile(r"`+[^`]*`+|\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)")
_DIGITS = re.compile(r"\d+")  # neither frames, articles nor case can change them
_PLAIN_WORD = re.compile(r"[^\W\d_]++(?:['-][^\W\d_]++)*+")
_DASHES = re.compile(r" ?\u2014 ?| (?:\u2013|--?) ")
_PIECE = re.compile(r"\S+|\s{2,}|[^\S ]")
_ENDS = ".,;:!?\u2026\u3002\uff01\uff1f\uff0c\uff1b\uff1a"  # the full-width ones too
MAX_FRAMES = 4  # one around another, as in "Note: please remember that …"
_COMMAS = (",", "\uff0c")
_BULLETS = ("\u2014", "-", "*", "\u2022")


def _list_words(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ARTICLES = frozenset({"a", "an", "the"})
_BEFORE_A = _list_words(
    "is was are were be been has have had with in on at of for to by from as into onto over under about "
    "through without within via and or but than that not use uses used using need needs want wants like "
    "likes prefer prefers get gets got make makes made take takes took give gives gave run runs"
)
"""Words after which "a" is an article; after a noun it is a name, as in "hepatitis a" or "plan a"."""
_NO_NOUNS = _BEFORE_A | _list_words(
    "few little lot bit most more less least only other same one right left future while minor major flat "
    "sharp minus plus positive negative"
)
"""Words before which an article says something: "a few" is not "few", "the only" is not "only"."""
_CAPITONYMS = _list_words(
    "ada amazon apple april august basic bill bob bond carol chase china chrome dart dawn discord earth "
    "edge excel faith frank gap ginger go grace grant hope iris it ivy jack job josh joy julia june lent "
    "lily linear march mark mars mass may mercury nice norm notion oracle orange pat polish python ray "
    "reading rich rob rose ruby rust safari shell signal slack steam sun swift target teams turkey us "
    "victor violet who will windows word zoom"
)
"""Words that mean something else with a capital, so that it counts even at the beginning of a text."""


@dataclass(frozen=True, slots=True)
class _Word:
    """A word to compare; it ``is_plain`` if it has only letters and is no unit."""

    text: str
    is_plain: bool = False


def is_near_duplicate(old: str, new: str, cosine: float) -> bool:
    """Return whether two texts say the same, so that the newer one may replace the other.

    ``cosine`` is that of their embeddings.
    """
    # The cheap conditions first: storing a memory may compare dozens of texts that differ only by a number.
    if cosine < MIN_FRAMED_COSINE or _DIGITS.findall(old) != _DIGITS.findall(new):
        return False
    folded = _fold(old), _fold(new)
    bare = _strip_frame(folded[0]), _strip_frame(folded[1])
    min_cosine = MIN_COSINE if bare == folded else MIN_FRAMED_COSINE
    return cosine >= min_cosine and _are_same_words(_split_words(bare[0]), _split_words(bare[1]))


def _fold(text: str) -> str:
    """Return the text as `fold_text` does, with straight quotation marks."""
    return fold_text(text).translate(_TYPOGRAPHY)


def _strip_frame(text: str) -> str:
    for _ in range(MAX_FRAMES):
        opening = _OPENING.match(text)
        bare = _CLOSING.sub("", text[opening.end() :] if opening else text).strip()
        if bare in (text.strip(), ""):
            break
        text = bare
    return text


def _split_words(text: str) -> list[_Word]:
    """Return the words that matter, in order; quoted text and code stay whole."""
    words: list[_Word] = []
    end = 0
    for quoted in _QUOTED.finditer(text):
        words += _split_unquoted(text[end : quoted.start()])
        words.append(_Word(quoted.group()))
        end = quoted.end()
    words += _split_unquoted(text[end:])
    return _drop_unless(words, _is_article)


def _split_unquoted(text: str) -> list[_Word]:
    words: list[_Word] = []
    for piece in _PIECE.findall(_DASHES.sub(" \u2014 ", text)):
        core = _strip_punctuation(piece)
        if core:
            is_unit = bool(words) and words[-1].text[-1].isdigit()
            words.append(_Word(core, is_plain=_PLAIN_WORD.fullmatch(core) is not None and not is_unit))
        words += [_Word(mark) for mark in piece[len(core) :] if mark in ",?\uff0c\uff1f"]
    return _drop_unless(_drop_unless(words, _is_only_a_dash), _is_only_a_comma)


def _strip_punctuation(piece: str) -> str:
    """Return a word without punctuation around it; brackets stay if they pair within the word."""
    if piece[0] != "(" and piece[-1] != ")" and piece[-1] not in _ENDS:
        return piece
    while len(piece) <= MAX_WORD_LENGTH:
        core = piece.rstrip(_ENDS)
        if core[-1:].isdigit() and piece.endswith("!"):  # a factorial
            core = piece
        opened, closed = core.count("("), core.count(")")
        if core.startswith("(") and (opened > closed or (opened == 1 and core.endswith(")"))):
            core = core[1:]
        elif core.endswith(")") and opened < closed:
            core = core[:-1]
        if core == piece:
            break
        piece = core
    return piece


# --- what may be left out -----------------------------------------------------------------------


def _drop_unless(words: list[_Word], is_idle: Callable[[Sequence[_Word], int], bool]) -> list[_Word]:
    """Return the words without those that say nothing where they stand."""
    return [word for place, word in enumerate(words) if not is_idle(words, place)]


def _neighbours(words: Sequence[_Word], place: int) -> tuple[str, str]:
    """Return the words before and after a place; "" at an end."""
    before = words[place - 1].text if place else ""
    return before, words[place + 1].text if place + 1 < len(words) else ""


def _is_only_a_dash(words: Sequence[_Word], place: int) -> bool:
    """Return whether this is a dash or bullet that can neither be a minus nor begin a line."""
    if words[place].text not in _BULLETS:
        return False
    near = _neighbours(words, place)
    return not any(text[:1].isdigit() or text.isspace() or len(text) == 1 for text in near)


def _is_only_a_comma(words: Sequence[_Word], place: int) -> bool:
    """Return whether this is a comma without a name beside it, as in "Anna, Maria"."""
    if words[place].text not in _COMMAS:
        return False
    near = _neighbours(words, place)
    return any(not text or text[0].islower() for text in near) and not any(
        text[:1].isupper() for text in near
    )


def _is_article(words: Sequence[_Word], place: int) -> bool:
    """Return whether this is an article before an ordinary noun that changes nothing in it."""
    article = words[place].text
    if (article.lower() if place == 0 else article) not in _ARTICLES or place + 1 == len(words):
        return False
    before, noun = _neighbours(words, place)
    if article.lower() == "a" and place and before.lower() not in _BEFORE_A:
        return False
    if not words[place + 1].is_plain or noun.lower() in _NO_NOUNS:
        return False
    if article.lower() != "the" and noun.endswith("s") and not noun.endswith(("ss", "us", "is")):
        return False  # "A levels"
    return noun.islower() or (article.lower() == "the" and noun.isupper() and len(noun) > 1)


# --- comparison ---------------------------------------------------------------------------------


def _are_same_words(old: list[_Word], new: list[_Word]) -> bool:
    if len(old) != len(new) or not old:
        return False
    return _is_same_first_word(old[0], new[0]) and old[1:] == new[1:]


def _is_same_first_word(old: _Word, new: _Word) -> bool:
    """Return whether the first words are the same: there a capital usually means nothing."""
    one, other = old.text, new.text
    if one == other:
        return True
    is_ordinary = old.is_plain and new.is_plain and len(one) > 1 and one.lower() not in _CAPITONYMS
    return is_ordinary and one[1:] == other[1:] and one[0].lower() == other[0].lower()
