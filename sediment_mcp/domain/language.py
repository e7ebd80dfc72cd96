"""Tell whether a text is in English, by its script and by its commonest words.

Which other language it is does not matter here, and is not found out: a few function words of the commonest
ones are enough to tell that a text is none.
"""

from __future__ import annotations

import re

MAX_CHARACTERS = 2_000  # of a text that are looked at
_LATIN_END = "\u0250"  # the first character after the Latin letters of today's languages
_WORD = re.compile(r"[^\W\d_]+")


def _split(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ENGLISH = _split(
    "the of and to is was are were be been for with that this it not from by has have had we you they he "
    "she when which will would can should my our their your i at as if than then there"
)
_OTHERS = _split(
    "der das und nicht mit für auf ist ein eine einen wird von zum zur dem den im bei auch nach wir ich "
    "sich le les des une est pour dans avec pas sur qui que du nous je il elle aux au et el los las una "
    "para con por del es está en se su al y gli della nel che per non sono di alla è uma não com em são os "
    "ao het een van niet voor op zijn wordt naar bij ook och att det som är på för inte med ett av og ikke "
    "til af nie jest się na do przez dla ve bir bu için ile ja ei että"
)


def is_english(text: str) -> bool | None:
    """Return whether a text is in English, or None if it does not show, as in code."""
    text = text[:MAX_CHARACTERS]
    letters = [character for character in text if character.isalpha()]
    if sum(character >= _LATIN_END for character in letters) * 2 > len(letters):
        return False
    words = [word.lower() for word in _WORD.findall(text)]
    english, others = (sum(word in known for word in words) for known in (_ENGLISH, _OTHERS))
    return None if english == others == 0 else english >= others
