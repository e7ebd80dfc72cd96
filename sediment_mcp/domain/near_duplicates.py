"""Recognize near-duplicates: two texts that say the same, in nearly the same words.

A wrong merge hides a fact that somebody relied on, a missed one costs a line in a list. So two texts say the
same only if they consist of the same words in the same order, and what may differ is listed here: a frame
around the whole ("Note: …", "… (confirmed)"), white space and punctuation, articles, and capitals where they
only mark the beginning of a sentence, or where one text is written without any. Numbers, versions, units,
identifiers, paths, URLs, negations, names and quoted text are words like all others: two texts in which one
differs, is missing or stands elsewhere are no near-duplicates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from sediment_mcp.system.text import compose_accents

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
_CODE = re.compile(
    r"[a-z]+[A-Z]|.*[`\"'_/\\=@$#&|<>{}\[\]()*~^]"
)  # camelCase, paths, keys, calls, quotations
_DASHES = re.compile(r" ?\u2014 ?| (?:\u2013|--?) ")
_ENDS = ".,;:!?\u2026\u3002\uff01\uff1f\uff0c\uff1b\uff1a"  # the full-width ones too
MAX_FRAMES = 4  # one around another, as in "Note: please remember that …"
_ARTICLES = frozenset({"a", "an", "the", "The", "THE"})


@dataclass(frozen=True, slots=True)
class _Word:
    """A word to compare.

    ``is_plain``: it has only letters and is no unit, so its capitals are those of ordinary writing.
    ``is_first``: it begins the text, where a capital means nothing.
    """

    text: str
    is_plain: bool
    is_first: bool = False


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
    """Return the text with single spaces, composed accents and straight quotation marks."""
    return " ".join(compose_accents(text).translate(_TYPOGRAPHY).split())


def _strip_frame(text: str) -> str:
    for _ in range(MAX_FRAMES):
        opening = _OPENING.match(text)
        bare = _CLOSING.sub("", text[opening.end() :] if opening else text).strip()
        if bare in (text, ""):
            break
        text = bare
    return text


def _split_words(text: str) -> list[_Word]:
    """Return the words that matter, in order; quoted text and code stay whole."""
    words: list[_Word] = []
    end = 0
    for quoted in _QUOTED.finditer(text):
        words += _split_unquoted(text[end : quoted.start()])
        words.append(_Word(quoted.group(), is_plain=False))
        end = quoted.end()
    words += _split_unquoted(text[end:])
    words[:1] = [replace(word, is_first=True) for word in words[:1]]
    return [word for word in words if word.text not in _ARTICLES and not _is_first_article(word)]


def _is_first_article(word: _Word) -> bool:
    return word.is_first and word.text.lower() in _ARTICLES


def _split_unquoted(text: str) -> list[_Word]:
    words: list[_Word] = []
    for piece in _DASHES.sub(" \u2014 ", text).split():
        core = _strip_punctuation(piece)
        if core:
            is_unit = bool(words) and words[-1].text[-1].isdigit()
            words.append(_Word(core, is_plain=_PLAIN_WORD.fullmatch(core) is not None and not is_unit))
        if any(mark in piece[len(core) :] for mark in "?\uff1f"):
            words.append(_Word("?", is_plain=False))
    return _drop_dashes(words)


def _strip_punctuation(piece: str) -> str:
    """Return a word without punctuation around it; brackets stay if they pair within the word."""
    while len(piece) <= MAX_WORD_LENGTH:
        core = piece.rstrip(_ENDS)
        opened, closed = core.count("("), core.count(")")
        if core.startswith("(") and (opened > closed or (opened == 1 and core.endswith(")"))):
            core = core[1:]
        elif core.endswith(")") and opened < closed:
            core = core[:-1]
        if core == piece:
            break
        piece = core
    return piece


def _drop_dashes(words: list[_Word]) -> list[_Word]:
    """Drop dashes and bullets between words, but not next to a number: it may be a minus."""
    return [
        word
        for place, word in enumerate(words)
        if word.text not in ("\u2014", "-", "*", "\u2022")
        or any(neighbour.text[0].isdigit() for neighbour in words[max(0, place - 1) : place + 2])
    ]


def _are_same_words(old: list[_Word], new: list[_Word]) -> bool:
    if len(old) != len(new) or not old:
        return False
    is_case_insignificant = _is_case_insignificant(old, new)
    return all(
        _is_same_word(before, after, is_case_insignificant) for before, after in zip(old, new, strict=True)
    )


def _is_case_insignificant(old: list[_Word], new: list[_Word]) -> bool:
    """Return whether a difference in case means nothing.

    It does if one text is all in small letters or all in capitals and more than one word differs in case. A
    single word may have been changed on purpose.
    """
    changed = sum(
        before.text != after.text for before, after in zip(old, new, strict=True) if before.is_plain
    )
    return changed > 1 and any(
        all(word.text == form(word.text) for word in words)
        for words in (old, new)
        for form in (str.lower, str.upper)
    )


def _is_same_word(old: _Word, new: _Word, is_case_insignificant: bool) -> bool:
    one, other = old.text, new.text
    if one == other:
        return True
    if one.casefold() != other.casefold():
        return False
    if old.is_first and new.is_first and one[1:] == other[1:]:
        return True
    if is_case_insignificant:
        return not (_CODE.match(one) or _CODE.match(other))
    capitalised = {one, other} == {one.lower(), one.lower().capitalize()}
    return old.is_plain and new.is_plain and capitalised and len(one) > 1
