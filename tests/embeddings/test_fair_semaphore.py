"""The fair semaphore: its order, its limit, and errors."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sediment_mcp.embeddings.fair_semaphore import FairSemaphore


def test_a_waiting_thread_comes_before_one_that_has_just_released_a_place() -> None:
    semaphore, order = FairSemaphore(), []

    def query() -> None:
        with semaphore.acquire():
            order.append("query")

    thread = threading.Thread(target=query)
    with semaphore.acquire():
        thread.start()
        while not semaphore._next.locked():
            pass
    with semaphore.acquire():
        order.append("next batch")
    thread.join()
    assert order == ["query", "next batch"]


@pytest.mark.parametrize("places", [1, 2, 5])
def test_all_places_are_used_and_no_more(places: int) -> None:
    semaphore, together, inside, most = FairSemaphore(places), threading.Barrier(places), [], 0

    def run(_: int) -> None:
        nonlocal most
        with semaphore.acquire():
            inside.append(1)
            together.wait(30)
            most = max(most, len(inside))
            together.wait(30)
            inside.pop()

    with ThreadPoolExecutor(4 * places) as threads:
        list(threads.map(run, range(4 * places)))
    assert most == places


def test_an_error_releases_the_place() -> None:
    semaphore = FairSemaphore()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), semaphore.acquire():
            raise ZeroDivisionError
