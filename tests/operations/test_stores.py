"""A team's memories beside one's own: two stores, asked as one, and never mixed up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host import Host

from sediment_mcp.app import Application
from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import TEAM, NewMemory, ScoredMemory
from sediment_mcp.errors import BadArgument, UnknownMemory
from sediment_mcp.operations.arguments import ListMemories, StoreMemory, parse_arguments
from sediment_mcp.operations.edit_memory import edit_memory
from sediment_mcp.operations.history import history, revert
from sediment_mcp.operations.list_memories import list_matching
from sediment_mcp.operations.store_memory import store_memory
from sediment_mcp.operations.stores import retrieve
from sediment_mcp.operations.trash import list_deleted, restore_memories
from sediment_mcp.server.tool_calls import call_tool, find_tool
from sediment_mcp.system.progress import ignore_progress

ANNA, BEA, CREW = "anna", "bea", "crew"
RULE = "Releases are cut on Tuesdays, after the nightly build is green."


@pytest.fixture
def anna(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path, tenant=ANNA, team=CREW)
    yield host
    host.end()


@pytest.fixture
def bea(anna: Host) -> Iterator[Host]:
    host = Host(anna.directory, clock=anna.clock, tenant=BEA, team=CREW)
    yield host
    host.end()


def team_of(host: Host) -> Any:
    assert host.app.team is not None
    return host.app.team


def seq_of_team(host: Host) -> int:
    with team_of(host).storage.read() as session:
        return session.changes.seq()


# --- whose memories -----------------------------------------------------------------------------


def test_what_is_stored_for_the_team_is_found_by_all_of_it(anna: Host, bea: Host) -> None:
    shared = anna.store(RULE, scope=TEAM)["id"]
    own = anna.store("Anna's dentist is Dr. Weiss.")["id"]
    assert set(anna.found("releases dentist")) == {own, shared}
    assert bea.found("releases dentist") == [shared]
    assert [memory["id"] for memory in bea.list()["memories"]] == [shared]


def test_a_memory_of_the_team_says_so_wherever_it_is_shown(anna: Host) -> None:
    shared, own = anna.store(RULE, scope=TEAM)["id"], anna.store("Something of Anna's own.")["id"]
    scopes = {one["id"]: one["scope"] for one in anna.query("releases something")["results"]}
    assert scopes == {shared: TEAM, own: "global"}
    assert {one["id"]: one["scope"] for one in anna.list()["memories"]} == scopes
    assert [one["scope"] for one in anna.list(ids=[shared, own])["memories"]] == [TEAM, "global"]
    assert [one["scope"] for one in history(anna.app, shared)["versions"]] == [TEAM]
    anna.delete(shared)
    assert [one["scope"] for one in list_deleted(anna.app, 10)["memories"]] == [TEAM]


@pytest.mark.parametrize("scope", ["project", "global"])
def test_the_scopes_of_one_s_own_leave_the_team_out(anna: Host, scope: str) -> None:
    anna.project = "/home/anna/app"
    anna.store(RULE, scope=TEAM)
    own = anna.store("Releases of my own.", scope=scope)["id"]
    assert anna.found("releases", scope=scope) == [own]
    assert [memory["id"] for memory in anna.list(scope=scope)["memories"]] == [own]


def test_the_scope_team_leaves_one_s_own_out(anna: Host) -> None:
    shared = anna.store(RULE, scope=TEAM)["id"]
    anna.store("Releases of my own.")
    assert anna.found("releases", scope=TEAM) == [shared]
    page = anna.list(scope=TEAM)
    assert [memory["id"] for memory in page["memories"]] == [shared]
    assert page["total"] == 1


def test_a_memory_of_the_team_belongs_to_no_project(anna: Host, bea: Host) -> None:
    anna.project = "/home/anna/app"
    anna.store(RULE, scope=TEAM)
    bea.project = "/home/bea/app"
    (found,) = bea.query("releases")["results"]
    assert found["project"] is None
    assert found["signals"]["project"] == 1


def test_without_a_team_the_scope_is_refused_and_nothing_is_opened(tmp_path: Path) -> None:
    host = Host(tmp_path)
    for call in (host.store, host.query):
        with pytest.raises(BadArgument, match=r"no team is known here: .*SEDIMENT_TEAM"):
            call("releases", scope=TEAM)
    with pytest.raises(BadArgument, match="no team is known"):
        host.list(scope=TEAM)
    host.store(RULE)
    host.end()
    assert host.app.team is None
    assert not (tmp_path / "tenants").exists()


def test_each_tenant_has_a_directory_of_its_own(anna: Host, bea: Host) -> None:
    anna.store(RULE, scope=TEAM)
    bea.store("Something of Bea's own.")
    for name in (BEA, CREW):
        assert (anna.directory / "tenants" / name / "memories.db").is_file()
    assert not (anna.directory / "memories.db").exists()


# --- storing ------------------------------------------------------------------------------------


def test_duplicates_are_looked_for_in_the_store_that_is_written_to(anna: Host) -> None:
    own = anna.store(RULE)
    shared = anna.store(RULE, scope=TEAM)
    assert (own["status"], shared["status"]) == ("stored", "stored")
    assert shared["similar"] == []
    again = anna.store(RULE, scope=TEAM)
    assert (again["status"], again["id"]) == ("duplicate", shared["id"])


def test_a_correction_names_a_memory_of_the_same_store(anna: Host) -> None:
    own, shared = anna.store("Releases are cut on Mondays.")["id"], anna.store(RULE, scope=TEAM)["id"]
    with pytest.raises(UnknownMemory, match=f"{own}.*your own.*store with another scope than team"):
        anna.store("Releases are cut on Fridays.", scope=TEAM, replaces=[own])
    with pytest.raises(UnknownMemory, match=f"{shared}.*of the team: store with scope team"):
        anna.store("Releases are cut on Fridays.", replaces=[shared])
    assert anna.list()["total"] == 2
    new = anna.store("Releases are cut on Fridays.", scope=TEAM, replaces=[shared])
    assert new["superseded"] == [shared]


def test_a_long_text_of_the_team_is_embedded_by_the_team_s_own_work(anna: Host) -> None:
    text = " ".join(f"The part {number} of the handbook says what matters there." for number in range(400))
    shared = anna.store(text, scope=TEAM)["id"]
    (before,) = anna.query("handbook")["results"]
    team_of(anna).run_jobs(ignore_progress)
    (after,) = anna.query("handbook")["results"]
    assert before["id"] == after["id"] == shared
    assert "semantic" in after["signals"]
    assert "semantic" not in before["signals"]


# --- by id --------------------------------------------------------------------------------------


def test_ids_of_both_stores_are_listed_in_the_order_asked_for(anna: Host) -> None:
    own, shared = anna.store("Something of Anna's own.")["id"], anna.store(RULE, scope=TEAM)["id"]
    answer = anna.list(ids=[shared, "nosuchid", own])
    assert [memory["id"] for memory in answer["memories"]] == [shared, own]
    assert answer["not_found"] == ["nosuchid"]


def test_ids_of_both_stores_are_deleted_and_restored(anna: Host, bea: Host) -> None:
    own, shared = anna.store("Something of Anna's own.")["id"], anna.store(RULE, scope=TEAM)["id"]
    answer = anna.delete(shared, "nosuchid", own)
    assert (answer["deleted"], answer["not_found"]) == ([shared, own], ["nosuchid"])
    assert bea.list()["total"] == 0
    assert {memory["id"] for memory in list_deleted(anna.app, 10)["memories"]} == {own, shared}
    assert list_deleted(anna.app, 1)["total"] == 2
    assert restore_memories(anna.app, [own, shared]) == {"restored": [own, shared]}
    assert bea.list()["total"] == 1


def test_permanently_deleted_memories_of_the_team_are_gone_for_all(anna: Host, bea: Host) -> None:
    shared = anna.store(RULE, scope=TEAM)["id"]
    assert bea.delete(shared, permanent=True)["deleted"] == [shared]
    assert anna.found("releases") == []
    assert anna.list(ids=[shared])["not_found"] == [shared]


def test_an_id_that_both_stores_have_is_one_s_own_first(anna: Host) -> None:
    own = anna.store(RULE)["id"]
    with anna.app.storage.read() as session:
        memory = session.get([own])[own]
    with team_of(anna).storage.write() as session:
        session.add(NewMemory.copy_of(memory, content_hash=b"x", spans=((0, len(RULE)),)))
    assert [one["scope"] for one in anna.list(ids=[own])["memories"]] == ["global"]
    anna.delete(own)
    assert [one["scope"] for one in anna.list(ids=[own])["memories"]] == [TEAM]
    assert anna.delete(own)["deleted"] == [own]
    assert anna.list()["total"] == 0


def test_versions_of_the_team_s_memories_are_listed_edited_and_reverted(anna: Host) -> None:
    old = anna.store(RULE, scope=TEAM)["id"]
    new = anna.store("Releases are cut on Fridays.", scope=TEAM, replaces=[old])["id"]
    assert [version["id"] for version in history(anna.app, old)["versions"]] == [old, new]
    given = parse_arguments(StoreMemory, {"content": "unused", "tags": ["release"]})
    assert edit_memory(anna.app, new, given)["id"] == new
    assert anna.found("releases", scope=TEAM, tags=["release"]) == [new]
    current = revert(anna.app, old)["id"]
    assert anna.found("releases", scope=TEAM) == [current]
    assert anna.list(scope="global")["total"] == 0


def test_what_is_related_is_found_within_the_store_of_the_memory(anna: Host) -> None:
    first = anna.store("pgbouncer runs on db-17.", scope=TEAM)["id"]
    second = anna.store("db-17 needs pgbouncer 1.22 or newer.", scope=TEAM)["id"]
    anna.store("pgbouncer on db-17 is mine.")
    related = anna.list(related_to=first)
    assert [(one["id"], one["scope"]) for one in related["memories"]] == [(second, TEAM)]
    with pytest.raises(UnknownMemory):
        anna.list(related_to=first, scope="global")


def test_a_filter_reaches_the_team_s_memories_only_where_it_names_the_team(anna: Host) -> None:
    own, shared = anna.store("Mine.", tags=["x"])["id"], anna.store(RULE, scope=TEAM, tags=["x"])["id"]

    def matching(**filters: Any) -> list[str]:
        found = list_matching(anna.app, parse_arguments(ListMemories, {"tags": ["x"], **filters}), None)
        return [memory["id"] for memory in found]

    assert matching() == [own]
    assert matching(scope=TEAM) == [shared]


# --- queries ------------------------------------------------------------------------------------


def test_a_query_of_both_stores_is_embedded_once(anna: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    anna.store(RULE, scope=TEAM)
    anna.store("Something of Anna's own.")
    asked: list[str] = []
    embed = anna.app.model.embed_query
    monkeypatch.setattr(anna.app.model, "embed_query", lambda text: asked.append(text) or embed(text))
    anna.query("When are releases cut?")
    assert asked == ["When are releases cut?"]


def test_a_small_store_gains_nothing_by_its_size(anna: Host) -> None:
    """Among few memories a fair one is seldom found by chance; among those of both stores it may be."""
    for number in range(60):
        anna.store(f"The lamp {number} of the long corridor was replaced.")
    shared = anna.store("The lamp of the short corridor is broken.", scope=TEAM)["id"]
    question = "Which lamp is broken?"
    alone = {one["id"]: one["score"] for one in anna.query(question, scope=TEAM)["results"]}
    together = {one["id"]: one["score"] for one in anna.query(question, limit=100)["results"]}
    assert together[shared] < alone[shared]


def test_the_budget_of_characters_is_for_both_stores_together(anna: Host) -> None:
    for number in range(4):
        text = f"Release {number}. " + "It was long and uneventful. " * 12
        anna.store(text, scope=TEAM if number % 2 else "global")
    answer = anna.query("release", max_chars=600)
    assert sum(len(one["content"]) for one in answer["results"]) <= 600
    assert any("did not fit" in note for note in answer["notes"])


def test_a_query_limits_the_results_of_both_stores_together(anna: Host) -> None:
    for number in range(6):
        anna.store(f"Release {number}", scope=TEAM if number % 2 else "global")
    assert len(anna.query("release", limit=3)["results"]) == 3


WORDS = ("kiwi", "plum", "fig", "lamp", "door", "rain")
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True).map(" ".join)
MINE = st.booleans()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(TEXTS, MINE), min_size=1, max_size=14), TEXTS, st.integers(1, 6))
def test_a_query_of_both_holds_all_that_either_would_place_above_the_cut(
    stored: list[tuple[str, bool]], question: str, limit: int
) -> None:
    with TemporaryDirectory() as directory:
        host = Host(Path(directory), tenant=ANNA, team=CREW)
        for text, is_mine in stored:
            host.store(text, scope="global" if is_mine else TEAM, kind="episodic")
            host.clock.advance(minutes=1)
        stores = [host.app, team_of(host)]
        merged = retrieve(stores, question, Filters(), limit).memories
        counts = [store.retriever.count_chunks() for store in stores]
        each = [
            store.retriever.retrieve(question, Filters(), limit, others=sum(counts) - count).memories
            for store, count in zip(stores, counts, strict=True)
        ]
        host.end()
    assert len(merged) == min(limit, sum(map(len, each)))
    assert [one.score for one in merged] == sorted((one.score for one in merged), reverse=True)
    for place, own in enumerate(each):
        of_store = [one.memory.id for one in merged if one.store == place]
        ranked = [one.memory.id for one in own]
        assert [key for key in ranked if key in of_store] == of_store  # in the order of the store alone
        above = [one.memory.id for one in own if one.score > cut_of(merged, limit)]
        assert above == of_store[: len(above)]


def cut_of(merged: list[ScoredMemory], limit: int) -> float:
    """The score from which on a memory may be missing: the last place is a whole match's, if there is one."""
    if len(merged) < limit:
        return -1.0
    return merged[max(0, limit - 2)].score


# --- paging -------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(MINE, st.integers(0, 3)), max_size=16),
    st.lists(st.tuples(MINE, st.integers(0, 3)), max_size=4),
    st.integers(1, 5),
    st.sampled_from(["newest", "oldest"]),
)
def test_paging_yields_each_memory_once_in_order_while_others_write(
    stored: list[tuple[bool, int]], later: list[tuple[bool, int]], limit: int, order: str
) -> None:
    with TemporaryDirectory() as directory:
        host = Host(Path(directory), model=None, tenant=ANNA, team=CREW)
        begin = host.clock.time

        def store(number: int, is_mine: bool, minute: int) -> str:
            return host.store(
                f"number {number}",
                scope="global" if is_mine else TEAM,
                occurred_at=(begin + timedelta(minutes=minute)).isoformat(),
            )["id"]

        before = {store(number, *each) for number, each in enumerate(stored)}
        page = host.list(limit=limit, order=order)
        assert page["total"] == len(stored)
        listed = page["memories"]
        writes = list(enumerate(later, start=100))
        while "next_cursor" in page:
            if writes:
                number, each = writes.pop()
                store(number, *each)
            page = host.list(limit=limit, order=order, cursor=page["next_cursor"])
            listed += page["memories"]
        ids = [memory["id"] for memory in listed]
        times = [memory["occurred_at"] for memory in listed]
        host.end()
    assert len(ids) == len(set(ids))
    assert before <= set(ids)
    assert times == sorted(times, reverse=order == "newest")


def test_a_cursor_goes_on_only_in_the_stores_that_it_is_of(anna: Host) -> None:
    for number in range(4):
        anna.store(f"number {number}", scope=TEAM if number % 2 else "global")
    cursor = anna.list(limit=1)["next_cursor"]
    with pytest.raises(BadArgument, match="other filters"):
        anna.list(limit=1, scope=TEAM, cursor=cursor)
    alone = Host(anna.directory, clock=anna.clock, tenant=ANNA)
    with pytest.raises(BadArgument, match="other filters"):
        alone.list(limit=1, cursor=cursor)
    alone.end()


# --- on purpose only ----------------------------------------------------------------------------

SCOPES = st.sampled_from([None, "", "global", "project", "all"])
CALLS = st.one_of(
    st.tuples(
        st.just("store_memory"),
        st.fixed_dictionaries(
            {"content": TEXTS, "scope": SCOPES},
            optional={
                "kind": st.sampled_from(["semantic", "episodic", "working"]),
                "replaces": st.lists(st.integers(0, 5), max_size=2),
                "session": st.just("s"),
            },
        ),
    ),
    st.tuples(st.just("query_memory"), st.fixed_dictionaries({"query": TEXTS, "scope": SCOPES})),
    st.tuples(
        st.just("list_memories"),
        st.fixed_dictionaries({"scope": SCOPES}, optional={"related_to": st.integers(0, 5)}),
    ),
    st.tuples(
        st.just("delete_memory"), st.fixed_dictionaries({"ids": st.lists(st.integers(6, 20), min_size=1)})
    ),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(CALLS, max_size=8))
def test_nothing_is_written_to_the_team_but_with_its_scope_or_its_ids(
    calls: list[tuple[str, dict[str, Any]]],
) -> None:
    with TemporaryDirectory() as directory:
        host = Host(Path(directory), tenant=ANNA, team=CREW, project="/home/anna/app")
        ids = [host.store(f"{word} {word}", scope=TEAM)["id"] for word in WORDS]
        seq = seq_of_team(host)
        for name, arguments in calls:
            named = {
                key: [(ids * 4)[one] if one < len(ids) else f"nosuchid{one}" for one in value]
                if isinstance(value, list)
                else (ids[value] if isinstance(value, int) else value)
                for key, value in arguments.items()
            }
            answer = call_tool(host.app, find_tool(name), named, host.project, set())
            new = answer.get("structuredContent", {}).get("id")
            ids += [new] if new else []
            assert seq_of_team(host) == seq
        host.end()


def test_several_applications_may_share_the_store_of_a_team(anna: Host, bea: Host) -> None:
    team = Application(anna.app.config.of_team or anna.app.config, model=anna.app.model, is_team=True)
    sharing = Application(anna.app.config, model=anna.app.model, team=team)
    assert sharing.team is team
    sharing.close()
    assert store_memory(bea.app, parse_arguments(StoreMemory, {"content": RULE, "scope": TEAM}), None)
    assert len(team.retriever.retrieve("releases", Filters(), 5).memories) == 1
    team.close()


def test_the_process_of_a_team_closes_both_stores(anna: Host) -> None:
    anna.store(RULE, scope=TEAM)
    team = team_of(anna)
    assert team.model is anna.app.model
    anna.app.close()
    assert team._worker._stop.is_set()
