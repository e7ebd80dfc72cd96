"""Learn the weights of the ranking, and say how well they rank what they were not learned from.

    python benchmarks/ranking --conversations PATH --developer-memories PATH --devmembench PATH [--write]

asks all questions in process, cross-validates, prints a table, and with --write puts the weights learned from
all cases, with these figures, into sediment_mcp/search/blend.json. README.md one folder up says more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402  the path above comes first
from data_sets import conversations, developer_memories, devmembench  # noqa: E402
from hosts import Remembered  # noqa: E402
from learning import RIDGE, judge, learn  # noqa: E402
from metrics import Measure, Outcome, add_up, change, hit, mean, recall, reciprocal_rank  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from recording import LIMITS, Case, Recorder  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import track  # noqa: E402
from rich.table import Table  # noqa: E402

from sediment_mcp.config import DEFAULT_MODEL  # noqa: E402
from sediment_mcp.search import blend, phrase_match  # noqa: E402

Cases = Mapping[str, Sequence[Case]]
Relevance = Callable[[Case], NDArray[np.float64]]
SHARES = {"conversations": 1.0, "developer memories": 0.3, "DevMemBench": 0.2}
"""Of each data set in the loss."""
FOLDS = 5
COMMAND = "python benchmarks/ranking --conversations … --developer-memories … --devmembench … --write"
SHOWN: dict[str, dict[str, Measure]] = {
    "conversations": {f"R@{k}": recall(k) for k in (1, 5, 10, 20)},
    "developer memories": {"R@1": hit(1), "R@5": hit(5), "MRR": reciprocal_rank},
    "DevMemBench": {"R@1": hit(1), "R@5": hit(5), "MRR": reciprocal_rank},
}


# --- cases --------------------------------------------------------------------------------------


def record(chosen: argparse.Namespace, model: Remembered, limit: int) -> Cases:
    recorder = Recorder(model, limit)
    sets = conversations(chosen.conversations)
    spoken = [case for data in track(sets, console=Console(stderr=True)) for case in recorder.record(data)]
    others = {
        "developer memories": recorder.record(developer_memories(chosen.developer_memories)),
        "DevMemBench": recorder.record(devmembench(chosen.devmembench)),
    }
    model.save()
    return {"conversations": spoken, **others}


def number_folds(cases: Sequence[Case]) -> dict[str, int]:
    """Deal the clusters of a data set out to folds: a conversation each, or questions in turn by chance."""
    clusters = list(dict.fromkeys(case.cluster for case in cases))
    order = np.random.default_rng(0).permutation(len(clusters))
    return {clusters[place]: number % FOLDS for number, place in enumerate(order)}


# --- what is compared ---------------------------------------------------------------------------


def add_phrases(case: Case, relevance: NDArray[np.float64]) -> NDArray[np.float64]:
    values = relevance.clip(min=0.0)
    return values + phrase_match.compute_phrase_gains(case.phrases, values)


def lend(case: Case, values: NDArray[np.float64], shares: Sequence[float]) -> NDArray[np.float64]:
    best = np.zeros((len(shares), len(values)))
    for link in case.links:
        row = best[link.distance - 1]
        row[link.rows] = np.maximum(row[link.rows], values[link.neighbours])
    return values + np.array(shares) @ best


def rank_by_hand(case: Case) -> NDArray[np.float64]:
    """The hand-set order without token vectors."""
    return add_phrases(case, lend(case, case.hand, (0.3, 0.2)))


def rank_by_rules(case: Case) -> NDArray[np.float64]:
    """The same with token vectors and four rules, by hand: the simpler way that learning has to beat."""
    signals = dict(zip(blend.SIGNALS, case.signals.T, strict=True))
    values = case.hand + 0.4 * (signals["tokens"] + signals["session_tokens"])
    values += 1.5 * signals["named_day"] - signals["question"] + 2 * signals["time_words"]
    return add_phrases(case, lend(case, values.clip(min=0.0), (0.15, 0.1)))


def rank_by(weights: NDArray[np.float64]) -> Relevance:
    """Return the order by the weights of the signals."""
    return lambda case: add_phrases(case, case.signals @ weights)


def cross_validate(training: Sequence[Cases], tested: Cases) -> dict[str, list[Outcome]]:
    """Return where the right memories stand, in each case by weights that were not learned from its fold."""
    folds = {name: number_folds(cases) for name, cases in tested.items()}
    outcomes: dict[str, list[Outcome]] = {name: [] for name in tested}
    for fold in range(FOLDS):
        parts = [
            (SHARES[name], [case for case in cases if folds[name][case.cluster] != fold])
            for some in training
            for name, cases in some.items()
        ]
        weights = learn(parts)
        for name, cases in tested.items():
            held_out = [case for case in cases if folds[name][case.cluster] == fold]
            outcomes[name] += judge(held_out, rank_by(weights))
    return outcomes


# --- the command --------------------------------------------------------------------------------


def compare(cases: Cases, learned: Mapping[str, list[Outcome]]) -> tuple[Table, dict[str, dict[str, float]]]:
    table = Table("data", "measure", "by hand", "rules", "learned", "learned beside rules, 95 % interval")
    figures: dict[str, dict[str, float]] = {}
    for name, measures in SHOWN.items():
        sets = [judge(cases[name], rank_by_hand), judge(cases[name], rank_by_rules), learned[name]]
        shown = [(measure, how, None) for measure, how in measures.items()]
        if name == "conversations":
            shown.append(("R@10, category 1", recall(10), "1"))
        for measure, how, group in shown:
            sums = [add_up([o for o in some if group in (None, o.group)], how) for some in sets]
            by_hand, rules, now = (mean(one) for one in sums)
            gain, low, high = change(sums[1], sums[2])
            span = f"{gain:+.3f} ({low:+.3f} to {high:+.3f})"
            table.add_row(name, measure, f"{by_hand:.3f}", f"{rules:.3f}", f"{now:.3f}", span)
            figures.setdefault(name, {})[measure] = round(now, 3)
    return table, figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name in ("conversations", "developer-memories", "devmembench"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="the folder that holds the data set")
    parser.add_argument("--embeddings", type=Path, help="file (.npz) to remember embeddings in")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="as SEDIMENT_MODEL")
    parser.add_argument("--write", action="store_true", help=f"write {blend.FILE.name} in the package")
    chosen = parser.parse_args()
    if chosen.write and chosen.model != DEFAULT_MODEL:
        parser.error("the weights are those learned with the default model: leave out --write or --model")
    model = Remembered(chosen.embeddings, chosen.model)
    training = [record(chosen, model, limit) for limit in LIMITS]
    console = Console(width=120)
    for limit, cases in zip(LIMITS, training, strict=True):
        table, figures = compare(cases, cross_validate(training, cases))
        console.print(f"limit {limit}", table)
    weights = learn([(SHARES[name], cases) for some in training for name, cases in some.items()])
    named = dict(zip(blend.SIGNALS, weights.round(3).tolist(), strict=True))
    console.print(named)
    if chosen.write:
        provenance = {
            "command": COMMAND,
            "loss": f"listwise softmax, ridge {RIDGE}",
            "trained_on": {name: len(cases) for name, cases in training[0].items()},
            "shares": SHARES,
            "limits": LIMITS,
            "folds": f"{FOLDS}: a conversation each, and a fifth of the questions of the other data sets",
            "cross_validated": figures,
        }
        written = {"weights": named, "provenance": provenance}
        blend.FILE.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
