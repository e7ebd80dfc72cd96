"""Tables of the words for days in English, German, French and Spanish.

Words stand in lower case and without accents, as `query_dates` reads a query; German ones also as they are
written without umlauts (``ubermorgen``, ``uebermorgen``).

A phrase is a sequence of words between blanks; ``a|b`` is either word, ``a?`` may be absent, and a name in
braces is a word of a table or a number. ``{date}`` is a whole date in digits. See `Language` for the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """How a language names days.

    In ``numbers``, ``weekdays`` and ``months`` each word, or ``a|b`` for several with one meaning, stands at
    the place that it counts: numbers and months from 1, weekdays from Monday. ``units`` can be counted
    ("two weeks ago"), ``spans`` can be the last or the next ("last weekend"). ``phrases`` holds the phrases
    by their meaning, which is a name of `query_dates.MEANINGS`.
    """

    numbers: str
    weekdays: str
    months: str
    units: Mapping[str, str]
    spans: Mapping[str, str]
    phrases: Mapping[str, tuple[str, ...]]


NO_DATE = "nothing"
"""The meaning of phrases that look like dates and are none, such as "version 3.4.2026"."""

ENGLISH = Language(
    numbers="a|an|one two three four five six seven eight nine ten eleven twelve",
    weekdays="monday tuesday wednesday thursday friday saturday sunday",
    months="january|jan february|feb march|mar april|apr may june|jun july|jul august|aug "
    "september|sept|sep october|oct november|nov december|dec",
    units={"day": "day|days", "week": "week|weeks", "month": "month|months", "year": "year|years"},
    spans={"week": "week", "month": "month", "year": "year", "weekend": "weekend"},
    phrases={
        "today": ("this morning|afternoon|evening", "tonight", "earlier|later today", "today s",
                  "from|of|for today"),
        "today in the past": ("today",),
        "yesterday": ("yesterday", "last night"),
        "two days ago": ("day before yesterday",),
        "tomorrow": ("tomorrow",),
        "in two days": ("day after tomorrow",),
        "ago": ("{n} {unit} ago",),
        "two ago": ("couple of? {unit} ago",),
        "recent": ("last|past {n} {unit}", "past {unit}"),
        "last": ("last|previous {span}", "last {weekday}", "last {month}"),
        "before last": ("{span} before last",),
        "this": ("this {span}", "this {weekday}", "this {month}"),
        "next": ("next {span}", "next {weekday}", "next {month}"),
        "latest": ("on|since|by|until|till|from|of {weekday}",),
        "date": ("on? {weekday}? the? {day} of? {month} of? {year}?",
                 "on? {weekday}? {month} the? {day} of? {year}?",
                 "{month} of? {year}",
                 "in|during|since|until|by|of|from|through|early|late|mid {month} of? {year}?"),
        "written": ("on? {weekday}? {date}",),
        "year": ("in|during|of|year {year}",),
        NO_DATE: ("version|versions|release|build|v {date}", "version|release|build|port {year}"),
    },
)  # fmt: skip

GERMAN = Language(
    numbers="ein|eine|einem|einen|einer|eins zwei drei vier funf|fuenf sechs sieben acht neun zehn elf "
    "zwolf|zwoelf",
    weekdays="montag|montags dienstag mittwoch donnerstag freitag samstag|sonnabend sonntag",
    months="januar|janner|jaenner|jan februar|feb marz|maerz|mrz april|apr mai juni|jun juli|jul august|aug "
    "september|sept|sep oktober|okt november|nov dezember|dez",
    units={"day": "tag|tage|tagen", "week": "woche|wochen", "month": "monat|monate|monaten",
           "year": "jahr|jahre|jahren"},
    spans={"week": "woche", "month": "monat|monats", "year": "jahr|jahres", "weekend": "wochenende"},
    phrases={
        "today": ("heute fruh|frueh|morgen|vormittag|mittag|nachmittag|abend|nacht", "vorhin",
                  "von|fur|fuer heute"),
        "today in the past": ("heute",),
        "yesterday": ("gestern", "gestern morgen", "letzte|vergangene nacht"),
        "two days ago": ("vorgestern", "vorgestern morgen"),
        "tomorrow": ("morgen",),
        "in two days": ("ubermorgen|uebermorgen",),
        "ago": ("vor {n} {unit}",),
        "recent": ("letzten|vergangenen|letzte {n} {unit}",),
        "last": ("letzte|letzten|letzter|letztes|letztem|vergangene|vergangenen|vergangenes {span}",
                 "vorige|vorigen|voriges {span}", "letzten|vergangenen|vorigen {weekday}",
                 "letzten|vergangenen|vorigen {month}"),
        "before last": ("vorletzte|vorletzten|vorletzter|vorletztes {span}",),
        "this": ("diese|diesen|dieser|dieses|diesem {span}", "diesen|dieser {weekday}",
                 "diesen|diesem {month}"),
        "next": ("nachste|nachsten|nachster|nachstes|naechste|naechsten|naechster|naechstes {span}",
                 "kommende|kommenden|kommendes {span}", "nachsten|naechsten|kommenden {weekday}",
                 "nachsten|naechsten|kommenden {month}"),
        "latest": ("am|vom|seit|bis|zum {weekday}",),
        "date": ("am? {weekday}? den|dem? {day} {month} {year}?", "{month} {year}",
                 "im|in|seit|ab|bis|vom|anfang|ende|mitte {month} {year}?"),
        "written": ("am? {weekday}? den|dem? {date}", "am|vom|zum|bis|seit|den|dem {short}",
                    "am {weekday} den|dem? {short}"),
        "year": ("in|jahr|jahre|jahres|von|seit {year}",),
        NO_DATE: ("guten|am|jeden|diesen|der|den|eines morgen",),
    },
)  # fmt: skip

FRENCH = Language(
    numbers="un|une deux trois quatre cinq six sept huit neuf dix onze douze",
    weekdays="lundi mardi mercredi jeudi vendredi samedi dimanche",
    months="janvier|janv fevrier|fevr|fev mars avril|avr mai juin juillet|juil aout septembre|sept|sep "
    "octobre|oct novembre|nov decembre|dec",
    units={"day": "jour|jours", "week": "semaine|semaines", "month": "mois", "year": "an|ans|annee|annees"},
    spans={"week": "semaine", "month": "mois", "year": "annee|an", "weekend": "weekend"},
    phrases={
        "today": ("ce matin|midi|soir", "cet|cette apres midi", "cette nuit", "d|pour aujourd hui"),
        "today in the past": ("aujourd hui",),
        "yesterday": ("hier", "nuit derniere"),
        "two days ago": ("avant hier",),
        "tomorrow": ("demain",),
        "in two days": ("apres demain",),
        "ago": ("il? y a {n} {unit}", "voici|voila {n} {unit}"),
        "recent": ("{n} derniers|dernieres {unit}", "{n} {unit} derniers|dernieres"),
        "last": ("{span} dernier|derniere|passe|passee|precedente", "{weekday} dernier|passe",
                 "en|de? {month} dernier"),
        "last weekend": ("week end dernier|passe",),
        "before last": ("avant derniere {span}",),
        "this": ("ce|cet|cette {span}", "ce {weekday}"),
        "this weekend": ("ce week end",),
        "next": ("{span} prochain|prochaine", "{weekday} prochain", "{month} prochain"),
        "next weekend": ("week end prochain",),
        "latest": ("{weekday}",),
        "date": ("le? {weekday}? le? {day} {month} {year}?", "{month} {year}",
                 "en|de|d|depuis|debut|fin|mi|courant {month} {year}?"),
        "written": ("le? {weekday}? le? {date}",),
        "year": ("en|de|annee|depuis {year}",),
        NO_DATE: ("le|les|chaque|tous {weekday}", "mardi gras"),
    },
)  # fmt: skip

SPANISH = Language(
    numbers="un|una|uno dos tres cuatro cinco seis siete ocho nueve diez once doce",
    weekdays="lunes martes miercoles jueves viernes sabado domingo",
    months="enero|ene febrero|feb marzo abril|abr mayo junio|jun julio|jul agosto "
    "septiembre|setiembre|sept|sep octubre|oct noviembre|nov diciembre|dic",
    units={"day": "dia|dias", "week": "semana|semanas", "month": "mes|meses", "year": "ano|anos"},
    spans={"week": "semana", "month": "mes", "year": "ano", "weekend": "finde"},
    phrases={
        "today": ("esta manana|tarde|noche", "de|para hoy"),
        "today in the past": ("hoy",),
        "yesterday": ("ayer", "anoche"),
        "two days ago": ("anteayer", "antier", "antes de ayer", "anteanoche"),
        "tomorrow": ("manana", "manana por la manana"),
        "in two days": ("pasado manana",),
        "ago": ("hace {n} {unit}", "{n} {unit} atras"),
        "two ago": ("hace un par de {unit}",),
        "recent": ("ultimos|ultimas {n} {unit}",),
        "last": ("{span} pasado|pasada|anterior", "pasado|pasada|ultimo|ultima {span}",
                 "el? {weekday} pasado",
                 "el? pasado|ultimo {weekday}", "en|de? {month} pasado"),
        "last weekend": ("fin de semana pasado", "pasado|ultimo fin de semana"),
        "before last": ("{span} antepasado|antepasada",),
        "this": ("este|esta {span}", "este {weekday}", "este {month}"),
        "this weekend": ("este fin de semana",),
        "next": ("proximo|proxima {span}", "{span} proximo|proxima|que viene", "el? proximo {weekday}",
                 "el? {weekday} proximo|que viene", "proximo {month}"),
        "next weekend": ("proximo fin de semana",),
        "latest": ("el|del|desde|al {weekday}",),
        "date": ("el? {weekday}? el? {day} de? {month} de|del? {year}?", "{month} de|del? {year}",
                 "en|de|desde|hasta|durante {month} de|del? {year}?"),
        "written": ("el? {weekday}? el? {date}",),
        "year": ("en|de|del|ano|desde {year}",),
        NO_DATE: ("la|una|cada|toda|buena manana",),
    },
)  # fmt: skip


def _split(words: str) -> frozenset[str]:
    return frozenset(words.split())


LANGUAGES = {"en": ENGLISH, "de": GERMAN, "fr": FRENCH, "es": SPANISH}

PAST_WORDS = _split(
    "did was were had have been "
    "habe haben hat hatte hatten war waren wurde wurden gab "
    "ai avons avez ont avait avaient avions etait etaient fut "
    "ha hemos han habia habian hice hizo hicimos dije dijo fui fue fuimos vi vio paso"
)
"""Words of a question about what has happened, in which "today" is the day and does not mean "now"."""
PAST_ENDINGS = ("amos", "imos", "aron", "ieron")
"""Endings of such words in Spanish."""

GERMAN_WORDS = _split(
    "der die das den dem ist sind und wir ich haben habe hat hatte was wie wo wer wann warum welche welcher "
    "welches nicht kein keine ein eine einen mit auf fur von zum zur im gibt steht liegt bin war wurde noch "
    "schon wird werden kann muss soll uns bitte alles"
)
"""Words of a German question, in which "hier" is "here" and not the French "yesterday"."""

MODAL_CONTEXT = {
    "may": (
        frozenset({"this", "that", "it", "we", "i", "you", "they", "he", "she"}),
        _split("be not have also i we you they it he she the well never only need still require"),
    ),
    "march": (frozenset({"to", "we", "they", "i", "you"}), frozenset({"on", "through", "past", "together"})),
}
"""Months that are verbs in lower case: (words before, words after) with which they are no months."""
