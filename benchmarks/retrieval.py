"""How well is the right memory found? Stores a data set through the server and asks its questions.

    python benchmarks/retrieval.py conversations PATH
    python benchmarks/retrieval.py developer-memories PATH
    python benchmarks/retrieval.py devmembench PATH
    python benchmarks/retrieval.py longmemeval FILE

prints a table and writes the same as JSON (--json); --before compares with an earlier run. The real server
is used, over stdio; --in-process calls the same operations directly, --words-only does without the model,
--set gives ranking other constants or the server another tuning for this run (ablations; in process only).
README.md beside this file says what the figures mean.
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
    devmembench,
    longmemeval,
    own_updates,
    pooled,
    without_session,
)
from hosts import SCRIPT, CountedReranker, Host, InProcess, OverStdio, Remembered
from metrics import (
    SEED,
    Measure,
    Outcome,
    Sums,
    add_up,
    change,
    hit,
    hit_all,
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

from sediment_mcp.config import Config
from sediment_mcp.embeddings.reranker import BUDGET_MS, load_scorer
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
from sediment_mcp.tuning import Tuning

TUNABLE = ranking, versions, fusion, calibration, phrase_match, session_context, index_view, candidates
LIMIT, MAX_CHARS = 50, 100_000
LOADED = 600.0  # seconds that a reranker may take to load
AGES, DEALS = 180, 3  # days; how often ages are dealt out anew


@dataclass
class Run:
    """How to open a host, where progress shows, and what was measured."""

    open_host: Callable[[], Host]
    progress: Progress
    sample: int | None = None  # so many questions of a set that has a store for each; None: all
    figures: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    summary: list[str] = field(default_factory=list[str])

    def ask(self, data: DataSet, *others: DataSet) -> list[list[Outcome]]:
        """Outcomes of the data set's own questions, then those of the ``others``' asked against it."""
        asked = [data.questions, *(other.questions for other in others)]
        total = len(data.memories) + sum(map(len, asked))
        task = self.progress.add_task(data.name, total=total)
        with closing(self.open_host()) as host:
            units: dict[str, set[int]] = {}
            for number, memory in enumerate(data.memories):
                unit = data.units[number] if data.units else number
                units.setdefault(host.store(memory), set()).add(unit)
                self.progress.advance(task)
            outcomes: list[list[Outcome]] = []
            for questions in asked:
                outcomes.append([])
                for question in questions:
                    outcomes[-1].append(_outcome(host, question, units))
                    self.progress.advance(task)
        self.progress.remove_task(task)
        return outcomes

    def add(self, setting: str, measures: dict[str, Measure], outcomes: list[Outcome]) -> None:
        for name, measure in measures.items():
            sums = add_up(outcomes, measure)
            low, high = interval(sums)
            self.figures.append(
                {"setting": setting, "measure": name, "value": mean(sums), "low": low, "high": high,
                 "questions": len(outcomes), "sums": sums}
            )  # fmt: skip

    def add_groups(self, what: str, measures: dict[str, Measure], outcomes: list[Outcome]) -> None:
        for group in sorted({outcome.group for outcome in outcomes}):
            of_group = [outcome for outcome in outcomes if outcome.group == group]
            self.add(f"{what} {group}", measures, of_group)

    def sums(self, setting: str, measure: str) -> Sums:
        """The sums of a figure that was added."""
        return next(f["sums"] for f in self.figures if (f["setting"], f["measure"]) == (setting, measure))


def _outcome(host: Host, question: Question, units: dict[str, set[int]]) -> Outcome:
    results = host.query({"query": question.text, "limit": LIMIT, "max_chars": MAX_CHARS})["results"]
    found: dict[int, int] = {}
    rank = 0
    for result in results:
        first_seen = units[result["id"]] - found.keys()
        found |= dict.fromkeys(first_seen, rank)
        rank += bool(first_seen)
    ranks = tuple(found[answer] for answer in question.answers if answer in found)
    match = results[0]["match"] if results else "weak"
    newest = found.get(question.answers[0])
    return Outcome(question.cluster, question.group, len(question.answers), ranks, match, newest)


# --- the data sets ------------------------------------------------------------------------------

SHARES = {f"R@{k}": recall(k) for k in (1, 5, 10, 20, 50)}
HITS: dict[str, Measure] = {f"R@{k}": hit(k) for k in (1, 3, 5, 10)} | {"MRR": reciprocal_rank}
SESSIONS: dict[str, Measure] = {f"any@{k}": hit(k) for k in (5, 10)} | {
    f"all@{k}": hit_all(k) for k in (5, 10)
}
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
    run.add_groups("category", SHARES, own)
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
    aging = f"ages 0 to {AGES} days"
    run.add(aging, HITS, mixed)
    newest = [outcome for one in developer_updates(folder) for outcome in run.ask(alone(one, now))[0]]
    run.add("versions 30 days apart, alone", NEWEST, newest)
    order = chance.sample(range(len(data.memories)), len(data.memories))
    updates = {"developers'": developer_updates(folder), "everyday": own_updates()}
    for name, filled in (("fresh", data), (aging, aged(data, now, AGES, order))):
        ordered: list[Outcome] = []
        for whose, some in updates.items():
            outcomes = run.ask(among(filled, some, now, newest=NEWEST_AGE))[0]
            run.add(f"{whose} updates among {len(data.memories)}, {name}", NEWEST, outcomes)
            ordered += outcomes
        run.add(f"all updates among {len(data.memories)}, {name}", NEWEST, ordered)
    run.summary.append(_sum_up_time(run, len(data.memories), aging))


def _sum_up_time(run: Run, count: int, aging: str) -> str:
    """Return in one line whether the newest version comes first, and whether age spoils what stays true."""
    parts = [
        f"{name} {mean(sums):.3f} ({low:.3f} to {high:.3f})"
        for name in ("fresh", aging)
        for sums in [run.sums(f"all updates among {count}, {name}", "newest before older")]
        for low, high in [interval(sums)]
    ]
    value, low, high = change(run.sums("fresh", "R@1"), run.sums(aging, "R@1"))
    return (
        f"Newest version first, all updates among {count} others: {', '.join(parts)}; "
        f"R@1 with {aging} against fresh: {value:+.3f} ({low:+.3f} to {high:+.3f})."
    )


def run_devmembench(run: Run, folder: Path) -> None:
    data = devmembench(folder)
    outcomes = run.ask(data)[0]
    run.add("any message of a right session", HITS, outcomes)
    run.add_groups("questions of", HITS, outcomes)
    run.add("first result, where it is right", WEAK, [outcome for outcome in outcomes if 0 in outcome.ranks])
    run.add("without session", HITS, run.ask(without_session(data))[0])


def run_longmemeval(run: Run, file: Path) -> None:
    sets = longmemeval(file)
    if run.sample is not None and run.sample < len(sets):
        sets = random.Random(SEED).sample(sets, run.sample)
    outcomes = [outcome for data in sets for outcome in run.ask(data)[0]]
    run.add("sessions by their best turn", SESSIONS, outcomes)
    run.add_groups("questions of", SESSIONS, outcomes)


SETS: dict[str, Callable[[Run, Path], None]] = {
    "conversations": run_conversations,
    "developer-memories": run_developer_memories,
    "devmembench": run_devmembench,
    "longmemeval": run_longmemeval,
}


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
            sys.exit(f"{name} is no constant of sediment_mcp/search and no field of Tuning in tuning.py.")
    return tuning


def _load_reranker(name: str) -> CountedReranker:
    reranker = CountedReranker(lambda: load_scorer(Config(Path(), reranker=name)))
    return reranker if reranker.get(LOADED) else sys.exit(reranker.problem)


def compare(figures: list[dict[str, Any]], before: list[dict[str, Any]]) -> None:
    """Add to each figure its change since an earlier run that has the same, with its paired interval."""
    earlier = {(figure["setting"], figure["measure"]): figure["sums"] for figure in before}
    for figure in figures:
        if sums := earlier.get((figure["setting"], figure["measure"])):
            figure["change"], figure["change_low"], figure["change_high"] = change(sums, figure["sums"])


def show(figures: list[dict[str, Any]], summary: list[str]) -> None:
    is_compared = any("change" in figure for figure in figures)
    table = Table("setting", "measure", "value", "95 % interval", "n", *["change", "95 %"] * is_compared)
    for figure in figures:
        cells = [
            f"{figure['value']:.3f}",
            f"{figure['low']:.3f} to {figure['high']:.3f}",
            str(figure["questions"]),
        ]
        if "change" in figure:
            span = f"{figure['change_low']:+.3f} to {figure['change_high']:+.3f}"
            cells += [f"{figure['change']:+.3f}", span]
        table.add_row(figure["setting"], figure["measure"], *cells)
    console = Console(width=110 + 30 * is_compared)
    console.print(table)
    for line in summary:
        console.print(line, soft_wrap=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", choices=SETS)
    parser.add_argument("path", type=Path, help="the folder that holds the data set; the file of longmemeval")
    parser.add_argument("--json", type=Path, default=Path("retrieval.json"), help="where the figures go")
    parser.add_argument("--before", type=Path, help="the figures of an earlier run, to compare with")
    parser.add_argument("--server", nargs="+", default=[str(SCRIPT)], help="the command to measure")
    parser.add_argument("--words-only", action="store_true", help="without the model")
    parser.add_argument("--in-process", action="store_true", help="without a server process")
    parser.add_argument("--embeddings", type=Path, help="file (.npz) to remember embeddings in, in process")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=JSON", help="a constant, in process"
    )
    parser.add_argument("--reranker", metavar="NAME", help="with this cross-encoder, in process")
    parser.add_argument("--questions", type=int, help="of longmemeval, only so many, drawn at random")
    arguments = parser.parse_args()
    if (arguments.set or arguments.reranker) and not arguments.in_process:
        parser.error("--set and --reranker work with --in-process only")
    tuning = _apply(arguments.set)
    reranker = _load_reranker(arguments.reranker) if arguments.reranker else None
    remembered = Remembered(arguments.embeddings) if arguments.in_process else None

    def open_host() -> Host:
        if arguments.in_process:
            return InProcess(None if arguments.words_only else remembered, tuning, reranker)
        return OverStdio(arguments.server, model=not arguments.words_only)

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        run = Run(open_host, progress, arguments.questions)
        SETS[arguments.data](run, arguments.path)
    if remembered is not None:
        remembered.save()
    if reranker is not None:
        asked, ordered = reranker.asked, reranker.ordered
        run.summary.append(
            f"The reranker ordered {ordered} of {asked} answers in doubt within {BUDGET_MS:.0f} ms."
        )
    if arguments.before is not None:
        compare(run.figures, json.loads(arguments.before.read_text()))
    show(run.figures, run.summary)
    lines = ",\n".join(json.dumps(figure) for figure in run.figures)
    arguments.json.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
