"""Read a query: its terms, its names, and the phrases that may stand in a text as they are."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sediment_mcp.indexes.analyzer import Token, analyze_chunk, extract_terms, shorten, stem_tokens

# Words that make a text a question but do not say what it is about. Prepositions and pronouns are not among
# them: leaving those out too worsens search in developers' notes more than it improves it in conversations.
QUESTION_WORDS = (
    "a an the what when where which who whom whose why how am is are was were be been being do does did "
    "doing have has had having can could will would shall should may might must s"
)
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

    Terms of `QUESTION_WORDS` are left out of the weights, unless the query consists of nothing else.
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
    return {term: weight for term, weight in weights.items() if term not in _extract_question_terms()} or (
        weights
    )


def _build_phrases(
    query: str, terms: Sequence[str], names: Mapping[str, tuple[str, ...]]
) -> list[tuple[str, ...]]:
    quoted = [tuple(extract_terms(text)[:MAX_PHRASE_TERMS]) for text in find_quotations(query)]
    whole = [tuple(terms)] if len(terms) <= MAX_PHRASE_TERMS else []
    phrases = dict.fromkeys([*quoted, *whole, *names.values()])
    return [phrase for phrase in phrases if 1 < len(phrase) <= MAX_PHRASE_TERMS][:MAX_PHRASES]


@functools.cache
def _extract_question_terms() -> frozenset[str]:
    return frozenset(extract_terms(QUESTION_WORDS))
