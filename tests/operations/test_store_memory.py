"""Storing against the contract, over real storage and a deterministic model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.host import Clock, Host
from support.memories import long_text

from sediment_mcp.errors import BadArgument, NoProject, UnknownMemory
from sediment_mcp.operations.history import revert
from sediment_mcp.operations.results import MemoryResult, RankedResult

pytestmark = pytest.mark.over_both

OpenHost = Callable[..., Host]


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
        "occurred_at": "2026-01-02T01:04:05Z",
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
    first = host.store("The build needs\nnode 20", kind=kind, tags=["a"], importance=0.2, session="one")
    again = host.store(
        "\r\nThe build needs\r\nnode 20 ", kind=kind, tags=["b"], importance=0.7, session="two"
    )
    assert (again["id"], again["status"]) == (first["id"], "duplicate")
    memory = host.list()["memories"][0]
    assert host.list()["total"] == 1
    assert memory["tags"] == ["a", "b"]
    assert memory["importance"] == 0.7
    assert host.found("node", tags=["b"]) == [first["id"]]


def test_a_text_that_is_there_is_not_embedded_again_and_its_answer_is_the_same(host: Host) -> None:
    long = long_text("kiwi", paragraphs=4)
    near = host.store("The tea pot stands on the shelf")
    first = {text: host.store(text) for text in ("flehs eht no sdnats top aet ehT", long)}
    embedded = host.model.documents
    for text, stored in first.items():
        assert host.store(text) == stored | {"status": "duplicate"}
    assert host.model.documents == embedded
    assert [one["id"] for one in first["flehs eht no sdnats top aet ehT"]["similar"]] == [near["id"]]
    assert host.store(f"{long} ")["status"] == "duplicate"
    assert host.model.documents > embedded, "its passages may be others"


def test_a_corrected_memory_has_the_vectors_of_its_text_without_another_run_of_the_model(host: Host) -> None:
    first = host.store("The tea pot stands on the shelf")
    host.store("The tea pot stands on the shelf", tags=["kitchen"], replaces=[first["id"]])
    host.run_jobs()
    assert host.model.documents == 1
    with host.app.storage.read() as session:
        key = session.token_vectors.model_key(host.model.token_identity.fingerprint)
        one, other = session.token_vectors.get(key, [1, 2]).values()
    assert one == other != b""


def test_a_text_that_is_there_without_an_embedding_is_embedded(host: Host) -> None:
    host.model, model = None, host.model
    host.store("The tea pot stands on the shelf")
    host.reopen()
    host.model = model
    host.store("The tea pot stands on the shelf")
    assert model.documents == 1


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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("server:\n  tls: on\n  port: 1\n", "server:\n  tls: on\nport: 1\n"),
        ("a\tb", "a b"),
        ("a  b", "a b"),
        ("one\n\ntwo", "one\ntwo"),
        ("  a: 1\n  b: 2", "a: 1\n  b: 2"),
        ("line  \nbreak", "line\nbreak"),
    ],
)
def test_white_space_that_carries_meaning_makes_another_text(host: Host, before: str, after: str) -> None:
    first = host.store(before)
    second = host.store(after)
    assert (second["status"], second["superseded"]) == ("stored", [])
    third = host.store(f"{before}\nmore", replaces=[first["id"], second["id"]])
    fourth = host.store(before, replaces=[third["id"]])
    assert [memory["content"] for memory in host.list(ids=[fourth["id"]])["memories"]] == [before]


@pytest.mark.parametrize(
    "change",
    [
        {"content": "v1\n"},
        {"content": " v1"},
        {"tags": ["b"]},
        {"tags": []},
        {"importance": 0.2},
        {"metadata": {"a": 2}},
        {"expires_at": "2026-05-09T00:00:00Z"},
        {"occurred_at": "2026-01-01T00:00:00Z"},
        {"session": "two"},
    ],
)
def test_a_replacement_that_changes_anything_counts(host: Host, change: dict[str, Any]) -> None:
    given = {"content": "v1", "tags": ["a"], "importance": 0.9, "metadata": {"a": 1}, "session": "one"}
    old = host.store(**given, expires_at="2026-06-01T00:00:00Z")["id"]
    result = host.store(**{**given, "expires_at": "2026-06-01T00:00:00Z", **change}, replaces=[old])
    assert (result["status"], result["superseded"], result["warnings"]) == ("stored", [old], [])
    (memory,) = host.list(ids=[result["id"]])["memories"]
    assert {name: memory[name] for name in change} == change
    again = host.store(**{**given, "expires_at": "2026-06-01T00:00:00Z", **change}, replaces=[result["id"]])
    assert (again["id"], again["status"]) == (result["id"], "duplicate")


def test_a_version_that_changed_a_tag_alone_can_be_reverted(host: Host) -> None:
    old = host.store("v1", tags=["a"])["id"]
    host.store("v1", tags=["b"], replaces=[old])
    revert(host.app, old)
    assert [memory["tags"] for memory in host.list()["memories"]] == [["a"]]


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


@pytest.mark.parametrize("odd", ["a\x00b", "\x1a0 and \x1a", "\uffff", "🦔🦔", "\u202egnol", "e\u0301 é"])
def test_an_odd_text_comes_back_as_it_was_given(host: Host, odd: str) -> None:
    text = f"lantern {odd} end"
    stored = host.store(text, tags=["plain"], session=text, metadata={"note": text})
    again = host.store(text, tags=["plain"], session=text, metadata={"note": text})
    assert (again["id"], again["status"]) == (stored["id"], "duplicate")
    (memory,) = host.list(ids=[stored["id"]])["memories"]
    assert (memory["content"], memory["session"], memory["metadata"]) == (text, text, {"note": text})
    assert host.found_by_words("lantern") == host.found_by_meaning(text) == {stored["id"]}


def test_half_a_character_is_refused_with_what_to_do(host: Host) -> None:
    with pytest.raises(BadArgument, match="half of a surrogate pair: send whole Unicode characters"):
        host.store("half \ud83e of a hedgehog")


def test_an_end_in_the_past_is_refused(host: Host) -> None:
    with pytest.raises(BadArgument, match="expires_at"):
        host.store("x", expires_at="2026-05-08T12:00:00Z")
    assert host.list()["total"] == 0
