"""Locks between processes: held against all others, waited for in turn, free when their holder is dead."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.host import QUIET, Host

from sediment_mcp.errors import Busy, StorageError
from sediment_mcp.system import locks
from sediment_mcp.system.kernel_locks import open_lock_file, release, try_lock
from sediment_mcp.system.locks import locked, locked_if_free

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")

HOLD = """
import sys
from pathlib import Path
from sediment_mcp.system.locks import locked
with locked(Path(sys.argv[1]), timeout=30):
    print("held", flush=True)
    sys.stdin.readline()
print("released", flush=True)
"""


@contextlib.contextmanager
def held_elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.process
def test_a_lock_is_held_against_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with held_elsewhere(path) as process:
        with pytest.raises(Busy, match="try again"), locked(path, timeout=0):
            pytest.fail("two hold one lock")
        with locked_if_free(path) as held:
            assert held is False
        with locked(tmp_path / "another.lock", timeout=0):
            pass
        assert process.stdin is not None
        print(file=process.stdin, flush=True)
        with locked(path, timeout=30):  # waits for it
            pass


def test_a_lock_is_held_against_other_threads_and_libraries(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with locked(path, timeout=30), locked_if_free(path) as held:
        assert held is False
    with locked_if_free(path) as held:
        assert held is True


@pytest.mark.process
@posix
def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with held_elsewhere(path) as process:
        process.kill()
        with locked(path, timeout=30):
            pass


@pytest.mark.process
def test_a_blocked_write_is_told_and_a_query_does_not_wait(open_host: Callable[..., Host]) -> None:
    host = open_host(tuning=replace(QUIET, lock_timeout=0.01))
    identity = host.store("kiwi")["id"]
    with held_elsewhere(host.directory / "write.lock"):
        assert host.found("kiwi") == [identity]
        assert host.list()["total"] == 1
        with pytest.raises(Busy, match="try again"):
            host.store("plum")
    assert open_host().store("plum")["status"] == "stored"


# --- waiting ------------------------------------------------------------------------------------


def wait_until_queued(path: Path) -> None:
    """Return once somebody waits for the lock, at the head of its queue."""
    is_free = True
    while is_free:
        queue = open_lock_file(path.with_suffix(".queue"))
        is_free = try_lock(queue)
        release(queue)


@contextlib.contextmanager
def in_thread(work: Callable[[], object]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=work)
    thread.start()
    yield thread
    thread.join()


def test_every_waiter_is_served(tmp_path: Path) -> None:
    path, inside, served = tmp_path / "a.lock", threading.Lock(), list[str]()

    def work(name: str) -> None:
        for _ in range(5):
            with locked(path, timeout=60):
                assert inside.acquire(blocking=False), "two hold one lock"
                served.append(name)
                inside.release()

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(served) == sorted("abcdef" * 5)


def test_a_holder_that_asks_again_at_once_comes_after_who_waits(tmp_path: Path) -> None:
    path, order = tmp_path / "a.lock", list[str]()

    def wait() -> None:
        with locked(path, timeout=60):
            order.append("waiter")

    with contextlib.ExitStack() as stack:
        with locked(path, timeout=60):
            stack.enter_context(in_thread(wait))
            wait_until_queued(path)
        with locked(path, timeout=60):
            order.append("holder")
    assert order == ["waiter", "holder"]


def test_nobody_takes_a_lock_that_another_waits_for(tmp_path: Path) -> None:
    path, may_end = tmp_path / "a.lock", threading.Event()

    def wait() -> None:
        with locked(path, timeout=60):
            may_end.wait()

    with contextlib.ExitStack() as stack:
        with locked(path, timeout=60):
            stack.enter_context(in_thread(wait))
            wait_until_queued(path)
        with locked_if_free(path) as held:
            assert held is False
        may_end.set()


def count_waiting(path: Path) -> int:
    return sum(thread.name == f"wait for {path.name}" for thread in threading.enumerate())


def test_who_has_given_up_keeps_nobody_out_and_leaves_one_thread_at_most(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with locked(path, timeout=60):
        for _ in range(4):
            with pytest.raises(Busy, match="try again"), locked(path, timeout=0.001):
                pytest.fail("two hold one lock")
        assert count_waiting(path) == 1
    with locked(path, timeout=60):
        assert count_waiting(path) <= 1
    with locked(path, timeout=60):
        pass


def test_who_asks_after_one_that_gave_up_takes_over_its_place(tmp_path: Path) -> None:
    path, order = tmp_path / "a.lock", list[str]()

    def wait() -> None:
        with locked(path, timeout=60):
            order.append("waiter")

    with locked(path, timeout=60):
        with pytest.raises(Busy), locked(path, timeout=0.001):
            pytest.fail("two hold one lock")
        thread = threading.Thread(target=wait)
        thread.start()
        while locks._abandoned[path]:
            pass
        assert count_waiting(path) == 1
    thread.join()
    assert order == ["waiter"]


@pytest.mark.process
@posix
def test_the_lock_of_a_holder_that_is_killed_goes_to_who_waits(tmp_path: Path) -> None:
    path, served = tmp_path / "a.lock", list[str]()

    def wait() -> None:
        with locked(path, timeout=60):
            served.append("waiter")

    with held_elsewhere(path) as process, in_thread(wait):
        wait_until_queued(path)
        process.kill()
    assert served == ["waiter"]


@pytest.mark.process
@posix
def test_a_waiter_can_be_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with (
        locked(path, timeout=60),
        subprocess.Popen([sys.executable, "-c", HOLD, path], stderr=subprocess.PIPE, text=True) as process,
    ):
        wait_until_queued(path)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate()
        assert "KeyboardInterrupt" in complaint
    with locked(path, timeout=60):
        pass


# --- the file -----------------------------------------------------------------------------------


def test_processes_of_version_0_1_0_are_kept_out_and_keep_out(tmp_path: Path) -> None:
    filelock = pytest.importorskip("filelock")
    path = tmp_path / "a.lock"
    with filelock.FileLock(path, mode=0o600), locked_if_free(path) as held:
        assert held is False
    with locked(path, timeout=0), pytest.raises(filelock.Timeout):
        filelock.FileLock(path, mode=0o600).acquire(timeout=0)
    with filelock.FileLock(path, mode=0o600).acquire(timeout=0):
        pass


@posix
def test_a_lock_of_a_deleted_file_is_none(tmp_path: Path) -> None:
    path, may_end, is_held = tmp_path / "a.lock", threading.Event(), threading.Event()

    def wait() -> None:
        with locked(path, timeout=60):
            is_held.set()
            may_end.wait()

    with contextlib.ExitStack() as stack:
        with locked(path, timeout=60):
            stack.enter_context(in_thread(wait))
            wait_until_queued(path)
            path.unlink()
        is_held.wait()
        with locked_if_free(path) as held:
            assert held is False
        may_end.set()


@posix
def test_lock_files_are_private_and_a_link_in_their_place_is_not_followed(tmp_path: Path) -> None:
    path, other = tmp_path / "a.lock", tmp_path / "other"
    with locked(path, timeout=0):
        assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    path.symlink_to(other)
    with pytest.raises(StorageError, match="cannot be written"), locked(path, timeout=0):
        pytest.fail("a link was followed")
    assert not other.exists()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_where_nothing_can_be_locked_a_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_: int) -> bool:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks, "try_lock", refuse)
    words = r"cannot be locked .* on a disk of this machine\.$"
    with pytest.raises(StorageError, match=words), locked(tmp_path / "a.lock", timeout=0):
        pytest.fail("nothing was locked")
