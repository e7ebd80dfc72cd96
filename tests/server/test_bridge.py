"""The bridge: what a host says reaches a server with a URL, and every request is answered."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.inbound import decode_header_value

from sediment_mcp.server import bridge
from sediment_mcp.server.bridge import Bridge, encode_header

INITIALIZE = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
VERSION = "2025-11-25"
Answer = tuple[int, dict[str, str], bytes]


def call(number: int, **parameters: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": "list", **parameters}}


def as_json(body: Any, status: int = 200) -> Answer:
    return status, {"content-type": "application/json"}, json.dumps(body).encode()


@dataclass
class Peer:
    """A server as staged: sessions that it can forget, and an answer that a test may take over."""

    sessions: set[str] = field(default_factory=set[str])
    seen: list[tuple[str, dict[str, str], Any]] = field(default_factory=list[tuple[str, dict[str, str], Any]])
    take_over: Callable[[Any], Answer | None] = lambda message: None
    url: str = ""

    def answer(self, headers: dict[str, str], message: Any) -> Answer:
        if (staged := self.take_over(message)) is not None:
            return staged
        if message.get("method") == "initialize":
            session = f"s{len(self.sessions)}"
            self.sessions.add(session)
            result = {"protocolVersion": VERSION}
            status, headers, body = as_json({"jsonrpc": "2.0", "id": 0, "result": result})
            return status, headers | {"mcp-session-id": session}, body
        if headers.get("mcp-session-id") not in self.sessions:
            return as_json({"jsonrpc": "2.0", "id": None, "error": {"code": -1, "message": "gone"}}, 404)
        if "id" not in message:
            return 202, {}, b""
        return as_json({"jsonrpc": "2.0", "id": message["id"], "result": {"é": "ü"}})


@contextmanager
def serve(peer: Peer, port: int = 0) -> Generator[Peer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            peer.seen.append(("POST", headers, message))
            status, given, body = peer.answer(headers, message)
            if status == 0:  # the connection breaks
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(status)
            for name, value in given.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_DELETE(self) -> None:
            peer.seen.append(("DELETE", {name.lower(): value for name, value in self.headers.items()}, None))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing of requests."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    peer.url = f"http://127.0.0.1:{server.server_port}/mcp"
    try:
        yield peer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    with serve(Peer()) as peer:
        yield peer


def pass_on(url: str, *messages: Any) -> dict[Any, Any]:
    """Return the answers by their ids."""
    out = io.StringIO()
    Bridge(url, {"Authorization": "Bearer t0ken"}, out).run(f"{json.dumps(one)}\n" for one in messages)
    answers = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len({answer.get("id") for answer in answers}) == len(answers)
    return {answer.get("id"): answer for answer in answers}


def test_every_request_is_answered_with_the_token_and_in_the_session(peer: Peer) -> None:
    answers = pass_on(peer.url, INITIALIZE, INITIALIZED, *(call(number) for number in range(1, 30)))
    assert answers.keys() == set(range(30))
    assert answers[7]["result"] == {"é": "ü"}
    assert all(headers["authorization"] == "Bearer t0ken" for _, headers, _ in peer.seen)
    assert [message["method"] for _, _, message in peer.seen[:2]] == ["initialize", INITIALIZED["method"]]
    assert {headers.get("mcp-session-id") for _, headers, _ in peer.seen[1:]} == {"s0"}
    assert {headers.get("mcp-protocol-version") for _, headers, _ in peer.seen[1:]} == {VERSION}
    assert peer.seen[-1][0] == "DELETE"


def test_a_session_that_the_server_has_forgotten_is_opened_again_and_the_call_repeated(peer: Peer) -> None:
    def forget(message: Any) -> None:
        if message.get("id") == 2 and "s0" in peer.sessions:
            peer.sessions.clear()
            peer.sessions.add("other")

    peer.take_over = forget
    answers = pass_on(peer.url, INITIALIZE, INITIALIZED, call(1), call(2), call(3))
    assert all("result" in answers[number] for number in range(4))
    assert [message["method"] for _, _, message in peer.seen if message].count("initialize") == 2


def test_an_event_stream_becomes_lines_requests_of_the_server_included(peer: Peer) -> None:
    events: list[Any] = [
        {"jsonrpc": "2.0", "id": "a", "method": "ping"},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
    ]
    stream = "".join(f"event: message\r\ndata: {json.dumps(one)}\r\n\r\n" for one in events)
    peer.take_over = lambda message: (
        (200, {"content-type": "text/event-stream"}, b": hello\n\ndata:\n\n" + stream.encode())
        if message.get("id") == 1
        else None
    )
    answers = pass_on(peer.url, INITIALIZE, call(1))
    assert answers["a"]["method"] == "ping"
    assert answers[1]["result"] == {}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "does not accept the token: ask for a new one"),
        (403, "does not accept the token"),
        (404, "There is no memory server at"),
        (500, "refused the call (status 500)"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, words: str, peer: Peer) -> None:
    peer.take_over = lambda message: (status, {"content-type": "text/html"}, b"<p>no</p>")
    assert words in pass_on(peer.url, INITIALIZE)[0]["error"]["message"]


def test_an_error_of_the_protocol_passes_unchanged_whatever_its_status(peer: Peer) -> None:
    error = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "no such tool"}}
    peer.take_over = lambda message: as_json(error, 400) if message.get("id") == 1 else None
    assert pass_on(peer.url, INITIALIZE, call(1))[1] == error


def test_a_call_that_was_put_off_is_sent_again(peer: Peer) -> None:
    left = [503, 429]
    peer.take_over = lambda message: (left.pop(), {}, b"") if message.get("id") == 1 and left else None
    assert "result" in pass_on(peer.url, INITIALIZE, call(1))[1]


def test_a_call_whose_connection_broke_is_not_repeated(peer: Peer) -> None:
    peer.take_over = lambda message: (0, {}, b"") if message.get("id") == 1 else None
    answer = pass_on(peer.url, INITIALIZE, call(1))[1]
    assert "look whether the call has taken effect" in answer["error"]["message"]
    assert [message["id"] for _, _, message in peer.seen if message].count(1) == 1


def test_a_server_that_is_not_there_is_told_and_one_that_comes_back_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started, waits = threading.Event(), list[float]()
    with monkeypatch.context() as patch:
        patch.setattr(bridge, "RETRY_SECONDS", 0.0)
        url = f"http://127.0.0.1:{port}/mcp"
        assert "cannot be reached" in pass_on(url, INITIALIZE)[0]["error"]["message"]
    stack: list[Any] = []

    def come_back(seconds: float) -> None:
        waits.append(seconds)
        if not started.is_set():
            context = serve(Peer(), port)
            context.__enter__()
            stack.append(context)
            started.set()

    monkeypatch.setattr(bridge.time, "sleep", come_back)
    try:
        assert "result" in pass_on(f"http://127.0.0.1:{port}/mcp", INITIALIZE)[0]
    finally:
        for context in stack:
            context.__exit__(None, None, None)
    assert waits


def test_a_request_of_the_modern_era_says_in_headers_what_it_is(peer: Peer) -> None:
    meta = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}
    peer.take_over = lambda message: as_json({"jsonrpc": "2.0", "id": 1, "result": {}})
    pass_on(peer.url, call(1, **meta))
    (_, headers, _), *_ = peer.seen
    named = {name: headers[name] for name in ("mcp-protocol-version", "mcp-method", "mcp-name")}
    assert named == {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "list"}


def test_a_line_that_is_no_message_is_passed_over(peer: Peer) -> None:
    out = io.StringIO()
    Bridge(peer.url, {}, out).run(["\n", "[1]\n", "no json\n"])
    assert (out.getvalue(), peer.seen) == ("", [])


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_a_header(text: str) -> None:
    encoded = encode_header(text)
    assert encoded.isascii()
    assert decode_header_value(encoded) == text
