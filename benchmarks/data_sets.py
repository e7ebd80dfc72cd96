"""The data sets as what is stored and what is asked, read from a path and copied nowhere.

A memory is the arguments of `store_memory`; a question names the units that answer it. A unit is a memory by
its position, unless the data set says what each memory counts as: its session where sessions are ranked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

DAY = timedelta(days=1)
OWN_UPDATES = Path(__file__).parent / "data" / "updates.jsonl"


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
    questions: list[Question] = field(default_factory=list[Question])
    units: Sequence[int] = ()  # of each memory; by default each is its own


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
    return _read_lines("developer memories", folder, lambda line: {"content": line["content"]})


def devmembench(folder: Path) -> DataSet:
    """DevMemBench: one memory a message of a coding session; any message of a right session counts."""
    return _read_lines("DevMemBench", folder, _message)


def _message(line: dict[str, Any]) -> dict[str, Any]:
    said = {"session": line["session"], "occurred_at": line["date"]}
    return {"content": line["content"], "kind": "episodic", **said}


def _read_lines(name: str, folder: Path, store: Callable[[dict[str, Any]], dict[str, Any]]) -> DataSet:
    memories = _lines(folder / "memories.jsonl")
    place = {memory["id"]: number for number, memory in enumerate(memories)}
    questions = [
        Question(q["query"], tuple(place[e] for e in q["expected"]), q["difficulty"], q["id"])
        for q in _lines(folder / "queries.jsonl")
    ]
    return DataSet(name, [store(memory) for memory in memories], questions)


def longmemeval(file: Path) -> list[DataSet]:
    """LongMemEval: a store for each question, one memory a turn; the units are sessions.

    Questions to be refused ("_abs") have no session that answers, and are left out as in the paper.
    """
    return [_history(line) for line in json.loads(file.read_text()) if "_abs" not in line["question_id"]]


def _history(line: dict[str, Any]) -> DataSet:
    sessions = list(
        zip(line["haystack_session_ids"], line["haystack_dates"], line["haystack_sessions"], strict=True)
    )
    place = {session: number for number, (session, _, _) in enumerate(sessions)}
    said = [
        (place[session], {"content": f"{turn['role']}: {turn['content']}", "kind": "episodic",
                          "session": session, "occurred_at": _read_minute(date)})
        for session, date, turns in sessions
        for turn in turns
        if turn["content"].strip()
    ]  # fmt: skip
    answers = tuple(sorted({place[session] for session in line["answer_session_ids"]}))
    question = Question(line["question"], answers, line["question_type"], line["question_id"])
    return DataSet(line["question_id"], [turn for _, turn in said], [question], [unit for unit, _ in said])


def _read_minute(text: str) -> str:
    """Read a time such as "2023/05/20 (Sat) 02:21"."""
    day, *_, time = text.split()
    return datetime.strptime(f"{day} {time}", "%Y/%m/%d %H:%M").replace(tzinfo=UTC).isoformat()


def aged(data: DataSet, now: datetime, days: int, order: list[int]) -> DataSet:
    """The same with ages spread evenly over ``days``; ``order`` is a permutation that deals them out."""
    step = days / max(1, len(order) - 1)
    ages = [rank * step for rank in order]
    memories = [
        memory | {"occurred_at": (now - age * DAY).isoformat()}
        for memory, age in zip(data.memories, ages, strict=True)
    ]
    return replace(data, name=f"{data.name}, ages 0 to {days} days", memories=memories)


@dataclass(frozen=True)
class Update:
    """Versions of one fact, oldest first, a question for it, and newer memories that do not answer it."""

    question: str
    versions: tuple[str, ...]
    beside: tuple[str, ...] = ()


def developer_updates(folder: Path) -> list[Update]:
    return [
        Update(line["query"], tuple(version["content"] for version in line["sequence"]))
        for line in _lines(folder / "temporal.jsonl")
    ]


def own_updates() -> list[Update]:
    """The project's own: everyday facts, each with two newer memories about the same that do not answer."""
    return [
        Update(line["question"], tuple(line["versions"]), tuple(line["beside"]))
        for line in _lines(OWN_UPDATES)
    ]


def alone(update: Update, now: datetime, apart: int = 30) -> DataSet:
    """The versions of one fact in a store of their own, ``apart`` days from each other, the last one now."""
    return among(DataSet(update.question, []), [update], now, apart)


def among(
    data: DataSet, updates: Sequence[Update], now: datetime, apart: int = 30, newest: int = 0
) -> DataSet:
    """All updates among the memories of ``data``, the last version of each ``newest`` days old.

    A question's answers are the versions, the newest first; what does not answer is stored as of now.
    """
    memories, questions = list(data.memories), list[Question]()
    for update in updates:
        start, last = len(memories), len(update.versions) - 1
        for place, version in enumerate(update.versions):
            age = newest + (last - place) * apart
            memories.append({"content": version, "occurred_at": (now - age * DAY).isoformat()})
        answers = tuple(range(start + last, start - 1, -1))
        questions.append(Question(update.question, answers, "update", update.question))
        memories += [{"content": text, "occurred_at": now.isoformat()} for text in update.beside]
    return DataSet(f"updates among {len(data.memories)} memories", memories, questions)


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
