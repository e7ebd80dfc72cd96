"""What is related to a memory and why, over real storage and both indexes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.embedding_double import EmbeddingDouble
from support.host import SMALL, Clock, Host
from support.stdio_peer import StdioPeer

from sediment_mcp.domain.filters import Filters
from sediment_mcp.search.related import SHOWN_CHARS
from sediment_mcp.search.shared_entities import count_common

pytestmark = pytest.mark.over_both

OpenHost = Callable[..., Host]
REFUSED = "pgbouncer refused the connection with ECONNREFUSED"
POOL = "ECONNREFUSED came from the reserve pool of pgbouncer"


def related(host: Host, memory_id: str, **arguments: Any) -> dict[str, str]:
    """Return the reasons by id, in the order of the answer."""
    listed = host.list(related_to=memory_id, **{"limit": 100, **arguments})
    return {memory["id"]: memory["related"] for memory in listed["memories"]}


def store_all(host: Host, *texts: str, **attributes: Any) -> list[str]:
    ids: list[str] = []
    for text in texts:
        ids.append(host.store(text, **attributes)["id"])
        host.clock.advance(minutes=1)
    return ids


# --- entities -----------------------------------------------------------------------------------


def test_memories_that_name_the_same_rare_things_are_related_by_them(host: Host) -> None:
    first, second, _ = store_all(host, REFUSED, POOL, "The kettle is on the stove")
    assert related(host, first) == {second: "both mention ECONNREFUSED and pgbouncer"}
    assert related(host, second) == {first: "both mention ECONNREFUSED and pgbouncer"}


def test_a_name_is_known_in_small_letters_and_at_the_beginning_of_a_sentence(host: Host) -> None:
    small, first, within = store_all(
        host, "ask maria about the pooler", "Maria owns the budget", "The lease was signed by Maria"
    )
    assert related(host, within) == {first: "both mention Maria", small: "both mention Maria"}
    assert related(host, small) == {within: "both mention Maria"}


def test_a_file_is_known_by_its_path_and_by_its_name(host: Host) -> None:
    path, name, _ = store_all(
        host, "the limit is in src/app/pool_config.py", "read pool_config.py first", "the lid is lost"
    )
    assert related(host, path) == {name: "both mention pool_config.py"}
    assert related(host, name) == {path: "both mention pool_config.py"}


def test_a_longer_entity_stands_for_its_parts(host: Host) -> None:
    first, second = store_all(host, "we asked Maria Schneider", "it was Maria Schneider who said so")
    assert related(host, first) == {second: "both mention Maria Schneider"}


def test_what_many_memories_name_is_no_reason(host: Host) -> None:
    texts = [f"the order of customer {n} went to Acme" for n in range(count_common(30) + 1)]
    crowd = store_all(host, *texts, "then Acme sent E1234", "so E1234 is what Acme sends")
    assert related(host, crowd[0]) == {}
    assert related(host, crowd[-1]) == {crowd[-2]: "both mention E1234"}


def test_what_fewer_memories_share_comes_first(host: Host) -> None:
    ids = store_all(
        host, "we saw E1111 and E2222", "then E1111 again", "still E1111", "only E2222 now", "and E1111 too"
    )
    assert list(related(host, ids[0])) == [ids[3], ids[4], ids[2], ids[1]]


def test_days_of_the_week_and_months_are_no_reason(host: Host) -> None:
    first, _ = store_all(host, "so on Monday, in May, we drink tea", "but on Monday, in May, they slept")
    assert related(host, first) == {}


def test_words_of_other_languages_are_no_names_of_programs(host: Host) -> None:
    first, _ = store_all(host, "heute muss gekocht werden", "gestern musste nichts gekocht werden")
    assert related(host, first) == {}


def test_a_long_list_of_entities_is_cut_short(host: Host) -> None:
    codes = "E1111, E2222, E3333, E4444 and E5555"
    first, second = store_all(host, f"we saw {codes}", f"they saw {codes}")
    assert related(host, first) == {second: "both mention E1111, E2222, E3333 and 2 more"}
    url = f"https://example.com/{'a' * 70}"
    third, fourth = store_all(host, f"see {url}", f"read {url}")
    (reason,) = related(host, third, limit=1).values()
    assert len(reason) == len("both mention ") + SHOWN_CHARS
    assert reason.endswith("…")
    assert fourth in related(host, third)


def test_two_passages_of_one_memory_share_nothing_with_each_other(host: Host) -> None:
    (one,) = store_all(host, "E1234 came first. " + "word " * 3_000 + "E1234 came last.")
    assert related(host, one) == {}


# --- sessions, versions, meaning ----------------------------------------------------------------


def test_the_nearest_turns_of_the_session_come_first(host: Host) -> None:
    ids = store_all(host, *(f"number {n}" for n in range(5)), session="talk")
    store_all(host, "number 9", session="another")
    assert related(host, ids[1]) == {
        ids[2]: "same session, 1 turn later",
        ids[0]: "same session, 1 turn earlier",
        ids[3]: "same session, 2 turns later",
        ids[4]: "same session, 3 turns later",
    }


def test_versions_come_first_and_history_only_if_it_is_asked_for(host: Host) -> None:
    first = host.store("the port is 8080, says E1234")["id"]
    second = host.store("the port is 8081, says E1234", replaces=[first])["id"]
    third = host.store("the port is 8082, says E1234", replaces=[second])["id"]
    other = host.store("so E1234 is about ports")["id"]
    assert list(related(host, third)) == [other]
    assert related(host, third, include_superseded=True) == {
        second: "replaced by this one; both mention E1234",
        first: "an earlier version of this; both mention E1234",
        other: "both mention E1234",
    }
    assert related(host, first) == {
        third: "a later version of this; both mention E1234", other: "both mention E1234"
    }  # fmt: skip
    assert related(host, second)[third] == "replaces this one; both mention E1234"


def test_a_circle_of_versions_has_an_end(host: Host) -> None:
    first = host.store("the port is 8080")["id"]
    second = host.store("the port is 8081", replaces=[first])["id"]
    with host.app.storage.write() as session:
        session.update(replace(session.get([second])[second], superseded_by=first))
    assert related(host, first, include_superseded=True).keys() == {second}


@pytest.mark.parametrize("has_model", [True, False])
def test_what_means_the_same_is_related_even_while_no_model_is_loaded(
    open_host: OpenHost, has_model: bool
) -> None:
    host = open_host()
    first, second = store_all(host, "stressed", "desserts")
    reader = open_host(model=EmbeddingDouble() if has_model else None)
    if has_model:
        reader.app.model.get()
    assert related(reader, first) == {second: "similar in meaning"}


# --- what may be shown --------------------------------------------------------------------------


@pytest.fixture
def wordy(open_host: OpenHost) -> Host:
    """Return a host without a model, whose snapshot is due after a handful of memories."""
    return open_host(model=None, tuning=SMALL)


def test_snapshot_and_memtable_are_one(wordy: Host) -> None:
    first, second = store_all(wordy, REFUSED, POOL)
    wordy.rebuild_text()
    third, _ = store_all(wordy, "so pgbouncer is up again", "the kettle is on")
    expected = {
        second: "both mention ECONNREFUSED and pgbouncer", third: "both mention pgbouncer",
    }  # fmt: skip
    assert related(wordy, first) == expected
    wordy.run_jobs()
    assert related(wordy, first) == expected


@pytest.mark.parametrize("permanent", [False, True])
def test_what_is_deleted_is_related_to_nothing(wordy: Host, permanent: bool) -> None:
    first, second, third = store_all(wordy, REFUSED, POOL, "pgbouncer sent ECONNREFUSED again", session="s")
    wordy.rebuild_text()
    wordy.delete(second, permanent=permanent)
    assert related(wordy, first).keys() == {third}


def test_what_has_expired_is_related_to_nothing(wordy: Host, clock: Clock) -> None:
    first = wordy.store(REFUSED)["id"]
    wordy.store(POOL, expires_at="2026-05-09T12:00:00Z")
    assert len(related(wordy, first)) == 1
    clock.advance(days=2)
    assert related(wordy, first) == {}


def test_another_project_s_memories_are_marked_and_rank_lower(open_host: OpenHost) -> None:
    host = open_host(project="/home/ann/code/shop")
    own, first = store_all(host, POOL, REFUSED)
    host.project = "/home/ann/code/other"
    other = host.store(f"{POOL} too")["id"]
    host.project = "/home/ann/code/shop"
    listed = host.list(related_to=first)["memories"]
    assert [(memory["id"], memory["project"]) for memory in listed] == [
        (own, "/home/ann/code/shop"), (other, "/home/ann/code/other"),
    ]  # fmt: skip
    assert related(host, first, scope="project").keys() == {own}
    assert related(host, first, scope="global") == {}


NAMES = "E1111", "E2222", "PgBouncer", "pgbouncer", "src/a.py", "a.py", "Maria Schneider", "maria", "Monday"
TEXTS = st.lists(
    st.lists(st.sampled_from([*NAMES, "kettle"]), min_size=1, max_size=4).map(
        lambda words: f"we saw {' and '.join(words)}"
    ),
    min_size=2,
    max_size=5,
    unique=True,
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=TEXTS, written=st.integers(0, 5))
def test_a_relation_is_mutual_wherever_the_index_has_got_to(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], written: int
) -> None:
    host = Host(tmp_path_factory.mktemp("related"), model=None)
    ids: list[str] = []
    for number, text in enumerate(texts):
        if number == written:
            host.rebuild_text()
        ids.append(host.store(text, kind="episodic")["id"])
    pairs = {(one, other) for one in ids for other in related(host, one)}
    assert pairs == {(other, one) for one, other in pairs}
    host.rebuild_text()
    assert pairs == {(one, other) for one in ids for other in related(host, one)}
    host.end()


ATTRIBUTES = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["semantic", "episodic"]),
        "tags": st.sampled_from([["a"], ["a", "b"], []]),
        "session": st.sampled_from(["s", "t", None]),
        "occurred_at": st.sampled_from(["2026-01-01", "2026-02-01"]),
    }
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.just("semantic"), "tags": st.just(["a"]), "session": st.just("s"),
        "since": st.just("2026-01-15"),
    },
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(attributes=st.lists(ATTRIBUTES, min_size=1, max_size=count_common(0) - 1), filters=FILTERS)
def test_filters_are_exact(
    tmp_path_factory: pytest.TempPathFactory, attributes: list[dict[str, Any]], filters: dict[str, Any]
) -> None:
    host = Host(tmp_path_factory.mktemp("filtered"), model=None)
    one = host.store(REFUSED, kind="episodic")["id"]
    for number, own in enumerate(attributes):
        host.store(f"{POOL}, turn {number}", **own)
    listed = {memory["id"] for memory in host.list(**filters)["memories"]} - {one}
    assert related(host, one, **filters).keys() == listed
    host.end()


def test_a_memory_that_is_not_there_has_no_relations(host: Host) -> None:
    deleted = host.store(REFUSED)["id"]
    host.delete(deleted)
    host.app.storage.open()
    assert host.app.retriever.find_related(deleted, Filters()) is None
    assert host.app.retriever.find_related("nosuchid", Filters()) is None


# --- over the real server -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("model", ["none", ""])
def test_the_server_tells_what_is_related(tmp_path: Path, model: str) -> None:
    with StdioPeer(tmp_path / "data", environment={"SEDIMENT_MODEL": model} if model else {}) as peer:
        peer.initialize()

        def call(tool: str, **arguments: Any) -> Any:
            result = peer.request("tools/call", {"name": tool, "arguments": arguments})["result"]
            return result.get("structuredContent") or result["content"][0]["text"]

        first = call("store_memory", content=REFUSED, session="s")["id"]
        second = call("store_memory", content=POOL, session="s")["id"]
        (memory,) = call("list_memories", related_to=f"memory://{first}")["memories"]
        assert memory["id"] == second
        assert memory["related"].startswith(
            "both mention ECONNREFUSED and pgbouncer; same session, 1 turn later"
        )
        assert ("similar in meaning" in memory["related"]) == (model != "none")
        assert "related" not in call("list_memories")["memories"][0]
        assert "names no memory" in call("list_memories", related_to="nosuchid")
