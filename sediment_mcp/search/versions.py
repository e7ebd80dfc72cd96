"""Put the versions of one fact in the order of time, for a query that asks for the present.

Time orders memories that answer, and no others. The best memory by relevance is taken to answer; another one
is a version of the same fact as far as it is like it, fits the query as well, is as short as a single fact,
and says that something has changed:

    p(version) = logistic(weights · features)                                     see `_estimate`

Versions are compared with each version found, so that a chain of updates is followed. The order is by
log p + `NEWER_WEIGHT` * the place in time, which is bounded by the number of versions and not by their
age: a memory with a p of nothing stays where relevance put it, however new it is. The best memory stays among
the first `KEPT_WITHIN` places, so that nothing newer can push it out.

The weights are those of a logistic regression over pairs of memories, and the other constants were chosen
by cross-validation over sequences of updates among other memories (benchmarks/README.md). All functions
are pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import exp, log

from sediment_mcp.domain.memory import Candidate
from sediment_mcp.search.calibration import measure_evidence

SIMILARITY_WEIGHT = 7.1  # of the cosine of two memories
CLOSENESS_WEIGHT = 8.4  # of the share of the other memory's cosine with the query
CHANGE_WEIGHT = 2.6  # of a memory that says that something has changed
TERM_WEIGHT = -0.37  # of each term: a long memory says many things, which do not all become outdated at once
BIAS = -9.0
MAX_COUNTED_TERMS = 40
MAX_CLOSENESS = 1.2
MIN_VERSION = 0.1  # the p from which a memory counts as a version …
MIN_LINK = 0.3  # … and from which others are compared with it too
MIN_EVIDENCE = 0.45  # of the best one's: a memory that hardly fits the query is no version, however new
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


def order_by_version(
    candidates: Sequence[Candidate], order: Sequence[int], limit: int | None = None
) -> list[int]:
    """Return ``order``, positions, the best first, with the versions of one fact newest first.

    With a ``limit`` of one result the newest version is the one, else the best memory is among the results.
    """
    contenders = order[:MAX_CONTENDERS]
    chances = _find_versions(candidates, contenders)
    if not chances:
        return list(order)
    moments = sorted({candidates[i].memory.occurred_at for i in chances})
    ages = {moment: place for place, moment in enumerate(moments)}
    best = order[0]

    def rate(position: int) -> float:
        memory = candidates[position].memory
        return log(chances[position]) + NEWER_WEIGHT * ages[memory.occurred_at]

    versions = sorted(chances, key=rate, reverse=True)  # the order of equals stays
    last = min(KEPT_WITHIN, limit) if limit and limit > 1 else KEPT_WITHIN
    if versions.index(best) >= last:
        versions.remove(best)
        versions.insert(last - 1, best)
    return versions + [i for i in order if i not in chances]


def _find_versions(candidates: Sequence[Candidate], contenders: Sequence[int]) -> dict[int, float]:
    """Return by position the chance that a contender is a version of the fact that answers best."""
    if not contenders:
        return {}
    best = contenders[0]
    floor = MIN_EVIDENCE * measure_evidence(candidates[best])
    fitting = [i for i in contenders if i == best or measure_evidence(candidates[i]) >= floor]
    weights = {i: _weigh(candidates[i]) for i in fitting}
    chances = dict.fromkeys(fitting, 0.0) | {best: 1.0}
    pending = [best]
    while pending:
        anchor = pending.pop()
        for i in fitting:
            chance = chances[anchor] * _estimate(candidates[anchor], candidates[i], weights[i])
            if chance > chances[i]:
                if chances[i] < MIN_LINK <= chance:
                    pending.append(i)
                chances[i] = chance
    return {i: chance for i, chance in chances.items() if chance >= MIN_VERSION}


def estimate_version(known: Candidate, other: Candidate) -> float:
    """Return the chance, 0 to 1, that a memory tells another version of a known memory's fact."""
    return _estimate(known, other, _weigh(other))


def _estimate(known: Candidate, other: Candidate, weight: float) -> float:
    """Return the chance from the ``weight`` of the other memory's own features; see `_weigh`."""
    similarity, closeness = _compare(known, other)
    weighed = SIMILARITY_WEIGHT * similarity + CLOSENESS_WEIGHT * min(closeness, MAX_CLOSENESS) + weight
    return 1 / (1 + exp(-weighed))


def _weigh(other: Candidate) -> float:
    """Return the weighted sum of the features that a memory has by itself, and the bias."""
    changes = states_change(other.memory.content)
    return CHANGE_WEIGHT * changes + TERM_WEIGHT * min(other.terms, MAX_COUNTED_TERMS) + BIAS


def states_change(text: str) -> bool:
    """Return True if a text says that something is no longer as it was."""
    return _CHANGE.search(text[:1000]) is not None


def _compare(known: Candidate, other: Candidate) -> tuple[float, float]:
    """Return how alike two memories are, and how near the other is to the query.

    The latter is the share of the known one's nearness. Without both embeddings, the share of the query's
    words stands for both.
    """
    if known.vector is None or other.vector is None or known.cosine is None or other.cosine is None:
        share = _divide(other.coverage, known.coverage)
        return min(share, 1.0), share
    return float(known.vector.dot(other.vector)), _divide(other.cosine, known.cosine)


def _divide(part: float, whole: float) -> float:
    return max(part, 0.0) / max(whole, 0.05)
