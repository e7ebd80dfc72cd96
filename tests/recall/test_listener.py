"""A running server answers hooks: privately, one server at a time, and the next one when it ends."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.hooks import ASKS_FOR_PORT, PORT, ServerProcess, context_of, run_hook, store_all

from sediment_mcp.recall.local_socket import (
    MAX_MESSAGE_BYTES,
    MAX_PATH_BYTES,
    ask,
    can_listen,
    listen,
    receive,
    send,
)
from sediment_mcp.system.data_directory import SOCKET, find_fault

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(sys.platform == "win32", reason="there are no such sockets"),
]
LIMIT = 60.0  # seconds for what a busy machine may delay
QUESTION = {"asked": ASKS_FOR_PORT, "project": None}
OTHERS = ("Lunch is at noon.", "The logo is blue.", "Ann's birthday is on 3 May.")


def wait_until(is_true: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT
    while not is_true():
        assert time.monotonic() < end
        threading.Event().wait(0.02)


@contextmanager
def servers(directory: Path, count: int) -> Iterator[list[ServerProcess]]:
    started = [ServerProcess(directory) for _ in range(count)]
    try:
        yield started
    finally:
        for server in started:
            server.end()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store_all(tmp_path / "data", PORT, *OTHERS)
    return tmp_path / "data"


def is_answered(directory: Path) -> bool:
    """Ask; the first question has the server load its model."""
    answer = ask(directory, QUESTION, 5.0)
    return answer is not None and "found" in answer


# --- the socket ---------------------------------------------------------------------------------


def test_the_socket_is_private_and_the_directory_stays_trusted(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with listen(tmp_path):
        status = (tmp_path / SOCKET).stat()
        assert stat.S_ISSOCK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert find_fault(tmp_path) is None


def test_a_socket_of_another_name_is_a_fault(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "other.socket"))
        assert "is no file" in str(find_fault(tmp_path))


def test_a_socket_that_was_left_behind_is_no_answer_and_is_taken_over(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    listen(tmp_path).close()
    assert (tmp_path / SOCKET).exists()
    assert ask(tmp_path, QUESTION, 1.0) is None
    with listen(tmp_path):
        assert (tmp_path / SOCKET).exists()


@pytest.mark.parametrize("kind", ["nothing", "a file", "a folder"])
def test_where_nobody_listens_there_is_no_answer(tmp_path: Path, kind: str) -> None:
    if kind == "a file":
        (tmp_path / SOCKET).write_text("")
    elif kind == "a folder":
        (tmp_path / SOCKET).mkdir()
    assert ask(tmp_path, QUESTION, 1.0) is None


def test_a_path_that_is_too_long_for_a_socket_is_not_tried(tmp_path: Path) -> None:
    room = MAX_PATH_BYTES - len(bytes(tmp_path / SOCKET)) - 1
    assert can_listen(tmp_path / ("a" * room))
    assert not can_listen(tmp_path / ("a" * (room + 1)))
    assert ask(tmp_path / ("a" * (room + 1)), QUESTION, 1.0) is None


def test_a_listener_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with listen(tmp_path):
        assert ask(tmp_path, QUESTION, 0.05) is None


@pytest.mark.parametrize(
    "answer", [b"", b"{}", b"[]\n", b"\xff\n", b"[" * 9999 + b"\n", b"x" * (MAX_MESSAGE_BYTES + 2)]
)
def test_an_answer_that_is_none_counts_as_none(tmp_path: Path, answer: bytes) -> None:
    tmp_path.chmod(0o700)
    with listen(tmp_path) as listener:

        def speak() -> None:
            connection, _ = listener.accept()
            with connection:
                receive(connection, time.monotonic() + LIMIT)
                connection.sendall(answer)

        thread = threading.Thread(target=speak)
        thread.start()
        assert ask(tmp_path, QUESTION, LIMIT) is None
        thread.join()


def test_a_message_arrives_whole(tmp_path: Path) -> None:
    one, other = socket.socketpair()
    with one, other:
        message = {"asked": "ü" * 10_000}
        thread = threading.Thread(target=send, args=(one, message, time.monotonic() + LIMIT))
        thread.start()
        assert receive(other, time.monotonic() + LIMIT) == message
        thread.join()


# --- servers ------------------------------------------------------------------------------------


@pytest.mark.process
def test_a_server_answers_hooks_and_the_next_one_takes_over(data: Path) -> None:
    with servers(data, 2) as (first, second):
        wait_until(lambda: is_answered(data))
        done = run_hook(data, "prompt", data={"prompt": ASKS_FOR_PORT})
        assert PORT in context_of(done.stdout)
        first.end()
        wait_until(lambda: is_answered(data))
        second.end()
    assert ask(data, QUESTION, 1.0) is None
    done = run_hook(data, "prompt", data={"prompt": ASKS_FOR_PORT})
    assert PORT in context_of(done.stdout)


@pytest.mark.process
def test_a_server_that_ends_in_order_leaves_no_socket(data: Path) -> None:
    server = ServerProcess(data)
    wait_until((data / SOCKET).exists)
    server.end(signal.SIGTERM)
    assert not (data / SOCKET).exists()


@pytest.mark.process
def test_a_server_without_memories_makes_nothing_until_one_is_stored(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    with servers(directory, 1) as (server,):
        server.request("ping", {})
        assert not directory.exists()
        server.request("tools/call", {"name": "store_memory", "arguments": {"content": PORT}})
        wait_until((directory / SOCKET).exists)


@pytest.mark.process
def test_a_server_that_is_killed_while_a_hook_asks_costs_the_hook_nothing(data: Path) -> None:
    with servers(data, 1) as (server,):
        wait_until(lambda: is_answered(data))
        os.kill(server.process.pid, signal.SIGSTOP)  # it holds the socket and answers nobody
        killer = threading.Timer(0.1, lambda: os.kill(server.process.pid, signal.SIGKILL))
        killer.start()
        done = run_hook(data, "prompt", data={"prompt": ASKS_FOR_PORT})
        killer.join()
    assert (done.returncode, done.stderr) == (0, b"")
    assert PORT in context_of(done.stdout)


@pytest.mark.process
def test_nonsense_on_the_socket_disturbs_nobody(data: Path) -> None:
    with servers(data, 1) as (server,):
        wait_until(lambda: is_answered(data))
        for nonsense in (
            b"",
            b"\n",
            b"[]\n",
            b'{"asked": 3, "project": null}\n',
            b'{"asked": "a", "project": 3}\n',
        ):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(data / SOCKET))
                client.sendall(nonsense)
        assert is_answered(data)
        result = server.request("tools/call", {"name": "query_memory", "arguments": {"query": ASKS_FOR_PORT}})
        assert PORT in result["content"][0]["text"]
