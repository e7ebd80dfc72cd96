"""The real server over HTTP at its limits, at its end, and what it says of itself meanwhile."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import urllib.request
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.http_server import BOTH, JSON_ONLY, HttpServer, Response, make_token, running_server

from sediment_mcp.server.http.middleware import PROJECT_HEADER, SESSION_HEADER

pytestmark = [pytest.mark.slow, pytest.mark.process]

PAUSE = 0.1  # seconds before a client sends a request again
EXAMPLES = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[HttpServer]:
    with running_server(tmp_path_factory.mktemp("place"), "--rate", "0") as server:
        yield server


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read_metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return answer.read().decode()


# --- limits -------------------------------------------------------------------------------------


def test_a_caller_over_its_rate_is_told_when_to_try_again_and_others_are_served(tmp_path: Path) -> None:
    ann, ben = (make_token(tmp_path / "data", name, name) for name in ("ann", "ben"))
    port = find_free_port()
    with running_server(tmp_path, "--rate", "1", "--metrics", str(port)) as server:
        answers = [server.ask("tools/list", token=ann) for _ in range(6)]
        refused = [answer for answer in answers if answer.status == 429]
        assert refused
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert "try again in 1 s" in refused[0].json()["error"]["message"]
        assert server.ask("tools/list", token=ben).status == 200
        text = read_metrics(port)
        assert f'sediment_refused_requests_total{{reason="rate"}} {len(refused)}.0' in text
        assert not any(name in text for name in ("ann", "ben"))
        assert server.stop() == 0
        assert [line.get("refusal") for line in server.log()].count("rate") == len(refused)


def test_more_calls_at_once_than_a_caller_may_make_are_refused(tmp_path: Path) -> None:
    with running_server(tmp_path, "--calls-at-once", "1", "--rate", "0") as server:
        server.call("store_memory", {"content": "Warm."})
        with slow_request(server) as finish:
            assert server.ask("tools/list").status == 429
            assert finish().status == 200
        assert server.ask("tools/list").status == 200


class slow_request:  # noqa: N801 - it reads as the function that it stands for
    """A request whose body comes in two parts: between them it counts as running."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        self._body = json.dumps(message).encode()

    def __enter__(self) -> Any:
        self._socket = socket.create_connection(("127.0.0.1", self._server.port), timeout=30)
        headers = JSON_ONLY | {
            "Host": f"127.0.0.1:{self._server.port}",
            "Content-Length": str(len(self._body)),
            "Expect": "100-continue",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._socket.sendall(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode())
        assert b"100 Continue" in self._socket.recv(1000)  # the server is reading the body
        return self._finish

    def _finish(self) -> Response:
        self._socket.sendall(self._body)
        text = b""
        while b'"tools"' not in text and (more := self._socket.recv(65_536)):
            text += more
        return Response(int(text.split()[1]), {}, text)

    def __exit__(self, *_: object) -> None:
        self._socket.close()


# --- the end ------------------------------------------------------------------------------------


def test_at_its_end_a_server_refuses_new_calls_and_completes_those_that_run(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, slow_request(server) as finish:
        server.process.terminate()
        while server.send("GET", "/readyz").status == 200:
            pass
        assert server.send("GET", "/healthz").status == 200
        refused = server.ask("tools/list")
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert finish().status == 200
        assert server.process.wait(30) == 0


def test_a_second_signal_ends_a_server_at_once(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, slow_request(server):
        server.process.terminate()
        while server.send("GET", "/readyz").status == 200:
            pass
        server.process.terminate()
        assert server.process.wait(30) == 0


def test_an_open_stream_does_not_keep_a_server_from_ending(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        params = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        session = server.ask("initialize", params, headers=BOTH).headers["mcp-session-id"]
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as stream:
            head = f"Host: 127.0.0.1:{server.port}\r\nAccept: text/event-stream\r\nMcp-Session-Id: {session}"
            stream.sendall(f"GET /mcp HTTP/1.1\r\n{head}\r\n\r\n".encode())
            assert b"200 OK" in stream.recv(1000)
            assert server.stop() == 0


def test_a_rolling_restart_loses_no_call_of_clients_that_try_again(tmp_path: Path) -> None:
    """Clients do what docs/team.md tells them: after 503, or a broken connection, they send it again."""
    port = find_free_port()
    done = threading.Event()
    acknowledged: SimpleQueue[str] = SimpleQueue()

    def work(client: HttpServer, writer: int) -> None:
        for number in itertools.count():
            arguments = {"content": f"Writer {writer} has written note number {number}."}
            while not done.is_set():
                try:
                    answer = client.ask("tools/call", {"name": "store_memory", "arguments": arguments})
                except (OSError, HTTPException):
                    answer = None
                if answer is not None and answer.status == 200:
                    acknowledged.put(answer.json()["result"]["structuredContent"]["id"])
                    break
                assert answer is None or answer.status == 503, answer
                done.wait(PAUSE)
            if done.is_set():
                return

    ids: set[str] = set()
    options = ("--port", str(port), "--rate", "0")
    with ThreadPoolExecutor(3) as writers:
        futures: list[Future[None]] = []
        try:
            for _ in range(3):
                with running_server(tmp_path, *options) as server:
                    futures = futures or [writers.submit(work, server, writer) for writer in range(3)]
                    ids |= {acknowledged.get(timeout=60) for _ in range(10)}
                    assert server.stop() == 0
        finally:
            done.set()
        for future in futures:
            future.result(30)
    while not acknowledged.empty():
        ids.add(acknowledged.get())
    with running_server(tmp_path, *options) as server:
        found = server.call("list_memories", {"ids": list(ids)[:100]})
        assert "not_found" not in found
        assert server.call("list_memories", {"limit": 1})["total"] >= len(ids)


# --- what it says of itself ---------------------------------------------------------------------

WORD = "plantedword"
PLACES = ("content", "argument", "tool", "method", "token", "project", "session", "host", "origin", "version")


@EXAMPLES
@given(
    places=st.sets(st.sampled_from(PLACES), min_size=1, max_size=4),
    is_streamed=st.booleans(),
    tail=st.text(max_size=8),
)
def test_nothing_that_a_client_writes_is_in_the_log(
    server: HttpServer, places: set[str], is_streamed: bool, tail: str
) -> None:
    word = WORD + tail
    arguments = {"content": word} if "content" in places else {"limit": 1}
    arguments |= {word: word} if "argument" in places else {}
    tool = "store_memory" if "content" in places else "list_memories"
    params = {"name": word if "tool" in places else tool, "arguments": arguments}
    headers = dict(BOTH if is_streamed else JSON_ONLY)
    written = {
        "token": ("Authorization", f"Bearer {WORD}"),
        "project": (PROJECT_HEADER, WORD),
        "session": (SESSION_HEADER, WORD),
        "host": ("Host", WORD),
        "origin": ("Origin", f"https://{WORD}"),
        "version": ("MCP-Protocol-Version", WORD),
    }
    headers |= dict(header for place, header in written.items() if place in places)
    answer = server.ask(word if "method" in places else "tools/call", params, headers=headers)
    assert server.find_line(answer)["status"] == answer.status
    assert WORD not in server.log_file.read_text(encoding="utf-8")


def test_a_line_tells_who_did_what_with_which_result_and_how_long_it_took(tmp_path: Path) -> None:
    token = make_token(tmp_path / "data", "ann-laptop", "ann")
    with running_server(tmp_path) as server:
        answer = server.ask("tools/call", {"name": "list_memories", "arguments": {}}, token=token)
        assert server.stop() == 0
        line = next(line for line in server.log() if line.get("tool"))
    assert line.pop("ms") > 0
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "request": answer.headers["x-request-id"],
        "http": "POST",
        "status": 200,
        "method": "tools/call",
        "tool": "list_memories",
        "outcome": "ok",
        "caller": "ann-laptop",
        "tenant": "ann",
    }


# --- malformed messages -------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "1.0", 2]),
        "id": st.one_of(st.integers(), st.text(max_size=5), st.none(), st.floats()),
        "method": st.sampled_from(["tools/call", "tools/list", "initialize", "ping", "resources/read", "x"]),
        "params": JSON_VALUES
        | st.fixed_dictionaries(
            {"name": st.sampled_from(["query_memory", "list_memories", ""]), "arguments": JSON_VALUES}
        ),
    },
)
BODIES = st.one_of(
    st.binary(max_size=200),
    MEMBERS.map(lambda message: json.dumps(message).encode()),
    st.lists(MEMBERS, max_size=3).map(lambda batch: json.dumps(batch).encode()),
    st.integers(1, 20_000).map(
        lambda depth: b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b"[" * depth
    ),
    st.just(
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query_memory",'
        b'"arguments":{"query":"\\ud800"}}}'
    ),
)
HEADERS = st.fixed_dictionaries(
    {"Content-Type": st.sampled_from(["application/json", "text/plain", ""])},
    optional={
        "Accept": st.sampled_from(["application/json", "application/json, text/event-stream", "*/*", ""]),
        "MCP-Protocol-Version": st.sampled_from(["2025-11-25", "2026-07-28", "2024-11-05", "x"]),
        "Mcp-Session-Id": st.sampled_from(["0" * 32, "x"]),
        "Mcp-Method": st.sampled_from(["tools/call", "x"]),
    },
)


@EXAMPLES
@given(
    method=st.sampled_from(["POST", "POST", "POST", "PUT", "DELETE", "OPTIONS"]),
    path=st.sampled_from(["/mcp", "/projects/a/mcp", "/mcp/", "/", "/projects//mcp"]),
    body=BODIES,
    headers=HEADERS,
)
def test_whatever_is_sent_is_answered_and_the_server_lives(
    server: HttpServer, method: str, path: str, body: bytes, headers: dict[str, str]
) -> None:
    answer = server.send(method, path, body, headers)
    assert answer.status < 500, (answer, body)
    assert server.send("GET", "/healthz").status == 200
    assert "Traceback" not in answer.body.decode(errors="replace")
