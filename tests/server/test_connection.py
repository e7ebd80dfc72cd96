"""The connection by itself: order, cancellation and failures; `test_sdk_parity` compares what it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.stdio_peer import initialize_params, modern_params

from sediment_mcp.server.connection import Client, Connection
from sediment_mcp.server.jsonrpc import Message
from sediment_mcp.server.protocol import Params, ProtocolError
from sediment_mcp.server.protocol_errors import INTERNAL_FAILURE


class Handlers:
    """One light method and one heavy one, which do what a test says."""

    def __init__(self, answer: Callable[[Client, Params], Message] = lambda _, __: {"done": True}) -> None:
        self.light = {"tools/list": lambda _: {"tools": []}}
        self.heavy = {"tools/call": answer}
        self.forgotten = 0

    def forget_roots(self) -> None:
        self.forgotten += 1


class Peer:
    """A connection whose calls wait until they are run."""

    def __init__(self, handlers: Handlers | None = None, capabilities: Message | None = None) -> None:
        self.sent: list[Message] = []
        self.calls: list[Callable[[], None]] = []
        self.handlers = handlers or Handlers()
        self.connection = Connection(self.handlers, self.sent.append, self.calls.append)
        self.request(0, "initialize", initialize_params(capabilities=capabilities))
        self.sent.clear()

    def request(self, id: int | str, method: str, params: Message | None = None) -> None:
        message = {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}
        self.connection.receive(message)

    def call(self, id: int | str) -> None:
        self.request(id, "tools/call", {"name": "x"})

    def notify(self, method: str, params: Any = None) -> None:
        self.connection.receive({"jsonrpc": "2.0", "method": method, "params": params or {}})

    def run_calls(self) -> list[Message]:
        for call in self.calls:
            call()
        return self.sent


def test_what_is_light_is_answered_while_calls_wait() -> None:
    peer = Peer()
    peer.call(1)
    peer.request(2, "tools/list")
    peer.request(3, "ping")
    assert [message["id"] for message in peer.sent] == [2, 3]
    assert [message["id"] for message in peer.run_calls()] == [2, 3, 1]


def test_a_call_that_is_cancelled_before_its_turn_does_nothing() -> None:
    ran: list[str] = []
    peer = Peer(Handlers(lambda _, params: ran.append("x") or {}))
    peer.call(1)
    peer.call(2)
    peer.notify("notifications/cancelled", {"requestId": 1})
    assert [message["id"] for message in peer.run_calls()] == [2]
    assert ran == ["x"]


@pytest.mark.parametrize("id", [None, [], {}, "1", 7])
def test_a_cancellation_of_something_else_cancels_nothing(id: Any) -> None:
    peer = Peer()
    peer.call(1)
    peer.notify("notifications/cancelled", {"requestId": id})
    assert [message["id"] for message in peer.run_calls()] == [1]


@pytest.mark.parametrize(
    "failure", [ValueError("secret"), KeyError("secret"), SystemExit("secret"), BaseException()]
)
def test_a_failure_by_accident_is_answered_with_the_remedy(failure: BaseException) -> None:
    def fail(_: Client, __: Params) -> Message:
        raise failure

    peer = Peer(Handlers(fail))
    peer.call("a")
    assert peer.run_calls() == [
        {"jsonrpc": "2.0", "id": "a", "error": {"code": -32603, "message": INTERNAL_FAILURE}}
    ]


def test_a_failure_on_purpose_is_answered_with_its_sentence_and_data() -> None:
    def refuse(_: Client, __: Params) -> Message:
        raise ProtocolError(-32602, "Nothing is there.", {"uri": "x"})

    peer = Peer(Handlers(refuse))
    peer.call(1)
    assert peer.run_calls()[0]["error"] == {
        "code": -32602, "message": "Nothing is there.", "data": {"uri": "x"},
    }  # fmt: skip


def test_a_revision_without_end_is_repeated_shortened() -> None:
    sent: list[Message] = []
    connection = Connection(Handlers(), sent.append, lambda call: call())
    for id, method in enumerate(("tools/list", "initialize")):
        params = modern_params({"protocolVersion": "x" * 10_000})
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "x" * 10_000
        connection.receive({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
    assert [message["error"]["data"]["requested"] for message in sent] == ["x" * 100] * 2


def test_the_roots_are_forgotten_when_they_change_in_the_era_that_has_them() -> None:
    peer = Peer()
    peer.notify("notifications/roots/list_changed")
    assert peer.handlers.forgotten == 1
    peer.notify("notifications/roots/list_changed", {"_meta": 5})
    assert peer.handlers.forgotten == 1
    handlers = Handlers()
    enveloped = Connection(handlers, lambda _: None, lambda call: call())
    enveloped.receive({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": modern_params()})
    enveloped.receive({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"})
    assert handlers.forgotten == 0


def test_an_answer_to_nothing_is_dropped() -> None:
    peer = Peer()
    peer.connection.receive({"jsonrpc": "2.0", "id": 5, "result": {}})
    peer.connection.receive({"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": "x"}})
    assert peer.sent == []


@pytest.mark.parametrize(
    ("capabilities", "has_roots"), [({}, False), ({"roots": {}}, True), ({"roots": None}, False)]
)
def test_only_a_client_that_says_so_has_roots(capabilities: Message, has_roots: bool) -> None:
    assert Peer(capabilities=capabilities).connection.has_roots is has_roots
