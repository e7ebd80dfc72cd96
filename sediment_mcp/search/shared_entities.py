"""Find the memories that name the same rare entities as a given one.

The text index proposes the chunks that share the memory's rarest terms, in one search; the texts decide what
they share: an entity of either text (`domain.entities`) that stands in both, or an uncommon word. How much it
says depends on how many memories share it (L. Adamic and E. Adar, "Friends and neighbors on the Web", 2003):

    weight(entity) = 1 / ln(holders), of 2 holders or more; 0 if there are more than `count_common`

An entity within a longer one that is shared too counts with that one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from sediment_mcp.domain.entities import extract_entities
from sediment_mcp.embeddings.common_words import load_common_words
from sediment_mcp.indexes.analyzer import extract_terms, split_into_tokens, stem_tokens
from sediment_mcp.indexes.text_search import QueryTerms, TextSearch
from sediment_mcp.search.date_words import LANGUAGES
from sediment_mcp.search.phrase_match import fold_text, measure_string

if TYPE_CHECKING:
    from datetime import datetime

    from sediment_mcp.domain.filters import Filters
    from sediment_mcp.domain.memory import Memory
    from sediment_mcp.storage.protocols import ReadSession

MAX_READ_CHARS = 10_000  # of the given memory
MAX_TERMS = 64  # its rarest ones, which the index is asked for
MAX_CHUNKS = 100  # proposed by the index, and read
MAX_SHARED = 20  # rarest entities that two memories share; more say no more
COMMON_SHARE = 0.05  # an entity in a larger share of the chunks says nothing
MIN_COMMON, MAX_COMMON = 5, 100  # chunks; in a small store five holders are few, in a large one 100 are many
MIN_ENGLISH_SHARE = 0.6  # of common words among a text's words, so that the others stand out
MIN_WORD_CHARS = 4  # of an uncommon word

_LETTERS = re.compile(r"(?<![\w.@/\\-])[a-z]+(?![\w@/\\]|[.-]\w)")


@dataclass(frozen=True, slots=True)
class SharedEntities:
    """What two memories both name, rarest first, and the sum of its weights."""

    names: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class _Text:
    """A text, folded, with its entities by their folded form."""

    folded: str
    entities: Mapping[str, str]

    def holds(self, entity: str) -> bool:
        """Return True if a folded entity stands in the text by itself."""
        return entity in self.entities or measure_string(self.folded, entity) == 1.0


def count_common(chunk_count: int) -> int:
    """Return in how many of the chunks an entity may occur that still says something."""
    return round(min(MAX_COMMON, max(MIN_COMMON, COMMON_SHARE * chunk_count)))


def find_shared_entities(
    session: ReadSession, index: TextSearch, memory: Memory, filters: Filters, now: datetime
) -> dict[int, SharedEntities]:
    """Return by key the memories that pass the filters and share rare entities with this one.

    Raises:
        DamagedSnapshot: the snapshot turns out to be damaged, and is not used any more.
    """
    content = memory.content[:MAX_READ_CHARS]
    limit = count_common(index.count)
    rare = _find_rare_terms(index, content, limit)
    if not rare:
        return {}
    hits = index.search(QueryTerms({}, {}, 0.0, weights=dict.fromkeys(rare, 1.0)), filters, now, MAX_CHUNKS)
    own = _read_text(content)
    uncommon = _find_uncommon_words(own)
    shared: dict[int, dict[str, str]] = {}
    for chunk in session.find_chunks([hit.chunk_id for hit in hits], filters, now):
        if chunk.memory_key != memory.key:
            both = _intersect(own, uncommon, _read_text(chunk.text))
            shared.setdefault(chunk.memory_key, {}).update(both)
    holders = _count_holders(index, shared.values())
    weights = {entity: 1 / math.log(count) for entity, count in holders.items() if count <= limit}
    return {
        key: _weigh(found, weights) for key, found in shared.items() if not weights.keys().isdisjoint(found)
    }


def _read_text(text: str) -> _Text:
    entities = {folded: entity for entity in extract_entities(text) if (folded := fold_text(entity))}
    telling = {folded: entity for folded, entity in entities.items() if not _is_date(folded)}
    return _Text(fold_text(text), telling)


def _find_rare_terms(index: TextSearch, content: str, limit: int) -> list[str]:
    """Return the rarest terms that another chunk holds too, and not too many."""
    frequencies = {term: index.document_frequency(term) for term in dict.fromkeys(extract_terms(content))}
    rare = [term for term, count in frequencies.items() if 1 < count <= limit]
    return sorted(rare, key=lambda term: frequencies[term])[:MAX_TERMS]


def _intersect(own: _Text, uncommon: Iterable[str], other: _Text) -> dict[str, str]:
    """Return the entities that both texts hold, each as the one writes it that names it."""
    from_other = {entity: written for entity, written in other.entities.items() if own.holds(entity)}
    from_own = {
        entity: written
        for entity, written in (*((word, word) for word in uncommon), *own.entities.items())
        if other.holds(entity)
    }
    return from_other | from_own


def _count_holders(index: TextSearch, found: Iterable[Iterable[str]]) -> dict[str, int]:
    """Return how many chunks hold each entity, as far as the index and what was found tell.

    The rarest term of an entity of several stands for it.
    """
    seen: dict[str, int] = {}
    for entities in found:
        for entity in entities:
            seen[entity] = seen.get(entity, 1) + 1  # and the given memory itself
    holders: dict[str, int] = {}
    for entity, count in seen.items():
        terms = stem_tokens(split_into_tokens(entity))
        rarest = min(
            (frequency for frequency in map(index.document_frequency, terms) if frequency), default=0
        )
        holders[entity] = max(count, rarest)
    return holders


def _weigh(found: Mapping[str, str], weights: Mapping[str, float]) -> SharedEntities:
    """Return the rarest of the entities found, without those that stand in a longer one."""
    rarest = sorted(
        weights.keys() & found.keys(), key=lambda entity: (-weights[entity], -len(entity), entity)
    )[:MAX_SHARED]
    whole = [
        entity
        for entity in rarest
        if not any(len(other) > len(entity) and measure_string(other, entity) for other in rarest)
    ]
    return SharedEntities(tuple(found[entity] for entity in whole), sum(weights[entity] for entity in whole))


# --- words --------------------------------------------------------------------------------------


def _find_uncommon_words(text: _Text) -> list[str]:
    """Return the words of a text, beside its entities, that are not common in English.

    Names of programs are often written in small letters: pgbouncer, nginx, kubectl. A text of which too few
    words are common is not English, and its words say nothing.
    """
    words = [word for word in dict.fromkeys(_LETTERS.findall(text.folded)) if word not in text.entities]
    common = load_common_words()
    stems = stem_tokens(words)
    uncommon = [
        word
        for word, stem in zip(words, stems, strict=True)
        if not (word in common or stem in common or f"{stem}e" in common)
    ]
    if len(words) - len(uncommon) < MIN_ENGLISH_SHARE * len(words):
        return []
    return [word for word in uncommon if len(word) >= MIN_WORD_CHARS]


def _is_date(folded: str) -> bool:
    """Return True for a day of the week, or a month with or without a number."""
    return folded.partition(" ")[0] in _list_date_words()


@cache
def _list_date_words() -> frozenset[str]:
    names = (f"{language.weekdays} {language.months}" for language in LANGUAGES.values())
    return frozenset(word for name in names for word in re.split(r"[ |]", name))
