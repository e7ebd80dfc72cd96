"""Does `match` mean the same in a small store as in a large one, and `score` what it says?

    python benchmarks/match.py --conversations PATH
    python benchmarks/match.py --developer-memories PATH --unanswerable OTHER/queries.jsonl

fills stores of several sizes with memories of a data set and asks each store questions that one of its
memories answers, and questions of another conversation, or of the file named, that none answers. The first
result should be `strong` where it is right and `weak` where nothing answers, and of the first results with a
score of about p, a share of p should be right. In process, with the real model.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hosts import InProcess, Remembered
from metrics import SEED
from rich.console import Console
from rich.progress import track
from rich.table import Table
from stores import SIZES, Source, Store, draw_stores, read_sources

from sediment_mcp.tuning import Tuning

LIMIT = 5
BINS = 10


@dataclass(frozen=True)
class Result:
    """A result of a question: its rank from 0, whether it is right, and what the server said of it."""

    kind: str
    size: int
    question: str
    is_answerable: bool
    rank: int
    is_right: bool
    match: str
    score: float
    signals: Mapping[str, float]


def ask(store: Store, model: Remembered | None) -> Iterator[Result]:
    """Fill a store, ask all its questions, and yield the results."""
    with closing(InProcess(model, Tuning())) as host:
        ids = [host.store(memory) for memory in store.memories]
        asked = [(one.text, {ids[answer] for answer in one.answers}) for one in store.questions]
        for text, answers in [*asked, *((text, set[str]()) for text in store.unanswerable)]:
            found = host.query({"query": text, "limit": LIMIT, "explain": True})["results"]
            for rank, one in enumerate(found):
                yield Result(
                    store.kind, store.size, text, bool(answers), rank, one["id"] in answers,
                    one["match"], one["score"], one["signals"],
                )  # fmt: skip


def measure(sources: Sequence[Source], model: Remembered | None, largest: int) -> list[Result]:
    """Return the results of all questions in stores of all sizes."""
    chance = random.Random(SEED)
    return [
        result
        for size in track([size for size in SIZES if size <= largest], console=Console(stderr=True))
        for store in draw_stores(sources, size, chance)
        for result in ask(store, model)
    ]


# --- the tables ---------------------------------------------------------------------------------


def show_weak(results: Iterable[Result]) -> Table:
    """Return for each size and kind which share of first results is weak."""
    firsts = [result for result in results if result.rank == 0]
    table = Table("memories", "of", "weak, first result right", "weak, nothing answers")
    for size in sorted({first.size for first in firsts}):
        for kind in sorted({first.kind for first in firsts}):
            some = [first for first in firsts if (first.size, first.kind) == (size, kind)]
            right = [first.match == "weak" for first in some if first.is_right]
            unanswerable = [first.match == "weak" for first in some if not first.is_answerable]
            table.add_row(str(size), kind, _show(right), _show(unanswerable))
    return table


def show_reliability(results: Iterable[Result]) -> Table:
    """Return, for first results by score, the mean score and the share that is right.

    A. H. Murphy and R. L. Winkler, "Reliability of subjective probability forecasts", Applied Statistics 26,
    1977.
    """
    firsts = [result for result in results if result.rank == 0]
    table = Table("score", "first results", "mean score", "right")
    for place in range(BINS):
        some = [one for one in firsts if min(int(one.score * BINS), BINS - 1) == place]
        if some:
            mean, right = (
                sum(values) / len(some) for values in ([o.score for o in some], [o.is_right for o in some])
            )
            bar = "█" * round(20 * right)
            table.add_row(
                f"{place / BINS:.1f} to {(place + 1) / BINS:.1f}",
                str(len(some)),
                f"{mean:.2f}",
                f"{right:.2f} {bar}",
            )
    return table


def _show(value: list[bool]) -> str:
    return f"{sum(value) / len(value):.3f} of {len(value)}" if value else ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the data are, to which size stores are filled, and with which model."""
    parser.add_argument("--conversations", type=Path, help="the folder that holds the conversations")
    parser.add_argument("--developer-memories", type=Path, help="the folder that holds the data set")
    parser.add_argument(
        "--unanswerable", type=Path, help="JSON Lines whose `query` no developers' memory answers"
    )
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="memories of the largest store")
    parser.add_argument("--embeddings", type=Path, help="file (.npz) to remember embeddings in")
    parser.add_argument("--words-only", action="store_true", help="without the model")


def read_chosen(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, list[Source]]:
    """Return the arguments, and the sources that they name."""
    chosen = parser.parse_args()
    if (chosen.developer_memories is None) != (chosen.unanswerable is None):
        parser.error("--developer-memories and --unanswerable go together")
    if not (chosen.conversations or chosen.developer_memories):
        parser.error("nothing to measure: pass --conversations or --developer-memories")
    lines = chosen.unanswerable.read_text().splitlines() if chosen.unanswerable else []
    asked = [json.loads(line)["query"] for line in lines]
    return chosen, read_sources(chosen.conversations, chosen.developer_memories, asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_arguments(parser)
    chosen, sources = read_chosen(parser)
    model = None if chosen.words_only else Remembered(chosen.embeddings)
    results = measure(sources, model, chosen.largest)
    if model:
        model.save()
    console = Console(width=110)
    console.print(show_weak(results))
    console.print(show_reliability(results))


if __name__ == "__main__":
    main()
