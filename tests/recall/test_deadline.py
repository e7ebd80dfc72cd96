"""The time that a hook has: it ends with status 0 when it is up, and never in the middle of an answer."""

from __future__ import annotations

import threading

from sediment_mcp.recall.deadline import Deadline

LIMIT = 60.0  # seconds


class Process:
    """Notes what happens in the place of a process that ends."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.has_ended = threading.Event()

    def give_up(self) -> None:
        self.events.append("given up")

    def end(self, status: int) -> None:
        self.events.append(status)
        self.has_ended.set()


def test_when_the_time_is_up_the_process_says_so_and_ends() -> None:
    process = Process()
    Deadline(0.001, process.give_up, process.end)
    assert process.has_ended.wait(LIMIT)
    assert process.events == ["given up", 0]


def test_it_ends_even_if_it_cannot_say_so() -> None:
    process = Process()

    def fail() -> None:
        raise OSError

    hook, threading.excepthook = threading.excepthook, lambda _: None
    try:
        Deadline(0.001, fail, process.end)
        assert process.has_ended.wait(LIMIT)
    finally:
        threading.excepthook = hook
    assert process.events == [0]


def test_a_deadline_that_was_lifted_ends_nothing() -> None:
    process = Process()
    before = {*threading.enumerate()}
    deadline = Deadline(LIMIT, process.give_up, process.end)
    started = {*threading.enumerate()} - before
    deadline.lift()
    for thread in started:
        thread.join(LIMIT)
    assert process.events == []
