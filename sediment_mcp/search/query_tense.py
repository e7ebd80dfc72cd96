"""Read whether a query asks for the present: for the newest of several states.

Words for the present are recognised in English, German, French and Spanish. What is quoted, code or a fixed
phrase ("NOW()", "latest offset", "current directory") is no such word; nor is "still", which asks whether
something holds, not which state is the newest. All functions are pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Words that ask for the newest state in any tense.
_STATE_WORDS = (
    # English
    "current", "currently", "nowadays", "presently", "at present", "at the moment", "at this moment",
    "at this point in time", "these days", "as of now", "as of today", "right now", "latest", "newest",
    "most recent", "most up to date", "most up-to-date", "up-to-date",
    # German
    r"aktuell(?:e[mnrs]?|sten?)?", r"derzeit(?:ige[mnrs]?)?", r"momentan(?:e[mnrs]?)?", "zurzeit", "zur zeit",
    r"gegenwärtig(?:e[mnrs]?)?", r"gegenwaertig(?:e[mnrs]?)?", "heutzutage", r"neueste[mnrs]?", "im moment",
    "im augenblick", r"heutige[mnrs]?", "mittlerweile", "inzwischen", r"letzte[nr]?(?= stand)",
    # French
    r"actuel(?:le)?s?", "actuellement", "en ce moment", "de nos jours", "à l'heure actuelle", "à présent",
    r"(?:le|la|les) plus récente?s?", r"(?:le|la|les) plus recente?s?", "désormais", "desormais", "à ce jour",
    "ces temps-ci", "ces jours-ci", "pour l['\u2019]instant", "pour le moment",
    r"derni[èe]re(?= version)", r"dernier(?= [ée]tat)",
    # Spanish
    "actualmente", "hoy en día", "hoy en dia", "en este momento", "en la actualidad", r"más recientes?",
    r"mas recientes?", "en estos momentos", "a día de hoy", "a dia de hoy", "hoy por hoy", "por ahora",
    "por el momento", "de momento", r"[úu]ltima(?= versi[óo]n)", r"vigentes?",
)  # fmt: skip

# Words that ask for it in a query that is not about the past ("What did I do today?").
_MOMENT_WORDS = (
    "now", "today", "jetzt", "heute", "maintenant", "aujourd['\u2019]hui", "ahora", "hoy",
)  # fmt: skip

# A newer version replaces an older one, so who asks for a version asks for the newest. These are also what
# the query is about.
_VERSION_WORDS = (
    r"(?:what|which) versions?", r"welche[rns]? version(?:en)?", r"quelles? versions?",
    r"(?:qué|que) versi(?:ón|on|ones)",
)  # fmt: skip

# "actual" is an English word of another meaning: it counts between words that only Spanish has.
_SPANISH_STATE = r"actual(?:es)?"
_SPANISH = re.compile(
    r"[¿ñ]|\b(?:cuál|cual|dónde|donde|quién|quien|qué|es el|es la|el|los|las)\b", re.IGNORECASE
)

_PAST = re.compile(
    r"\b(?:did|was|were|had|used to|war|waren|hatten?|wurden?|damals|früher|frueher|vorher|zuvor|ehemals"
    r"|était|étaient|avait|avaient|auparavant|autrefois|jadis|à l['\u2019]époque"
    r"|era|eran|estaba|estaban|fue|fueron|había|habían|antes|antiguamente|anteriormente|entonces)\b",
    re.IGNORECASE,
)

# In German "was" asks what something is, and says nothing of the past.
_GERMAN = re.compile(
    r"\b(?:jetzt|heute|der|das|dem|den|ist|sind|und|wir|ich|habe|hat|nicht|kein|keine|ein|eine|einen|für|fuer|von"
    r"|vom|zum|zur|gilt|gibt|steht|wird|werden|kann|muss|soll|uns|bei|beim|mit|auf)\b",
    re.IGNORECASE,
)

# Quotes and backticks, words that look like code, and fixed phrases with another meaning.
_NOT_TIME = re.compile(
    r'"[^"\n]{1,200}"|`[^`\n]{1,200}`|“[^”\n]{1,200}”|«[^»\n]{1,200}»|„[^“”\n]{1,200}[“”]'
    r"|(?<!\S)[^\s(]{0,100}(?:\w\(|[_=/\\@#$<>{}|:]|(?<=\w)\.(?=\w)|--)\S{0,100}"
    r"|\b(?:latest|current|newest) (?:offsets?|tags?|images?|director(?:y|ies)|working directory|folders?"
    r"|threads?|timestamps?|draw|density|limiters?|transformers?|sensors?|loops?|elements?|nodes?)\b"
    r"|\b(?:alternating|direct|electric(?:al)?|eddy|ocean|leakage|inrush|ripple|strong|warm|cold) current\b"
    r"|\bnow and (?:then|again)\b|\b(?:until|till|by|before|from) now\b|\bnow that\b"
    r"|\bmost recent call\b|\b(?:usa|the) today show\b",
    re.IGNORECASE,
)


def _compile(*words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(words)})\b".replace(" ", r"\s+"), re.IGNORECASE)


_STATE = _compile(*_STATE_WORDS)
_STATE_IN_SPANISH = _compile(_SPANISH_STATE)
_MOMENT = _compile(*_MOMENT_WORDS)
_VERSION = _compile(*_VERSION_WORDS)


def is_about_present(query: str) -> bool:
    """Return True if the query asks for the newest of several states, as "current" and "now" do."""
    text = _blank_out(query)
    if any(True for _ in _find_present_words(text)):
        return True
    return bool(_VERSION.search(text)) and not _is_about_past(text)


def remove_present_words(query: str) -> str:
    """Return the query without the words that ask for the present, or whole if nothing is left.

    Those words say which of several states is wanted, not what it is about: a memory that happens to hold
    one of them is no better for that.
    """
    rest: list[str] = []
    end = 0
    for start, stop in sorted(_find_present_words(_blank_out(query))):
        rest.append(query[end:start])
        end = max(end, stop)
    topic = " ".join([*rest, query[end:]])
    return topic if any(char.isalnum() for char in topic) else query


def _is_about_past(text: str) -> bool:
    found = {match[0].casefold() for match in _PAST.finditer(text)}
    return bool(found) and not (found == {"was"} and _GERMAN.search(text))


def _blank_out(query: str) -> str:
    """Return the query with blanks in place of what says nothing about time."""
    return _NOT_TIME.sub(lambda match: " " * len(match[0]), query)


def _find_present_words(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each word that asks for the present."""
    patterns = [_STATE]
    if _SPANISH.search(text):
        patterns.append(_STATE_IN_SPANISH)
    if not _is_about_past(text):
        patterns.append(_MOMENT)
    for pattern in patterns:
        yield from (match.span() for match in pattern.finditer(text))
