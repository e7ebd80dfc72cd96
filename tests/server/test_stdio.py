"""The transport, over the real process: what a client may get wrong, and every way to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from support.stdio_peer import REPOSITORY, SERVER, TIMEOUT, StdioPeer, initialize_request, odd_peer

from sediment_mcp.server.jsonrpc import MAX_DEPTH, MAX_LINE_BYTES
from sediment_mcp.server.stdio import CLOSING_TIME, GRACE_AT_EOF, GRACE_AT_SIGNAL

pytestmark = [pytest.mark.slow, pytest.mark.process]

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[StdioPeer]:
    with StdioPeer(tmp_path / "data") as peer:
        peer.initialize()
        yield peer


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[StdioPeer]:
    with odd_peer(tmp_path) as peer:
        peer.initialize()
        yield peer


def ping(id: int | str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": "ping"}


# --- lines --------------------------------------------------------------------------------------

MALFORMED = {
    "no JSON": (b"what is this", None, -32700),
    "cut off": (b'{"jsonrpc":"2.0","id":1,"method":"pi', None, -32700),
    "not a number": (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}', None, -32700),
    "infinity": (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":-Infinity}}', None, -32700),
    "a number too long to read": (
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + b"9" * 5000 + b"}}",
        None,
        -32700,
    ),
    "nested without end": (b"[" * 5000, None, -32700),
    "nested deeply": (
        b'{"jsonrpc":"2.0","id":41,"method":"ping","params":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}",
        41,
        -32700,
    ),
    "two messages": (b'{"jsonrpc":"2.0","id":1,"method":"ping"} {}', None, -32700),
    "bare carriage returns": (b'{"jsonrpc":"2.0","id":1,"method":"ping"}\r{"jsonrpc":"2.0"}', None, -32700),
    "a batch": (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', None, -32600),
    "a string": (b'"ping"', None, -32600),
    "null": (b"null", None, -32600),
    "no jsonrpc": (b'{"id":42,"method":"ping"}', 42, -32600),
    "wrong jsonrpc": (b'{"jsonrpc":"1.0","id":"x","method":"ping"}', "x", -32600),
    "no method": (b'{"jsonrpc":"2.0","id":43}', 43, -32600),
    "method a number": (b'{"jsonrpc":"2.0","id":44,"method":1}', 44, -32600),
    "id null": (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', None, -32600),
    "id a fraction": (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', None, -32600),
    "id a boolean": (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', None, -32600),
    "id an object": (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', None, -32600),
    "params a list": (b'{"jsonrpc":"2.0","id":45,"method":"ping","params":[]}', 45, -32600),
    "params a string": (b'{"jsonrpc":"2.0","id":46,"method":"ping","params":"x"}', 46, -32600),
    "result a list": (b'{"jsonrpc":"2.0","id":1,"result":[]}', None, -32600),
    "method too long": (b'{"jsonrpc":"2.0","id":47,"method":"' + b"m" * 201 + b'"}', 47, -32600),
    "a call with an error": (b'{"jsonrpc":"2.0","id":48,"method":1,"error":0}', 48, -32600),
}


@pytest.mark.parametrize(("line", "id", "code"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_line_is_refused_and_the_next_one_answered(
    shared: StdioPeer, line: bytes, id: int | str | None, code: int
) -> None:
    shared.send_bytes(line + b"\n")
    refusal = shared.answer_to(id)
    assert refusal["error"]["code"] == code
    assert refusal["error"]["message"]
    assert shared.request("ping")["result"] == {}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StdioPeer]:
    """One process for all malformed lines: none of them may leave a mark."""
    with StdioPeer(tmp_path_factory.mktemp("shared")) as peer:
        peer.initialize()
        peer._next_id = 1000
        yield peer


@pytest.mark.parametrize(
    "line",
    [
        b'\xef\xbb\xbf{"jsonrpc":"2.0","id":50,"method":"ping"}\n',
        b'{"jsonrpc":"2.0","id":50,"method":"ping"}\r\n',
        b'\n \t \r\n{"jsonrpc":"2.0","id":50,"method":"ping"}\n',
        b'{"jsonrpc":"2.0","id":50,"method":"ping","params":null}\n',
        b'{"jsonrpc":"2.0","id":50,"method":"ping","result":{},"error":null}\n',
        b'{"jsonrpc":"2.0","id":50,"method":"ping","unknown":"\xff\xed\xa0\x80"}\n',
        b'{"jsonrpc":"2.0","id":50,"method":"ping","params":{"\\ud800":"\\udfff \\u2028"}}\n',
        b'{"jsonrpc":"2.0","id":50,"method":"ping","params":{"a":"\\ud800","b":1e400}}\n',
    ],
    ids=[
        "byte order mark",
        "CRLF",
        "blank lines",
        "params null",
        "both request and response",
        "invalid UTF-8",
        "lone surrogates",
        "a number beyond all floats",
    ],
)
def test_a_line_with_a_blemish_is_understood(shared: StdioPeer, line: bytes) -> None:
    shared.send_bytes(line)
    assert shared.answer_to(50)["result"] == {}


def test_half_an_emoji_in_a_call_is_answered_with_the_replacement_character(odd: StdioPeer) -> None:
    result = odd.call("query_memory", query="an emoji cut in half: \ud83d")
    assert result["structuredContent"]["notes"] == ["an emoji cut in half: \ufffd"]


def test_half_an_emoji_from_a_tool_reaches_the_client_as_replacement_character(odd: StdioPeer) -> None:
    assert odd.call("query_memory", query="half")["structuredContent"]["notes"] == ["half a pair: \ufffd"]


def test_nesting_that_is_allowed_reaches_the_tool(odd: StdioPeer) -> None:
    value: Any = "core"
    for _ in range(MAX_DEPTH - 10):
        value = [value]
    result = odd.call("query_memory", query="x", nested=value)
    assert result["isError"]
    assert "nested is not a parameter" in result["content"][0]["text"]


@linux
def test_a_line_without_end_is_refused_without_being_kept(peer: StdioPeer) -> None:
    before = peak_memory(peer)
    piece = b"x" * (1 << 20)
    peer.send_bytes(b'{"jsonrpc":"2.0","id":60,"method":"tools/call","params":{"name":"')
    for _ in range(8 * MAX_LINE_BYTES // len(piece)):
        peer.send_bytes(piece)
    peer.send_bytes(b'"}}\n')
    assert peer.answer_to(60)["error"]["code"] == -32600
    assert peer.request("ping")["result"] == {}
    assert peak_memory(peer) - before < 3 * MAX_LINE_BYTES


def peak_memory(peer: StdioPeer) -> int:
    """Bytes of the largest resident set so far."""
    for line in Path(f"/proc/{peer.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def test_a_line_as_long_as_allowed_is_answered(peer: StdioPeer) -> None:
    request = json.dumps({**ping(61), "padding": "x"}).encode()
    peer.send_bytes(request.replace(b'"x"', b'"' + b"x" * (MAX_LINE_BYTES - len(request) + 1) + b'"') + b"\n")
    assert peer.answer_to(61)["result"] == {}


def test_a_line_in_small_pieces_is_one_line(peer: StdioPeer) -> None:
    for byte in json.dumps(ping(62)).encode() + b"\n":
        peer.send_bytes(bytes([byte]))
    assert peer.answer_to(62)["result"] == {}


# --- requests in flight -------------------------------------------------------------------------


def test_a_ping_is_answered_while_tools_work(odd: StdioPeer) -> None:
    calls = [odd.start_call("query_memory", query="hang") for _ in range(3)]
    assert odd.request("ping")["result"] == {}
    assert odd.call("query_memory", query="quick")["structuredContent"]["notes"] == ["quick"]
    for call in calls:
        odd.notify("notifications/cancelled", {"requestId": call})


def test_an_id_in_flight_is_refused_without_answering_the_first_request(
    odd: StdioPeer, tmp_path: Path
) -> None:
    call = {"jsonrpc": "2.0", "id": 70, "method": "tools/call"}
    odd.send(call | {"params": {"name": "query_memory", "arguments": {"query": "hold"}}})
    odd.send(call | {"params": {"name": "query_memory", "arguments": {"query": "second"}}})
    assert "70" in odd.answer_to(None)["error"]["message"]
    (tmp_path / "go").touch()
    assert odd.answer_to(70)["result"]["structuredContent"]["notes"] == ["hold"]
    odd.close_input()
    assert [message for message in odd.everything() if message["id"] == 70] == []


def test_the_refusal_of_an_id_in_flight_is_short_however_long_the_id_is(
    odd: StdioPeer, tmp_path: Path
) -> None:
    call = {"jsonrpc": "2.0", "id": "x" * 100_000, "method": "tools/call"}
    for query in ("hold", "second"):
        odd.send(call | {"params": {"name": "query_memory", "arguments": {"query": query}}})
    assert len(odd.answer_to(None)["error"]["message"]) < 200
    (tmp_path / "go").touch()
    assert odd.answer_to("x" * 100_000)["result"]["structuredContent"]["notes"] == ["hold"]


@pytest.mark.parametrize("alike", ["80", " 80 ", "8_0", 80.0, True], ids=repr)
def test_a_cancellation_means_the_request_with_this_very_id(
    odd: StdioPeer, tmp_path: Path, alike: object
) -> None:
    call = {"jsonrpc": "2.0", "id": 80, "method": "tools/call"}
    odd.send(call | {"params": {"name": "query_memory", "arguments": {"query": "hold"}}})
    odd.notify("notifications/cancelled", {"requestId": alike})
    (tmp_path / "go").touch()
    assert odd.answer_to(80)["result"]["structuredContent"]["notes"] == ["hold"]


def test_ids_that_only_look_alike_are_two_requests(odd: StdioPeer, tmp_path: Path) -> None:
    for id, query in ((81, "hold"), ("81", "quick")):
        call = {"name": "query_memory", "arguments": {"query": query}}
        odd.send({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call})
    assert odd.answer_to("81")["result"]["structuredContent"]["notes"] == ["quick"]
    odd.notify("notifications/cancelled", {"requestId": "81"})
    (tmp_path / "go").touch()
    assert odd.answer_to(81)["result"]["structuredContent"]["notes"] == ["hold"]


def test_an_id_may_be_used_again_once_its_request_is_cancelled(odd: StdioPeer, tmp_path: Path) -> None:
    call = {"jsonrpc": "2.0", "id": 82, "method": "tools/call"}
    odd.send(call | {"params": {"name": "query_memory", "arguments": {"query": "hold"}}})
    odd.notify("notifications/cancelled", {"requestId": 82})
    odd.send(call | {"params": {"name": "query_memory", "arguments": {"query": "second"}}})
    assert odd.answer_to(82)["result"]["structuredContent"]["notes"] == ["second"]
    (tmp_path / "go").touch()
    odd.close_input()
    assert [message for message in odd.everything() if message["id"] == 82] == []


def test_a_request_named_like_a_cancellation_cancels_nothing(odd: StdioPeer, tmp_path: Path) -> None:
    call = odd.start_call("query_memory", query="hold")
    assert odd.request("notifications/cancelled", {"requestId": call})["error"]["code"] == -32601
    (tmp_path / "go").touch()
    assert odd.answer_to(call)["result"]["structuredContent"]["notes"] == ["hold"]


def test_an_id_is_free_again_once_it_is_answered(peer: StdioPeer) -> None:
    for _ in range(3):
        peer.send(ping("same"))
        assert peer.answer_to("same")["result"] == {}


def test_a_number_and_its_text_are_two_ids(peer: StdioPeer) -> None:
    peer.send(ping(71), ping("71"))
    assert peer.answer_to(71)["result"] == {}
    assert peer.answer_to("71")["result"] == {}


def test_a_cancelled_call_is_not_answered_and_completes_all_the_same(odd: StdioPeer, tmp_path: Path) -> None:
    call = odd.start_call("query_memory", query="hold")
    odd.wait_for_error("working on hold")
    odd.notify("notifications/cancelled", {"requestId": call})
    assert odd.request("ping")["result"] == {}
    (tmp_path / "go").touch()
    assert odd.end() == 0
    assert [message for message in odd.everything() if message["id"] == call] == []
    assert (tmp_path / "done").exists()


def test_the_end_of_input_does_not_wait_for_a_cancelled_call_to_be_answered(odd: StdioPeer) -> None:
    call = odd.start_call("query_memory", query="hang")
    odd.wait_for_error("working on hang")
    odd.notify("notifications/cancelled", {"requestId": call})
    assert odd.end() == 0
    assert odd.everything() == []


def test_no_more_than_one_answer_for_each_request(odd: StdioPeer) -> None:
    ids = [odd.start_call("query_memory", query=f"number {number}") for number in range(40)]
    assert odd.end() == 0
    assert sorted(message["id"] for message in odd.everything()) == ids


# --- what stands on stdout ----------------------------------------------------------------------


def test_what_a_tool_prints_goes_to_stderr(odd: StdioPeer) -> None:
    assert odd.call("query_memory", query="pollute")["structuredContent"]["notes"] == ["pollute"]
    odd.wait_for_error("polluted: print")  # at once: a buffer would be lost when a call hangs at the end
    assert odd.end() == 0
    for source in ("print", "original stdout", "descriptor", "child"):
        assert f"polluted: {source}" in odd.errors()
    assert odd.stray_output() == []


def test_what_is_printed_during_start_up_goes_to_stderr(tmp_path: Path) -> None:
    (tmp_path / "difflib.py").write_text("print('polluted: import', flush=True); raise SystemExit(0)")
    # A module of that name in front of the real one prints as the configuration is imported.
    with StdioPeer(
        tmp_path / "data", environment={"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}
    ) as peer:
        assert peer.wait() == 0
        assert "polluted: import" in peer.errors()
        assert peer.everything() == []


@pytest.mark.parametrize("module", ["numpy", "tantivy", "onnxruntime"])
def test_what_is_printed_by_an_import_behind_the_first_answer_goes_to_stderr(
    tmp_path: Path, module: str
) -> None:
    polluting = f"print('polluted: {module}'); raise ImportError('a stand-in')"
    (tmp_path / f"{module}.py").write_text(polluting)
    with StdioPeer(
        tmp_path / "data", environment={"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}
    ) as peer:
        peer.initialize()
        peer.wait_for_error(f"polluted: {module}")  # though nothing is called
        assert peer.request("ping")["result"] == {}
        assert peer.end() == 0
        assert peer.stray_output() == []


def test_a_misspelt_variable_is_reported_once_on_stderr(tmp_path: Path) -> None:
    with StdioPeer(tmp_path / "data", environment={"SEDIMENT_DATADIR": "x"}) as peer:
        peer.initialize()
        assert peer.end() == 0
        assert peer.errors().count("SEDIMENT_DATA_DIR?") == 1


def test_a_quiet_server_writes_nothing_to_stderr(peer: StdioPeer) -> None:
    peer.request("tools/list")
    assert peer.end() == 0
    assert peer.errors() == ""


# --- ends ---------------------------------------------------------------------------------------


def test_a_burst_that_ends_at_once_is_answered_in_full(tmp_path: Path) -> None:
    with odd_peer(tmp_path) as peer:
        calls = [
            {"jsonrpc": "2.0", "id": id, "method": "tools/call"}
            | {"params": {"name": "query_memory", "arguments": {"query": f"number {id}"}}}
            for id in range(2, 22)
        ]
        peer.send(initialize_request(1), *calls)
        assert peer.end() == 0
        assert {message["id"] for message in peer.everything() if "result" in message} == set(range(1, 22))


def test_a_last_request_without_a_line_feed_is_answered(peer: StdioPeer) -> None:
    peer.send_bytes(json.dumps(ping(80)).encode())
    assert peer.end() == 0
    assert [message["id"] for message in peer.everything()] == [80]


def test_an_end_of_input_before_any_message_ends_the_process(tmp_path: Path) -> None:
    with StdioPeer(tmp_path / "data") as peer:
        assert peer.end() == 0
        assert peer.everything() == []


def test_a_closed_standard_input_ends_the_process(tmp_path: Path) -> None:
    command = f'"{sys.executable}" -m sediment_mcp <&-'
    ended = subprocess.run(
        command,
        check=False,
        shell=True,
        cwd=REPOSITORY,
        capture_output=True,
        timeout=TIMEOUT,
        env=environment(tmp_path),
    )
    assert ended.returncode == 0
    assert ended.stdout == b""


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "SEDIMENT_DATA_DIR": str(folder / "data"), "PYTHONPATH": str(REPOSITORY)}


def test_the_time_that_the_end_may_take_is_below_what_hosts_allow() -> None:
    """Hosts kill a server two seconds after they have closed its input.

    That the bounds hold is for the tests below, how quick the end really is for the benchmark.
    """
    assert max(GRACE_AT_EOF, GRACE_AT_SIGNAL) + CLOSING_TIME < 2.0


def test_a_call_that_hangs_is_answered_with_an_error_at_the_end(odd: StdioPeer) -> None:
    call = odd.start_call("query_memory", query="hang")
    odd.wait_for_error("working on hang")
    assert odd.end() == 0
    (answer,) = odd.everything()
    assert answer["id"] == call
    assert "may still take effect" in answer["error"]["message"]


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_server(peer: StdioPeer, number: signal.Signals) -> None:
    peer.process.send_signal(number)
    assert peer.wait() == 0
    assert peer.everything() == []
    assert peer.errors() == ""


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_call_in_flight_finish(
    odd: StdioPeer, tmp_path: Path, number: signal.Signals
) -> None:
    call = odd.start_call("query_memory", query="hold")
    odd.wait_for_error("working on hold")
    odd.process.send_signal(number)
    (tmp_path / "go").touch()
    assert odd.wait() == 0
    (answer,) = odd.everything()
    assert answer["id"] == call
    assert answer["result"]["structuredContent"]["notes"] == ["hold"]


@posix
def test_a_signal_ends_a_server_whose_call_hangs(odd: StdioPeer) -> None:
    odd.start_call("query_memory", query="hang")
    odd.wait_for_error("working on hang")
    odd.process.send_signal(signal.SIGTERM)
    assert odd.wait() == 0


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_starting_ends_the_process_quietly(tmp_path: Path, number: signal.Signals) -> None:
    slow_import = "import sys, threading; sys.stderr.write('importing\\n'); threading.Event().wait()"
    (tmp_path / "difflib.py").write_text(slow_import)
    with StdioPeer(
        tmp_path / "data", environment={"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}
    ) as peer:
        peer.wait_for_error("importing")
        peer.process.send_signal(number)
        assert peer.wait() == 0
        assert "Traceback" not in peer.errors()


def test_an_import_that_hangs_behind_the_first_answer_keeps_nobody_waiting(tmp_path: Path) -> None:
    hanging = "import sys, threading; sys.stderr.write('importing\\n'); threading.Event().wait()"
    (tmp_path / "numpy.py").write_text(hanging)
    with StdioPeer(
        tmp_path / "data", environment={"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}
    ) as peer:
        peer.initialize()
        peer.wait_for_error("importing")
        assert peer.request("ping")["result"] == {}
        assert len(peer.request("tools/list")["result"]["tools"]) == 4
        assert peer.end() == 0


@posix
def test_the_death_of_the_parent_ends_the_server_though_the_pipe_stays_open(tmp_path: Path) -> None:
    """The test holds the pipe; a process in between starts the server, says its number and is killed."""
    between = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen({list(SERVER)!r})\n"
        "sys.stderr.write(f'server {child.pid}\\n')\n"
        "child.wait()\n"
    )
    with StdioPeer(tmp_path / "data", command=(sys.executable, "-c", between)) as peer:
        peer.initialize()
        peer.wait_for_error("server ")
        peer.process.kill()
        assert peer.everything() == []  # comes to an end only when the server has let go of its output


def test_an_application_that_does_not_close_cannot_keep_the_server_alive(odd: StdioPeer) -> None:
    odd.call("query_memory", query="never close")
    assert odd.end() == 0


@contextmanager
def unread_server(folder: Path) -> Generator[tuple[IO[bytes], IO[bytes], subprocess.Popen[bytes]]]:
    """Start and initialize a server whose output nobody reads: input, output, process."""
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(SERVER, cwd=REPOSITORY, env=environment(folder), **pipes) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            send_lines(process.stdin, initialize_request(1))
            process.stdout.readline()
            yield process.stdin, process.stdout, process
        finally:
            process.kill()


def send_lines(pipe: IO[bytes], *messages: dict[str, Any]) -> None:
    pipe.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
    pipe.flush()


@posix
def test_an_output_that_is_closed_ends_the_server_quietly(tmp_path: Path) -> None:
    with unread_server(tmp_path) as (feed, output, process):
        output.close()
        send_lines(feed, ping(2))
        assert process.wait(TIMEOUT) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_client_that_does_not_read_cannot_keep_the_server_alive(tmp_path: Path) -> None:
    with unread_server(tmp_path) as (feed, _, process):
        send_lines(feed, *({"jsonrpc": "2.0", "id": id, "method": "tools/list"} for id in range(2, 102)))
        feed.close()
        assert process.wait(TIMEOUT) == 0


def test_starting_and_listing_touch_no_data(tmp_path: Path) -> None:
    with StdioPeer(tmp_path / "data") as peer:
        peer.initialize()
        peer.request("tools/list")
        peer.end()
    assert list(tmp_path.iterdir()) == []


@linux
def test_the_protocols_descriptors_are_out_of_reach(peer: StdioPeer) -> None:
    descriptors = Path(f"/proc/{peer.process.pid}/fd")
    assert os.readlink(descriptors / "0") == os.devnull
    assert os.readlink(descriptors / "1") == os.readlink(descriptors / "2")
