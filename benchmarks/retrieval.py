"""How well is the right memory found? Stores a data set through the server and asks its questions.

    python benchmarks/retrieval.py conversations PATH
    python benchmarks/retrieval.py developer-memories PATH

prints a table and writes the same as JSON (--json). The real server is used, over stdio; --in-process
calls the same operations directly, --words-only does without the model, --set gives ranking other
constants or the server another tuning for this run (ablations; in process only). README.md beside this
file says what the figures mean.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data_sets import (
    DataSet,
    Question,
    aged,
    alone,
    among,
    conversations,
    developer_memories,
    developer_updates,
    own_updates,
    pooled,
    without_session,
)
from hosts import SCRIPT, Host, InProcess, OverStdio, Remembered
from metrics import (
    SEED,
    Measure,
    Outcome,
    hit,
    interval,
    mean,
    newest_at,
    newest_first,
    recall,
    reciprocal_rank,
    weak,
)
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from sediment_mcp.config import Tuning
from sediment_mcp.search import (
    calibration,
    candidates,
    fusion,
    index_view,
    phrase_match,
    ranking,
    session_context,
    versions,
)

TUNABLE = ranking, versions, fusion, calibration, phrase_match, session_context, index_view, candidates
LIMIT, MAX_CHARS = 50, 100_000
AGES, DEALS = 180, 3  # days; how often ages are dealt out anew


@dataclass
class Run:
    """How to open a host, where progress shows, and what was measured."""

    open_host: Callable[[], Host]
    progress: Progress
    figures: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, data: DataSet, *others: DataSet) -> list[list[Outcome]]:
        """Outcomes of the data set's own questions, then those of the ``others``' asked against it."""
        asked = [data.questions, *(other.questions for other in others)]
        total = len(data.memories) + sum(map(len, asked))
        task = self.progress.add_task(data.name, total=total)
        with closing(self.open_host()) as host:
            places: dict[str, set[int]] = {}
            for number, memory in enumerate(data.memories):
                places.setdefault(host.store(memory), set()).add(number)
                self.progress.advance(task)
            outcomes: list[list[Outcome]] = []
            for questions in asked:
                outcomes.append([])
                for question in questions:
                    outcomes[-1].append(_outcome(host, question, places))
                    self.progress.advance(task)
        self.progress.remove_task(task)
        return outcomes

    def add(self, setting: str, measures: dict[str, Measure], outcomes: list[Outcome]) -> None:
        for name, measure in measures.items():
            low, high = interval(outcomes, measure)
            self.figures.append(
                {"setting": setting, "measure": name, "value": mean(outcomes, measure), "low": low,
                 "high": high, "questions": len(outcomes)}
            )  # fmt: skip


def _outcome(host: Host, question: Question, places: dict[str, set[int]]) -> Outcome:
    results = host.query({"query": question.text, "limit": LIMIT, "max_chars": MAX_CHARS})["results"]
    found = {place: rank for rank, result in enumerate(results) for place in places[result["id"]]}
    ranks = tuple(found[answer] for answer in question.answers if answer in found)
    match = results[0]["match"] if results else "weak"
    newest = found.get(question.answers[0])
    return Outcome(question.cluster, question.group, len(question.answers), ranks, match, newest)


# --- the data sets ------------------------------------------------------------------------------

SHARES = {f"R@{k}": recall(k) for k in (1, 5, 10, 20, 50)}
HITS: dict[str, Measure] = {f"R@{k}": hit(k) for k in (1, 3, 5, 10)} | {"MRR": reciprocal_rank}
WEAK: dict[str, Measure] = {"weak": weak}
NEWEST = {"newest before older": newest_first, "newest@1": newest_at(1), "newest@3": newest_at(3)}
NEWEST_AGE = 20  # days of the newest version, where others' memories are newer


def run_conversations(run: Run, folder: Path) -> None:
    sets = conversations(folder)
    own: list[Outcome] = []
    foreign: list[Outcome] = []
    for number, data in enumerate(sets):
        answered, unanswerable = run.ask(data, sets[(number + 1) % len(sets)])
        own, foreign = own + answered, foreign + unanswerable
    run.add("each conversation alone", SHARES, own)
    for category in sorted({outcome.group for outcome in own}):
        run.add(f"category {category}", SHARES, [outcome for outcome in own if outcome.group == category])
    run.add("first result, another conversation's questions", WEAK, foreign)
    run.add("first result, where it is evidence", WEAK, [o for o in own if 0 in o.ranks])
    bare = [outcome for data in sets for outcome in run.ask(without_session(data))[0]]
    run.add("without session", SHARES, bare)
    run.add("all in one store", SHARES, run.ask(pooled(sets))[0])


def run_developer_memories(run: Run, folder: Path) -> None:
    data, now = developer_memories(folder), datetime.now(UTC)
    fresh = run.ask(data)[0]
    run.add("fresh", HITS, fresh)
    run.add("first result, where it is right", WEAK, [outcome for outcome in fresh if 0 in outcome.ranks])
    mixed: list[Outcome] = []
    chance = random.Random(SEED)
    for _ in range(DEALS):
        order = list(range(len(data.memories)))
        chance.shuffle(order)
        mixed += run.ask(aged(data, now, AGES, order))[0]
    run.add(f"ages 0 to {AGES} days", HITS, mixed)
    updates = developer_updates(folder)
    newest = [outcome for update in updates for outcome in run.ask(alone(update, now))[0]]
    run.add("versions 30 days apart, alone", NEWEST, newest)
    order = chance.sample(range(len(data.memories)), len(data.memories))
    for name, filled in (("fresh", data), (f"ages 0 to {AGES} days", aged(data, now, AGES, order))):
        for set_name, some in (("developers'", updates), ("everyday", own_updates())):
            mixed = run.ask(among(filled, some, now, newest=NEWEST_AGE))[0]
            run.add(f"{set_name} updates among {len(data.memories)}, {name}", NEWEST, mixed)


# --- the command --------------------------------------------------------------------------------


def _apply(settings: list[str]) -> Tuning:
    """Give the constants that NAME=VALUE settings name these values; returns the tuning they ask for."""
    tuning = Tuning()
    for setting in settings:
        name, _, text = setting.partition("=")
        value = json.loads(text)
        owners = [module for module in TUNABLE if hasattr(module, name)]
        if name in {one.name for one in fields(Tuning)}:
            tuning = replace(tuning, **{name: value})
        elif owners:
            setattr(owners[0], name, value)
        else:
            sys.exit(f"{name} is no constant of sediment_mcp/search and no field of Tuning in config.py.")
    return tuning


def show(figures: list[dict[str, Any]]) -> None:
    table = Table("setting", "measure", "value", "95 % interval", "n")
    for figure in figures:
        span = f"{figure['low']:.3f} to {figure['high']:.3f}"
        table.add_row(
            figure["setting"], figure["measure"], f"{figure['value']:.3f}", span, str(figure["questions"])
        )
    Console(width=110).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", choices=("conversations", "developer-memories"))
    parser.add_argument("path", type=Path, help="the folder that holds the data set")
    parser.add_argument("--json", type=Path, default=Path("retrieval.json"), help="where the figures go")
    parser.add_argument("--server", nargs="+", default=[str(SCRIPT)], help="the command to measure")
    parser.add_argument("--words-only", action="store_true", help="without the model")
    parser.add_argument("--in-process", action="store_true", help="without a server process")
    parser.add_argument("--embeddings", type=Path, help="file (.npz) to remember embeddings in, in process")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=JSON", help="a constant, in process"
    )
    arguments = parser.parse_args()
    if arguments.set and not arguments.in_process:
        parser.error("--set works with --in-process only")
    tuning = _apply(arguments.set)
    remembered = Remembered(arguments.embeddings) if arguments.in_process else None

    def open_host() -> Host:
        if arguments.in_process:
            return InProcess(None if arguments.words_only else remembered, tuning)
        return OverStdio(arguments.server, model=not arguments.words_only)

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        run = Run(open_host, progress)
        measure = run_conversations if arguments.data == "conversations" else run_developer_memories
        measure(run, arguments.path)
    if remembered is not None:
        remembered.save()
    show(run.figures)
    arguments.json.write_text(json.dumps(run.figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
