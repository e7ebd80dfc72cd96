"""The ranking once more, a memory at a time: what the arrays of the package must say too.

A `Candidate` is a row of `search.candidates.Candidates`; `tabulate` makes the columns of some. `rank_by_hand`
follows the formulas of docs/search.md over single memories, without arrays, and shares only the constants and
the order of versions with the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import exp, log10, prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sediment_mcp.domain.memory import FoundChunk, Match, Memory
from sediment_mcp.search import blend, calibration, fusion, ranking, versions
from sediment_mcp.search.candidates import Candidates
from sediment_mcp.search.phrase_match import PHRASE_WEIGHT
from sediment_mcp.search.query_dates import Period, read_dates
from sediment_mcp.search.query_tense import is_about_present
from sediment_mcp.search.session_context import Link
from sediment_mcp.system.timestamps import to_micros


@dataclass(frozen=True, slots=True)
class Candidate:
    """A memory that may answer a query.

    A cosine of None: there is no embedding yet; ``tokens`` of None: there are no token vectors; a context of
    None: it is the same as without. Of each distance in ``neighbours``, the first stands before the memory.
    """

    memory: Memory
    cosine: float | None = None
    bm25: float = 0.0
    coverage: float = 0.0
    phrase: float = 0.0
    context_cosine: float | None = None
    context_bm25: float | None = None
    tokens: float | None = None
    context_tokens: float | None = None
    is_question: bool = False
    names_time: bool = False
    neighbours: tuple[tuple[int, ...], ...] = ()
    terms: int = 0
    vector: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Scored:
    """A ranked candidate."""

    candidate: Candidate
    score: float
    match: Match
    signals: dict[str, float]


# --- columns ------------------------------------------------------------------------------------


def tabulate(candidates: Sequence[Candidate]) -> Candidates:
    """Return the columns of the candidates."""

    def column(values: Sequence[float | None]) -> NDArray[np.float64]:
        return np.array([np.nan if value is None else value for value in values], np.float64)

    width = max((len(c.vector) for c in candidates if c.vector is not None), default=0)
    vectors = np.zeros((len(candidates), width), np.float32)
    for row, candidate in enumerate(candidates):
        if candidate.vector is not None:
            vectors[row] = candidate.vector
    return Candidates(
        chunks=[_to_chunk(candidate.memory) for candidate in candidates],
        cosines=column([c.cosine for c in candidates]),
        bm25=column([c.bm25 for c in candidates]),
        coverages=column([c.coverage for c in candidates]),
        phrases=column([c.phrase for c in candidates]),
        context_cosines=column(
            [c.cosine if c.context_cosine is None else c.context_cosine for c in candidates]
        ),
        context_bm25=column([c.bm25 if c.context_bm25 is None else c.context_bm25 for c in candidates]),
        tokens=column([c.tokens for c in candidates]),
        context_tokens=column(
            [c.tokens if c.context_tokens is None else c.context_tokens for c in candidates]
        ),
        is_question=np.array([c.is_question for c in candidates], np.bool_),
        names_time=np.array([c.names_time for c in candidates], np.bool_),
        lengths=column([c.terms for c in candidates]),
        vectors=vectors,
        links=_link(candidates),
    )


def _to_chunk(memory: Memory) -> FoundChunk:
    return FoundChunk(
        chunk_id=memory.key,
        memory_key=memory.key,
        start=0,
        end=len(memory.content),
        content=memory.content,
        occurred_at=to_micros(memory.occurred_at),
        importance=memory.importance,
        project=memory.project,
    )


def _link(candidates: Sequence[Candidate]) -> list[Link]:
    row_of_key = {candidate.memory.key: row for row, candidate in enumerate(candidates)}
    pairs: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for row, candidate in enumerate(candidates):
        for distance, side in enumerate(candidate.neighbours, start=1):
            for which, key in enumerate(side):
                if key in row_of_key:
                    pairs.setdefault((distance, which), []).append((row, row_of_key[key]))
    return [
        Link(
            distance if which else -distance, *(np.array(rows, np.intp) for rows in zip(*linked, strict=True))
        )
        for (distance, which), linked in pairs.items()
    ]


def rank(candidates: Sequence[Candidate], *, limit: int | None = None, **asking: Any) -> list[Scored]:
    """Return the package's ranking of the candidates; ``asking`` is as for `ranking.read_asking`."""
    count = asking.pop("count", calibration.COUNTED)
    asked = ranking.read_asking(asking.pop("query", ""), **asking)
    return [
        Scored(candidates[one.position], one.score, one.match, dict(one.signals))
        for one in ranking.rank(tabulate(candidates), asked, limit=limit, count=count)
    ]


# --- by hand ------------------------------------------------------------------------------------


def rank_by_hand(
    candidates: Sequence[Candidate],
    *,
    project: str | None,
    now: datetime,
    query: str = "",
    limit: int | None = None,
    count: int = calibration.COUNTED,
) -> list[Scored]:
    """Return the ranking of the candidates, computed for each memory by itself."""
    periods = read_dates(query, now)
    parts = _compute_parts(candidates, periods)
    total = _sum_parts(parts, len(candidates))
    relevances = _divide_by_maximum(total) if any(total) else [1.0] * len(total)
    factors = [_compute_factors(candidate.memory, project, now) for candidate in candidates]
    products = [prod(factor.values()) for factor in factors]
    values = [relevance * product for relevance, product in zip(relevances, products, strict=True)]

    def key(position: int) -> tuple[float, datetime, int]:
        memory = candidates[position].memory
        return values[position], memory.occurred_at, memory.key

    order = sorted(range(len(candidates)), key=key, reverse=True)
    if is_about_present(query):
        order = versions.order_by_version(tabulate(candidates), order, limit)
    order = _promote_whole_match(candidates, order, limit)
    chances = [_estimate_probability(candidate, count) for candidate in candidates]
    scores = calibration.non_increasing([chances[i] * factors[i]["project"] for i in order])
    words = _divide_by_maximum([candidate.bm25 for candidate in candidates])
    scored: list[Scored] = []
    for i, score in zip(order[:limit], scores, strict=False):
        candidate = candidates[i]
        signals = {"relevance": relevances[i], "lexical": words[i], **factors[i]}
        signals["coverage"] = candidate.coverage
        shares = {name: values[i] / (total[i] or 1.0) for name, values in parts.items()}
        signals |= {f"{name}_share": share for name, share in shares.items() if share}
        if candidate.phrase:
            signals["phrase"] = candidate.phrase
        if candidate.cosine is not None:
            signals["semantic"] = candidate.cosine
        if candidate.tokens is not None:
            signals["tokens"] = candidate.tokens
        if periods:
            signals["date"] = float(_is_named(candidate.memory, periods))
        match = calibration.classify_match(chances[i], count, is_embedded=candidate.cosine is not None)
        scored.append(Scored(candidate, score, match, signals))
    return scored


def _compute_parts(candidates: Sequence[Candidate], named: Sequence[Period]) -> dict[str, list[float]]:
    if any(c.tokens is not None for c in candidates):
        parts = _blend(candidates, named)
    else:
        parts = _fuse(candidates)
        parts["date"] = [ranking.NAMED_DAY_BONUS * _is_named(c.memory, named) for c in candidates]
        parts["session"] = _compute_session_boosts(candidates, _sum_parts(parts, len(candidates)))
    gain = PHRASE_WEIGHT * (max(_sum_parts(parts, len(candidates)), default=0.0) or 1.0)
    return parts | {"phrase": [gain * c.phrase for c in candidates]}


def _sum_parts(parts: dict[str, list[float]], count: int) -> list[float]:
    return [max(0.0, sum(values[i] for values in parts.values())) for i in range(count)]


def _spread_words(candidates: Sequence[Candidate]) -> tuple[list[float], list[float]]:
    in_context = [c.bm25 if c.context_bm25 is None else c.context_bm25 for c in candidates]
    return _spread([c.bm25 for c in candidates]), _spread(in_context)


def _fuse(candidates: Sequence[Candidate]) -> dict[str, list[float]]:
    lexical = [(alone + around) / 2 for alone, around in zip(*_spread_words(candidates), strict=True)]
    cosines = [
        (c.cosine + (c.cosine if c.context_cosine is None else c.context_cosine)) / 2
        for c in candidates
        if c.cosine is not None
    ]
    if not cosines:
        return {"words": lexical}
    near = iter(_spread(cosines))
    semantic = [
        words * c.coverage if c.cosine is None else next(near)
        for c, words in zip(candidates, lexical, strict=True)
    ]
    weight = fusion.LEXICAL_WEIGHT
    return {"meaning": [(1 - weight) * x for x in semantic], "words": [weight * x for x in lexical]}


def _blend(candidates: Sequence[Candidate], named: Sequence[Period]) -> dict[str, list[float]]:
    words, around = _spread_words(candidates)
    covered = [
        (one + other) / 2 * c.coverage for one, other, c in zip(words, around, candidates, strict=True)
    ]
    shared = min(1.0, max(c.coverage for c in candidates) / blend.USUAL_BEST_COVERAGE)
    words, around = [shared * one for one in words], [shared * one for one in around]
    meaning = _fill([c.cosine for c in candidates], covered, is_level=False)
    in_session = [c.cosine if c.context_cosine is None else c.context_cosine for c in candidates]
    session_meaning = _fill(
        [None if c.cosine is None else x for c, x in zip(candidates, in_session, strict=True)],
        covered,
        is_level=False,
    )
    tokens = _fill([c.tokens for c in candidates], meaning)
    session_tokens = _fill(
        [c.tokens if c.context_tokens is None else c.context_tokens for c in candidates], session_meaning
    )
    columns = zip(meaning, session_meaning, words, around, tokens, session_tokens, strict=True)
    fit = [sum(values) / 6 for values in columns]
    yes = min(1.0, max(fit) / blend.USUAL_BEST_FIT)
    place = {c.memory.key: i for i, c in enumerate(candidates)}
    signals: list[dict[str, float]] = []
    for i, c in enumerate(candidates):
        before = place.get(c.neighbours[0][0]) if c.neighbours and c.neighbours[0] else None
        asked = before is not None and candidates[before].is_question
        signals.append(
            {
                "meaning": meaning[i],
                "session_meaning": session_meaning[i],
                "session_words": around[i],
                "tokens": tokens[i],
                "session_tokens": session_tokens[i],
                "named_day": float(_is_named(c.memory, named)),
                "time_words": yes * c.names_time,
                "question": yes * c.is_question,
                "after_question": yes * asked,
                "answers_question": fit[before] if asked and before is not None else 0.0,
            }
        )
    weights = blend.load_weights()
    return {
        part: [sum(weights[name] * row[name] for name in names) for row in signals]
        for part, names in blend.PARTS.items()
    }


def _fill(values: Sequence[float | None], stand_in: Sequence[float], *, is_level: bool = True) -> list[float]:
    known = _spread([value for value in values if value is not None])
    if not known:
        return list(stand_in)
    others = [x for x, value in zip(stand_in, values, strict=True) if value is not None]
    shift = (sum(known) - sum(others)) / len(known) if is_level else 0.0
    spread = iter(known)
    filled = [x + shift if value is None else next(spread) for x, value in zip(stand_in, values, strict=True)]
    return [x - min([0.0, *filled]) for x in filled]


def _is_named(memory: Memory, named: Sequence[Period]) -> bool:
    return any(period.contains(memory.occurred_at) for period in named)


def _spread(values: Sequence[float]) -> list[float]:
    if not values:
        return []
    mean = sum(values) / len(values)
    deviation = sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    low = min(values)
    return [(value - low) / deviation if deviation > 1e-9 else 0.0 for value in values]


def _divide_by_maximum(values: Sequence[float]) -> list[float]:
    high = max(values, default=0.0)
    return [value / high if high > 0 else 0.0 for value in values]


def _compute_session_boosts(candidates: Sequence[Candidate], relevances: Sequence[float]) -> list[float]:
    own = {c.memory.key: r for c, r in zip(candidates, relevances, strict=True)}
    return [
        sum(
            share * max([own.get(memory_key, 0.0) for memory_key in memory_keys], default=0.0)
            for share, memory_keys in zip(ranking.SESSION_BOOSTS, candidate.neighbours, strict=False)
        )
        for candidate in candidates
    ]


def _promote_whole_match(candidates: Sequence[Candidate], order: list[int], limit: int | None) -> list[int]:
    def holds_all_words(candidate: Candidate) -> bool:
        return candidate.bm25 > 0 and candidate.coverage >= ranking.WHOLE_COVERAGE

    whole = next((place for place, i in enumerate(order) if holds_all_words(candidates[i])), 0)
    if limit is None or limit < 2 or whole < limit:
        return order
    return [*order[: limit - 1], order[whole], *order[limit - 1 : whole], *order[whole + 1 :]]


def _compute_factors(memory: Memory, project: str | None, now: datetime) -> dict[str, float]:
    age = max(now - memory.occurred_at, timedelta(0)) / ranking.RECENCY_HALF_LIFE
    is_own = memory.project is None or memory.project == project
    return {
        "recency": 1 - ranking.RECENCY_SHARE + ranking.RECENCY_SHARE * 0.5**age,
        "importance": 1 - ranking.IMPORTANCE_SHARE + ranking.IMPORTANCE_SHARE * memory.importance,
        "project": 1.0 if is_own else ranking.OTHER_PROJECT_FACTOR,
    }


def _estimate_probability(candidate: Candidate, count: int) -> float:
    evidence = {"coverage": candidate.coverage, "count": log10(min(max(count, 1), calibration.COUNTED))}
    known = "words"
    if candidate.cosine is not None:
        known, evidence["cosine"] = "meaning", min(max(candidate.cosine, 0.0), 1.0)
        if candidate.tokens is not None:
            known, evidence["tokens"] = "tokens", min(max(candidate.tokens, 0.0), 1.0)
    weights = calibration.load_weights()[known]
    logit = weights["bias"] + sum(weights[name] * evidence[name] for name in calibration.EVIDENCE[known])
    return 1 / (1 + exp(-logit))
