"""The transport over two pipes in this process: what a real server never sends, but might one day."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sediment_mcp.server.jsonrpc import Message
from sediment_mcp.server.stdio import ClientPipes, StdioTransport

Answerer = Callable[[StdioTransport, Message], None]


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, action in before.items():
        signal.signal(number, action)


def exchange(lines: bytes, answer: Answerer, *, end: bool = True) -> list[Message]:
    """Feed the lines and, with ``end``, the end of input; return what the transport has written.

    Each message is given to ``answer`` as it comes in.
    """
    (inbound, feed), (drain, outbound) = os.pipe(), os.pipe()
    os.write(feed, lines)
    if end:
        os.close(feed)
    transport = StdioTransport(ClientPipes(inbound, outbound, os.getppid()))
    transport.start(lambda message: answer(transport, message))
    transport.wait_for_end()
    transport.flush()
    os.close(outbound)
    os.close(inbound if end else feed)  # whichever nobody uses any more
    with os.fdopen(drain, "rb") as written:
        return [json.loads(line) for line in written]


def request(id: int | str, method: str = "m") -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method}).encode() + b"\n"


def cancellation(id: int | str) -> bytes:
    message = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}
    return json.dumps(message).encode() + b"\n"


def result(id: int | str, **values: Any) -> Message:
    return {"jsonrpc": "2.0", "id": id, "result": values}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_an_answer_that_is_no_json_becomes_an_error_of_the_same_request(value: object) -> None:
    (answer,) = exchange(request("a"), lambda wire, asked: wire.send(result(asked["id"], value=value)))
    assert (answer["id"], answer["error"]["code"]) == ("a", -32603)


def test_a_second_answer_and_an_answer_to_nothing_are_dropped() -> None:
    def answer(transport: StdioTransport, _: Message) -> None:
        for id, number in ((1, 1), (1, 2), (2, 3), ("1", 4)):
            transport.send(result(id, number=number))

    assert exchange(request(1), answer) == [result(1, number=1)]


def test_the_late_answer_to_a_cancelled_request_is_not_taken_for_that_to_a_new_one_of_its_id() -> None:
    asked: list[Message] = []

    def answer(transport: StdioTransport, message: Message) -> None:
        asked.append(message)
        if message["method"] == "again":
            transport.send(result(asked[0]["id"], late=True))
            transport.send(result(message["id"], late=False))

    assert exchange(request("a") + cancellation("a") + request("a", "again"), answer) == [
        result("a", late=False)
    ]
    assert asked[1]["params"] == {"requestId": asked[0]["id"]}


def test_a_cancellation_of_what_is_not_in_flight_is_not_passed_on() -> None:
    asked: list[Message] = []

    def answer(transport: StdioTransport, message: Message) -> None:
        asked.append(message)
        transport.send(result(message["id"]))

    lines = cancellation(1) + request(1) + cancellation(1) + cancellation("1") + cancellation(2)
    assert exchange(lines, answer) == [result(1)]
    assert len(asked) == 1


def test_a_request_to_a_client_that_has_left_is_answered_with_an_error() -> None:
    made_up: list[Message] = []

    def answer(transport: StdioTransport, message: Message) -> None:
        if "method" not in message:
            made_up.append(message)
            transport.send(result(1))
        else:
            transport.send({"jsonrpc": "2.0", "id": 7, "method": "question"})

    written = exchange(request("x"), answer)
    assert [message["id"] for message in written] == [7, "x"]
    assert [(message["id"], message["error"]["code"]) for message in made_up] == [(7, -32000)]


def test_a_request_to_the_client_in_flight_is_cancelled_at_the_end() -> None:
    made_up: list[Message] = []

    def answer(transport: StdioTransport, message: Message) -> None:
        if "method" in message:
            transport.send({"jsonrpc": "2.0", "id": 7, "method": "question"})
            transport.finish()
        else:
            made_up.append(message)
            transport.send(result(1))

    written = exchange(request("x"), answer, end=False)
    assert [message["id"] for message in written] == [7, "x"]
    assert [(message["id"], message["error"]["code"]) for message in made_up] == [(7, -32000)]


def test_a_call_that_is_not_answered_in_time_gets_an_error_of_its_own() -> None:
    answers = exchange(request("never") + request("soon"), _answer_second)
    assert [(message["id"], "error" in message) for message in answers] == [("soon", False), ("never", True)]


def _answer_second(transport: StdioTransport, message: Message) -> None:
    if message["id"] == 2:  # the number that takes the place of the second id
        transport.send(result(2))


def test_notifications_and_answers_pass_in_order() -> None:
    lines = [{"jsonrpc": "2.0", "method": "n", "params": {"i": i}} for i in range(50)] + [
        result(1),
        result("x"),
    ]
    seen: list[Message] = []
    sent = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    assert exchange(sent, lambda _, message: seen.append(message)) == []
    assert seen == lines
