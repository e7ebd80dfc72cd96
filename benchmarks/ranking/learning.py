"""Learn the weights of a linear model from cases, and say how well it ranks.

The loss is the listwise softmax (Z. Cao et al., "Learning to rank: from pairwise approach to listwise
approach", ICML 2007, top-one probabilities) with a ridge, found by Newton's method, since it is convex.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from metrics import Outcome
from numpy.typing import NDArray
from recording import Case

RIDGE = 0.03  # on weights of signals of standard deviation 1
STEPS = 50
SMALLEST_STEP, SMALLEST_GAIN = 1e-4, 1e-9

Weights = NDArray[np.float64]


def learn(parts: Sequence[tuple[float, Sequence[Case]]]) -> Weights:
    """Return the weights of the signals; each part of the cases has its share of the loss."""
    usable = [(share, [case for case in cases if case.is_right.any()]) for share, cases in parts]
    cases = [case for _, some in usable for case in some]
    total = sum(share for share, _ in usable)
    shares = np.concatenate([np.full(len(some), share / total / max(len(some), 1)) for share, some in usable])
    counts = np.array([len(case.is_right) for case in cases])
    starts = np.r_[0, np.cumsum(counts)[:-1]]
    rows = np.concatenate([case.signals for case in cases])
    wanted = np.concatenate([case.is_right / case.is_right.sum() for case in cases])
    scale = rows.std(axis=0) + 1e-9
    rows, weight = rows / scale, np.repeat(shares, counts)

    def compute_loss(weights: Weights) -> tuple[float, NDArray[np.float64]]:
        """Return the loss and the chance of each row to be the one that answers."""
        scores = rows @ weights
        scores -= np.repeat(np.maximum.reduceat(scores, starts), counts)
        raised = np.exp(scores)
        sums = np.repeat(np.add.reduceat(raised, starts), counts)
        likelihood = weight * wanted * (scores - np.log(sums))
        return float(RIDGE * weights @ weights - likelihood.sum()), raised / sums

    found = np.zeros(rows.shape[1])
    loss, chances = compute_loss(found)
    for _ in range(STEPS):
        gradient = rows.T @ (weight * (chances - wanted)) + 2 * RIDGE * found
        means = np.add.reduceat(chances[:, None] * rows, starts, axis=0)
        curvature = (rows.T * (weight * chances)) @ rows - (means.T * shares) @ means
        step = np.linalg.solve(curvature + 2 * RIDGE * np.eye(len(found)), gradient)
        size = 1.0
        while (tried := compute_loss(found - size * step))[0] > loss and size > SMALLEST_STEP:
            size /= 2
        gained, (loss, chances) = loss - tried[0], tried
        found = found - size * step
        if gained < SMALLEST_GAIN:
            break
    return found / scale


def judge(cases: Sequence[Case], relevance: Callable[[Case], NDArray[np.float64]]) -> list[Outcome]:
    """Return where the right memories of each case stand by a relevance (n,)."""
    outcomes: list[Outcome] = []
    for case in cases:
        order = np.argsort(-relevance(case), kind="stable")
        ranks = tuple(np.flatnonzero(case.is_right[order]).tolist())
        outcomes.append(Outcome(case.cluster, case.group, case.answers, ranks, "strong"))
    return outcomes
