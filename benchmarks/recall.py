"""What do hooks say unasked: is it right, is it silent else, and how long does it take?

    python benchmarks/recall.py PATH/TO/developer_memories [--keep DIR]

Quality: the developers' memories are stored, and two kinds of prompts go the way of the hook `prompt`. None
of `data/unrelated_prompts.jsonl` and `data/unrelated_questions.jsonl` should be answered; where a question's
right memory is among the first three of `query_memory`, it should be among what is shown. The thresholds in
`sediment_mcp/recall/finding.py` are chosen on the even lines of all files, as README.md says; `--sweep` shows
what each would give there, for prompts that ask a question and others apart. Reported are the odd lines.

Time: the hook as a process, from its start to its end, over 10,000 memories, in turn with and without a
running server.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from data_sets import developer_memories
from hosts import SCRIPT, InProcess, Remembered
from rich.console import Console
from rich.table import Table
from stdio_client import Server, close_input

from sediment_mcp.recall import finding
from sediment_mcp.recall.asked_text import has_question, select_asked
from sediment_mcp.recall.local_socket import ask
from sediment_mcp.recall.prompt import MOST_SHOWN
from sediment_mcp.system.data_directory import SOCKET
from sediment_mcp.tuning import Tuning

PROMPTS = Path(__file__).parent / "data" / "unrelated_prompts.jsonl"
QUESTIONS = PROMPTS.with_name("unrelated_questions.jsonl")
FIRST = 3  # results of query_memory among which the right memory must be, to count
SIZE = 10_000  # memories over which the time is taken
RUNS = 60  # hooks of each kind
WAIT = 30.0  # seconds for a server to listen

console = Console(width=110)


@dataclass(frozen=True)
class Asked:
    """A prompt: what the hook finds, best first (position, score), and what answers it, if anything."""

    text: str
    found: list[tuple[int, float]]
    least: float
    answers: tuple[int, ...] = ()
    is_found_by_query: bool = False

    def shown(self, least: float | None = None) -> list[int]:
        """What is shown with the score that it must have, or with another."""
        needed = self.least if least is None else least
        return [place for place, score in self.found if score >= needed][:MOST_SHOWN]


@dataclass(frozen=True)
class Sample:
    """The prompts and questions that nothing answers, and the questions whose answer a query finds."""

    prompts: list[Asked]
    unrelated_questions: list[Asked]
    questions: list[Asked]

    def half(self, number: int) -> Sample:
        return Sample(self.prompts[number::2], self.unrelated_questions[number::2], self.questions[number::2])

    def of_kind(self, is_question: bool) -> Sample:
        """What asks a question, or does not, in each of the lists."""

        def select(some: list[Asked]) -> list[Asked]:
            return [asked for asked in some if has_question(select_asked(asked.text)) == is_question]

        return Sample(select(self.prompts), select(self.unrelated_questions), select(self.questions))

    def right(self, least: float | None = None) -> int:
        return sum(not set(asked.answers).isdisjoint(asked.shown(least)) for asked in self.found_by_query)

    @property
    def found_by_query(self) -> list[Asked]:
        return [asked for asked in self.questions if asked.is_found_by_query]


def count_false(unrelated: list[Asked], least: float | None = None) -> int:
    return sum(bool(asked.shown(least)) for asked in unrelated)


# --- quality ------------------------------------------------------------------------------------


class Recalling(InProcess):
    """The operations in this process, and what the hook `prompt` looks at."""

    def find(self, prompt: str) -> tuple[list[tuple[str, float]], float]:
        """The ids and scores of what may be shown, whatever score is needed, and that score."""
        asked = select_asked(prompt)
        candidates, least = (
            finding.find_candidates([self._app.retriever], asked, None) if asked else ([], 1.0)
        )
        return [(scored.memory.id, scored.score) for scored in candidates], least


def read_prompts(file: Path) -> list[str]:
    return [json.loads(line)["prompt"] for line in file.read_text().splitlines()]


def measure_quality(folder: Path, model: Remembered | None) -> Sample:
    data = developer_memories(folder)
    with closing(Recalling(model, Tuning())) as host:
        places = {host.store(memory): place for place, memory in enumerate(data.memories)}

        def ask(text: str, answers: tuple[int, ...] = ()) -> Asked:
            first = host.query({"query": text[:10_000], "limit": FIRST})["results"]
            is_found = not {places[result["id"]] for result in first}.isdisjoint(answers)
            found, least = host.find(text)
            return Asked(text, [(places[one], score) for one, score in found], least, answers, is_found)

        return Sample(
            [ask(prompt) for prompt in read_prompts(PROMPTS)],
            [ask(question) for question in read_prompts(QUESTIONS)],
            [ask(question.text, question.answers) for question in data.questions],
        )


def show_quality(sample: Sample, title: str) -> None:
    table = Table(
        "", "false: unrelated prompts", "false: unrelated questions", "right: questions that a query answers"
    )
    for name, half in (
        ("chosen on (even)", sample.half(0)),
        ("reported (odd)", sample.half(1)),
        ("all", sample),
    ):
        table.add_row(
            name,
            f"{count_false(half.prompts)} of {len(half.prompts)}",
            f"{count_false(half.unrelated_questions)} of {len(half.unrelated_questions)}",
            f"{half.right()} of {len(half.found_by_query)} ({half.right() / len(half.found_by_query):.0%})",
        )
    table.title = title
    console.print(table)


def sweep(sample: Sample) -> None:
    kinds = sample.half(0).of_kind(True), sample.half(0).of_kind(False)
    table = Table("score from", title="on the even lines")
    for name in ("a question", "no question"):
        table.add_column(f"{name}: false")
        table.add_column("right")
    for hundredth in range(20, 100, 2):
        least = hundredth / 100
        cells: list[str] = []
        for kind in kinds:
            unrelated = kind.prompts + kind.unrelated_questions
            cells += [
                f"{count_false(unrelated, least)} of {len(unrelated)}",
                f"{kind.right(least)} of {len(kind.found_by_query)}",
            ]
        table.add_row(f"{least:.2f}", *cells)
    console.print(table)


# --- time ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timing:
    """One run of a hook: from its start to its end, its processor time (ms), and whether time was up."""

    took: float
    processor: float
    is_late: bool


def run_hook(directory: Path, event: str, fields: dict[str, str]) -> Timing:
    environment = os.environ | {"SEDIMENT_DATA_DIR": str(directory), "SEDIMENT_PROJECT": ""}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [SCRIPT, "hook", event],
        input=json.dumps(fields).encode(),
        env=environment,
        capture_output=True,
        check=True,
    )
    took, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Timing(took * 1000, used * 1000, b"not ready" in done.stderr)


def measure_time(directory: Path, prompts: Sequence[str], runs: int) -> dict[str, list[Timing]]:
    """Run hooks with and without a server in turn, so that both feel the same load."""
    timings: dict[str, list[Timing]] = {}

    def note(name: str, event: str, **fields: str) -> None:
        timings.setdefault(name, []).append(run_hook(directory, event, fields))

    batch = 10
    for first in range(0, runs, batch):
        chosen = [prompts[number % len(prompts)] for number in range(first, first + batch)]
        for number, prompt in enumerate(chosen):
            note("session-start", "session-start", session_id=f"start {first} {number}")
            note("prompt, no server", "prompt", session_id=f"alone {first} {number}", prompt=prompt)
        server = Server([str(SCRIPT)], directory)
        server.initialize()
        _wait_until((directory / SOCKET).exists)
        _wait_until(functools.partial(_is_answered, directory, chosen[0]))
        for number, prompt in enumerate(chosen):
            note("prompt, with a server", "prompt", session_id=f"served {first} {number}", prompt=prompt)
        server.end(close_input)
    return timings


def _is_answered(directory: Path, prompt: str) -> bool:
    """Ask the server, which loads its model at the first question."""
    return "found" in (ask(directory, {"asked": prompt, "project": None}, 1.0) or {})


def _wait_until(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.1)


def show_time(timings: dict[str, list[Timing]]) -> None:
    table = Table("hook", "runs", "p50 ms", "p95 ms", "processor ms, median", "not ready in time")
    table.title = (
        f"from the start of the process to its end, {SIZE:,} memories, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    for name, runs in timings.items():
        took = sorted(run.took for run in runs)
        table.add_row(
            name,
            str(len(runs)),
            f"{statistics.median(took):.0f}",
            f"{took[int(0.95 * (len(took) - 1))]:.0f}",
            f"{statistics.median(run.processor for run in runs):.0f}",
            str(sum(run.is_late for run in runs)),
        )
    console.print(table)


def fill_directory(base: Path) -> Path:
    sys.path.insert(0, str(Path(__file__).parent / "speed"))
    from directories import Directories

    directories = Directories(base, Remembered(None).embed_documents, Console(stderr=True).print)
    return directories.path(SIZE)


# --- the command --------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("path", type=Path, help="the folder that holds the developer memories")
    parser.add_argument("--embeddings", type=Path, help="file (.npz) to remember embeddings in")
    parser.add_argument(
        "--keep", type=Path, help="keep the filled data directory here, and use what is there"
    )
    parser.add_argument("--sweep", action="store_true", help="show what other thresholds would give")
    parser.add_argument("--runs", type=int, default=RUNS, help="hooks of each kind; 0 takes no times")
    arguments = parser.parse_args()
    model = Remembered(arguments.embeddings)
    for title, used in (("by meaning and words", model), ("by words alone", None)):
        sample = measure_quality(arguments.path, used)
        model.save()
        show_quality(sample, title)
        if arguments.sweep:
            sweep(sample)
    if arguments.runs:
        with tempfile.TemporaryDirectory() as temporary:
            asking = [prompt for prompt in read_prompts(PROMPTS) if select_asked(prompt)]
            show_time(measure_time(fill_directory(arguments.keep or Path(temporary)), asking, arguments.runs))


if __name__ == "__main__":
    main()
