"""Stores of several sizes, questions that one of their memories answers, and questions that none does."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data_sets import DataSet, Question, conversations, developer_memories

sys.path.append(str(Path(__file__).resolve().parent / "speed"))

from sentences import TOPICS, Writer

SIZES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)
QUESTIONS = 20  # of each sort that a store is asked, at most
MANY = 60  # of each sort that a store is asked which takes long to fill
LARGE = 1_000  # memories from which a store takes long to fill: one of each kind must do
FILLERS = 10_000


@dataclass(frozen=True)
class Source:
    """Memories with questions, questions that they do not answer, and memories that fill a store up."""

    kind: str
    data: DataSet
    unanswerable: Sequence[str]
    others: Sequence[dict[str, Any]] = field(repr=False)


@dataclass(frozen=True)
class Store:
    """What is stored, and what is asked; the answers of a question are positions of ``memories``."""

    kind: str
    size: int
    memories: list[dict[str, Any]]
    questions: list[Question]
    unanswerable: list[str]


def read_sources(spoken: Path | None, developers: Path | None, unanswerable: Sequence[str]) -> list[Source]:
    """Return a source for each conversation, and one for the developers' memories.

    A conversation is asked what the next one answers, which then fills no store; the developers' memories
    are asked the ``unanswerable`` questions, of another project.
    """
    sets = conversations(spoken) if spoken else []
    writer = Writer()
    made = [{"content": writer.sentence(number % len(TOPICS))} for number in range(FILLERS)]
    notes = developer_memories(developers) if developers else None
    noted = notes.memories if notes else []
    sources: list[Source] = []
    for number, data in enumerate(sets):
        after = sets[(number + 1) % len(sets)]
        fillers = [memory for other in sets if other not in (data, after) for memory in other.memories]
        asked = [question.text for question in after.questions]
        sources.append(Source("conversation", data, asked, [*fillers, *noted, *made]))
    if notes:
        said = [memory for data in sets for memory in data.memories]
        sources.append(Source("developers' memories", notes, unanswerable, [*said, *made]))
    return sources


def draw_stores(sources: Sequence[Source], size: int, chance: random.Random) -> Iterator[Store]:
    """Yield stores of ``size`` memories, as many as a fair number of questions takes."""
    kinds = {source.kind: source for source in reversed(sources)}
    for source in sources if size <= LARGE else kinds.values():
        alike = sum(source.kind == other.kind for other in sources) if size <= LARGE else 1
        asked = QUESTIONS if size <= LARGE else MANY
        for _ in range(max(1, 100 // (min(asked, size) * alike))):
            yield draw_store(source, size, asked, chance)


def draw_store(source: Source, size: int, asked: int, chance: random.Random) -> Store:
    """Return a store in which one memory answers each question."""
    data = source.data
    questions = chance.sample(data.questions, min(asked, size, len(data.questions)))
    held = {chance.choice(question.answers) for question in questions}
    rest = [place for place in range(len(data.memories)) if place not in held]
    held.update(chance.sample(rest, min(max(0, size - len(held)), len(rest))))
    places = {place: number for number, place in enumerate(sorted(held))}
    memories = [data.memories[place] for place in places]
    memories += source.others[: max(0, size - len(memories))]
    return Store(
        source.kind,
        size,
        memories,
        [
            replace(one, answers=tuple(places[answer] for answer in one.answers if answer in places))
            for one in questions
        ],
        chance.sample(source.unanswerable, min(asked, len(source.unanswerable), max(size, 2))),
    )
