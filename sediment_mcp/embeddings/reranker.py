"""Score the first results of a query again by a cross-encoder, if one is configured.

It reads query and text together, which takes many times as long as the rest of a query. So it never stands
in the way: it loads in the background at the first query that could use it, and has
`BUDGET_MS` for all texts. Without its scores, the order stays as it is. Its runtime is imported when it is
loaded, never before.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from sediment_mcp.config import MODEL_EXTRA, RERANKER, Config
from sediment_mcp.embeddings.background_load import BackgroundLoader, LoadMessages
from sediment_mcp.errors import ModelFailed, ModelUnavailable

BUDGET_MS = 500.0
"""Milliseconds for all texts of a query; six layers take 15 of processor time for a short note."""
BATCH_TEXTS = 5
"""Texts that run together; between two batches the time is checked."""

UNCHANGED = "results keep the order that they have without it."
LOADING = f"The reranker is still loading: until then, {UNCHANGED}"
FAILED_TO_LOAD = f"The reranker failed to load: run `sediment-mcp doctor` to see why; {UNCHANGED}"
FAILED = (
    f"The reranker failed on a text: {UNCHANGED} See the server's log, or choose another one ({RERANKER})."
)
TOO_SLOW = (
    f"The reranker needs more than {BUDGET_MS:.0f} ms here: where it does, {UNCHANGED} "
    f"Choose a smaller one, or unset {RERANKER}."
)

logger = logging.getLogger(__name__)


class PairScorer(Protocol):
    """A loaded cross-encoder, used by one thread at a time."""

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers the query, 0 to 1.

        Raises:
            ModelFailed: the model fails on one of the texts.
        """
        ...


class TextScores(NamedTuple):
    """A score for each text; or none, and why, unless that has been said before."""

    values: list[float]
    problem: str = ""


def load_scorer(config: Config) -> PairScorer:
    """Load the configured cross-encoder.

    Raises:
        ModelUnavailable: it cannot be loaded.
    """
    try:
        from sediment_mcp.embeddings import cross_encoder
    except (ImportError, OSError) as error:  # OSError: a shared library that torch needs is missing
        raise ModelUnavailable(
            f"The reranker {config.reranker} needs the extra sentence-transformers, which cannot be imported "
            f'({error}): run pip install "{MODEL_EXTRA}", or unset {RERANKER} to do without.'
        ) from error
    return cross_encoder.load(config.reranker)


class Reranker(BackgroundLoader[PairScorer]):
    """Loads the cross-encoder when it is first needed, and scores; any thread may use it."""

    def __init__(
        self,
        load: Callable[[], PairScorer],
        timeout: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep ``load`` for the first call that needs the cross-encoder.

        ``timeout`` is how many seconds a call waits for it, ``clock`` gives the time in seconds.
        """
        super().__init__(load, timeout, LoadMessages(LOADING, FAILED_TO_LOAD, f"So {UNCHANGED}"))
        self._now = clock
        self._use = threading.Lock()
        self._told: set[str] = set()

    def score(self, query: str, texts: Sequence[str]) -> TextScores:
        """Return how well each text answers the query, 0 to 1, if that is to be had in time."""
        scorer = self.get()
        if scorer is None:
            return self._do_without(self.problem)
        deadline = self._now() + BUDGET_MS / 1000
        if not self._use.acquire(timeout=BUDGET_MS / 1000):
            return self._do_without(TOO_SLOW)
        try:
            return self._score_in_batches(scorer, query, texts, deadline)
        except ModelFailed:
            if FAILED not in self._told:
                logger.exception("The reranker failed on a text")
            return self._do_without(FAILED)
        finally:
            self._use.release()

    def _score_in_batches(
        self, scorer: PairScorer, query: str, texts: Sequence[str], deadline: float
    ) -> TextScores:
        values: list[float] = []
        for start in range(0, len(texts), BATCH_TEXTS):
            if self._now() > deadline:
                return self._do_without(TOO_SLOW)
            values += scorer.score(query, texts[start : start + BATCH_TEXTS])
        return TextScores(values)

    def _do_without(self, problem: str) -> TextScores:
        """Return no scores, with the reason if it has not been given yet."""
        if problem in self._told:
            return TextScores([])
        self._told.add(problem)
        logger.info("%s", problem)
        return TextScores([], problem)
