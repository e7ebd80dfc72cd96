"""Do two texts say the same, in nearly the same words? And which memories may a new one contradict?

A wrong merge hides a fact that somebody relied on, a missed one costs a line in a list. So two texts say
the same only if they consist of the same words in the same order, and what may differ is listed here: a
frame around the whole ("Note: …", "… (confirmed)"), white space and punctuation, articles, and capitals
where they only mark the beginning of a sentence or a person who never writes any. Numbers, versions, units,
identifiers, paths, URLs, negations, names and quoted text are words like all others: one that differs, is
missing or stands elsewhere keeps two memories apart.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace

NEAR = 0.95  # cosine from which a memory may be the same one told again
FRAMED = 0.85  # the same, where a frame was put around either: it alone moves a short text by up to .13
SIMILAR = 0.6  # cosine from which a memory may contradict or repeat; half of all real updates lie above
MOST_SIMILAR = 3
LONGEST_WORD = 100  # characters; longer runs are data, and compared as they are

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
_DIGITS = re.compile(r"\d+")  # in neither frames nor articles, and alike in every case
_PLAIN_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_CODE = re.compile(
    r"[a-z]+[A-Z]|.*[`\"'_/\\=@$#&|<>{}\[\]()*~^]"
)  # camelCase, paths, keys, calls, quotations
_DASHES = re.compile(r" ?\u2014 ?| (?:\u2013|--?) ")
_ENDS = ".,;:!?\u2026\u3002\uff01\uff1f\uff0c\uff1b\uff1a"  # the full-width ones too
_ARTICLES = frozenset({"a", "an", "the", "The", "THE"})


@dataclass(frozen=True, slots=True)
class _Word:
    """``text`` as it is compared; ``is_plain``: its capitals are those of ordinary writing; ``is_first``: it
    begins the text, where a capital means nothing."""

    text: str
    is_plain: bool
    is_first: bool = False


def is_near_duplicate(one: str, other: str, cosine: float) -> bool:
    """Whether the newer of two texts may take the other's place: they say the same, and lie so near to each
    other as texts do that say the same. ``cosine`` is that of their embeddings."""
    # The cheap conditions first: a store asks this of dozens of texts that are alike but for a number.
    if cosine < FRAMED or _DIGITS.findall(one) != _DIGITS.findall(other):
        return False
    folded = _folded(one), _folded(other)
    bare = _without_frame(folded[0]), _without_frame(folded[1])
    least = NEAR if bare == folded else FRAMED
    return cosine >= least and _say_the_same(_words(bare[0]), _words(bare[1]))


def _folded(text: str) -> str:
    """Each run of white space one space, both spellings of an accent one, quotation marks straight."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_TYPOGRAPHY).split())


def _without_frame(text: str) -> str:
    while True:
        opening = _OPENING.match(text)
        bare = _CLOSING.sub("", text[opening.end() :] if opening else text).strip()
        if bare in (text, ""):
            return text
        text = bare


def _words(text: str) -> list[_Word]:
    """Everything that carries meaning, in order; quoted text and what is no plain word stay as they are."""
    words: list[_Word] = []
    end = 0
    for quoted in _QUOTED.finditer(text):
        words += _unquoted(text[end : quoted.start()])
        words.append(_Word(quoted.group(), is_plain=False))
        end = quoted.end()
    words += _unquoted(text[end:])
    words[:1] = [replace(word, is_first=True) for word in words[:1]]
    return [word for word in words if word.text not in _ARTICLES and not _is_first_article(word)]


def _is_first_article(word: _Word) -> bool:
    return word.is_first and word.text.lower() in _ARTICLES


def _unquoted(text: str) -> list[_Word]:
    words: list[_Word] = []
    for piece in _DASHES.sub(" \u2014 ", text).split():
        core = _stripped(piece)
        if core:
            is_unit = bool(words) and words[-1].text[-1].isdigit()
            words.append(_Word(core, is_plain=_PLAIN_WORD.fullmatch(core) is not None and not is_unit))
        if any(mark in piece[len(core) :] for mark in "?\uff1f"):
            words.append(_Word("?", is_plain=False))
    return _without_dashes(words)


def _stripped(piece: str) -> str:
    """Without a sentence's punctuation around it; a bracket goes only if its partner is not inside."""
    while len(piece) <= LONGEST_WORD:
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


def _without_dashes(words: list[_Word]) -> list[_Word]:
    """Dashes and bullets between words are punctuation; beside a number they may be a minus, and stay."""
    return [
        word
        for place, word in enumerate(words)
        if word.text not in ("\u2014", "-", "*", "\u2022")
        or any(beside.text[0].isdigit() for beside in words[max(0, place - 1) : place + 2])
    ]


def _say_the_same(one: list[_Word], other: list[_Word]) -> bool:
    if len(one) != len(other) or not one:
        return False
    careless = _is_careless(one, other)
    return all(_is_same(mine, yours, careless) for mine, yours in zip(one, other, strict=True))


def _is_careless(one: list[_Word], other: list[_Word]) -> bool:
    """Whether one of the texts is written without capitals, or in nothing else, and the other is not: its
    case says nothing then. A single word in another case may have been changed on purpose."""
    changed = sum(mine.text != yours.text for mine, yours in zip(one, other, strict=True) if mine.is_plain)
    return changed > 1 and any(
        all(word.text == form(word.text) for word in words)
        for words in (one, other)
        for form in (str.lower, str.upper)
    )


def _is_same(mine: _Word, yours: _Word, careless: bool) -> bool:
    one, other = mine.text, yours.text
    if one == other:
        return True
    if one.casefold() != other.casefold():
        return False
    if mine.is_first and yours.is_first and one[1:] == other[1:]:
        return True
    if careless:
        return not (_CODE.match(one) or _CODE.match(other))
    capitalised = {one, other} == {one.lower(), one.lower().capitalize()}
    return mine.is_plain and yours.is_plain and capitalised and len(one) > 1
