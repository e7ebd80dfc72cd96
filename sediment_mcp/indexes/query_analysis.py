"""Read a query: its terms, its names, and the phrases that may stand in a text as they are."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sediment_mcp.indexes.analyzer import Token, analyze_chunk, extract_terms, shorten, stem_tokens

# Words that make a text a question but do not say what it is about. Prepositions and pronouns are not among
# them: leaving those out too worsens search in developers' notes more than it improves it in conversations.
QUESTION_WORDS = (
    "a an the what when where which who whom whose why how am is are was were be been being do does did "
    "doing have has had having can could will would shall should may might must s"
)
OTHER_QUESTION_WORDS = {
    "de": (
        "der die das den dem des ein eine einen einem einer eines ist sind war waren bin bist wird werden "
        "wurde wurden worden hat haben habe hatte hatten kann können konnte soll sollen sollte muss müssen "
        "darf dürfen will wollen würde gibt was wer wen wem wessen wie wo wann warum weshalb wieso woher "
        "wohin welche welcher welches welchen welchem wofür womit worüber"
    ),
    "fr": (
        "le la les l un une des du est sont était étaient sera seront être été a ont avons avez avait "
        "avaient avoir font faire peut peuvent doit doivent faut que qu quel quelle quels quelles qui quoi "
        "quand où comment pourquoi combien lequel laquelle"
    ),
    "es": (
        "el la los las un una unos unas es son era eran fue fueron está están estaba estaban ser estar ha "
        "han he hemos había habían hay puede pueden debe deben tiene tienen hace hacen que qué quién "
        "quiénes cuál cuáles cuándo dónde adónde cómo cuánto cuánta cuántos cuántas quien cual cuando "
        "donde como cuanto"
    ),
}
"""The same in other languages. They are left out of a query in that language alone, for some of them are
words of another meaning elsewhere, such as "die" and "comment"."""
AMBIGUOUS = (
    "die war man hat den was am will bin la les un a des du est son era he ha han hay ser el los las "
    "comment que font sera fait as qui es has l"
)
"""Words and names that do not show by themselves in which language a query is."""
CHARACTER_WEIGHT = 0.3  # of a character beside the pairs that it is in: alone it says little
MAX_PHRASES = 8
MAX_PHRASE_TERMS = 16  # a longer text shares so many terms with its copy that these bring it in
QUOTED = re.compile(r'"([^"]+)"|“([^“”]+)[”“]|„([^„“”]+)[“”]|«([^«»]+)»|`([^`]+)`|「([^「」]+)」')


@dataclass(frozen=True, slots=True)
class AnalyzedQuery:
    """What a query asks of the words of a text.

    ``weights`` are those of its distinct terms, ``names`` the parts of each name put together, by the name's
    term, and ``phrases`` are terms that would stand side by side in a text that holds the query, a quotation
    of it, or a name, as it is.
    """

    weights: Mapping[str, float]
    names: Mapping[str, tuple[str, ...]]
    phrases: tuple[tuple[str, ...], ...]


def analyze_query(query: str) -> AnalyzedQuery:
    """Return the terms, names and phrases of a query.

    Terms of `QUESTION_WORDS`, and of those of the query's language, are left out of the weights, unless the
    query consists of nothing else.
    """
    tokens = [token for chunk in query.split() for token in analyze_chunk(chunk)]
    terms = stem_tokens([shorten(token.text) for token in tokens])
    term_of = dict(zip((token.text for token in tokens), terms, strict=True))
    names = {
        term: tuple(term_of[part] for part in token.parts)
        for token, term in zip(tokens, terms, strict=True)
        if token.kind == "name"
    }
    return AnalyzedQuery(_weigh(tokens, terms), names, tuple(_build_phrases(query, terms, names)))


def extract_query_terms(query: str) -> list[str]:
    """Return the distinct terms of a query that say what it is about, without whole names."""
    return list(analyze_query(query).weights)


def find_quotations(query: str) -> list[str]:
    """Return what stands between quotation marks, double or typographic, or backticks."""
    return [next(filter(None, groups)) for groups in QUOTED.findall(query)]


def _weigh(tokens: Sequence[Token], terms: Sequence[str]) -> dict[str, float]:
    in_pairs = {part for token in tokens if token.kind == "pair" for part in token.parts}
    weights: dict[str, float] = {}
    for token, term in zip(tokens, terms, strict=True):
        if token.kind != "name":
            is_minor = token.kind == "character" and token.text in in_pairs
            weights.setdefault(term, CHARACTER_WEIGHT if is_minor else 1.0)
    left_out = _find_question_terms(weights)
    return {term: weight for term, weight in weights.items() if term not in left_out} or weights


def _build_phrases(
    query: str, terms: Sequence[str], names: Mapping[str, tuple[str, ...]]
) -> list[tuple[str, ...]]:
    quoted = [tuple(extract_terms(text)[:MAX_PHRASE_TERMS]) for text in find_quotations(query)]
    whole = [tuple(terms)] if len(terms) <= MAX_PHRASE_TERMS else []
    phrases = dict.fromkeys([*quoted, *whole, *names.values()])
    return [phrase for phrase in phrases if 1 < len(phrase) <= MAX_PHRASE_TERMS][:MAX_PHRASES]


def _find_question_terms(terms: Iterable[str]) -> frozenset[str]:
    """Return the terms that say nothing in a query, in English and in its own language."""
    english, ambiguous = _extract_terms_once(QUESTION_WORDS), _extract_terms_once(AMBIGUOUS)
    telling = [term for term in terms if term not in ambiguous]
    counts = {
        words: sum(term in _extract_terms_once(words) for term in telling)
        for words in (QUESTION_WORDS, *OTHER_QUESTION_WORDS.values())
    }
    most = max(counts, key=lambda words: counts[words])
    return english if counts[most] == counts[QUESTION_WORDS] else english | _extract_terms_once(most)


@functools.cache
def _extract_terms_once(words: str) -> frozenset[str]:
    return frozenset(extract_terms(words))
