"""From a question to candidates: whose neighbours are looked at, and what is read of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.host import Host

from sediment_mcp.domain.memory import Candidate, Chunk, Filters, Memory
from sediment_mcp.search import retriever
from sediment_mcp.storage.sql.memories import Store

STRONG, WEAK = "The kiwi and the plum.", "A kiwi lies beside many other things."


@pytest.fixture
def host(tmp_path: Path, quiet_background: None) -> Host:
    return Host(tmp_path)


def session(host: Host, name: str, *texts: str) -> None:
    for text in texts:
        host.store(text, session=name)
        host.clock.advance(minutes=1)


def candidates(host: Host, question: str) -> dict[str, Candidate]:
    found = host.library.find(question, Filters(), 1).candidates
    return {candidate.memory.content: candidate for candidate in found}


@pytest.mark.parametrize(("foremost", "looked_at"), [(1, {"after"}), (2, {"after", "elsewhere"})])
def test_only_the_foremost_bring_their_neighbours(
    host: Host, monkeypatch: pytest.MonkeyPatch, foremost: int, looked_at: set[str]
) -> None:
    host.model = None
    session(host, "one", STRONG, "after")
    session(host, "other", WEAK, "elsewhere")
    monkeypatch.setattr(retriever, "BEYOND", 1)
    monkeypatch.setattr(retriever, "FOREMOST", foremost)
    found = candidates(host, "kiwi plum")
    assert found.keys() == {STRONG, WEAK} | looked_at
    assert {text for text, candidate in found.items() if candidate.neighbours} == (
        found.keys() if foremost == 2 else {STRONG, "after"}
    )


def test_a_long_answer_looks_at_the_neighbours_of_more(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.model = None
    session(host, "one", STRONG, "after")
    session(host, "other", WEAK, "elsewhere")
    monkeypatch.setattr(retriever, "FOREMOST", 1)
    assert len(candidates(host, "kiwi plum")) == 4


def test_who_is_brought_knows_who_stands_beside_it_too(host: Host) -> None:
    host.model = None
    session(host, "one", *"abcd", STRONG, *"fghi")
    found = candidates(host, "kiwi plum")
    numbers = {candidate.memory.number: text for text, candidate in found.items()}
    assert set(found) == {"c", "d", STRONG, "f", "g"}
    outermost = [[numbers.get(number, "") for number in side] for side in found["c"].neighbours]
    assert outermost == [["", "d"], ["", STRONG]], "two before it are no candidates, and known"


def test_what_one_leg_has_brought_is_not_read_again_for_the_other(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    with_chunks = Store.with_chunks

    def noted(store: Store, chunks: Sequence[int], *others: Filters) -> list[tuple[Memory, Chunk]]:
        read.extend(chunks)
        return with_chunks(store, chunks, *others)

    session(host, "one", STRONG, WEAK, "something else")
    monkeypatch.setattr(Store, "with_chunks", noted)
    found = candidates(host, STRONG)
    assert found[STRONG].cosine == pytest.approx(1, abs=0.01)
    assert sorted(read) == sorted(set(read)) != []
