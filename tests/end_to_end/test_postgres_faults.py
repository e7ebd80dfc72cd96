"""Real servers on one PostgreSQL whose processes, connections and database are ended in the worst moments.

In small what the campaign in benchmarks/faults does at length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from faults import proxy
from faults.proxy import Proxy
from support.postgres import ADMIN, PORT, ROLE, PostgresServer
from support.stdio_peer import StdioPeer

pytestmark = [pytest.mark.slow, pytest.mark.process]

WRITERS = 8
ACKNOWLEDGED = 24  # stores before the kill


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.end()


class Machines:
    """Servers on machines of their own, each with its own cache, over one database behind a proxy."""

    def __init__(self, database: PostgresServer, folder: Path, stack: ExitStack) -> None:
        self.database, self._folder, self._stack = database, folder, stack
        self.proxy = Proxy(database.folder / f".s.PGSQL.{PORT}")
        stack.callback(self.proxy.close)
        self._url = f"postgresql://{ROLE}@127.0.0.1:{self.proxy.port}/{database.new_database()}"

    def start(self, name: str) -> StdioPeer:
        environment = {"SEDIMENT_DATABASE": self._url, "SEDIMENT_MODEL": "none", "SEDIMENT_PROJECT": ""}
        peer = self._stack.enter_context(StdioPeer(self._folder / name, environment=environment))
        peer.initialize()
        return peer


@pytest.fixture
def machines(database: PostgresServer, tmp_path: Path) -> Iterator[Machines]:
    with ExitStack() as stack:
        yield Machines(database, tmp_path, stack)


def store(peer: StdioPeer, text: str) -> str:
    """Store a text; its id."""
    return succeed(peer, "store_memory", content=text)["id"]


def succeed(peer: StdioPeer, tool: str, **arguments: Any) -> dict[str, Any]:
    result = peer.call(tool, **arguments)
    assert not result.get("isError"), result
    return result["structuredContent"]


def refusal(peer: StdioPeer, tool: str, **arguments: Any) -> str:
    """The sentence with which a call is refused: a cause and a remedy in one line."""
    result = peer.call(tool, **arguments)
    assert result.get("isError"), result
    sentence = result["content"][0]["text"]
    assert ": " in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence


def everything(peer: StdioPeer) -> list[str]:
    """The texts of all memories."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = succeed(peer, "list_memories", limit=100, **cursor)
        found += [memory["content"] for memory in page["memories"]]
        if "next_cursor" not in page:
            return found
        cursor = {"cursor": page["next_cursor"]}


def test_what_a_server_has_stored_another_one_finds_at_once(machines: Machines) -> None:
    peers = [machines.start("one"), machines.start("other")]
    for number in range(12):
        text = f"word{number} was written by one of two"
        memory_id = store(peers[number % 2], text)
        other = peers[1 - number % 2]
        found = succeed(other, "query_memory", query=f"word{number}")["results"]
        assert memory_id in [memory["id"] for memory in found]
        assert text in everything(other)


class Writers:
    """Eight who store without a pause at one server."""

    def __init__(self, peer: StdioPeer, name: str) -> None:
        self._peer, self._name = peer, name
        self.sent: list[str] = []
        self.acknowledged: set[str] = set()
        self._under_way: dict[int, str] = {}
        for _ in range(WRITERS):
            self._start()

    def work_until_killed(self, stores: int) -> None:
        """Kill the server after so many acknowledged stores, with eight under way."""
        for _ in range(stores):
            self._take(self._peer.receive())
            self._start()
        self._peer.process.kill()
        while (answer := self._peer.receive()) is not None:  # what it had answered before its end
            self._take(answer)

    def _start(self) -> None:
        text = f"text {len(self.sent)} of {self._name}"
        self.sent.append(text)
        self._under_way[self._peer.start_call("store_memory", content=text)] = text

    def _take(self, answer: dict[str, Any] | None) -> None:
        assert answer is not None
        assert not answer["result"].get("isError"), answer
        self.acknowledged.add(self._under_way.pop(answer["id"]))


def test_nothing_acknowledged_is_lost_by_a_kill_amid_the_stores_of_eight_writers(machines: Machines) -> None:
    other = machines.start("other")
    lives: list[Writers] = []
    for number in range(3):
        lives.append(Writers(machines.start("victim"), f"life {number}"))
        lives[-1].work_until_killed(ACKNOWLEDGED)
        store(other, f"the other goes on after life {number}")
        there = Counter(text for text in everything(other) if text.startswith("text"))
        sent = {text for life in lives for text in life.sent}
        assert set().union(*(life.acknowledged for life in lives)) <= set(there) <= sent
        assert set(there.values()) == {1}


@pytest.mark.parametrize("point", [proxy.BEFORE_COMMIT, proxy.IN_COMMIT, proxy.AFTER_COMMIT])
def test_a_connection_cut_at_commit_leaves_no_doubt_and_no_duplicate(machines: Machines, point: str) -> None:
    peer = machines.start("one")
    store(peer, "before the cut")
    for number in range(3):
        text = f"text {number}, whose commit is cut"
        with machines.proxy.armed(point) as failure:
            result = peer.call("store_memory", content=text)
            assert failure.done.is_set()
        is_there = everything(peer).count(text)
        if result.get("isError"):
            assert "nothing was changed" in result["content"][0]["text"]
            assert (is_there, point) == (0, proxy.BEFORE_COMMIT)
        else:
            assert result["structuredContent"]["status"] == "stored"
            assert is_there == 1


def test_a_query_whose_rows_are_cut_off_is_answered_all_the_same(machines: Machines) -> None:
    peer = machines.start("one")
    memory_id = store(peer, "a text with a word such as xylophone")
    with machines.proxy.armed(proxy.IN_ROWS) as failure:
        found = succeed(peer, "query_memory", query="xylophone")["results"]
        assert failure.done.is_set()
    assert [memory["id"] for memory in found] == [memory_id]


def test_ended_sessions_cost_no_call(machines: Machines) -> None:
    peer = machines.start("one")
    for number in range(3):
        store(peer, f"text {number}")
        with machines.database.connect(ADMIN) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", [ROLE]
            )
    assert len(everything(peer)) == 3


@pytest.mark.parametrize("how", ["fast", "immediate", "kill -9"])
def test_servers_go_on_by_themselves_after_the_database_was_ended(machines: Machines, how: str) -> None:
    peers = [machines.start("one"), machines.start("other")]
    kept = [store(peers[0], "before the end")]
    if how == "kill -9":
        machines.database.kill()
    else:
        machines.database.stop(how)
    for tool, arguments in (
        ("store_memory", {"content": "nowhere"}),
        ("query_memory", {"query": "before"}),
        ("list_memories", {}),
        ("delete_memory", {"ids": kept}),
    ):
        assert "database" in refusal(peers[0], tool, **arguments)
    machines.database.start()
    kept.append(store(peers[0], "after the start"))
    for peer in peers:
        found = succeed(peer, "query_memory", query="before after")["results"]
        assert {memory["id"] for memory in found} == set(kept)
