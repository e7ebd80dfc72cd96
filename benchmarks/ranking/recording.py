"""Ask the questions of the data sets in process, and keep what the ranking knew of each candidate.

A case is one question: its candidates' signals as the package computes them, and which of them answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from data_sets import DataSet
from hosts import InProcess, Remembered
from numpy.typing import NDArray

from sediment_mcp.search import blend, fusion, ranking, retriever
from sediment_mcp.search.candidates import Candidates
from sediment_mcp.search.session_context import Link
from sediment_mcp.tuning import Tuning

LIMITS = (5, 50)  # results asked for, on which depends how many candidates there are


@dataclass(frozen=True)
class Case:
    """A question, its n candidates, and which of them answer.

    ``cluster`` is the conversation, or the question, that must not be learned from where this is tested;
    ``answers`` is how many memories answer, found or not. ``signals`` (n, signals) are the columns that are
    learned from, ``hand`` (n,) is the hand-set relevance without token vectors and neighbours.
    """

    group: str
    cluster: str
    answers: int
    is_right: NDArray[np.bool_]
    signals: NDArray[np.float64]
    hand: NDArray[np.float64]
    phrases: NDArray[np.float64]
    links: Sequence[Link]


@dataclass
class Recorder:
    """Opens stores with a model that remembers, and records the candidates of each question."""

    model: Remembered
    limit: int
    _seen: list[tuple[Candidates, ranking.Asking]] = field(default_factory=list[Any])

    def record(self, data: DataSet) -> list[Case]:
        """Store a data set, ask its questions, and return a case for each."""
        retriever.rank, rank = self._note, retriever.rank
        try:
            with closing(InProcess(self.model, Tuning())) as host:
                for memory in data.memories:
                    host.store(memory)
                return [self._ask(host, data, number) for number in range(len(data.questions))]
        finally:
            retriever.rank = rank

    def _note(
        self, candidates: Candidates, asking: ranking.Asking, **more: Any
    ) -> list[ranking.RankedCandidate]:
        self._seen.append((candidates, asking))
        return ranking.rank(candidates, asking, **more)

    def _ask(self, host: InProcess, data: DataSet, number: int) -> Case:
        question = data.questions[number]
        self._seen.clear()
        host.query({"query": question.text, "limit": self.limit})
        ((candidates, asking),) = self._seen
        right = {data.memories[answer]["content"] for answer in question.answers}
        is_of_day = ranking.find_named(candidates, asking.named)
        signals = blend.compute_signals(candidates, is_of_day)
        parts = fusion.fuse_scores(candidates) | {"date": np.where(is_of_day, ranking.NAMED_DAY_BONUS, 0.0)}
        own = ranking.sum_parts(candidates, parts)
        return Case(
            group=question.group,
            cluster=question.cluster,
            answers=len(right),
            is_right=np.array([chunk.content in right for chunk in candidates.chunks], np.bool_),
            signals=np.stack([signals[name] for name in blend.SIGNALS], axis=1),
            hand=own,
            phrases=candidates.phrases,
            links=candidates.links,
        )
