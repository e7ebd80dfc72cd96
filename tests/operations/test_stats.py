"""Numbers about what there is: they add up, whatever has happened to the memories."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.command_line import Run, own_place, run, store
from support.encryption import make_encrypted, own_keys
from support.host import SMALL, Clock, Host

from sediment_mcp.config import QUESTIONS
from sediment_mcp.domain.tags import unique_tags
from sediment_mcp.operations.results import StatsResult
from sediment_mcp.operations.stats import stats
from sediment_mcp.search import unanswered_queries
from sediment_mcp.system.directory_encryption import DirectoryEncryption

pytestmark = pytest.mark.over_both

__all__ = ["own_place", "run"]  # fixtures

OpenHost = Callable[..., Host]
NOW = datetime(2026, 5, 8, 12, 0, tzinfo=UTC)


def counts(named: Any) -> dict[str, int]:
    return {one["name"]: one["memories"] for one in named}


def of(host: Host) -> StatsResult:
    return stats(host.app)


# --- memories -----------------------------------------------------------------------------------


def test_an_empty_store_counts_to_nothing(open_host: OpenHost) -> None:
    result = of(open_host())
    assert result["memories"] == {"live": 0, "superseded": 0, "expired": 0, "deleted": 0}
    assert result["kinds"] == result["months"] == {}
    assert result["projects"] == result["tags"] == result["unanswered"] == []
    assert set(result["stored_within"].values()) == {0}


def test_only_live_memories_are_counted_by_what_they_are(open_host: OpenHost) -> None:
    host = open_host(project="/code/shop")
    host.store("The shop closes at six.", tags=["shop", "hours"])
    host.store("Deploy with make ship.", kind="procedural", tags=["shop"])
    old = host.store("The shop closes at five.", tags=["old"])["id"]
    host.store("The shop closes at seven.", replaces=[old])
    host.delete(host.store("A mistake.", tags=["wrong"])["id"])
    host.store("The user likes tea.", scope="global", session="monday")
    result = of(host)
    assert result["memories"] == {"live": 4, "superseded": 1, "expired": 0, "deleted": 1}
    assert result["kinds"] == {"semantic": 3, "procedural": 1}
    assert list(counts(result["projects"]).items()) == [("/code/shop", 3), ("", 1)]
    assert list(counts(result["tags"]).items()) == [("shop", 2), ("hours", 1)]
    assert result["sessions"] == 1


def test_ages_and_months_count_from_the_day_of_storing(open_host: OpenHost, clock: Clock) -> None:
    host = open_host()
    for text, day in (("first", 0), ("second", 300), ("third", 363)):
        clock.time = NOW + timedelta(days=day)
        host.store(text, occurred_at="2020-01-01")
    clock.time = NOW + timedelta(days=364)
    result = of(host)
    assert result["stored_within"] == {"day": 0, "week": 1, "month": 1, "year": 3}
    assert result["months"] == {"2026-05": 1, "2027-03": 1, "2027-05": 1}
    assert list(result["months"]) == sorted(result["months"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=5), st.lists(st.text(st.sampled_from("aA%_\\é"), min_size=1, max_size=4), max_size=8))
def test_tags_are_found_by_how_they_begin(tmp_path: Path, prefix: str, tags: list[str]) -> None:
    prefix = prefix.replace("\0", "")
    host = Host(tmp_path / str(hash((prefix, *tags))), model=None)
    host.store("tagged", tags=tags, importance=0.5)
    with host.app.storage.read() as opened:
        found = set(opened.statistics.tags(host.clock(), prefix))
    host.end()
    lowered = prefix.translate({sign: sign + 32 for sign in range(ord("A"), ord("Z") + 1)})
    own = {tag: tag.translate({sign: sign + 32 for sign in range(ord("A"), ord("Z") + 1)}) for tag in tags}
    assert found == {tag for tag in unique_tags(tags) if own[tag].startswith(lowered)}


def test_sessions_come_latest_first(open_host: OpenHost) -> None:
    host = open_host()
    for name, day in (("Alpha", "2026-01-02"), ("beta", "2026-03-01"), ("alps", "2026-01-05")):
        host.store(f"said in {name}", session=name, occurred_at=day)
    with host.app.storage.read() as opened:
        assert opened.statistics.sessions() == ["beta", "alps", "Alpha"]
        assert opened.statistics.sessions("al") == ["alps", "Alpha"]


# --- indexes and sizes --------------------------------------------------------------------------


def test_an_index_is_behind_by_what_was_stored_since(open_host: OpenHost) -> None:
    host = open_host(tuning=SMALL)
    for number in range(8):
        host.store(f"note number {number} about ducks")
    assert [(index["exists"], index["behind"]) for index in of(host)["indexes"]] == [(False, 8)] * 2
    host.run_jobs()
    assert [(index["exists"], index["behind"]) for index in of(host)["indexes"]] == [(True, 0)] * 2
    host.store("one more")
    assert [(index["exists"], index["behind"]) for index in of(host)["indexes"]] == [(True, 1)] * 2


def test_sizes_add_up_to_the_directory(open_host: OpenHost) -> None:
    host = open_host(tuning=SMALL)
    for number in range(8):
        host.store(f"note number {number} about ducks")
    host.run_jobs()
    sizes = of(host)["sizes"]
    is_in_a_file = not host.app.config.database
    assert {"text index", "vector index", "database", *(["log"] if is_in_a_file else [])} <= set(sizes)
    files = [path for path in host.files.rglob("*") if path.is_file()]
    if is_in_a_file:
        assert sizes["database"] == (host.files / "memories.db").stat().st_size
    else:  # what the rows of the tenant take on the server
        assert sizes.pop("database") > 0
    assert sum(sizes.values()) == sum(path.stat().st_size for path in files)


# --- questions ----------------------------------------------------------------------------------


def keeping(host: Host) -> Host:
    host.app.config = replace(host.app.config, questions="keep")
    return host


def test_by_default_no_question_is_kept(open_host: OpenHost) -> None:
    host = open_host()
    host.query("what was never told")
    assert of(host)["unanswered"] == []
    assert not (host.files / unanswered_queries.FILE).exists()


def test_only_what_found_nothing_is_kept(open_host: OpenHost, clock: Clock) -> None:
    host = keeping(open_host(model=None))
    host.store("The bicycle stands in the cellar.")
    host.query("bicycle cellar")
    host.query("where is the piano")
    clock.advance(days=1)
    host.query("where is the piano")
    host.query("who painted it")
    found = [(asked["question"], asked["times"], asked["last"][:10]) for asked in of(host)["unanswered"]]
    assert found == [("where is the piano", 2, "2026-05-09"), ("who painted it", 1, "2026-05-09")]
    assert (host.files / unanswered_queries.FILE).stat().st_mode & 0o077 == 0


def test_a_question_that_cannot_be_kept_is_answered_all_the_same(open_host: OpenHost) -> None:
    host = keeping(open_host(model=None))
    host.store("The bicycle stands in the cellar.")
    (host.files / unanswered_queries.FILE).mkdir()
    assert host.query("where is the piano")["mode"] == "lexical"


@pytest.fixture
def own_keys_here() -> Iterator[None]:
    with own_keys():
        yield


KINDS = pytest.mark.parametrize("kind", ["plain", pytest.param("encrypted", marks=pytest.mark.encrypt)])


def open_encryption(directory: Path, kind: str) -> DirectoryEncryption:
    if kind == "encrypted":
        make_encrypted(directory)
    return DirectoryEncryption(directory)


@KINDS
@pytest.mark.usefixtures("own_keys_here")
def test_the_file_stays_small_and_keeps_the_newest(tmp_path: Path, kind: str) -> None:
    encryption = open_encryption(tmp_path, kind)
    asked = 2 * unanswered_queries.MAX_FILE_BYTES // unanswered_queries.MAX_QUERY_CHARS
    for number in range(asked):
        unanswered_queries.keep_query(
            tmp_path, f"{number} " + "x" * 2 * unanswered_queries.MAX_QUERY_CHARS, NOW, encryption
        )
        assert (tmp_path / unanswered_queries.FILE).stat().st_size <= unanswered_queries.MAX_FILE_BYTES + 1000
    kept = {int(one.question.split()[0]) for one in unanswered_queries.list_unanswered(tmp_path, encryption)}
    assert max(kept) == asked - 1
    assert kept == set(range(min(kept), asked))


@pytest.mark.parametrize("line", ["", "{", "[]", "null", '{"question": 1, "asked_at": "x"}', "\udc80"])
@KINDS
@pytest.mark.usefixtures("own_keys_here")
def test_a_line_that_cannot_be_read_is_passed_over(tmp_path: Path, line: str, kind: str) -> None:
    encryption = open_encryption(tmp_path, kind)
    unanswered_queries.keep_query(tmp_path, "before", NOW, encryption)
    with (tmp_path / unanswered_queries.FILE).open("ab") as file:
        file.write(line.encode(errors="surrogateescape") + b"\n")
    unanswered_queries.keep_query(tmp_path, "after", NOW, encryption)
    kept = unanswered_queries.list_unanswered(tmp_path, encryption)
    assert {one.question for one in kept} == {"before", "after"}


# --- the command --------------------------------------------------------------------------------


def test_the_command_shows_what_json_says(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEDIMENT_MODEL", "none")
    monkeypatch.setenv(QUESTIONS, "keep")
    store(run, "The staging database is in Frankfurt.", "--tag", "net")
    run("query", "wallpaper")
    shown, result = run("stats").out, run("stats", "--json").json
    assert "1 live" in shown
    assert "net 1" in shown
    assert "wallpaper (once" in shown
    assert result["memories"]["live"] == 1
    assert [asked["question"] for asked in result["unanswered"]] == ["wallpaper"]
    assert "wallpaper" not in run("stats", "--forget-questions").out
    assert json.loads(run("stats", "--json").out)["unanswered"] == []


@pytest.mark.parametrize("by_retention", [False, True])
def test_kept_questions_about_a_memory_go_with_it_when_it_is_erased(
    open_host: OpenHost, clock: Clock, by_retention: bool
) -> None:
    host = open_host()
    identity = host.store("The vault opens with 4711")["id"]
    for question in ("Where is the vault?", "What is for dinner?", "the 4711"):
        unanswered_queries.keep_query(host.files, question, NOW, host.app.encryption)
    if by_retention:
        host.delete(identity)
        clock.advance(days=31)
        host.app.services.retention.run(None)
    else:
        host.delete(identity, permanent=True)
    kept = unanswered_queries.list_unanswered(host.files, host.app.encryption)
    assert [one.question for one in kept] == ["What is for dinner?"]
