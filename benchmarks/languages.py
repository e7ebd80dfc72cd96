"""How well are notes found in seven languages, and by questions in another language than theirs?

    python benchmarks/languages.py
    python benchmarks/languages.py --model multilingual

stores the twenty notes of `data/languages.jsonl` in one language, asks their questions in each, and so on for
every language, with the default model and the multilingual one (the extra of that name). Printed is how often
the right note is the first result: within a language, across languages, and for each pair of them. Intervals
are bootstrap intervals by note: a note's questions in all languages are drawn together. The notes and
questions were written for this, before anything was measured with them; they say the same in each language,
and a question shares few words with its note.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from metrics import Outcome, add_up, hit, interval, mean
from rich.console import Console
from rich.table import Table

from sediment_mcp.app import Application
from sediment_mcp.config import DEFAULT_MODEL, MULTILINGUAL_MODEL, Config
from sediment_mcp.embeddings.loader import load_embedder
from sediment_mcp.embeddings.protocols import Embedder
from sediment_mcp.operations.arguments import QueryMemory, StoreMemory, parse_arguments
from sediment_mcp.operations.query_memory import query_memory
from sediment_mcp.operations.store_memory import store_memory

DATA = Path(__file__).parent / "data" / "languages.jsonl"
LANGUAGES = ("en", "de", "fr", "es", "ja", "ru", "zh")
FIRST = hit(1)


def read_topics() -> list[dict[str, Any]]:
    return [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]


def ask_all(topics: list[dict[str, Any]], language: str, config: Config, embedder: Embedder) -> list[Outcome]:
    """Ask the questions of all languages about the notes of one; a group is "question language → notes"."""
    app = Application(config, is_resident=False, load=lambda _: embedder)
    try:
        ids = [store(app, topic["notes"][language]) for topic in topics]
        outcomes = []
        for topic, memory_id in zip(topics, ids, strict=True):
            for asked in LANGUAGES:
                arguments = parse_arguments(QueryMemory, {"query": topic["questions"][asked], "limit": 10})
                answer = query_memory(app, arguments, None)
                found = [result["id"] for result in answer["results"]]
                ranks = (found.index(memory_id),) if memory_id in found else ()
                outcomes.append(Outcome(topic["topic"], f"{asked} → {language}", 1, ranks, ""))
        return outcomes
    finally:
        app.close()


def store(app: Application, note: str) -> str:
    return store_memory(app, parse_arguments(StoreMemory, {"content": note}), None)["id"]


def measure(model: str, topics: list[dict[str, Any]]) -> list[Outcome]:
    with tempfile.TemporaryDirectory() as folder:
        embedder = load_embedder(Config(Path(folder), model=model))
        return [
            outcome
            for language in LANGUAGES
            for outcome in ask_all(
                topics, language, Config(Path(folder) / language, project="", model=model), embedder
            )
        ]


def is_within(outcome: Outcome) -> bool:
    asked, _, notes = outcome.group.partition(" → ")
    return asked == notes


def describe(outcomes: list[Outcome]) -> str:
    sums = add_up(outcomes, FIRST)
    low, high = interval(sums)
    return f"{mean(sums):.3f} [{low:.3f}, {high:.3f}]"


def show(console: Console, model: str, outcomes: list[Outcome]) -> None:
    within = [outcome for outcome in outcomes if is_within(outcome)]
    across = [outcome for outcome in outcomes if not is_within(outcome)]
    others = [outcome for outcome in within if outcome.group != "en → en"]
    console.print(f"\n{model}: R@1 within a language {describe(within)}, without English {describe(others)}")
    console.print(f"across languages {describe(across)}")
    table = Table("question ↓  notes →", *LANGUAGES)
    for asked in LANGUAGES:
        pairs = [f"{asked} → {notes}" for notes in LANGUAGES]
        cells = [mean(add_up([one for one in outcomes if one.group == pair], FIRST)) for pair in pairs]
        table.add_row(asked, *(f"{cell:.2f}" for cell in cells))
    console.print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", action="append", help="as SEDIMENT_MODEL; may be repeated")
    options = parser.parse_args()
    for model in options.model or [DEFAULT_MODEL, MULTILINGUAL_MODEL]:
        show(Console(), model, measure(model, read_topics()))
