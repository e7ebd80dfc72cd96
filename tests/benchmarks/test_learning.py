"""What is learned from made-up cases: weights that put right before wrong, and probabilities that hold."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.append(str(FOLDER / "ranking"))

import calibrate  # noqa: E402  the path above comes first
from learning import judge, learn  # noqa: E402
from recording import Case  # noqa: E402


def make_cases(count: int, seed: int) -> list[Case]:
    """Return cases whose right memory is high in the first signal, low in the second; the third is noise."""
    chance = np.random.default_rng(seed)
    cases: list[Case] = []
    for number in range(count):
        signals = chance.normal(size=(20, 3))
        utility = 2 * signals[:, 0] - signals[:, 1] + chance.gumbel(size=20)
        is_right = np.arange(20) == utility.argmax()
        none = np.zeros(20)
        cases.append(Case("", str(number), 1, is_right, signals, none, none, ()))
    return cases


def test_the_weights_that_made_the_cases_are_learned_again() -> None:
    weights = learn([(1.0, make_cases(3000, seed=1))])
    assert weights[0] / -weights[1] == pytest.approx(2, abs=0.15)
    assert abs(weights[2]) < 0.1 < -weights[1]


def test_what_is_learned_ranks_cases_that_it_has_not_seen() -> None:
    weights = learn([(1.0, make_cases(500, seed=1))])
    outcomes = judge(make_cases(300, seed=2), lambda case: case.signals @ weights)
    assert np.mean([outcome.ranks[0] == 0 for outcome in outcomes]) > 0.5


def test_a_data_set_s_share_is_the_same_however_many_cases_it_has() -> None:
    some, others = make_cases(100, seed=1), make_cases(100, seed=2)
    once, thrice = learn([(1.0, some), (0.5, others)]), learn([(1.0, some), (0.5, others * 3)])
    assert once == pytest.approx(thrice, abs=0.01)


def test_a_logistic_regression_finds_the_probabilities_that_made_the_results() -> None:
    chance = np.random.default_rng(3)
    rows = np.c_[chance.normal(size=(20_000, 2)), np.ones(20_000)]
    is_right = (chance.random(20_000) < 1 / (1 + np.exp(-rows @ [1.5, -0.5, 0.3]))).astype(float)
    weights = calibrate.regress(rows, is_right, np.full(20_000, 1 / 20_000))
    assert weights == pytest.approx([1.5, -0.5, 0.3], abs=0.1)
