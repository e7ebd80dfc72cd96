"""The garbage collector of a server: it leaves out what is loaded, and waits until nothing is asked."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stdio_peer import StdioPeer

from sediment_mcp.system import garbage_collection
from sediment_mcp.system.garbage_collection import (
    DUE,
    LAST_RESORT,
    collect_if_due,
    loading,
    postpone_full_collections,
)

SPY = """
import gc, os, sys, threading

def tell(phase, about):
    if phase == "stop" and about["generation"] == 2:
        print("full collection by", threading.current_thread().name, file=sys.stderr, flush=True)

gc.callbacks.append(tell)
sys.argv = ["sediment-mcp"]
end = os._exit

def tell_and_end(status):
    print("frozen:", gc.get_freeze_count() > 10_000, file=sys.stderr, flush=True)
    end(status)

os._exit = tell_and_end  # with which a server ends
from sediment_mcp.cli.main import main
main()
"""


class Node:
    """An object that can be part of a cycle."""

    other: Node


@pytest.fixture
def as_in_a_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Behave as a server does, during one test."""
    thresholds = gc.get_threshold()
    monkeypatch.setattr(garbage_collection._State, "is_postponed", False)
    postpone_full_collections()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    gc.enable()


def drop_a_cycle() -> weakref.ref[Node]:
    """Return a reference to an object that only the collector can free, and that has survived young."""
    one, other = Node(), Node()
    one.other, other.other = other, one
    gc.collect(1)
    return weakref.ref(one)


def let_it_be_due() -> None:
    for _ in range(DUE):
        gc.collect(1)


def test_nothing_is_collected_while_anything_loads() -> None:
    with loading():
        assert not gc.isenabled()
        with loading():
            pass
        assert not gc.isenabled(), "one of two loads is still under way"
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), loading():
        raise ZeroDivisionError
    assert gc.isenabled()


@pytest.mark.usefixtures("as_in_a_server")
def test_what_was_loaded_is_frozen_in_a_server() -> None:
    before = gc.get_freeze_count()
    with loading():
        kept = [Node() for _ in range(100)]
    assert gc.get_freeze_count() >= before + len(kept)


def test_nothing_is_frozen_or_collected_in_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage_collection._State, "is_postponed", False)
    before = gc.get_freeze_count()
    with loading():
        pass
    assert gc.get_freeze_count() == before
    dead = drop_a_cycle()
    gc.disable()
    let_it_be_due()
    collect_if_due()
    assert dead() is not None
    gc.enable()


@pytest.mark.usefixtures("as_in_a_server")
def test_full_collections_wait_until_they_are_asked_for_and_free_all_cycles() -> None:
    assert gc.get_threshold()[2] == LAST_RESORT
    gc.collect()
    dead = drop_a_cycle()
    collect_if_due()
    assert dead() is not None, "hardly anything was created since the last one"
    let_it_be_due()
    collect_if_due()
    assert dead() is None


@pytest.mark.usefixtures("as_in_a_server")
def test_what_survives_in_great_number_is_not_gone_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.freeze()
    kept = [Node() for _ in range(100)]
    let_it_be_due()
    before = gc.get_freeze_count()
    collect_if_due()
    assert gc.get_freeze_count() <= before, "so few may be gone through"
    monkeypatch.setattr(garbage_collection, "MAX_OBJECTS", 50)
    let_it_be_due()
    collect_if_due()
    assert gc.get_freeze_count() >= before + len(kept)


@pytest.mark.process
def test_no_call_of_a_server_waits_for_a_full_collection(tmp_path: Path) -> None:
    with StdioPeer(tmp_path, command=(sys.executable, "-c", SPY)) as peer:
        peer.initialize()
        for number in range(150):
            assert not peer.call("store_memory", content=f"kiwi number {number}").get("isError")
            assert not peer.call("query_memory", query=f"kiwi {number}").get("isError")
            assert not peer.call("list_memories", limit=5).get("isError")
        assert peer.end() == 0
    told = [line for line in peer.errors().splitlines() if line.startswith(("full", "frozen"))]
    assert set(told) <= {"full collection by background worker", "frozen: True"}
    assert told[-1] == "frozen: True"
