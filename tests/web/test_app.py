"""What the page's server answers and changes: the same as the tools and commands would."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from support.answers import complete_list, complete_query
from support.embedding_double import EmbeddingDouble
from support.host import QUIET, Clock, Host
from support.ui_server import SHOP, UiServer

from sediment_mcp.app import Application
from sediment_mcp.config import Config
from sediment_mcp.embeddings.protocols import Embedder
from sediment_mcp.operations.capture_state import switch_capture
from sediment_mcp.operations.history import history
from sediment_mcp.operations.language_hint import MIN_TOLD
from sediment_mcp.storage.sql.session import SqlSession
from sediment_mcp.system.timestamps import isoformat
from sediment_mcp.web.app import UNEXPECTED
from sediment_mcp.web.request import RequestContext
from sediment_mcp.web.similar_pairs import list_similar_pairs

OpenHost = Callable[..., Host]

pytestmark = pytest.mark.over_both


@pytest.fixture
def server(open_host: OpenHost) -> Iterator[UiServer]:
    with UiServer(open_host(project=SHOP)) as server:
        yield server


@pytest.fixture
def host(server: UiServer) -> Host:
    return server.host


def whole(host: Host, memory_id: str) -> Any:
    (memory,) = host.list(ids=[memory_id])["memories"]
    return memory


# --- queries ------------------------------------------------------------------------------------


def test_search_answers_as_the_tool_does(server: UiServer, host: Host) -> None:
    for n in range(6):
        host.store(f"The port of staging is {n}", tags=["net"] if n % 2 else [])
    told = server.read("search", query="port of staging", limit=4)
    asked = host.query("port of staging", limit=4, max_chars=12_000)
    assert complete_query(told, SHOP) == json.loads(json.dumps(asked))
    assert set(told["results"][0]["signals"]) >= {"semantic", "lexical", "recency"}
    only = server.read("search", query="port", tags=["net"], limit=30)["results"]
    assert {result["tags"][0] for result in only} == {"net"}


def test_browse_pages_as_the_tool_does(server: UiServer, host: Host) -> None:
    for n in range(7):
        host.store(
            f"number {n}", kind="procedural" if n == 3 else "semantic", session="s" if n == 4 else None
        )
        host.clock.advance(minutes=1)
    first = server.read("browse", limit=5)
    assert complete_list(first, SHOP) == host.list(limit=5)
    rest = server.read("browse", limit=5, cursor=first["next_cursor"])
    assert [m["content"] for m in rest["memories"]] == ["number 1", "number 0"]
    assert server.read("browse", kind="procedural")["total"] == 1
    assert server.read("browse", session="s")["total"] == 1
    assert server.read("browse", order="oldest")["memories"][0]["content"] == "number 0"


def test_any_project_can_be_looked_at(server: UiServer, host: Host) -> None:
    here = host.store("ours")["id"]
    host.project = "/other"
    there = host.store("theirs")["id"]

    def found(**given: Any) -> list[str]:
        return [memory["id"] for memory in server.read("browse", **given)["memories"]]

    assert found(scope="project") == [here]
    assert found(scope="project", project="/other") == [there]
    assert found(scope="global") == []
    results = server.read("search", query="theirs", scope="project", project="/other")["results"]
    assert [result["id"] for result in results] == [there]


def test_a_memory_is_read_whole_with_its_versions_deleted_or_not(server: UiServer, host: Host) -> None:
    old = host.store("The port is 8080. " * 50)["id"]
    new = host.store("The port is 9090", replaces=[old])["id"]
    host.delete(new)
    told = server.read("memory", id=old)
    assert told == history(host.app, old, SHOP)
    assert [version["state"] for version in told["versions"]] == ["superseded", "deleted"]
    difference = server.read("changed", **{"id": new, "from": old})["difference"]
    assert "".join(text for kind, text in difference if kind != "in") == "The port is 8080. " * 50
    assert server.get("changed", **{"id": new, "from": "nosuchid"}).status == 400


def test_the_trash_is_listed_and_emptied_by_hand(server: UiServer, host: Host) -> None:
    ids = [host.store(f"number {n}")["id"] for n in range(3)]
    host.delete(*ids)
    told = server.read("trash", limit=2)
    assert (told["total"], len(told["memories"])) == (3, 2)
    assert server.change("restore", ids=[ids[0], "nosuchid"]) == {
        "restored": [ids[0]],
        "not_found": ["nosuchid"],
    }
    assert whole(host, ids[0])
    assert server.change("delete", ids=[ids[1]], permanent=True)["deleted"] == [ids[1]]
    assert [memory["id"] for memory in server.read("trash")["memories"]] == [ids[2]]
    for limit in (0, 10_000, "all"):
        assert server.get("trash", limit=limit).status == 400


def test_the_overview_has_a_hint_for_memories_that_the_model_hardly_reads(
    server: UiServer, host: Host
) -> None:
    assert server.read("overview")["language_hint"] is None
    for number in range(MIN_TOLD):
        host.store(f"Der Server des Kunden {number} steht in Frankfurt und nicht hier.")
    hint = server.read("overview")["language_hint"]
    assert "not in English" in hint["sentence"]
    assert len(hint["commands"]) == 2


def test_the_overview_counts_what_there_is(server: UiServer, host: Host) -> None:
    host.store("a fact", tags=["net"], session="one")
    host.store("a way", kind="procedural", tags=["net", "home"], scope="global")
    told = server.read("overview")
    assert told["memories"]["live"] == 2
    assert (told["kinds"]["semantic"], told["kinds"]["procedural"]) == (1, 1)
    assert told["tags"][0] == {"name": "net", "memories": 2}
    assert {entry["name"] for entry in told["projects"]} == {"", SHOP}
    assert told["session_names"] == ["one"]
    assert sum(told["months"].values()) == 2


def test_search_goes_by_words_while_the_model_is_loading(tmp_path: Any) -> None:
    may_load = threading.Event()

    def load(_: Config) -> Embedder:
        assert may_load.wait(60)
        return EmbeddingDouble()

    host = Host(tmp_path)
    host.app = Application(Config(tmp_path, tuning=QUIET), load=load, model_timeout=0)
    with UiServer(host) as server:
        stored = server.change("add", content="Releases go out on Tuesdays")["id"]
        assert server.read("status")["meaning"] == "loading"
        told = server.read("search", query="releases")
        assert ([result["id"] for result in told["results"]], told["mode"]) == ([stored], "lexical")
        assert "still loading" in told["notes"][0]
        assert server.read("pairs")["meaning"] is False
        may_load.set()
        host.app.model.get(60)
        assert server.read("status")["meaning"] == "ready"
    host.end()


def test_the_status_says_what_the_page_must_know(server: UiServer) -> None:
    told = server.read("status")
    assert told["project"] == SHOP
    assert set(told["kinds"]) == {"semantic", "episodic", "procedural", "working"}
    assert told["shown_as"]["\u202e"] == "\ufffd"
    assert told["signals"]["lexical"][0] == "words"


# --- mutations -----------------------------------------------------------------------------------


def test_what_is_added_is_what_the_tool_would_store(server: UiServer, host: Host) -> None:
    result = server.change("add", content="<b>bold</b>", kind="procedural", tags=["x"], scope="project")
    memory = whole(host, result["id"])
    assert (memory["content"], memory["kind"], memory["tags"], memory["project"]) == (
        "<b>bold</b>", "procedural", ["x"], SHOP,
    )  # fmt: skip
    assert whole(host, server.change("add", content="everywhere", scope="global")["id"])["scope"] == "global"


def test_an_edit_is_a_new_version_with_everything_else_kept(server: UiServer, host: Host) -> None:
    host.project = "/other"
    old = host.store(
        "The port is 8080", kind="procedural", tags=["net"], session="s", importance=0.9,
        metadata={"source": "chat"}, occurred_at="2026-01-02T03:04:05.678901Z",
    )["id"]  # fmt: skip
    before = whole(host, old)
    result = server.change("edit", id=old, content="The port is 9090")
    assert result["superseded"] == [old]
    after = whole(host, result["id"])
    assert after["content"] == "The port is 9090"
    for name in ("kind", "tags", "project", "session", "importance", "metadata", "occurred_at", "expires_at"):
        assert after[name] == before[name]
    assert [m["id"] for m in host.list()["memories"]] == [result["id"]]
    assert server.change("revert", id=old)["superseded"] == result["id"]
    assert [m["content"] for m in host.list()["memories"]] == ["The port is 8080"]


def test_a_time_that_comes_back_as_it_was_shown_stays_exact(server: UiServer, host: Host) -> None:
    exact = "2026-01-02T03:04:05.678901Z"
    one, two = (host.store(text, occurred_at=exact)["id"] for text in ("The port is 8080", "Tea is at four"))
    shown = whole(host, one)["occurred_at"]
    server.change("edit", id=one, tags=["net"], occurred_at=shown)
    merged = server.change("merge", ids=[one, two], content="Port 8080, tea at four", occurred_at=shown)["id"]
    with host.app.storage.read() as session:
        stored = session.get([one, merged]).values()
    assert {isoformat(memory.occurred_at) for memory in stored} == {exact}


def test_where_the_text_stays_an_edit_makes_no_version(server: UiServer, host: Host) -> None:
    old = host.store("The port is 8080", tags=["net", "wrong"], importance=0.9, metadata={"a": 1})["id"]
    result = server.change("edit", id=old, tags=["net"], importance=0.2, occurred_at="2026-01-02T00:00:00Z")
    assert result == {"id": old, "status": "duplicate"}
    memory = whole(host, old)
    assert (memory["tags"], memory["importance"], memory["metadata"]) == (["net"], 0.2, {"a": 1})
    assert memory["occurred_at"] == "2026-01-02T00:00:00Z"
    assert len(server.read("memory", id=old)["versions"]) == 1
    assert host.list(tags=["wrong"])["total"] == 0
    end = (host.clock() - timedelta(days=1)).isoformat()
    assert "past" in server.post("edit", id=old, expires_at=end).json["error"]


@pytest.mark.parametrize("content", ["The  port is 8080", "The port is 8080\n"])
def test_a_blank_is_a_change_of_the_text(server: UiServer, host: Host, content: str) -> None:
    old = host.store("The port is 8080")["id"]
    result = server.change("edit", id=old, content=content)
    assert result["superseded"] == [old]
    assert whole(host, result["id"])["content"] == content


def test_the_same_text_of_another_kind_is_a_new_version(server: UiServer, host: Host) -> None:
    old = host.store("Mix, then bake")["id"]
    result = server.change("edit", id=old, kind="procedural")
    assert result["superseded"] == [old]
    assert whole(host, result["id"])["kind"] == "procedural"


def test_what_has_changed_meanwhile_is_not_edited(server: UiServer, host: Host) -> None:
    old = host.store("The port is 8080")["id"]
    new = host.store("The port is 9090", replaces=[old])["id"]
    answer = server.post("edit", id=old, content="The port is 7070")
    assert (answer.status, new in answer.json["error"]) == (400, True)
    host.delete(new)
    assert server.post("edit", id=new, content="The port is 7070").status == 404
    assert server.post("merge", ids=[old, new], content="x").status in (400, 404)
    assert host.list()["total"] == 0


def test_a_merge_replaces_both_and_loses_nothing(server: UiServer, host: Host) -> None:
    one = host.store("Carts live 30 days", tags=["a"], metadata={"m": 1}, importance=0.2, session="s")["id"]
    two = host.store("Sessions live 14 days", tags=["b"], metadata={"m": 2, "n": 3}, importance=0.8)["id"]
    result = server.change("merge", ids=[one, two], content="Carts live 30 days, sessions 14")
    assert set(result["superseded"]) == {one, two}
    memory = whole(host, result["id"])
    assert (memory["tags"], memory["metadata"], memory["importance"], memory["session"]) == (
        ["a", "b"], {"m": 1, "n": 3}, 0.8, "s",
    )  # fmt: skip
    assert [m["id"] for m in host.list()["memories"]] == [result["id"]]
    assert len(server.read("memory", id=one)["versions"]) == 3
    assert "two memories" in server.post("merge", ids=[result["id"]], content="x").json["error"]


def test_delete_and_undo(server: UiServer, host: Host) -> None:
    stored = host.store("here")["id"]
    assert server.change("delete", ids=[stored]) == json.loads(json.dumps({
        "deleted": [stored],
        "recoverable_until": (host.clock() + timedelta(days=30)).isoformat().replace("+00:00", "Z"),
    }))  # fmt: skip
    assert host.list()["total"] == 0
    server.change("restore", ids=[stored])
    assert host.found("here") == [stored]


# --- similar pairs --------------------------------------------------------------------------------


def alike(server: UiServer, **given: Any) -> list[set[str]]:
    return [{pair["newer"]["id"], pair["older"]["id"]} for pair in server.read("pairs", **given)["pairs"]]


def test_what_is_alike_is_shown_once_until_it_is_decided(server: UiServer, host: Host) -> None:
    text = "The port is 8080"  # the double takes what is read backwards for the same
    older = host.store(text)["id"]
    host.clock.advance(days=1)
    newer = host.store(text[::-1])["id"]
    host.store("Something else")
    host.store(text[::-1], kind="procedural")
    host.store(text[::-1], scope="global")
    (pair,) = server.read("pairs")["pairs"]
    assert (pair["newer"]["id"], pair["older"]["id"], pair["similarity"]) == (newer, older, 1.0)
    assert "".join(part for kind, part in pair["difference"] if kind != "in") == text
    server.change("keep", ids=[older, newer])
    assert alike(server) == []
    edited = server.change("edit", id=newer, content=f"{text[::-1]}\u0301")["id"]
    assert alike(server) in ([], [{edited, older}])  # another text: it is judged anew


def test_events_and_what_was_replaced_are_not_compared(server: UiServer, host: Host) -> None:
    text = "The port is 8080"
    host.store(text, kind="episodic")
    host.store(text[::-1], kind="episodic")
    old = host.store("Tea is at five")["id"]
    host.store("Tea is at five"[::-1], replaces=[old])
    assert alike(server) == []


def test_pairs_are_found_page_by_page(server: UiServer, host: Host) -> None:
    context = RequestContext(host.app, SHOP)
    for n in range(3):
        host.store(f"The door number {n}")
        host.clock.advance(minutes=1)
    for n in range(3):
        host.store(f"The door number {n}"[::-1])
        host.clock.advance(minutes=1)
    found, cursor, looked = [], None, 0
    while True:
        told = list_similar_pairs(context, {"cursor": cursor}, limit=2)
        found += [pair["older"]["content"] for pair in told["pairs"]]
        looked, cursor = looked + told["looked_at"], told.get("next_cursor")
        if cursor is None:
            break
    assert sorted(found) == [f"The door number {n}" for n in range(3)]
    assert looked == 6
    for odd in ("odd", "[1]", f"[1, {10**30}]", 7, [1, 2]):
        assert server.get("pairs", cursor=odd).status == 400


def test_an_answer_that_both_may_stay_is_kept(server: UiServer, host: Host) -> None:
    one, two = host.store("abc def")["id"], host.store("abc def"[::-1])["id"]
    assert alike(server) == [{one, two}]
    assert server.post("keep", ids=[one]).status == 400
    server.change("keep", ids=[two, one])
    assert alike(server) == []


def test_answers_of_an_earlier_version_are_taken_over_from_its_file(server: UiServer, host: Host) -> None:
    one, two = host.store("abc def")["id"], host.store("abc def"[::-1])["id"]
    path = host.files / "kept-pairs.json"
    for damaged in (b"{", b"[1]", b"[[1, 2, 3]]", b"\xff"):
        path.write_bytes(damaged)
        assert alike(server) == [{one, two}]
        assert not path.exists()
    path.write_text(json.dumps([[two, one]]))
    assert alike(server) == []
    assert not path.exists()


# --- errors -------------------------------------------------------------------------------------


WRONG: list[tuple[str, dict[str, Any], int, str]] = [
    ("add", {"content": " "}, 400, "white space"),
    ("add", {"content": "x", "kind": "odd"}, 400, "kind"),
    ("add", {"content": "x", "colour": "red"}, 400, "colour"),
    ("edit", {"id": "nosuchid", "content": "x"}, 404, "nosuchid"),
    ("edit", {"content": "x"}, 400, "id is missing"),
    ("edit", {"id": ["a", "b"]}, 400, "not the id"),
    ("delete", {}, 400, "ids is missing"),
    ("revert", {"id": "nosuchid"}, 404, "nosuchid"),
    ("restore", {"ids": []}, 400, "ids"),
    ("keep", {"ids": ["a", "a"]}, 400, "two"),
]


def test_what_is_wrong_is_said_in_the_tools_own_words(server: UiServer, host: Host) -> None:
    for job, asked, status, words in WRONG:
        answer = server.post(job, **asked)
        assert (answer.status, words in answer.json["error"]) == (status, True), (job, answer.body)
    assert host.list()["total"] == 0


def test_what_is_no_json_is_refused(server: UiServer) -> None:
    headers = {**server.known, "Origin": f"http://{server.auth.host}"}
    for text in ("", "{", "[]", "null", "1", "[" * 100_000):
        answer = server.request("POST", f"{server.auth.mount_path}/api/add", text.encode(), headers)
        assert (answer.status, "reload" in answer.json["error"]) == (400, True), text[:9]


def test_an_unforeseen_failure_shows_no_internals(
    server: UiServer, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.store("here")

    def fail(*_: object) -> None:
        raise RuntimeError("secret internals")

    monkeypatch.setattr(SqlSession, "page", fail)
    answer = server.get("browse")
    assert (answer.status, answer.json) == (500, {"error": UNEXPECTED})


def test_the_clock_of_the_page_is_that_of_the_application(clock: Clock, server: UiServer) -> None:
    stored = server.change("add", content="now")["id"]
    clock.advance(days=31)
    assert server.read("memory", id=stored)["versions"][0]["occurred_at"].startswith("2026-05-08")


# --- captured turns -----------------------------------------------------------------------------


def test_captured_turns_are_shown_kept_and_dropped(server: UiServer, host: Host) -> None:
    turns = [
        host.store(f"Turn {n}.", kind="episodic", tags=["captured"], session="s", expires_at="2026-06-07")[
            "id"
        ]
        for n in range(3)
    ]
    host.store("A fact.")
    shown = server.read("captured", limit=2)
    assert (shown["total"], len(shown["memories"]), shown["on"]) == (3, 2, False)
    assert len(server.read("captured", limit=2, cursor=shown["next_cursor"])["memories"]) == 1
    (kept,) = server.change("keep_captured", ids=[turns[0]])["kept"]
    assert "expires_at" not in kept
    assert whole(host, kept["id"])["kind"] == "semantic"
    assert server.change("drop_captured", ids=[turns[1]])["deleted"] == [turns[1]]
    assert [memory["id"] for memory in server.read("captured")["memories"]] == [turns[2]]
    switch_capture(host.files, host.app.encryption, on=True, now=host.clock())
    assert server.read("captured")["on"] is True
