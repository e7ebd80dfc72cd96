"""Each published shape of a data set is read as what is stored and what is asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from data_sets import alone, devmembench, longmemeval, own_updates

WALK = [
    {"role": "user", "content": "I walked the dog to the lake.", "has_answer": True},
    {"role": "assistant", "content": "   "},
    {"role": "assistant", "content": "How far is it?"},
]
CAKE = [{"role": "user", "content": "How do I bake a cake?"}]


def ask(question_id: str, **changes: Any) -> dict[str, Any]:
    """Return an instance as LongMemEval publishes it."""
    return {
        "question_id": question_id,
        "question_type": "single-session-user",
        "question": "Where did I walk the dog?",
        "answer": "to the lake",
        "question_date": "2023/05/30 (Tue) 23:40",
        "haystack_session_ids": ["sharegpt_1", "answer_2"],
        "haystack_dates": ["2023/05/20 (Sat) 02:21", "2023/05/21 (Sun) 10:00"],
        "haystack_sessions": [CAKE, WALK],
        "answer_session_ids": ["answer_2"],
    } | changes


def write(path: Path, *lines: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_history_of_longmemeval_is_a_store_of_turns_whose_units_are_sessions(tmp_path: Path) -> None:
    file = tmp_path / "longmemeval_s.json"
    file.write_text(json.dumps([ask("q1"), ask("q2", question_type="multi-session")]))
    first, second = longmemeval(file)
    assert [memory["content"] for memory in first.memories] == [
        "user: How do I bake a cake?",
        "user: I walked the dog to the lake.",
        "assistant: How far is it?",
    ]
    assert first.units == [0, 1, 1]
    assert first.memories[1] == {
        "content": "user: I walked the dog to the lake.",
        "kind": "episodic",
        "session": "answer_2",
        "occurred_at": "2023-05-21T10:00:00+00:00",
    }
    assert (first.questions[0].answers, first.questions[0].cluster) == ((1,), "q1")
    assert second.questions[0].group == "multi-session"


def test_questions_of_longmemeval_that_are_to_be_refused_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "longmemeval_s.json"
    file.write_text(json.dumps([ask("q1_abs"), ask("q2")]))
    assert [data.name for data in longmemeval(file)] == ["q2"]


def test_a_history_with_a_date_too_few_is_no_silent_loss(tmp_path: Path) -> None:
    file = tmp_path / "longmemeval_s.json"
    file.write_text(json.dumps([ask("q1", haystack_dates=["2023/05/20 (Sat) 02:21"])]))
    with pytest.raises(ValueError, match="shorter"):
        longmemeval(file)


def test_any_message_of_a_right_session_of_devmembench_answers(tmp_path: Path) -> None:
    said = {"session": "S01", "date": "2025-01-15", "project": "shop"}
    write(
        tmp_path / "memories.jsonl",
        {"id": "S01:1", "content": "user: We use FastAPI.", **said},
        {"id": "S02:1", "content": "user: We deploy on Fridays.", **said, "session": "S02"},
        {"id": "S01:2", "content": "assistant: A good choice.", **said},
    )
    asked = {"id": "Q01", "query": "Which framework?", "answer": "FastAPI", "difficulty": "tech-stack"}
    write(tmp_path / "queries.jsonl", asked | {"expected_sessions": ["S01"], "expected": ["S01:1", "S01:2"]})
    data = devmembench(tmp_path)
    assert data.questions[0].answers == (0, 2)
    assert data.memories[1] == {
        "content": "user: We deploy on Fridays.",
        "kind": "episodic",
        "session": "S02",
        "occurred_at": "2025-01-15",
    }


def test_updates_that_are_asked_in_stores_of_their_own_are_clusters_of_their_own() -> None:
    now = datetime(2026, 5, 8, tzinfo=UTC)
    updates = own_updates()
    clusters = {alone(update, now).questions[0].cluster for update in updates}
    assert len(clusters) == len(updates)
