"""Does `match` mean the same in a small store as in a large one?

    python benchmarks/match.py conversations PATH
    python benchmarks/match.py developer-memories PATH --unanswerable OTHER/queries.jsonl

fills stores of several sizes with memories of a data set and asks each store questions that one of its
memories answers, and questions of another conversation, or of the file named, that none answers. The first
result should be `strong` where it is right and `weak` where nothing answers. In process, with the real model.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from data_sets import DataSet, Question, conversations, developer_memories
from hosts import InProcess, Remembered
from metrics import SEED
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sediment_mcp.config import Tuning

SIZES = (1, 3, 10, 30, 100, 300, 1000)
QUESTIONS = 20  # of each sort that a store is asked, at most


@dataclass
class Tally:
    """How many first results were weak, of those that were right and of those where nothing answers."""

    right: list[bool] = field(default_factory=list[bool])
    unanswerable: list[bool] = field(default_factory=list[bool])


def measure(
    data: DataSet, unanswerable: list[str], size: int, stores: int, model: Remembered, chance: random.Random
) -> Tally:
    tally = Tally()
    for _ in range(stores):
        asked, places = _draw_store(data, size, chance)
        with closing(InProcess(model, Tuning())) as host:
            ids = {host.store(data.memories[place]): place for place in places}
            for question in asked:
                first = host.query({"query": question.text, "limit": 1})["results"][0]
                if ids[first["id"]] in question.answers:
                    tally.right.append(first["match"] == "weak")
            for text in chance.sample(unanswerable, min(QUESTIONS, len(unanswerable), max(size, 2))):
                results = host.query({"query": text, "limit": 1})["results"]
                tally.unanswerable.append(not results or results[0]["match"] == "weak")
    return tally


def _draw_store(data: DataSet, size: int, chance: random.Random) -> tuple[list[Question], list[int]]:
    """Return questions, and the places of ``size`` memories, one of which answers each question."""
    asked = chance.sample(data.questions, min(QUESTIONS, size, len(data.questions)))
    held = {chance.choice(question.answers) for question in asked}
    rest = [place for place in range(len(data.memories)) if place not in held]
    held.update(chance.sample(rest, min(max(0, size - len(held)), len(rest))))
    return asked, sorted(held)


def _read_sets(arguments: argparse.Namespace) -> Iterator[tuple[DataSet, list[str]]]:
    """Yield each data set with questions that its memories do not answer."""
    if arguments.data == "developer-memories":
        lines = arguments.unanswerable.read_text().splitlines()
        yield developer_memories(arguments.path), [json.loads(line)["query"] for line in lines]
        return
    sets = conversations(arguments.path)
    for number, data in enumerate(sets):
        other = sets[(number + 1) % len(sets)]
        yield data, [question.text for question in other.questions]


def _show(value: list[bool]) -> str:
    return f"{sum(value) / len(value):.3f} of {len(value)}" if value else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", choices=("conversations", "developer-memories"))
    parser.add_argument("path", type=Path, help="the folder that holds the data set")
    parser.add_argument("--unanswerable", type=Path, help="JSON Lines whose `query` no memory answers")
    parser.add_argument("--embeddings", type=Path, help="file (.npz) to remember embeddings in")
    arguments = parser.parse_args()
    if arguments.data == "developer-memories" and arguments.unanswerable is None:
        parser.error("developer-memories needs --unanswerable FILE")
    model, chance = Remembered(arguments.embeddings), random.Random(SEED)
    table = Table("memories", "weak, first result right", "weak, nothing answers")
    sets = list(_read_sets(arguments))
    for size in track(SIZES, console=Console(stderr=True)):
        whole = Tally()
        for data, unanswerable in sets:
            if size <= len(data.memories):
                stores = max(1, 60 // (size * len(sets)), 100 // (QUESTIONS * len(sets)))
                one = measure(data, unanswerable, size, stores, model, chance)
                whole.right += one.right
                whole.unanswerable += one.unanswerable
        if whole.unanswerable:
            table.add_row(str(size), _show(whole.right), _show(whole.unanswerable))
    model.save()
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
