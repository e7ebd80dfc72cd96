"""The four operations against the contract, over real storage and a deterministic model."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.embedding_double import EmbeddingDouble
from support.host import NO_MODEL_TODAY, Clock, Host
from support.traces import traces

from sediment_mcp.background import embedding_queue
from sediment_mcp.errors import BadArgument, NoProject, UnknownMemory
from sediment_mcp.indexes import tantivy_index
from sediment_mcp.operations.arguments import MemoryResult, RankedResult
from sediment_mcp.operations.trash import restore_memories
from sediment_mcp.search import retriever
from sediment_mcp.system import files

OpenHost = Callable[..., Host]


def long_text(marker: str, paragraphs: int = 40) -> str:
    """A text of many passages, with ``marker`` in the middle one."""
    filler = "The committee met again and wrote down what everybody had said about the harbour wall. " * 4
    parts = [f"Paragraph {number}. {filler}" for number in range(paragraphs)]
    parts[paragraphs // 2] = f"Here alone stands the word {marker}. {filler}"
    return "\n\n".join(parts)


# --- store_memory -------------------------------------------------------------------------------


def test_a_memory_comes_back_with_everything_it_was_given(open_host: OpenHost) -> None:
    host = open_host(project="atlas")
    given_ = {
        "kind": "procedural",
        "tags": ["b", "a", "b"],
        "session": "s1",
        "importance": 0.9,
        "occurred_at": "2026-01-02T03:04:05.678901+02:00",
        "expires_at": "2027-01-01T00:00:00Z",
        "metadata": {"deep": [1, {"ü": None}]},
    }
    content = "  Deploy with 'make ship' \n\u00e9 e\u0301 \t🦔  "
    stored = host.store(content, **given_)
    expected: MemoryResult = {
        "id": stored["id"],
        "content": content,
        "truncated": False,
        "kind": "procedural",
        "tags": ["b", "a"],
        "scope": "project",
        "project": "atlas",
        "session": "s1",
        "importance": 0.9,
        "metadata": {"deep": [1, {"ü": None}]},
        "occurred_at": "2026-01-02T01:04:05.678901Z",
        "created_at": "2026-05-08T12:00:00Z",
        "expires_at": "2027-01-01T00:00:00Z",
        "superseded_by": None,
    }
    assert stored == {
        "id": stored["id"],
        "status": "stored",
        "superseded": [],
        "similar": [],
        "expires_at": "2027-01-01T00:00:00Z",
        "warnings": [],
    }
    assert 1 <= len(stored["id"]) <= 16
    assert stored["id"].isalnum()
    assert host.list()["memories"] == [expected]
    assert host.list(ids=[stored["id"]])["memories"] == [expected]
    result = host.query("make ship")["results"][0]
    assert {name: result[name] for name in expected} == expected
    assert set(result) == set(RankedResult.__annotations__) | set(expected)
    assert 0 <= result["score"] <= 1
    assert result["match"] == "strong"
    assert result["signals"]["lexical"] == 1


def test_the_defaults_are_those_of_the_contract(host: Host, clock: Clock) -> None:
    memory = host.list(ids=[host.store("plain")["id"]])["memories"][0]
    assert memory["kind"] == "semantic"
    assert memory["scope"] == "global"
    assert memory["tags"] == []
    assert memory["session"] is memory["expires_at"] is memory["project"] is None
    assert memory["importance"] == 0.5
    assert memory["metadata"] == {}
    assert memory["occurred_at"] == memory["created_at"] == clock().isoformat().replace("+00:00", "Z")


def test_a_known_project_owns_what_is_stored_unless_it_is_global(open_host: OpenHost) -> None:
    host = open_host(project="atlas")
    for scope, expected in ((None, "project"), ("project", "project"), ("global", "global")):
        memory = host.list(ids=[host.store(f"for {scope}", scope=scope)["id"]])["memories"][0]
        assert memory["scope"] == expected
        assert memory["project"] == ("atlas" if expected == "project" else None)


def test_the_project_is_refused_where_none_is_known(host: Host) -> None:
    for call in (lambda: host.store("x", scope="project"), lambda: host.query("x", scope="project")):
        with pytest.raises(NoProject, match="SEDIMENT_PROJECT"):
            call()
    with pytest.raises(NoProject):
        host.list(scope="project")
    assert host.list()["total"] == 0


@pytest.mark.parametrize("kind", ["semantic", "procedural", "working"])
def test_the_same_text_is_stored_once(open_host: OpenHost, kind: str) -> None:
    host = open_host(project="atlas")
    first = host.store("The build   needs\nnode 20", kind=kind, tags=["a"], importance=0.2, session="one")
    again = host.store("The build needs node 20 ", kind=kind, tags=["b"], importance=0.7, session="two")
    assert (again["id"], again["status"]) == (first["id"], "duplicate")
    memory = host.list()["memories"][0]
    assert host.list()["total"] == 1
    assert memory["tags"] == ["a", "b"]
    assert memory["importance"] == 0.7
    assert host.found("node", tags=["b"]) == [first["id"]]


def test_scope_kind_and_case_make_different_memories(open_host: OpenHost) -> None:
    atlas, other = open_host(project="atlas"), open_host(project="other")
    stored = [
        atlas.store("The same words"),
        atlas.store("The same words", scope="global"),
        atlas.store("The same words", kind="procedural"),
        atlas.store("the same words"),
        other.store("The same words"),
    ]
    assert {result["status"] for result in stored} == {"stored"}
    assert len({result["id"] for result in stored}) == atlas.list()["total"] == 5


def test_an_event_repeats_unless_session_and_time_are_the_same(host: Host, clock: Clock) -> None:
    def happened(**more: Any) -> str:
        return host.store("The deploy failed", kind="episodic", **more)["status"]

    assert happened(session="s", occurred_at="2026-05-01") == "stored"
    assert happened(session="s", occurred_at="2026-05-01T00:00:00Z") == "duplicate"
    assert happened(session="s", occurred_at="2026-05-02") == "stored"
    assert happened(session="t", occurred_at="2026-05-01") == "stored"
    assert happened(session="u") == "stored"
    assert happened(session="u") == "duplicate"
    clock.advance(hours=1)
    assert happened(session="u") == "stored"


def test_a_text_that_is_gone_is_stored_anew(host: Host, clock: Clock) -> None:
    deleted = host.store("Tea is at four")["id"]
    host.delete(deleted)
    expiring = host.store("Tea is at four", expires_at="2026-05-08T13:00:00Z")
    assert expiring["status"] == "stored"
    clock.advance(hours=2)
    third = host.store("Tea is at four")
    assert third["status"] == "stored"
    corrected = host.store("Tea is at five", replaces=[third["id"]])
    assert corrected["superseded"] == [third["id"]]
    assert host.store("Tea is at four")["status"] == "stored"


def test_a_replaced_memory_becomes_history(host: Host) -> None:
    old, other = host.store("The port is 8080")["id"], host.store("The port is 8081")["id"]
    new = host.store("The port is 9090", replaces=[old, other, old])
    assert sorted(new["superseded"]) == sorted([old, other])
    assert host.found("port") == [new["id"]]
    assert host.list()["total"] == 1
    assert set(host.found("port", include_superseded=True)) == {old, other, new["id"]}
    history = host.list(include_superseded=True)
    assert history["total"] == 3
    assert {m["id"]: m["superseded_by"] for m in history["memories"]} == {
        old: new["id"], other: new["id"], new["id"]: None,
    }  # fmt: skip


def test_an_unknown_id_to_replace_stores_nothing(host: Host) -> None:
    known, deleted = host.store("known")["id"], host.store("deleted")["id"]
    host.delete(deleted)
    for bad in ("nosuchid", deleted):
        with pytest.raises(UnknownMemory, match=bad):
            host.store("new", replaces=[known, bad])
    assert [memory["id"] for memory in host.list()["memories"]] == [known]


def test_replacing_history_or_itself_warns(host: Host) -> None:
    first = host.store("v1")["id"]
    second = host.store("v2", replaces=[first])["id"]
    third = host.store("v3", replaces=[first])
    assert third["superseded"] == []
    assert second in third["warnings"][0]
    same = host.store("v3", replaces=[third["id"]])
    assert (same["status"], same["superseded"]) == ("duplicate", [])
    assert len(same["warnings"]) == 1
    assert set(host.found("v3")) >= {third["id"]}


def test_a_working_memory_ends_after_a_day(host: Host, clock: Clock) -> None:
    stored = host.store("Lunch with Ada", kind="working")
    longer = host.store("Dinner with Ada", kind="working", expires_at="2026-05-20")
    assert stored["expires_at"] == "2026-05-09T12:00:00Z"
    clock.advance(hours=23, minutes=59)
    assert set(host.found("Ada")) == {stored["id"], longer["id"]}
    clock.advance(minutes=1)
    assert host.found("Ada") == [longer["id"]]
    assert host.list()["total"] == 1
    assert host.list(ids=[stored["id"]])["memories"] == []


def test_an_end_in_the_past_is_refused(host: Host) -> None:
    with pytest.raises(BadArgument, match="expires_at"):
        host.store("x", expires_at="2026-05-08T12:00:00Z")
    assert host.list()["total"] == 0


# --- query_memory -------------------------------------------------------------------------------


@pytest.fixture
def varied(open_host: OpenHost) -> tuple[Host, dict[str, str]]:
    """Ten memories about a kiwi that differ in what filters look at."""
    host, other = open_host(project="atlas"), open_host(project="other")
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


@pytest.mark.parametrize("flushed", [False, True], ids=["tail", "snapshot"])
@pytest.mark.parametrize(("filters", "expected"), FILTERS, ids=[json.dumps(f) for f, _ in FILTERS])
def test_filters_are_exact_and_inclusive(
    varied: tuple[Host, dict[str, str]],
    filters: dict[str, Any],
    expected: set[str],
    flushed: bool,
    small_thresholds: None,
) -> None:
    host, ids = varied
    if flushed:
        host.tend()
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
    host.tend()
    for _ in ("in the tail", "in the snapshot"):
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


def test_a_query_is_answered_from_the_tail_while_another_process_holds_the_index(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retriever, "FAR_BEHIND", 2)
    monkeypatch.setattr(files.locked.__wrapped__, "__defaults__", (0.0,))  # type: ignore[attr-defined]
    ids = {host.store(f"kiwi {n}")["id"] for n in range(5)}
    with files.locked(host.directory / "text.lock"):
        assert host.found_by_words("kiwi") == ids
        assert not (host.directory / tantivy_index.POINTER).exists()
    host.crash()
    assert host.found_by_words("kiwi") == ids
    assert (host.directory / tantivy_index.POINTER).exists(), "the index would be written if it could"


def test_reading_a_memory_never_changes_its_rank(host: Host) -> None:
    ids = [host.store(f"kiwi {n} " + "and others " * n)["id"] for n in range(6)]
    before = host.query("kiwi", limit=100)
    with host.library.read() as store:
        seq = store.seq()
    for _ in range(5):
        host.found("kiwi 5")
        host.list(ids=[ids[5]])
    assert host.query("kiwi", limit=100) == before
    with host.library.read() as store:
        assert store.seq() == seq, "reading writes nothing"


# --- list_memories ------------------------------------------------------------------------------


def test_ids_are_listed_whole_in_the_order_asked_for(host: Host) -> None:
    ids = [host.store(f"number {n}")["id"] for n in range(4)]
    host.delete(ids[3])
    asked = [ids[2], "nosuchid", ids[0], ids[2], ids[3]]
    answer = host.list(ids=asked, limit=1, tags=["ignored"])
    assert [m["id"] for m in answer["memories"]] == [ids[2], ids[0]]
    assert answer["total"] == 2
    assert "next_cursor" not in answer


def test_the_last_page_has_no_cursor(host: Host) -> None:
    for number in range(4):
        host.store(f"number {number}")
    first = host.list(limit=2)
    last = host.list(limit=2, cursor=first["next_cursor"])
    assert "next_cursor" not in last
    assert first["total"] == last["total"] == 4


def crafted(*position: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    ["x", "AAAA", "é", "=", "!!!", crafted(), crafted(1, 2), crafted(1, 2, "0"), crafted("a", 2, "0"),
     crafted(None, 2, "0"), crafted(float("inf"), 1, "0"), crafted(float("nan"), 1, "0"), "e30", "W1tbW1"],
)  # fmt: skip
def test_a_strange_cursor_is_refused(host: Host, cursor: str) -> None:
    with pytest.raises(BadArgument, match="cursor"):
        host.list(cursor=cursor)


def test_a_cursor_beyond_what_a_database_can_count_is_refused(host: Host) -> None:
    for number in range(2):
        host.store(f"number {number}")
    cursor = host.list(limit=1)["next_cursor"]
    fingerprint = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))[2]
    with pytest.raises(BadArgument, match="cursor"):
        host.list(limit=1, cursor=crafted(10**30, 1, fingerprint))


def test_a_cursor_of_other_filters_is_refused(host: Host) -> None:
    for number in range(4):
        host.store(f"number {number}", tags=["t"])
    cursor = host.list(limit=1, tags=["t"])["next_cursor"]
    for other in ({}, {"tags": ["t"], "order": "oldest"}, {"tags": ["t"], "kind": "semantic"}):
        with pytest.raises(BadArgument, match="other filters"):
            host.list(limit=1, cursor=cursor, **other)
    assert host.list(limit=3, tags=["t"], cursor=cursor)["memories"]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    days=st.lists(st.integers(0, 4), max_size=14),
    order=st.sampled_from(["newest", "oldest"]),
    limit=st.integers(1, 5),
    meanwhile=st.lists(st.sampled_from(["store", "delete", "retag"]), max_size=8),
)
def test_paging_gives_each_memory_once_while_others_write(
    tmp_path_factory: pytest.TempPathFactory,
    quiet_background: None,
    days: list[int],
    order: str,
    limit: int,
    meanwhile: list[str],
) -> None:
    directory = tmp_path_factory.mktemp("paging")
    host, other = Host(directory, model=None), Host(directory, model=None)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times: dict[str, datetime] = {}
    for number, day in enumerate(days):
        time = start + timedelta(days=day)  # many share a time
        times[host.store(f"memory {number}", occurred_at=time.isoformat())["id"]] = time
    seen: list[str] = []
    deleted: set[str] = set()
    cursor, step = None, 0
    while True:
        page = host.list(order=order, limit=limit, cursor=cursor)
        seen += [memory["id"] for memory in page["memories"]]
        cursor = page.get("next_cursor")
        if cursor is None:
            break
        if step < len(meanwhile):
            _interfere(other, meanwhile[step], step, sorted(times.keys() - deleted), deleted, start)
        step += 1
    assert len(seen) == len(set(seen))
    assert times.keys() - deleted <= set(seen)
    dates = [times[identity] for identity in seen if identity in times]
    assert dates == sorted(dates, reverse=order == "newest")
    host.end()
    other.end()


def _interfere(
    other: Host, what: str, step: int, there: list[str], deleted: set[str], start: datetime
) -> None:
    if what == "store":
        other.store(f"new {step}", occurred_at=(start + timedelta(days=step % 5)).isoformat())
    elif there and what == "delete":
        deleted.add(there[step % len(there)])
        other.delete(there[step % len(there)])
    elif there:
        text = other.list(ids=[there[step % len(there)]])["memories"][0]["content"]
        other.store(text, tags=[f"tag {step}"])


# --- delete_memory ------------------------------------------------------------------------------


@pytest.mark.parametrize("flushed", [False, True], ids=["tail", "snapshot"])
def test_deleted_means_found_by_nobody_until_restored(
    open_host: OpenHost, small_thresholds: None, flushed: bool
) -> None:
    host, other = open_host(), open_host()
    ids = [host.store(f"otter {n}")["id"] for n in range(8)]
    if flushed:
        host.tend()
    assert set(other.found("otter")) == set(ids)
    answer = host.delete(ids[0], "nosuchid", ids[0])
    assert answer == {
        "deleted": [ids[0]], "not_found": ["nosuchid"], "recoverable_until": "2026-06-07T12:00:00Z",
    }  # fmt: skip
    for each in (host, other):
        assert set(each.found("otter", include_superseded=True)) == set(ids[1:])
        assert each.list()["total"] == 7
        assert each.list(ids=[ids[0]])["memories"] == []
    again = host.delete(ids[0])
    assert again == {"deleted": [], "not_found": [ids[0]], "recoverable_until": None}
    other.tend()
    assert restore_memories(other.library, [ids[0], "nosuchid"]) == ([ids[0]], ["nosuchid"])
    for each in (host, other):
        assert set(each.found_by_words("otter")) == set(ids)
        assert each.found_by_meaning("otter 0") == {ids[0]}


@pytest.mark.parametrize("flushed", [False, True], ids=["tail", "snapshot"])
@pytest.mark.parametrize("trashed", [False, True], ids=["live", "trashed"])
def test_permanent_leaves_no_trace_in_any_file(
    open_host: OpenHost, small_thresholds: None, flushed: bool, trashed: bool
) -> None:
    host, other = open_host(), open_host()
    secret = "xylophonesecret qwertzuiopword " * 3 + "zyzzyvaunique " * 400
    victim = host.store(secret.strip())["id"]
    rest = [host.store(f"heron {n} " + "wades " * 200)["id"] for n in range(9)]
    if flushed:
        host.tend()
    assert other.found_by_words("xylophonesecret") == {victim}
    if trashed:
        host.delete(victim)
        host.tend()
    before = traces(host.directory, secret)
    assert before, "the test looks in the wrong place"
    assert not flushed or any(name.startswith("text-") for name in before)
    answer = host.delete(victim, permanent=True)
    assert answer == {"deleted": [victim], "not_found": [], "recoverable_until": None}
    assert traces(host.directory, secret) == []
    for each in (host, other):
        assert each.found_by_words("xylophonesecret") == set()
        assert each.found_by_words("heron") == set(rest)
    assert restore_memories(host.library, [victim]) == ([], [victim])


def test_permanent_reaches_the_leavings_of_a_crashed_rebuild(host: Host) -> None:
    victim = host.store("xylophonesecret")["id"]
    host.rebuild_text()
    (host.directory / "text.json").unlink()  # as after a crash just before the pointer is written
    assert any(name.startswith("text-") for name in traces(host.directory, "xylophonesecret"))
    host.delete(victim, permanent=True)
    assert traces(host.directory, "xylophonesecret") == []


def test_permanent_empties_the_log_once_a_slow_reader_is_done(open_host: OpenHost) -> None:
    host, other = open_host(), open_host()
    victim = host.store("xylophonesecret")["id"]
    other.found("something")
    with other.library.read() as store:
        store.memory_count()
        host.delete(victim, permanent=True)
    host.store("The next write of any process")
    assert traces(host.directory, "xylophonesecret") == []


# --- without a model, and with another one ------------------------------------------------------


def test_without_a_model_words_find_everything_and_a_note_says_why(open_host: OpenHost) -> None:
    host = open_host(model=None)
    identity = host.store("The kettle is red")["id"]
    answer = host.query("kettle")
    assert (answer["mode"], answer["notes"]) == ("lexical", [NO_MODEL_TODAY])
    assert [r["id"] for r in answer["results"]] == [identity]
    assert "semantic" not in answer["results"][0]["signals"]
    assert host.list()["total"] == 1


def test_what_was_stored_without_a_model_is_embedded_later(open_host: OpenHost) -> None:
    words, both = open_host(model=None), open_host()
    identity = words.store("The kettle is red")["id"]
    assert both.found_by_words("kettle") == {identity}
    assert both.found_by_meaning("The kettle is red") == set()
    both.tend()
    assert both.found_by_meaning("The kettle is red") == {identity}
    assert both.query("kettle")["notes"] == []


def test_what_others_leave_without_embedding_is_embedded_too(open_host: OpenHost) -> None:
    """The long-lived process has nothing to embed of its own; another one ends before it could."""
    words, both = open_host(model=None), open_host()
    both.store("first")
    both.tend()
    identity = words.store("The kettle is red")["id"]
    words.end()
    both.tend()
    assert both.found_by_meaning("The kettle is red") == {identity}


def test_a_restored_memory_is_embedded_even_if_the_model_changed_meanwhile(open_host: OpenHost) -> None:
    old = open_host(model=EmbeddingDouble("old"))
    identity = old.store("The kettle is red")["id"]
    old.delete(identity)
    new = open_host(model=EmbeddingDouble("new"))
    new.store("another")
    new.tend()
    restore_memories(new.library, [identity])
    new.tend()
    assert new.found_by_meaning("The kettle is red") == {identity}


def test_vectors_of_two_models_never_meet(open_host: OpenHost, small_thresholds: None) -> None:
    old = open_host(model=EmbeddingDouble("old"))
    texts = [f"fact number {n} of many" for n in range(12)]
    ids = {text: old.store(text)["id"] for text in texts}
    old.tend()
    new = open_host(model=EmbeddingDouble("new", dimension=48))
    for text in texts:  # nothing of the new model is there yet, and nothing of the old one is used
        results = new.query(text, limit=100)["results"]
        assert all("semantic" not in result["signals"] for result in results)
        assert ids[text] in {result["id"] for result in results}
    assert new.query("fact")["mode"] == "hybrid"
    new.tend()
    for text in texts:
        assert new.found_by_meaning(text) == old.found_by_meaning(text) == {ids[text]}


def test_re_embedding_resumes_where_it_stopped(open_host: OpenHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_queue, "BATCH", 4)
    old = open_host(model=EmbeddingDouble("old"))
    texts = [f"fact number {n} of many" for n in range(20)]
    ids = {text: old.store(text)["id"] for text in texts}
    model = EmbeddingDouble("new")
    new = open_host(model=model)
    assert new.library.embedder() is model

    class Interrupted(BaseException):
        pass

    def interrupt(done: int, total: int) -> None:
        assert total == 20
        if done == 8:
            raise Interrupted

    with pytest.raises(Interrupted):
        new.library.tend(interrupt)
    new.crash()
    assert model.documents == 8
    assert sum(new.found_by_meaning(text) == {ids[text]} for text in texts) == 8
    new.tend()
    assert model.documents == 20
    assert all(new.found_by_meaning(text) == {ids[text]} for text in texts)


def test_a_long_memory_is_found_by_words_at_once_and_by_meaning_later(host: Host) -> None:
    text = long_text("pangolin")
    identity = host.store(text)["id"]
    assert isinstance(host.model, EmbeddingDouble)
    assert host.model.documents == 0
    assert host.found_by_words("pangolin") == {identity}
    host.tend()
    assert host.model.documents > 8
    passage = host.query("pangolin", max_chars=2000)["results"][0]["content"]
    assert host.found_by_meaning(passage) == {identity}
