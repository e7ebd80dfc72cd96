"""Blend signals of how well memories fit a query into one relevance, by learned weights.

    relevance = sum of weight · signal, 0 or more                                        see `compute_signals`

The model is linear. Its weights stand in `blend.json`, with the data, the command and the folds that they
come from (docs/decisions/0019-learned-blend.md); they were found by maximising the likelihood of the memories
that answer among the candidates of a query (listwise softmax: Z. Cao et al., "Learning to rank: from pairwise
approach to listwise approach", ICML 2007). Signals are brought to the same spread over the candidates of a
query, and a memory that lacks one gets a stand-in, so that it is neither lost nor favoured.

All functions are pure, but that the weights are read once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sediment_mcp.search.fusion import spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sediment_mcp.search.candidates import Candidates, Column

FILE = Path(__file__).with_name("blend.json")

PARTS = {
    "meaning": ("meaning", "session_meaning"),
    "words": ("session_words",),
    "tokens": ("tokens", "session_tokens"),
    "date": ("named_day", "time_words"),
    "session": ("question", "after_question", "answers_question"),
}
"""A part of the relevance, as it is shown to people → the signals that it is the weighted sum of."""
SIGNALS = tuple(signal for signals in PARTS.values() for signal in signals)
"""The names of the signals, in the order of the columns that a model is trained on."""

USUAL_BEST_FIT = 4.0
"""Standard deviations that the best of many candidates stands above the least. The best of a few stands less
far above, so that a memory names a time, is a question or follows one counts less there, too. A day that the
query names counts in full: it is asked for."""

USUAL_BEST_COVERAGE = 0.5
"""Of the query's term weight, the share that the best candidate by it holds where words count in full. Where
none holds as much, they count less, in proportion: the few memories that share a stray word with the query,
which may be in another language, stand many deviations above all others, however little that says."""


@cache
def load_weights() -> dict[str, float]:
    """Return the weight of each signal."""
    weights: dict[str, float] = json.loads(FILE.read_text(encoding="utf-8"))["weights"]
    return {signal: weights[signal] for signal in SIGNALS}


def has_signals(candidates: Candidates) -> bool:
    """Return True if any candidate has what the blend is made of: token vectors."""
    return bool(candidates.has_tokens.any())


def blend_signals(candidates: Candidates, is_of_named_day: NDArray[np.bool_]) -> dict[str, Column]:
    """Return the parts of each candidate's relevance, by the names of `PARTS`.

    That of the session may be negative.
    """
    weights = load_weights()
    signals = compute_signals(candidates, is_of_named_day)
    return {
        part: sum((weights[name] * signals[name] for name in names), np.zeros(len(candidates)))
        for part, names in PARTS.items()
    }


def compute_signals(candidates: Candidates, is_of_named_day: NDArray[np.bool_]) -> Mapping[str, Column]:
    """Return each of `SIGNALS` as a column (n,) of values from 0 upwards.

    ``is_of_named_day`` (n,) says which memories are of a day that the query names. Where there is no
    embedding, the words take the place of meaning as far as they cover the query; where there are no token
    vectors, meaning takes their place.
    """
    words, session_words = spread(candidates.bm25), spread(candidates.context_bm25)
    covered = (words + session_words) / 2 * candidates.coverages
    shared = min(1.0, float(candidates.coverages.max(initial=0.0)) / USUAL_BEST_COVERAGE)
    words, session_words = shared * words, shared * session_words
    meaning = _fill(candidates.cosines, covered)
    session_meaning = _fill(candidates.context_cosines, covered)
    tokens = _fill(candidates.tokens, meaning, is_level=True)
    session_tokens = _fill(candidates.context_tokens, session_meaning, is_level=True)
    fit = (meaning + session_meaning + words + session_words + tokens + session_tokens) / 6
    yes = min(1.0, float(fit.max(initial=0.0)) / USUAL_BEST_FIT)
    after_question, answers_question = np.zeros((2, len(candidates)))
    for link in candidates.links:
        if link.offset == -1:
            asked = candidates.is_question[link.neighbours]
            after_question[link.rows] = asked * yes
            answers_question[link.rows] = asked * fit[link.neighbours]
    return {
        "meaning": meaning,
        "session_meaning": session_meaning,
        "session_words": session_words,
        "tokens": tokens,
        "session_tokens": session_tokens,
        "named_day": is_of_named_day.astype(np.float64),
        "time_words": np.where(candidates.names_time, yes, 0.0),
        "question": np.where(candidates.is_question, yes, 0.0),
        "after_question": after_question,
        "answers_question": answers_question,
    }


def _fill(values: Column, stand_in: Column, *, is_level: bool = False) -> Column:
    """Return the spread of the values that are known, and a stand-in for those that are NaN.

    The stand-in is a spread too. With ``is_level`` it is shifted so that its mean over what is known is that
    of the values: it then says how a memory stands beside those that have a value, however few these are.
    """
    is_known = ~np.isnan(values)
    if not is_known.any():
        return stand_in
    known = spread(values[is_known])
    filled = stand_in + (known.mean() - stand_in[is_known].mean() if is_level else 0.0)
    filled[is_known] = known
    return filled - min(0.0, float(filled.min()))
