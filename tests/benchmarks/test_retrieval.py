"""The benchmark of retrieval counts, sums up and compares what a server answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import retrieval
from data_sets import DataSet, Question
from hosts import InProcess
from metrics import change
from rich.progress import Progress

from sediment_mcp.config import Config
from sediment_mcp.errors import ModelUnavailable
from sediment_mcp.tuning import Tuning


class ListedHost:
    """A server that finds its memories in the order in which they were stored."""

    def __init__(self) -> None:
        self.stored: list[str] = []

    def store(self, arguments: dict[str, Any]) -> str:
        if arguments["content"] not in self.stored:
            self.stored.append(arguments["content"])
        return str(self.stored.index(arguments["content"]))

    def query(self, arguments: dict[str, Any]) -> dict[str, Any]:
        results = [{"id": str(place), "match": "strong"} for place in range(len(self.stored))]
        return {"results": results[: arguments["limit"]]}

    def close(self) -> None: ...


@pytest.fixture
def run() -> retrieval.Run:
    return retrieval.Run(ListedHost, Progress(disable=True))


def say(*texts: str) -> list[dict[str, Any]]:
    return [{"content": text} for text in texts]


def test_memories_are_ranked_by_their_places(run: retrieval.Run) -> None:
    data = DataSet("memories", say("a", "b", "c"), [Question("?", (1, 2), "", "one")])
    assert run.ask(data)[0][0].ranks == (1, 2)


def test_the_same_text_stored_twice_is_found_as_both(run: retrieval.Run) -> None:
    data = DataSet("memories", say("a", "b", "a"), [Question("?", (2,), "", "one")])
    assert run.ask(data)[0][0].ranks == (0,)


def test_sessions_are_ranked_by_their_best_turns(run: retrieval.Run) -> None:
    data = DataSet("turns", say("a", "b", "c", "d"), [Question("?", (2, 3), "", "one")], units=[0, 0, 2, 3])
    assert run.ask(data)[0][0].ranks == (1, 2)


def test_longmemeval_is_measured_by_sessions_and_types(run: retrieval.Run, tmp_path: Path) -> None:
    lines = [
        {
            "question_id": f"q{number}", "question_type": "multi-session", "question": "?", "answer": "!",
            "question_date": "2023/05/30 (Tue) 23:40",
            "haystack_session_ids": [f"s{place}" for place in range(8)],
            "haystack_dates": ["2023/05/20 (Sat) 02:21"] * 8,
            "haystack_sessions": [
                [{"role": "user", "content": f"{place} {turn}"} for turn in "ab"] for place in range(8)
            ],
            "answer_session_ids": ["s4", "s6"],
        }
        for number in range(3)
    ]  # fmt: skip
    file = tmp_path / "longmemeval_s.json"
    file.write_text(json.dumps(lines))
    run.sample = 2
    retrieval.run_longmemeval(run, file)
    found = {(f["setting"], f["measure"]): (f["value"], f["questions"]) for f in run.figures}
    assert found["sessions by their best turn", "any@5"] == (1.0, 2)
    assert found["sessions by their best turn", "all@5"] == (0.0, 2)
    assert found["questions of multi-session", "all@10"] == (1.0, 2)


def test_time_is_summed_up_in_one_line(run: retrieval.Run, tmp_path: Path) -> None:
    for name, lines in {
        "memories": [{"id": str(number), "content": f"fact {number}"} for number in range(9)],
        "queries": [{"id": "q", "query": "fact 0", "expected": ["0"], "difficulty": "easy"}],
        "temporal": [{"query": "now?", "sequence": [{"content": "old"}, {"content": "new"}]}],
    }.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    retrieval.run_developer_memories(run, tmp_path)
    (line,) = run.summary
    assert line.startswith("Newest version first, all updates among 9 others: fresh 0.000")
    assert line.endswith("R@1 with ages 0 to 180 days against fresh: +0.000 (+0.000 to +0.000).")


def test_a_run_is_compared_with_the_same_figures_of_an_earlier_one() -> None:
    def figure(measure: str, **sums: tuple[float, int]) -> dict[str, Any]:
        return {"setting": "all", "measure": measure, "sums": sums}

    before = json.loads(json.dumps([figure("R@1", a=(0, 2), b=(1, 2))]))
    figures = [figure("R@1", a=(1, 2), b=(2, 2)), figure("R@5", a=(1, 2))]
    retrieval.compare(figures, before)
    assert figures[0]["change"] == change(before[0]["sums"], figures[0]["sums"])[0] == 0.5
    assert "change" not in figures[1]


def test_a_reranker_is_measured_with_the_server_it_is_part_of(monkeypatch: pytest.MonkeyPatch) -> None:
    class Backwards:
        """Finds the later texts better."""

        def score(self, query: str, texts: Sequence[str]) -> list[float]:
            return [int(text[-1]) / 10 for text in texts]

    monkeypatch.setattr(retrieval, "load_scorer", lambda config: Backwards())
    reranker = retrieval._load_reranker("someone/reranker")
    data = DataSet(
        "facts", say(*(f"kiwi {number}" for number in range(5))), [Question("kiwi", (4,), "", "one")]
    )
    run = retrieval.Run(lambda: InProcess(None, Tuning(), reranker), Progress(disable=True))
    assert run.ask(data)[0][0].ranks == (0,)
    assert (reranker.asked, reranker.ordered) == (1, 1)


def test_a_reranker_that_cannot_be_loaded_ends_the_benchmark_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(config: Config) -> None:
        raise ModelUnavailable("There is none: get one.")

    monkeypatch.setattr(retrieval, "load_scorer", fail)
    with pytest.raises(SystemExit, match="There is none: get one"):
        retrieval._load_reranker("someone/reranker")
