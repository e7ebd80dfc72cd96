"""Read whether a query asks when something was, and whether a text says when.

Words for time are recognised in English, German, French and Spanish: those of `date_words`, and those that
name a time beside them. All functions are pure.
"""

from __future__ import annotations

import re
from functools import cache

from sediment_mcp.search.date_words import LANGUAGES
from sediment_mcp.search.phrase_match import fold_text

_MIN_LETTERS = 4  # shorter words for time are parts of others, or have another meaning
_TIME_WORDS = (
    "ago last next morning tonight today tomorrow yesterday weekend "
    "gestern heute morgen vorgestern letzte letzten letzter letztes letztem nachste nachsten nachster "
    "nachstes nachstem wochenende "
    "hier aujourd demain dernier derniere derniers dernieres prochain prochaine prochains prochaines "
    "ayer hoy manana pasado pasada proximo proxima"
)
_WORD = re.compile(r"[^\W_]+")
_YEAR = re.compile(r"\b(?:19|20)[0-9]{2}\b")
_WHEN = re.compile(
    r"^\W*(?:(?:and|but|so|since|until|und|seit|bis|et|depuis|y|desde) )?(?:when|wann|quand|cuando)\b"
    r"|\b(?:(?:what|which) (?:day|date|week|month|year|time)|welche[mnrs]? (?:tag|datum|woche|monat|jahr)"
    r"|quel(?:le)? (?:jour|date|semaine|mois|annee)|(?:que|cual) (?:dia|fecha|semana|mes|ano))\b"
)
_MAX_CHARS = 2_000  # of a text that are looked at


def asks_when(query: str) -> bool:
    """Return True if a query asks for the time of something, as "When did we move?" does."""
    return _WHEN.search(fold_text(query[:_MAX_CHARS])) is not None


def names_time(text: str) -> bool:
    """Return True if a text names a time, as "yesterday", "last week" and "in March 2026" do."""
    folded = fold_text(text[:_MAX_CHARS])
    return not _list_words().isdisjoint(_WORD.findall(folded)) or _YEAR.search(folded) is not None


@cache
def _list_words() -> frozenset[str]:
    words = set(_TIME_WORDS.split())
    for language in LANGUAGES.values():
        tables = [language.weekdays, language.months, *language.units.values(), *language.spans.values()]
        named = {word for table in tables for word in re.split(r"[ |]", table)}
        words |= {word for word in named if len(word) >= _MIN_LETTERS}
    return frozenset(words)
