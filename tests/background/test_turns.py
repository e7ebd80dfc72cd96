"""Turns of the background workers: one at a time, long work gives way, who is stopped does not wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from sediment_mcp.background.turns import Turns
from sediment_mcp.background.worker import Worker
from sediment_mcp.system.progress import Progress
from sediment_mcp.tuning import Tuning


def in_thread(run: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def wait_for_queue(turns: Turns, length: int) -> None:
    while len(turns._queue) < length:
        pass


def test_one_works_at_a_time() -> None:
    turns, inside, most = Turns(), [], []

    def work(_: int) -> None:
        stop = threading.Event()
        for _ in range(20):
            with turns.take(stop):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert (max(most), len(most)) == (1, 160)


def test_whoever_waits_has_a_turn_in_the_middle_of_long_work() -> None:
    turns, order, own = Turns(), [], threading.Event()

    def wait() -> None:
        with turns.take(threading.Event()):
            order.append("other")

    with turns.take(own):
        thread = in_thread(wait)
        wait_for_queue(turns, 2)
        turns.give_way(own)
        order.append("own")
        turns.give_way(own)  # nobody waits any more
    thread.join(30)
    assert order == ["other", "own"]


def test_an_error_ends_the_turn() -> None:
    turns = Turns()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), turns.take(threading.Event()):
            raise ZeroDivisionError


def test_a_worker_that_is_closed_does_not_wait_for_the_work_of_another() -> None:
    begun, end, ran = threading.Event(), threading.Event(), []

    def work_long(_: Progress) -> None:
        begun.set()
        end.wait(30)

    def work(progress: Progress) -> None:
        progress(0, 0)
        ran.append(1)

    first, second = Worker(work_long, Tuning(settle_seconds=0)), Worker(work, Tuning(settle_seconds=0))
    first.wake()
    assert begun.wait(30)
    second.wake()
    second.close(30)
    assert not second._thread.is_alive()
    assert not ran
    end.set()
    first.close(30)


def test_workers_of_several_stores_all_do_their_work() -> None:
    done = [threading.Event() for _ in range(10)]

    def work_on(event: threading.Event) -> Callable[[Progress], None]:
        def work(progress: Progress) -> None:
            for step in range(5):
                progress(step, 5)
            event.set()

        return work

    workers = [Worker(work_on(event), Tuning(settle_seconds=0)) for event in done]
    for worker in workers:
        worker.wake()
    assert all(event.wait(30) for event in done)
    for worker in workers:
        worker.close(30)
