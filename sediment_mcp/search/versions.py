"""Put the versions of one fact in the order of time, for a query that asks for the present.

Time orders memories that answer, and no others. The best memory by relevance is taken to answer; another one
is a version of the same fact as far as it is like it, fits the query as well, is as short as a single fact,
and says that something has changed:

    p(version) = logistic(weights · features)                                     see `_estimate`

Versions are compared with each version found, so that a chain of updates is followed. The order is by
log p + `NEWER_WEIGHT` * the place in time, which is bounded by the number of versions and not by their
age: a memory with a p of nothing stays where relevance put it, however new it is. The best memory stays among
the first `KEPT_WITHIN` places, so that nothing newer can push it out: only those that are versions with the
highest p stand before it.

The weights are those of a logistic regression over pairs of memories, and the other constants were chosen
by cross-validation over sequences of updates among other memories (benchmarks/README.md). All functions
are pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.search.fusion import LEXICAL_WEIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sediment_mcp.search.candidates import Candidates, Column

SIMILARITY_WEIGHT = 7.1  # of the cosine of two memories
CLOSENESS_WEIGHT = 8.4  # of the share of the other memory's cosine with the query
CHANGE_WEIGHT = 2.6  # of a memory that says that something has changed
TERM_WEIGHT = -0.37  # of each term: a long memory says many things, which do not all become outdated at once
BIAS = -9.0
MAX_COUNTED_TERMS = 40
MAX_CLOSENESS = 1.2
MIN_VERSION = 0.1  # the p from which a memory counts as a version …
MIN_LINK = 0.3  # … and from which others are compared with it too
MIN_FIT = 0.45  # of the best one's: a memory that hardly fits the query is no version, however new
NEWER_WEIGHT = 0.75
MAX_CONTENDERS = 50
KEPT_WITHIN = 3

# Words with which people note that something is no longer as it was, in English, German, French and Spanish.
_CHANGE = re.compile(
    r"\b(?:now|new|no longer|any ?more|instead|since|until|again|from \w+ on|went|started|starts|took over"
    r"|became|become|(?:chang|mov|migrat|switch|upgrad|updat|replac|renam|rais|increas|reduc|decreas|lower|extend"
    r"|adjust|adopt)(?:e[sd]?|s|ed|ing)?"
    r"|jetzt|neu(?:e[mnrs]?)?|nicht mehr|stattdessen|seit|ab sofort|geändert|gewechselt|umgezogen|umgestellt"
    r"|ersetzt|erhöht|gesenkt|verschoben|aktualisiert|umbenannt"
    r"|maintenant|désormais|nouve(?:au|l|lle)s?|ne \w+ plus|depuis|changée?s?|déménagée?s?|remplacée?s?"
    r"|augmentée?s?|réduite?s?|passée?s? (?:à|de)"
    r"|ahora|nuev[oa]s?|ya no|desde|cambi(?:ó|ado)|mud(?:ó|ado)|reemplaz(?:ó|ado)|aument(?:ó|ado)|reduj?o)\b",
    re.IGNORECASE,
)


def order_by_version(candidates: Candidates, order: Sequence[int], limit: int | None = None) -> list[int]:
    """Return ``order``, positions, the best first, with the versions of one fact newest first.

    With a ``limit`` of one result the newest version is the one, else the best memory is among the results.
    """
    chances = _find_versions(candidates, order[:MAX_CONTENDERS])
    if not chances:
        return list(order)
    moments = sorted({candidates.chunks[position].occurred_at for position in chances})
    ages = {moment: place for place, moment in enumerate(moments)}
    best = order[0]

    def rate(position: int) -> float:
        return log(chances[position]) + NEWER_WEIGHT * ages[candidates.chunks[position].occurred_at]

    versions = sorted(chances, key=rate, reverse=True)  # the order of equals stays
    last = min(KEPT_WITHIN, limit) if limit and limit > 1 else KEPT_WITHIN
    if versions.index(best) >= last:
        newer = versions[: versions.index(best)]
        before = sorted(newer, key=lambda position: -chances[position])[: last - 1]
        first = [position for position in newer if position in before]
        versions = [*first, best, *(one for one in versions if one not in first and one != best)]
    return versions + [position for position in order if position not in chances]


def _find_versions(candidates: Candidates, contenders: Sequence[int]) -> dict[int, float]:
    """Return by position the chance that a contender is a version of the fact that answers best."""
    if not contenders:
        return {}
    positions = np.array(contenders, np.intp)
    fit = measure_fit(candidates)[positions]
    fitting = positions[(fit >= MIN_FIT * fit[0]) | (positions == positions[0])]
    weights = weigh_versions(candidates, fitting)
    chances = np.zeros(len(fitting))
    chances[0] = 1.0
    pending = [0]
    while pending:
        anchor = pending.pop()
        linked = chances[anchor] * estimate_versions(candidates, int(fitting[anchor]), fitting, weights)
        pending += np.flatnonzero((chances < MIN_LINK) & (linked >= MIN_LINK)).tolist()
        chances = np.maximum(chances, linked)
    found = zip(fitting.tolist(), chances.tolist(), strict=True)
    return {position: chance for position, chance in found if chance >= MIN_VERSION}


def measure_fit(candidates: Candidates) -> Column:
    """Return how well each memory fits the query, 0 to 1.

    That is by cosine and coverage; without an embedding, by coverage alone.
    """
    near = (1 - LEXICAL_WEIGHT) * candidates.cosines.clip(0.0, 1.0) + LEXICAL_WEIGHT * candidates.coverages
    return np.where(candidates.is_embedded, near, candidates.coverages)


def weigh_versions(candidates: Candidates, others: NDArray[np.intp]) -> Column:
    """Return the weighted sums of the features that memories have by themselves, and the bias.

    ``others`` of shape (m,) are positions, as are the sums.
    """
    changes = np.array([states_change(candidates.chunks[int(other)].content) for other in others], np.bool_)
    terms = candidates.lengths[others].clip(max=MAX_COUNTED_TERMS)
    return CHANGE_WEIGHT * changes + TERM_WEIGHT * terms + BIAS


def states_change(text: str) -> bool:
    """Return True if a text says that something is no longer as it was."""
    return _CHANGE.search(text[:1000]) is not None


def estimate_versions(
    candidates: Candidates, known: int, others: NDArray[np.intp], weights: Column
) -> Column:
    """Return the chances, 0 to 1, that memories tell another version of a known memory's fact.

    ``known`` and ``others`` (m,) are positions, ``weights`` (m,) are of `weigh_versions`. Similarity is how
    alike two memories are, closeness how near the other is to the query, as the share of the known one's
    nearness. Without both embeddings, the share of the query's words stands for both.
    """
    closeness = _divide(candidates.coverages[others], candidates.coverages[known])
    similarity = closeness.clip(max=1.0)
    if candidates.is_embedded[known]:
        has_both = candidates.is_embedded[others]
        embedded = others[has_both]
        closeness[has_both] = _divide(candidates.cosines[embedded], candidates.cosines[known])
        similarity[has_both] = candidates.vectors[embedded] @ candidates.vectors[known]
    weighed = SIMILARITY_WEIGHT * similarity + CLOSENESS_WEIGHT * closeness.clip(max=MAX_CLOSENESS) + weights
    return 1 / (1 + np.exp(-weighed))


def _divide(parts: Column, whole: float) -> Column:
    return parts.clip(min=0.0) / max(whole, 0.05)
