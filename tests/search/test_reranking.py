"""Doubtful results take the reranker's order; what it cannot see, and what is sure, stays."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.host import Host
from support.memories import memory_of

from sediment_mcp.domain.memory import Match, ScoredMemory
from sediment_mcp.embeddings.reranker import LOADING, Reranker
from sediment_mcp.errors import ModelFailed
from sediment_mcp.search.ranking import Asking, RankedCandidate
from sediment_mcp.search.reranking import MAX_RERANKED, SURE_LEAD, append_next, is_unsure, reorder

pytestmark = pytest.mark.over_both

ASKING = Asking(project=None, now=0)
MATCHES = st.sampled_from(("strong", "weak"))


def result(score: float, match: Match = "strong", position: int = 0) -> RankedCandidate:
    return RankedCandidate(position, score, match, {})


@pytest.mark.parametrize(
    ("results", "doubt"),
    [
        ([], False),
        ([result(0.5, "weak")], False),
        ([result(0.6), result(0.59)], True),
        ([result(0.6), result(0.6 / SURE_LEAD - 0.01)], False),
        ([result(0.6, "weak"), result(0.1, "weak")], True),
    ],
)
def test_results_are_in_doubt_where_none_leads_by_far(results: list[RankedCandidate], doubt: bool) -> None:
    assert is_unsure(results, ASKING) is doubt


def test_a_question_that_time_decides_is_not_in_doubt() -> None:
    close = [result(0.6), result(0.59)]
    assert not is_unsure(close, replace(ASKING, is_about_present=True))
    assert not is_unsure(close, replace(ASKING, named=[object()]))  # type: ignore[list-item]


SCORES = st.lists(st.floats(0, 1), max_size=30).map(lambda scores: sorted(scores, reverse=True))


@given(SCORES, SCORES, st.randoms())
def test_a_deeper_ranking_adds_what_is_missing_and_changes_nothing(
    few: list[float], many: list[float], chance: Any
) -> None:
    ranked = [result(score, position=place) for place, score in enumerate(few)]
    places = chance.sample(range(40), len(many))
    whole = append_next(ranked, [result(score, position=p) for p, score in zip(places, many, strict=True)])
    assert whole[: len(ranked)] == ranked
    assert len({one.position for one in whole}) == len(whole) <= max(MAX_RERANKED, len(ranked))
    scores = [one.score for one in whole]
    assert scores == sorted(scores, reverse=True)


@given(st.lists(st.tuples(st.floats(0, 1), MATCHES, st.floats(0, 1)), max_size=MAX_RERANKED))
def test_memories_change_places_and_scores_and_matches_stay_with_the_places(
    rows: list[tuple[float, Match, float]],
) -> None:
    rows.sort(key=lambda row: -row[0])
    results = [
        ScoredMemory(memory_of(place, str(place)), (0, 1), score, match)
        for place, (score, match, _) in enumerate(rows)
    ]
    values = [value for _, _, value in rows]
    ordered = reorder(results, values)
    by_value = [values[int(one.memory.content)] for one in ordered]
    assert by_value == sorted(values, reverse=True)
    assert sorted(int(one.memory.content) for one in ordered) == list(range(len(rows)))
    assert [one.score for one in ordered] == [one.score for one in results]
    assert sorted(one.match for one in ordered) == [one.match for one in ordered]
    assert sorted(one.match for one in ordered) == sorted(one.match for one in results)


def test_equal_values_leave_the_order_as_it_is() -> None:
    results = [ScoredMemory(memory_of(1, text), (0, 1), 0.5, "weak") for text in "abc"]
    assert [one.memory.content for one in reorder(results, [0.3] * 3)] == ["a", "b", "c"]


# --- in queries ---------------------------------------------------------------------------------


class LastWordScorer:
    """Finds texts good by the number that they end with."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        self.seen += texts
        if "fail" in query:
            raise ModelFailed("it failed")
        return [int(text.split()[-1]) / 100 for text in texts]


@pytest.fixture
def scorer() -> LastWordScorer:
    return LastWordScorer()


@pytest.fixture
def host(tmp_path: Path, scorer: LastWordScorer) -> Host:
    host = Host(tmp_path, model=None, reranker=Reranker(lambda: scorer, 60))
    for number in range(1, 31):
        host.store(f"the kiwi has the number {number}")
    return host


def found(host: Host, query: str, **arguments: Any) -> list[int]:
    return [int(one["content"].split()[-1]) for one in host.query(query, **arguments)["results"]]


def test_the_first_twenty_take_the_order_of_the_reranker(host: Host, scorer: LastWordScorer) -> None:
    plain = Host(host.directory, model=None)
    before = found(plain, "kiwi", limit=30)
    after = found(host, "kiwi", limit=30)
    assert after == sorted(before[:MAX_RERANKED], reverse=True) + before[MAX_RERANKED:]
    assert len(scorer.seen) == MAX_RERANKED


def test_a_short_answer_has_the_best_of_the_twenty(host: Host) -> None:
    twenty = found(Host(host.directory, model=None), "kiwi", limit=MAX_RERANKED)
    assert found(host, "kiwi", limit=3) == sorted(twenty, reverse=True)[:3]
    assert len(found(host, "kiwi", limit=1)) == 1


def test_scores_fall_along_the_new_order_and_the_reason_is_shown(host: Host) -> None:
    results = host.query("kiwi")["results"]
    scores = [one["score"] for one in results]
    assert scores == sorted(scores, reverse=True)
    assert [one["signals"]["reranker"] for one in results] == [
        int(one["content"].split()[-1]) / 100 for one in results
    ]


def test_a_result_that_leads_by_far_is_not_looked_at(host: Host, scorer: LastWordScorer) -> None:
    host.store("release notes for the quince and the plum are due on 1")
    assert found(host, "release notes quince plum")[0] == 1
    assert scorer.seen == []


@pytest.mark.parametrize("query", ["what is the current kiwi number now", "kiwi on 8 May 2026"])
def test_where_time_decides_the_order_stays(host: Host, scorer: LastWordScorer, query: str) -> None:
    assert found(host, query) == found(Host(host.directory, model=None), query)
    assert scorer.seen == []


def test_without_its_scores_the_answer_is_the_one_without_it_and_one_note_says_so(host: Host) -> None:
    plain = Host(host.directory, model=None)
    query = "kiwi fail"
    answers = [host.query(query) for _ in range(2)]
    expected = plain.query(query)
    assert [answer["results"] for answer in answers] == [expected["results"]] * 2
    notes = [set(answer["notes"]) - set(expected["notes"]) for answer in answers]
    assert ["reranker failed" in "".join(of_one) for of_one in notes] == [True, False]


def test_a_query_does_not_wait_while_it_loads(tmp_path: Path) -> None:
    gate = threading.Event()

    def load() -> LastWordScorer:
        gate.wait()
        return LastWordScorer()

    host = Host(tmp_path, model=None, reranker=Reranker(load))
    for number in (1, 2):
        host.store(f"the kiwi has the number {number}")
    assert host.app.reranker is not None
    assert host.app.reranker.ready is None
    answer = host.query("kiwi")
    assert LOADING in answer["notes"]
    gate.set()
    assert host.app.reranker.get(60) is not None
    assert found(host, "kiwi") == [2, 1]
