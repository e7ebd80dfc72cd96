"""The data sets as what is stored and what is asked, read from a path and copied nowhere.

A memory is the arguments of `store_memory`; a question names the memories that answer it by position.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Question:
    text: str
    answers: tuple[int, ...]
    group: str
    cluster: str  # questions of one cluster are not independent: the bootstrap draws clusters


@dataclass(frozen=True)
class DataSet:
    name: str
    memories: list[dict[str, Any]]
    questions: list[Question] = field(default_factory=list)


def conversations(folder: Path) -> list[DataSet]:
    """LoCoMo: one data set a conversation, one memory a turn."""
    return [_conversation(file) for file in sorted(folder.glob("*.json"))]


def _conversation(file: Path) -> DataSet:
    data = json.loads(file.read_text())
    place = {turn["id"]: number for number, turn in enumerate(data["turns"])}
    found = [(qa, tuple(sorted({place[e] for e in qa["evidence"] if e in place}))) for qa in data["qa"]]
    return DataSet(
        file.stem,
        [_turn(file.stem, turn) for turn in data["turns"]],
        [Question(qa["question"], turns, str(qa["category"]), file.stem) for qa, turns in found if turns],
    )


def _turn(conversation: str, turn: dict[str, Any]) -> dict[str, Any]:
    caption = f" [shares {turn['caption']}]" if turn.get("caption") else ""
    spoken = datetime.strptime(turn["date"], "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
    return {
        "content": f"{turn['speaker']}: {turn['text']}{caption}",
        "kind": "episodic",
        "session": f"{conversation} {turn['session']}",
        "occurred_at": spoken.isoformat(),
    }


def without_session(data: DataSet) -> DataSet:
    memories = [{k: v for k, v in memory.items() if k != "session"} for memory in data.memories]
    return replace(data, name=f"{data.name} without session", memories=memories)


def pooled(sets: list[DataSet]) -> DataSet:
    memories: list[dict[str, Any]] = []
    questions: list[Question] = []
    for data in sets:
        shift = len(memories)
        memories += data.memories
        questions += [replace(q, answers=tuple(a + shift for a in q.answers)) for q in data.questions]
    return DataSet("pooled", memories, questions)


def developer_memories(folder: Path) -> DataSet:
    memories = _lines(folder / "memories.jsonl")
    place = {memory["id"]: number for number, memory in enumerate(memories)}
    questions = [
        Question(q["query"], tuple(place[e] for e in q["expected"]), q["difficulty"], q["id"])
        for q in _lines(folder / "queries.jsonl")
    ]
    return DataSet("developer memories", [{"content": memory["content"]} for memory in memories], questions)


def aged(data: DataSet, now: datetime, days: int, order: list[int]) -> DataSet:
    """The same with ages spread evenly over ``days``; ``order`` is a permutation that deals them out."""
    step = days / max(1, len(order) - 1)
    ages = [rank * step for rank in order]
    memories = [
        memory | {"occurred_at": (now - age * DAY).isoformat()}
        for memory, age in zip(data.memories, ages, strict=True)
    ]
    return replace(data, name=f"{data.name}, ages 0 to {days} days", memories=memories)


def sequences(folder: Path, now: datetime, apart: int = 30) -> list[DataSet]:
    """Versions of one fact, ``apart`` days from each other, the last of them now."""
    return [_sequence(line, now, apart) for line in _lines(folder / "temporal.jsonl")]


def _sequence(line: dict[str, Any], now: datetime, apart: int) -> DataSet:
    last = len(line["sequence"]) - 1
    memories = [
        {"content": version["content"], "occurred_at": (now - (last - n) * apart * DAY).isoformat()}
        for n, version in enumerate(line["sequence"])
    ]
    return DataSet(line["id"], memories, [Question(line["query"], (last,), "newest", line["id"])])


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
