"""Turns at a model."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sediment_mcp.embeddings.fair_semaphore import Turns


def test_whoever_waits_for_a_turn_comes_next() -> None:
    turns, order = Turns(), []

    def query() -> None:
        with turns.take():
            order.append("query")

    thread = threading.Thread(target=query)
    with turns.take():
        thread.start()
        while not turns._next.locked():
            pass
    with turns.take():
        order.append("next batch")
    thread.join()
    assert order == ["query", "next batch"]


@pytest.mark.parametrize("places", [1, 2, 5])
def test_all_places_are_used_and_no_more(places: int) -> None:
    turns, together, inside, most = Turns(places), threading.Barrier(places), [], 0

    def run(_: int) -> None:
        nonlocal most
        with turns.take():
            inside.append(1)
            together.wait(30)
            most = max(most, len(inside))
            together.wait(30)
            inside.pop()

    with ThreadPoolExecutor(4 * places) as threads:
        list(threads.map(run, range(4 * places)))
    assert most == places


def test_a_turn_ends_with_an_error() -> None:
    turns = Turns()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), turns.take():
            raise ZeroDivisionError
