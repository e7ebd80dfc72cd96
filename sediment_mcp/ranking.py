"""Candidates and the time of day in, the order and its reasons out. Pure: nothing is read or kept.

Two questions are answered apart. *In what order?* Cosine and BM25 are each normalised over the query's
candidates and added; neighbours in a session lend some of their relevance; age, importance and project
nudge. *How well does it fit?* The score is absolute, so that it means the same for every query: it is
made of the cosine and of the share of the query's words, and is then made to fall along the order.

    relevance = fuse(min-max cosine, BM25 / best BM25)       see `min_max`, `over_maximum`, `fuse`
    order by    (relevance + lent) * nudges                  see `lent`, `nudges`
    score     = non_increasing(evidence * nudges)            see `evidence`, `non_increasing`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from .memory import Candidate, Memory, ScoredMemory

LEXICAL_WEIGHT = 0.4  # conversations like 0.5, notes of developers 0.3; this serves both
LENT_BY_DISTANCE = (0.2, 0.1)  # the share of its relevance that a neighbour in the session lends
HALF_LIFE = timedelta(days=90)
NUDGE = 0.05  # age and importance each move a score by at most this share: old facts still hold
OTHER_PROJECT = 0.8
STRONG_COSINE = 0.40  # provisional, until measured: MiniLM's unrelated texts rarely reach it
STRONG_COVERAGE = 0.6  # provisional, until measured: most of what is rare in the question is there


def rank(candidates: Sequence[Candidate], *, project: str | None, now: datetime) -> list[ScoredMemory]:
    """Order ``candidates``, best first; ties go to the newer ``occurred_at``, then the higher number.

    ``project`` is the one that the question comes from (None: none), ``now`` is timezone-aware.
    """
    relevance = relevances(candidates)
    context = lent(candidates, relevance)
    ordered: list[tuple[float, ScoredMemory]] = []
    for candidate, own, extra, lexical in zip(
        candidates, relevance, context, over_maximum([c.bm25 for c in candidates]), strict=True
    ):
        factors = nudges(candidate.memory, project, now)
        factor = factors["recency"] * factors["importance"] * factors["project"]
        signals = {"lexical": lexical, "context": extra, **factors}
        if candidate.cosine is not None:
            signals["semantic"] = candidate.cosine
        scored = ScoredMemory(candidate, evidence(candidate) * factor, match(candidate), _rounded(signals))
        ordered.append(((own + extra) * factor, scored))
    ordered.sort(key=_best_first, reverse=True)
    return _with_falling_scores([scored for _, scored in ordered])


def _best_first(item: tuple[float, ScoredMemory]) -> tuple[float, datetime, int]:
    memory = item[1].candidate.memory
    return item[0], memory.occurred_at, memory.number


def _rounded(signals: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in signals.items()}


def _with_falling_scores(ordered: Sequence[ScoredMemory]) -> list[ScoredMemory]:
    scores = non_increasing([scored.score for scored in ordered])
    return [
        ScoredMemory(scored.candidate, round(score, 4), scored.match, scored.signals)
        for scored, score in zip(ordered, scores, strict=True)
    ]


# --- in what order? -----------------------------------------------------------------------------


def relevances(candidates: Sequence[Candidate]) -> list[float]:
    """The fused relevance (0 to 1) of each candidate; without any embedding, words alone decide."""
    words = over_maximum([candidate.bm25 for candidate in candidates])
    known = [candidate.cosine for candidate in candidates if candidate.cosine is not None]
    if not known:
        return words
    meaning = iter(min_max(known))
    return [
        fuse(stand_in(candidate, lexical) if candidate.cosine is None else next(meaning), lexical)
        for candidate, lexical in zip(candidates, words, strict=True)
    ]


def min_max(values: Sequence[float]) -> list[float]:
    """(x - min) / (max - min); 1 for each where all are equal.

    J. H. Lee, "Analyses of multiple evidence combination", SIGIR 1997.
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    return [(value - low) / (high - low) if high > low else 1.0 for value in values]


def over_maximum(values: Sequence[float]) -> list[float]:
    """x / max, for scores whose zero means "nothing in common", as BM25's does; 0 where all are."""
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


def lent(candidates: Sequence[Candidate], relevance: Sequence[float]) -> list[float]:
    """What each candidate gets from its neighbours in the session, as far as they are candidates too: at
    each distance the better of the two lends (as good as both in conversations, and bounded by
    ``sum(LENT_BY_DISTANCE)``, so that a memory without a session is not left behind)."""
    own = {c.memory.number: r for c, r in zip(candidates, relevance, strict=True)}
    return [
        sum(
            share * max((own.get(number, 0.0) for number in numbers), default=0.0)
            for share, numbers in zip(LENT_BY_DISTANCE, candidate.neighbours, strict=False)
        )
        for candidate in candidates
    ]


def nudges(memory: Memory, project: str | None, now: datetime) -> dict[str, float]:
    """The factors that say something of the memory and nothing of the question."""
    return {
        "recency": recency(now - memory.occurred_at),
        "importance": importance(memory.importance),
        "project": project_factor(memory.project, project),
    }


def recency(age: timedelta) -> float:
    """1 now, 1 - `NUDGE` at the end of time, halfway between after one `HALF_LIFE`; the future is now."""
    return 1 - NUDGE + NUDGE * 0.5 ** (max(age, timedelta(0)) / HALF_LIFE)


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
    near = candidate.cosine is not None and candidate.cosine >= STRONG_COSINE
    return "strong" if near or candidate.coverage >= STRONG_COVERAGE else "weak"


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
