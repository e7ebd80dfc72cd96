"""Learn the weights of `score` and `match` from results in stores of several sizes.

    python benchmarks/calibrate.py --conversations PATH --developer-memories PATH --unanswerable FILE

asks as match.py does, with the model and without, learns a logistic regression for each of what may be known
of a memory, prints what it says of results that it was not learned from, and with `--write` puts the weights
into sediment_mcp/search/calibration.json. README.md beside this file says more.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import log10

import numpy as np
from hosts import Remembered
from match import Result, add_arguments, measure, read_chosen, show_reliability, show_weak
from numpy.typing import NDArray
from rich.console import Console

from sediment_mcp.search import calibration

FOLDS = 5  # of questions
RIDGE = 1e-3
STEPS = 30
COMMAND = "python benchmarks/calibrate.py --conversations … --developer-memories … --unanswerable … --write"

Array = NDArray[np.float64]


def tabulate(results: Sequence[Result], known: str) -> Array:
    """Return the evidence (n, names + 1), 1 in the last column for the bias."""
    return np.array([[*(_read(one, name) for name in calibration.EVIDENCE[known]), 1.0] for one in results])


def _read(result: Result, name: str) -> float:
    if name == "count":
        return log10(min(max(result.size, 1), calibration.COUNTED))
    value = result.signals[{"cosine": "semantic"}.get(name, name)]
    return min(max(value, 0.0), 1.0)


def weigh(results: Sequence[Result]) -> Array:
    """Return weights with which each size, kind and sort of question counts alike."""
    keys = [(one.size, one.kind, one.is_answerable) for one in results]
    counts = Counter(keys)
    weights = np.array([1 / counts[key] for key in keys])
    return weights / weights.sum()


def regress(rows: Array, is_right: Array, weights: Array) -> Array:
    """Return the weights of a logistic regression, found by Newton's method."""
    ridge = 2 * RIDGE * np.diag([*np.ones(rows.shape[1] - 1), 0.0])
    found = np.zeros(rows.shape[1])
    for _ in range(STEPS):
        chances = 1 / (1 + np.exp(-rows @ found))
        gradient = rows.T @ (weights * (chances - is_right)) + ridge @ found
        curvature = (rows.T * (weights * chances * (1 - chances))) @ rows + ridge
        found = found - np.linalg.solve(curvature, gradient)
    return found


def cross_validate(results: Sequence[Result], known: str) -> list[Result]:
    """Return the results with scores and matches that were not learned from their questions."""
    questions = list(dict.fromkeys(one.question for one in results))
    order = np.random.default_rng(0).permutation(len(questions))
    fold = {questions[place]: number % FOLDS for number, place in enumerate(order)}
    judged: list[Result] = []
    for number in range(FOLDS):
        weights = learn([one for one in results if fold[one.question] != number], known)
        held_out = [one for one in results if fold[one.question] == number]
        chances = 1 / (1 + np.exp(-tabulate(held_out, known) @ weights))
        judged += [
            replace(
                one,
                score=chance,
                match=calibration.classify_match(chance, one.size, is_embedded=known != "words"),
            )
            for one, chance in zip(held_out, chances.tolist(), strict=True)
        ]
    return judged


def learn(results: Sequence[Result], known: str) -> Array:
    """Learn to tell right results from those where nothing answers.

    A wrong one beside an answer is neither: in conversations it is often the message before or after.
    """
    results = [one for one in results if one.is_right or not one.is_answerable]
    is_right = np.array([one.is_right for one in results], np.float64)
    return regress(tabulate(results, known), is_right, weigh(results))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_arguments(parser)
    parser.add_argument("--write", action="store_true", help=f"write {calibration.FILE.name} in the package")
    chosen, sources = read_chosen(parser)
    model = Remembered(chosen.embeddings)
    with_model, words_only = (measure(sources, one, chosen.largest) for one in (model, None))
    model.save()
    with_model, words_only = ([one for one in some if one.rank == 0] for some in (with_model, words_only))
    embedded = [one for one in with_model if {"semantic", "tokens"} <= one.signals.keys()]
    console, weights = Console(width=110), dict[str, dict[str, float]]()
    for known, results in (("tokens", embedded), ("meaning", embedded), ("words", words_only)):
        judged = cross_validate(results, known)
        console.print(f"known: {known}; cross-validated", show_weak(judged), show_reliability(judged))
        names = (*calibration.EVIDENCE[known], "bias")
        weights[known] = dict(zip(names, learn(results, known).round(3).tolist(), strict=True))
    console.print(weights)
    if chosen.write:
        provenance = {
            "command": COMMAND,
            "model": f"logistic regression, ridge {RIDGE}; half of the questions have no answer in the store",
            "results": {"with the model": len(embedded), "words only": len(words_only)},
            "largest_store": chosen.largest,
        }
        written = json.dumps({"weights": weights, "provenance": provenance}, indent=1, ensure_ascii=False)
        calibration.FILE.write_text(written + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
