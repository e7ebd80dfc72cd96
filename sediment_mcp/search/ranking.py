"""Candidates, the question and the time of day in, the order and its reasons out. Pure.

Two questions are answered apart. *In what order?* Cosine and BM25, each of the passage and of the passage
in its context, are brought to the same spread over the query's candidates and added; days that the
question names count extra; neighbours in a session lend some of their relevance; age, importance and
project nudge. Where the question asks for the present, the newest of the most relevant comes first. *How
well does it fit?* The score is absolute, so that it means the same for every query: it is made of the
cosine and of the share of the query's words, and is then made to fall along the order.

    relevance = fuse(spread of cosines, spread of BM25) + named day     see `relevances`
    order by    (relevance + lent) / best * nudges                      see `lent`, `nudges`, `newest_first`
    score     = non_increasing(evidence * nudges)                       see `evidence`, `non_increasing`

The constants serve all data alike. They were chosen by cross-validation over conversations and notes of
developers (benchmarks/README.md), where their neighbourhood is a plateau.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import prod, sqrt
from typing import Literal

from sediment_mcp.domain.memory import Candidate, Memory, ScoredMemory
from sediment_mcp.search.query_dates import Period, asks_for_the_present, periods

LEXICAL_WEIGHT = 0.4
NAMED_DAY = 1.5  # standard deviations of relevance that a memory of a day named in the question gains
LENT_BY_DISTANCE = (0.3, 0.2)  # the share of its relevance that a neighbour in the session lends
HALF_LIFE = timedelta(days=90)
AGE_NUDGE = 0.02  # age moves a memory by at most this share: old facts still hold
NUDGE = 0.05  # importance by at most this
OTHER_PROJECT = 0.8
CONTENDERS = 10  # so many of the most relevant are put in the order of time by a question for the present …
SUCCESSION = timedelta(days=20)  # … where so much age outweighs twice the relevance
# A match is strong by its evidence, or by nearness alone, because a paraphrase shares no word. Of MiniLM's
# best results for 996 questions that the memories could not answer, 87 % lie below both bounds, and 4 % of
# the best results that were right.
STRONG = 0.33
STRONG_COSINE = 0.45
WHOLE = 0.999  # the coverage of a text that holds every word of the question, but for rounding
STRONG_COVERAGE = 0.6  # where there is no embedding: most of what is rare in the question is there


def rank(
    candidates: Sequence[Candidate],
    *,
    project: str | None,
    now: datetime,
    question: str = "",
    limit: int | None = None,
) -> list[ScoredMemory]:
    """The ``limit`` best of the ``candidates`` (None: all), best first; ties go to the newer ``occurred_at``,
    then the higher number.

    ``project`` is the one that the question comes from (None: none), ``now`` is timezone-aware, ``question``
    is read for what it says about time.
    """
    named = periods(question, now.date())
    own = relevances(candidates, named)
    context = lent(candidates, own)
    total = [one + extra for one, extra in zip(own, context, strict=True)]
    relevance = over_maximum(total) if any(total) else [1.0] * len(total)
    factors = [nudges(candidate.memory, project, now) for candidate in candidates]
    nudged = [prod(factor.values()) for factor in factors]
    values = [share * factor for share, factor in zip(relevance, nudged, strict=True)]
    order = best_first(candidates, values, range(len(candidates)))
    if asks_for_the_present(question):
        order[:CONTENDERS] = newest_first(candidates, values, order[:CONTENDERS])
    order = with_whole_match(candidates, order, limit)
    scores = non_increasing([evidence(candidates[i]) * nudged[i] for i in order])
    words = over_maximum([candidate.bm25 for candidate in candidates])
    return [
        _scored(
            candidates[i],
            score,
            {
                "relevance": relevance[i],
                "lexical": words[i],
                "context": context[i] / (own[i] + context[i] or 1.0),
            }
            | factors[i],
            named,
        )
        for i, score in zip(order[:limit], scores, strict=False)
    ]


def foremost(
    candidates: Sequence[Candidate], *, project: str | None, now: datetime, question: str, most: int
) -> list[Memory]:
    """At most so many of the candidates' memories, those that lead before their neighbours are known: who
    stands far behind them is not carried into the answer by neighbours, nor are these."""
    own = relevances(candidates, periods(question, now.date()))
    values = [
        value * project_factor(candidate.memory.project, project)
        for value, candidate in zip(own, candidates, strict=True)
    ]
    return [candidates[i].memory for i in best_first(candidates, values, range(len(candidates)))[:most]]


def with_whole_match(candidates: Sequence[Candidate], order: list[int], limit: int | None) -> list[int]:
    """The order, in which the last of the first ``limit`` places goes to a memory that holds all the words of
    the question, if there is one and none stands before: many that all lie a little near must not hide
    the only one that has the very word, such as a name that means nothing to the model. Who asks for one
    memory gets the best."""
    whole = next((place for place, i in enumerate(order) if _holds_all(candidates[i])), 0)
    if limit is None or limit < 2 or whole < limit:
        return order
    return [*order[: limit - 1], order[whole], *order[limit - 1 : whole], *order[whole + 1 :]]


def _holds_all(candidate: Candidate) -> bool:
    return candidate.bm25 > 0 and candidate.coverage >= WHOLE


def _scored(
    candidate: Candidate, score: float, signals: dict[str, float], named: Sequence[Period]
) -> ScoredMemory:
    if candidate.cosine is not None:
        signals["semantic"] = candidate.cosine
    if named:
        signals["date"] = float(is_named(candidate.memory, named))
    rounded = {name: round(value, 4) for name, value in signals.items()}
    return ScoredMemory(candidate, round(score, 4), match(candidate), rounded)


# --- in what order? -----------------------------------------------------------------------------


def relevances(candidates: Sequence[Candidate], named: Sequence[Period] = ()) -> list[float]:
    """The fused relevance of each candidate, 0 or more, in standard deviations; without any embedding,
    words alone decide."""
    around = [c.bm25 if c.context_bm25 is None else c.context_bm25 for c in candidates]
    words = _mean(spread([c.bm25 for c in candidates]), spread(around))
    known = [_nearness(candidate) for candidate in candidates if candidate.cosine is not None]
    if not known:
        fused = words
    else:
        meaning = iter(spread(known))
        fused = [
            fuse(stand_in(candidate, lexical) if candidate.cosine is None else next(meaning), lexical)
            for candidate, lexical in zip(candidates, words, strict=True)
        ]
    if not named:
        return fused
    return [
        relevance + (NAMED_DAY if is_named(candidate.memory, named) else 0.0)
        for candidate, relevance in zip(candidates, fused, strict=True)
    ]


def _mean(one: Sequence[float], other: Sequence[float]) -> list[float]:
    return [(a + b) / 2 for a, b in zip(one, other, strict=True)]


def _nearness(candidate: Candidate) -> float:
    """The cosine of the passage and that of the passage in its context, half and half."""
    own = candidate.cosine or 0.0
    return own if candidate.context_cosine is None else (own + candidate.context_cosine) / 2


def spread(values: Sequence[float]) -> list[float]:
    """(x - min) / standard deviation; 0 for each where all are equal.

    The z-score, shifted so that the least is 0: a leg that tells its candidates apart clearly counts
    more than one that finds them all alike. M. Montague and J. A. Aslam, "Relevance score normalization
    for metasearch", CIKM 2001 ("zero-mean, unit-variance").
    """
    if not values:
        return []
    mean = sum(values) / len(values)
    deviation = sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    low = min(values)
    return [(value - low) / deviation if deviation > 1e-9 else 0.0 for value in values]


def over_maximum(values: Sequence[float]) -> list[float]:
    """x / max, for values whose zero means "nothing"; 0 where all are."""
    high = max(values, default=0.0)
    return [value / high if high > 0 else 0.0 for value in values]


def fuse(semantic: float, lexical: float) -> float:
    """The weighted sum of two normalised scores.

    E. A. Fox and J. A. Shaw, "Combination of multiple searches", TREC-2, 1994 (CombSUM), with weights.
    """
    return (1 - LEXICAL_WEIGHT) * semantic + LEXICAL_WEIGHT * lexical


def stand_in(candidate: Candidate, lexical: float) -> float:
    """The semantic part of a memory that has no embedding yet, while others have one.

    A memory stored a moment ago that holds the question's words must not drown; one that shares a single
    word must not float. So its words speak for its meaning as far as they cover the question.
    """
    return lexical * candidate.coverage


def is_named(memory: Memory, named: Sequence[Period]) -> bool:
    """Whether the memory is of a day that the question names (in UTC)."""
    return any(period.holds(memory.occurred_at.date()) for period in named)


def lent(candidates: Sequence[Candidate], relevance: Sequence[float]) -> list[float]:
    """What each candidate gets from its neighbours in the session, as far as they are candidates too: at
    each distance the better of the two lends (as good as both in conversations, and bounded by
    ``sum(LENT_BY_DISTANCE)``, so that a memory without a session is not left behind)."""
    own = {c.memory.number: r for c, r in zip(candidates, relevance, strict=True)}
    return [
        sum(
            share * max([own.get(number, 0.0) for number in numbers], default=0.0)
            for share, numbers in zip(LENT_BY_DISTANCE, candidate.neighbours, strict=False)
        )
        for candidate in candidates
    ]


def best_first(candidates: Sequence[Candidate], values: Sequence[float], among: Iterable[int]) -> list[int]:
    """The positions ``among`` by falling value, then newest ``occurred_at``, then highest number."""

    def key(position: int) -> tuple[float, datetime, int]:
        memory = candidates[position].memory
        return values[position], memory.occurred_at, memory.number

    return sorted(among, key=key, reverse=True)


def newest_first(
    candidates: Sequence[Candidate], values: Sequence[float], contenders: Sequence[int]
) -> list[int]:
    """The contenders' positions in the order for a question that asks for the present.

    Newer versions of a fact are often worded quite differently, so values from 0 to 1 count half to one,
    and halve with every `SUCCESSION` by which a memory is older than the newest of them.
    """
    newest = max((candidates[i].memory.occurred_at for i in contenders), default=None)
    if newest is None:
        return []
    rated = list(values)
    for i in contenders:
        rated[i] = (1 + values[i]) / 2 * 0.5 ** ((newest - candidates[i].memory.occurred_at) / SUCCESSION)
    return best_first(candidates, rated, contenders)


def nudges(memory: Memory, project: str | None, now: datetime) -> dict[str, float]:
    """The factors that say something of the memory and nothing of the question."""
    return {
        "recency": recency(now - memory.occurred_at),
        "importance": importance(memory.importance),
        "project": project_factor(memory.project, project),
    }


def recency(age: timedelta) -> float:
    """1 now, 1 - `AGE_NUDGE` at the end of time, halfway after one `HALF_LIFE`; the future is now."""
    return 1 - AGE_NUDGE + AGE_NUDGE * 0.5 ** (max(age, timedelta(0)) / HALF_LIFE)


def importance(value: float) -> float:
    """1 for the greatest importance (1), 1 - `NUDGE` for the least (0)."""
    return 1 - NUDGE + NUDGE * value


def project_factor(owner: str | None, asking: str | None) -> float:
    """`OTHER_PROJECT` for another project's memory, 1 for one's own and for global ones."""
    return 1.0 if owner is None or owner == asking else OTHER_PROJECT


# --- how well does it fit? ----------------------------------------------------------------------


def evidence(candidate: Candidate) -> float:
    """How well a memory answers, 0 to 1 and comparable between queries: cosine and coverage, weighted
    like the order is. Coverage alone speaks where there is no embedding."""
    if candidate.cosine is None:
        return candidate.coverage
    return fuse(min(max(candidate.cosine, 0.0), 1.0), candidate.coverage)


def match(candidate: Candidate) -> Literal["strong", "weak"]:
    """Whether the memory really fits, or is only the nearest there is."""
    if candidate.cosine is None:
        return "strong" if candidate.coverage >= STRONG_COVERAGE else "weak"
    fits = evidence(candidate) >= STRONG or candidate.cosine >= STRONG_COSINE
    return "strong" if fits else "weak"


def non_increasing(values: Sequence[float]) -> list[float]:
    """The falling sequence nearest to ``values`` (least squares): runs that rise share their mean.

    Pool adjacent violators: M. Ayer et al., "An empirical distribution function for sampling with
    incomplete information", Annals of Mathematical Statistics 26, 1955.
    """
    pools: list[tuple[float, int]] = []  # mean, length
    for value in values:
        mean, length = value, 1
        while pools and pools[-1][0] < mean:
            before, count = pools.pop()
            mean, length = (before * count + mean * length) / (count + length), count + length
        pools.append((mean, length))
    return [mean for mean, length in pools for _ in range(length)]
