"""The reranker never stands in the way: it is late, slow or broken by itself, and says so once."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from sediment_mcp.config import Config
from sediment_mcp.embeddings.reranker import (
    BATCH_TEXTS,
    BUDGET_MS,
    FAILED,
    FAILED_TO_LOAD,
    LOADING,
    TOO_SLOW,
    Reranker,
    TextScores,
    load_scorer,
)
from sediment_mcp.errors import ModelFailed, ModelUnavailable

TEXTS = ["a", "bb", "ccc"] * 6
LOADED = 60.0  # seconds that a test waits for what is loaded at once


class LengthScorer:
    """Finds long texts good, and takes ``seconds`` of its own clock for each batch."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.time = 0.0
        self.batches: list[int] = []

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        self.batches.append(len(texts))
        self.time += self.seconds
        if query == "fail":
            raise ModelFailed("it failed")
        return [len(text) / 10 for text in texts]


def reranker(scorer: LengthScorer) -> Reranker:
    return Reranker(lambda: scorer, LOADED, clock=lambda: scorer.time)


def test_each_text_is_scored_in_small_batches() -> None:
    scorer = LengthScorer()
    assert reranker(scorer).score("q", TEXTS) == TextScores([len(text) / 10 for text in TEXTS])
    assert sum(scorer.batches) == len(TEXTS)
    assert max(scorer.batches) == BATCH_TEXTS


def test_while_it_loads_there_are_no_scores_and_a_call_does_not_wait() -> None:
    gate = threading.Event()

    def load() -> LengthScorer:
        gate.wait()
        return LengthScorer()

    late = Reranker(load)
    assert [late.score("q", TEXTS) for _ in range(2)] == [TextScores([], LOADING), TextScores([])]
    gate.set()
    assert late.get(LOADED) is not None
    assert late.score("q", TEXTS).values


@pytest.mark.parametrize(
    ("error", "problem"),
    [(ModelUnavailable("None: get one."), "None: get one."), (KeyError("config"), FAILED_TO_LOAD)],
)
def test_one_that_cannot_be_loaded_says_why_once(error: Exception, problem: str) -> None:
    def load() -> LengthScorer:
        raise error

    broken = Reranker(load, LOADED)
    assert [broken.score("q", TEXTS) for _ in range(2)] == [TextScores([], problem), TextScores([])]


def test_one_that_takes_too_long_is_given_up_between_two_batches_and_says_so_once() -> None:
    scorer = LengthScorer(seconds=BUDGET_MS / 1000 + 0.001)
    slow = reranker(scorer)
    assert [slow.score("q", TEXTS) for _ in range(2)] == [TextScores([], TOO_SLOW), TextScores([])]
    assert scorer.batches == [BATCH_TEXTS] * 2  # one a call


def test_one_that_is_quick_again_is_used_again() -> None:
    scorer = LengthScorer(seconds=BUDGET_MS / 1000 + 0.001)
    slow = reranker(scorer)
    slow.score("q", TEXTS)
    scorer.seconds = 0.0
    assert slow.score("q", TEXTS).values


def test_a_text_that_it_fails_on_is_a_note_and_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    failing = reranker(LengthScorer())
    with caplog.at_level(logging.ERROR):
        assert [failing.score("fail", TEXTS) for _ in range(2)] == [TextScores([], FAILED), TextScores([])]
    assert len(caplog.records) == 1
    assert failing.score("q", TEXTS).values


def test_a_mistake_of_this_package_is_not_taken_for_a_failure_of_the_model() -> None:
    class Wrong(LengthScorer):
        def score(self, query: str, texts: Sequence[str]) -> list[float]:
            raise TypeError

    wrong = reranker(Wrong())
    for _ in range(2):  # and the second call does not wait for the first
        with pytest.raises(TypeError):
            wrong.score("q", TEXTS)


def test_one_call_at_a_time_uses_it_and_the_other_waits_no_longer_than_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sediment_mcp.embeddings.reranker.BUDGET_MS", 1.0)
    begun, gate = threading.Event(), threading.Event()

    class Held(LengthScorer):
        def score(self, query: str, texts: Sequence[str]) -> list[float]:
            begun.set()
            gate.wait()
            return super().score(query, texts)

    held = reranker(Held())
    answers: list[TextScores] = []
    first = threading.Thread(target=lambda: answers.append(held.score("q", ["a"])))
    first.start()
    begun.wait()
    assert held.score("q", ["a"]) == TextScores([], TOO_SLOW)
    gate.set()
    first.join()
    assert answers == [TextScores([0.1])]


def test_without_the_extra_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "sediment_mcp.embeddings.cross_encoder", raising=False)
    monkeypatch.delattr("sediment_mcp.embeddings.cross_encoder", raising=False)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModelUnavailable, match=r"pip install .*or unset SEDIMENT_RERANKER to do without\.$"):
        load_scorer(Config(tmp_path, reranker="someone/reranker"))


@pytest.mark.process
def test_nothing_of_it_is_imported_unless_it_is_configured() -> None:
    ask = (
        "import sys, tempfile; from pathlib import Path; from sediment_mcp.app import Application; "
        "from sediment_mcp.config import Config; from sediment_mcp.domain.filters import Filters; "
        "app = Application(Config(Path(tempfile.mkdtemp()), model='none')); "
        "app.storage.open(); app.retriever.retrieve('q', Filters(), 5); app.close(); "
        "print(*(name for name in ('sediment_mcp.embeddings.reranker', 'torch') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
