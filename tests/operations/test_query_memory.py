"""Queries against the contract, over real storage and a deterministic model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.embedding_double import EmbeddingDouble
from support.host import NO_MODEL_TODAY, QUIET, SMALL, Host
from support.memories import long_text

from sediment_mcp.indexes import tantivy_index
from sediment_mcp.indexes.indexer import TEXT_LOCK
from sediment_mcp.system.locks import locked

pytestmark = pytest.mark.over_both

OpenHost = Callable[..., Host]


@pytest.fixture
def varied(open_host: OpenHost) -> tuple[Host, dict[str, str]]:
    """Ten memories about a kiwi that differ in what filters look at."""
    host, other = open_host(project="atlas", tuning=SMALL), open_host(project="other", tuning=SMALL)
    what: dict[str, tuple[Host, dict[str, Any]]] = {
        "plain": (host, {}),
        "global": (host, {"scope": "global"}),
        "other": (other, {}),
        "tagged": (host, {"tags": ["red", "round"]}),
        "red": (host, {"tags": ["red"]}),
        "how-to": (host, {"kind": "procedural"}),
        "event": (host, {"kind": "episodic", "session": "s"}),
        "talk": (host, {"session": "s", "occurred_at": "2025-06-01"}),
        "old": (host, {"occurred_at": "2020-01-01"}),
        "future": (host, {"occurred_at": "2030-01-01T12:00:00+05:00"}),
    }
    ids = {name: of.store(f"kiwi {name}", **more)["id"] for name, (of, more) in what.items()}
    return host, ids


FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({"scope": "project"}, {"plain", "tagged", "red", "how-to", "event", "talk", "old", "future"}),
    ({"scope": "global"}, {"global"}),
    ({"tags": ["red"]}, {"tagged", "red"}),
    ({"tags": ["round", "red"]}, {"tagged"}),
    ({"tags": ["green"]}, set()),
    ({"kind": "procedural"}, {"how-to"}),
    ({"session": "s"}, {"event", "talk"}),
    ({"session": "s", "kind": "episodic"}, {"event"}),
    ({"since": "2030-01-01T07:00:00Z"}, {"future"}),
    ({"since": "2030-01-01T07:00:00.000001Z"}, set()),
    ({"until": "2020-01-01"}, {"old"}),
    ({"until": "2019-12-31T23:59:59.999999Z"}, set()),
    ({"since": "2020-01-01", "until": "2025-06-01"}, {"old", "talk"}),
]


@pytest.mark.parametrize("flushed", [False, True], ids=["memtable", "snapshot"])
@pytest.mark.parametrize(("filters", "expected"), FILTERS, ids=[json.dumps(f) for f, _ in FILTERS])
def test_filters_are_exact_and_inclusive(
    varied: tuple[Host, dict[str, str]],
    filters: dict[str, Any],
    expected: set[str],
    flushed: bool,
) -> None:
    host, ids = varied
    if flushed:
        host.run_jobs()
    names = {identity: name for name, identity in ids.items()}
    assert {names[found] for found in host.found("kiwi", **filters)} == expected
    assert {names[m["id"]] for m in host.list(**filters)["memories"]} == expected
    assert host.list(**filters)["total"] == len(expected)


def test_a_filter_finds_the_one_memory_that_hundreds_outrank(host: Host) -> None:
    needle = host.store("wombat " + "and other animals of the wide and quiet land " * 5, tags=["rare"])["id"]
    for number in range(300):
        host.store(f"wombat wombat wombat {number}")
    assert host.found("wombat", tags=["rare"], limit=5) == [needle]
    host.rebuild_text()
    assert host.found("wombat", tags=["rare"], limit=5) == [needle]


def test_a_long_memory_that_was_deleted_hides_no_other(host: Host) -> None:
    """Its many passages fill the text snapshot's best places until the next flush."""
    shadow = host.store("\n\n".join(f"wombat {n} wombat. " + "wombat wombat " * 50 for n in range(120)))["id"]
    rest = [host.store(f"{n} once a wombat came by " + "and left " * 30)["id"] for n in range(3)]
    host.rebuild_text()
    host.model = None  # nothing but words may find them
    host.crash()
    host.delete(shadow)
    assert host.found_by_words("wombat", limit=5) == set(rest)


def test_other_projects_rank_lower_and_are_marked(open_host: OpenHost) -> None:
    here, there = open_host(project="here"), open_host(project="there")
    theirs = there.store("The linter is ruff")["id"]
    ours = here.store("The linter is ruff")["id"]
    results = here.query("linter ruff")["results"]
    assert [(r["id"], r["project"]) for r in results] == [(ours, "here"), (theirs, "there")]
    assert results[0]["score"] > results[1]["score"]
    assert there.found("linter ruff") == [theirs, ours]


@pytest.mark.parametrize(
    "text",
    ['"', "(" * 9_000, "a AND (b OR", "tag:x", "-fox", "*", "C:\\dir", "10:30", "'; DROP TABLE memories;--",
     "東京都に住む", "🦔🦔", "x" * 10_000, "def f(x): return x**2", "\x00\x1b[0m", "NOT", "%_"],
)  # fmt: skip
def test_any_text_is_data_and_never_syntax(host: Host, text: str) -> None:
    own = host.store(text)["id"]
    host.store("Something else altogether")
    host.run_jobs()
    for _ in ("in the memtable", "in the snapshot"):
        assert own in host.found(text)
        host.rebuild_text()
    assert host.list(ids=[own])["memories"][0]["content"] == text


def test_limit_and_budget_are_kept(host: Host) -> None:
    for number in range(12):
        host.store(f"badger {number} " + "lives under the hill " * 40)
    assert len(host.query("badger")["results"]) == 5
    answer = host.query("badger", limit=12, max_chars=2000)
    shown = sum(len(result["content"]) for result in answer["results"])
    assert 0 < shown <= 2000
    assert len(answer["results"]) < 12
    assert str(12 - len(answer["results"])) in answer["notes"][-1]
    assert len(host.query("badger", limit=12, max_chars=100_000)["results"]) == 12


def test_a_long_memory_comes_as_its_best_passage(host: Host) -> None:
    text = long_text("pangolin")
    identity = host.store(text)["id"]
    result = host.query("pangolin", max_chars=2000)["results"][0]
    assert result["id"] == identity
    assert result["truncated"] is True
    assert "pangolin" in result["content"]
    assert result["content"] in text
    whole = host.query("pangolin", max_chars=100_000)["results"][0]
    assert (whole["content"], whole["truncated"]) == (text, False)
    preview = host.list()["memories"][0]
    assert (preview["content"], preview["truncated"]) == (text[:300], True)
    assert host.list(ids=[identity])["memories"][0]["content"] == text


def test_an_empty_store_answers(host: Host) -> None:
    assert host.query("anything") == {"results": [], "mode": "hybrid", "notes": []}
    assert host.list() == {"memories": [], "total": 0}


def test_what_fits_nothing_is_weak(host: Host) -> None:
    host.store("The cat sleeps on the sofa")
    assert host.query("quantum chromodynamics")["results"][0]["match"] == "weak"


def test_a_query_is_answered_from_the_memtable_while_another_process_holds_the_index(
    open_host: OpenHost,
) -> None:
    host = open_host(tuning=replace(QUIET, far_behind=2, lock_timeout=0.0))
    ids = {host.store(f"kiwi {n}")["id"] for n in range(5)}
    with locked(host.files / TEXT_LOCK, timeout=0):
        assert host.found_by_words("kiwi") == ids
        assert not (host.files / tantivy_index.POINTER).exists()
    host.crash()
    assert host.found_by_words("kiwi") == ids
    assert (host.files / tantivy_index.POINTER).exists(), "the index would be written if it could"


def test_reading_a_memory_never_changes_its_rank(host: Host) -> None:
    ids = [host.store(f"kiwi {n} " + "and others " * n)["id"] for n in range(6)]
    before = host.query("kiwi", limit=100)
    with host.app.storage.read() as session:
        seq = session.changes.seq()
    for _ in range(5):
        host.found("kiwi 5")
        host.list(ids=[ids[5]])
    assert host.query("kiwi", limit=100) == before
    with host.app.storage.read() as session:
        assert session.changes.seq() == seq, "reading writes nothing"


# --- without a model, and with another one ------------------------------------------------------


def test_without_a_model_words_find_everything_and_a_note_says_why(open_host: OpenHost) -> None:
    host = open_host(model=None)
    identity = host.store("The kettle is red")["id"]
    answer = host.query("kettle")
    assert (answer["mode"], answer["notes"]) == ("lexical", [NO_MODEL_TODAY])
    assert [r["id"] for r in answer["results"]] == [identity]
    assert "semantic" not in answer["results"][0]["signals"]
    assert host.list()["total"] == 1


def test_vectors_of_two_models_never_meet(open_host: OpenHost) -> None:
    old = open_host(tuning=SMALL, model=EmbeddingDouble("old"))
    texts = [f"fact number {n} of many" for n in range(12)]
    ids = {text: old.store(text)["id"] for text in texts}
    old.run_jobs()
    new = open_host(tuning=SMALL, model=EmbeddingDouble("new", dimension=48))
    for text in texts:  # nothing of the new model is there yet, and nothing of the old one is used
        results = new.query(text, limit=100)["results"]
        assert all("semantic" not in result["signals"] for result in results)
        assert ids[text] in {result["id"] for result in results}
    assert new.query("fact")["mode"] == "hybrid"
    new.run_jobs()
    for text in texts:
        assert new.found_by_meaning(text) == old.found_by_meaning(text) == {ids[text]}
