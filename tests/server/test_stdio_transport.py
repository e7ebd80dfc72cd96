"""The transport over two pipes in this process: what a real server never sends, but might one day."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from sediment_mcp.server.jsonrpc import Message
from sediment_mcp.server.stdio import ClientPipes, StdioTransport


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, action in before.items():
        signal.signal(number, action)


def exchange(
    lines: bytes, session: Callable[[StdioTransport], Awaitable[None]], *, end: bool = True
) -> list[Message]:
    """Feed the lines and, with ``end``, the end of input; return what the transport has written."""
    (inbound, feed), (drain, outbound) = os.pipe(), os.pipe()
    os.write(feed, lines)
    if end:
        os.close(feed)

    async def run() -> None:
        transport = StdioTransport(ClientPipes(inbound, outbound, os.getppid()))
        transport.start()
        task = asyncio.ensure_future(session(transport))
        await transport.wait_for_end()
        await task
        transport.flush()

    asyncio.run(run())
    os.close(outbound)
    os.close(inbound if end else feed)  # whichever nobody uses any more
    with os.fdopen(drain, "rb") as written:
        return [json.loads(line) for line in written]


async def messages(transport: StdioTransport) -> list[Message]:
    received: list[Message] = []
    while (message := await transport.receive()) is not None:
        received.append(message)
    return received


def request(id: int | str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": "m"}).encode() + b"\n"


def result(id: int | str, **values: Any) -> Message:
    return {"jsonrpc": "2.0", "id": id, "result": values}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_an_answer_that_is_no_json_becomes_an_error_of_the_same_request(value: object) -> None:
    async def session(transport: StdioTransport) -> None:
        message = await transport.receive()
        assert message is not None
        transport.send(result(message["id"], value=value))

    (answer,) = exchange(request("a"), session)
    assert (answer["id"], answer["error"]["code"]) == ("a", -32603)


def test_a_second_answer_and_an_answer_to_nothing_are_dropped() -> None:
    async def session(transport: StdioTransport) -> None:
        await transport.receive()
        for id, number in ((1, 1), (1, 2), (2, 3), ("1", 4)):
            transport.send(result(id, number=number))

    assert exchange(request(1), session) == [result(1, number=1)]


def test_a_request_to_a_client_that_has_left_is_answered_with_an_error() -> None:
    async def session(transport: StdioTransport) -> None:
        await transport.receive()
        transport.send({"jsonrpc": "2.0", "id": 7, "method": "question"})
        made_up = await transport.receive()
        assert made_up is not None
        assert (made_up["id"], made_up["error"]["code"]) == (7, -32000)
        transport.send(result(1))

    assert [message["id"] for message in exchange(request(1), session)] == [7, 1]


def test_a_request_to_the_client_in_flight_is_cancelled_at_the_end() -> None:
    async def session(transport: StdioTransport) -> None:
        await transport.receive()
        transport.send({"jsonrpc": "2.0", "id": 7, "method": "question"})
        transport.finish()
        made_up = await transport.receive()
        assert made_up is not None
        assert made_up["id"] == 7
        transport.send(result(1))

    assert [message["id"] for message in exchange(request(1), session, end=False)] == [7, 1]


def test_notifications_and_answers_pass_in_order() -> None:
    lines = [{"jsonrpc": "2.0", "method": "n", "params": {"i": i}} for i in range(50)] + [
        result(1),
        result("x"),
    ]
    seen: list[Message] = []

    async def session(transport: StdioTransport) -> None:
        seen.extend(await messages(transport))

    assert exchange(b"".join(json.dumps(line).encode() + b"\n" for line in lines), session) == []
    assert seen == lines
