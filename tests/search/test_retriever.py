"""From a query to candidates: whose neighbours are looked at, and what is read of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.embedding_double import EmbeddingDouble
from support.host import QUIET, Host

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import FoundChunk
from sediment_mcp.search import ranking, retriever
from sediment_mcp.search.candidates import Candidates
from sediment_mcp.storage.sql.memories import MemoryReader

pytestmark = pytest.mark.over_both

STRONG, WEAK = "The kiwi and the plum.", "A kiwi lies beside many other things."


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def wordy(tmp_path: Path, **thresholds: int) -> Host:
    """Return a host without a model, with these thresholds."""
    return Host(tmp_path, model=None, tuning=replace(QUIET, **thresholds))


def store_session(host: Host, name: str, *texts: str) -> None:
    for text in texts:
        host.store(text, session=name)
        host.clock.advance(minutes=1)


@dataclass(frozen=True)
class Found:
    """A candidate of a query: its cosine, and the texts of the candidates around it by distance."""

    cosine: float
    neighbours: dict[int, list[str]]


def candidates(host: Host, query: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Found]:
    """Ask, and return by their texts all candidates that were ranked."""
    ranked: list[Candidates] = []

    def noted(found: Candidates, *others: Any, **more: Any) -> list[ranking.RankedCandidate]:
        ranked.append(found)
        return ranking.rank(found, *others, **more)

    monkeypatch.setattr(retriever, "rank", noted)
    host.app.retriever.retrieve(query, Filters(), 1)
    (found,) = ranked
    texts = [chunk.content for chunk in found.chunks]
    around: list[dict[int, list[str]]] = [{} for _ in texts]
    for link in found.links:
        for row, neighbour in zip(link.rows.tolist(), link.neighbours.tolist(), strict=True):
            around[row].setdefault(link.distance, []).append(texts[neighbour])
    return {
        text: Found(cosine, sides)
        for text, cosine, sides in zip(texts, found.cosines.tolist(), around, strict=True)
    }


@pytest.mark.parametrize(("foremost", "looked_at"), [(1, {"after"}), (2, {"after", "elsewhere"})])
def test_only_the_foremost_memories_bring_their_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foremost: int, looked_at: set[str]
) -> None:
    host = wordy(tmp_path, foremost=foremost, foremost_per_result=1)
    store_session(host, "one", STRONG, "after")
    store_session(host, "other", WEAK, "elsewhere")
    found = candidates(host, "kiwi plum", monkeypatch)
    assert found.keys() == {STRONG, WEAK} | looked_at
    assert {text for text, candidate in found.items() if candidate.neighbours} == (
        found.keys() if foremost == 2 else {STRONG, "after"}
    )


def test_a_long_answer_looks_at_the_neighbours_of_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = wordy(tmp_path, foremost=1)
    store_session(host, "one", STRONG, "after")
    store_session(host, "other", WEAK, "elsewhere")
    assert len(candidates(host, "kiwi plum", monkeypatch)) == 4


def test_a_neighbour_that_is_brought_knows_its_own_neighbours_too(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.model = None
    store_session(host, "one", *"abcd", STRONG, *"fghi")
    found = candidates(host, "kiwi plum", monkeypatch)
    assert set(found) == {"c", "d", STRONG, "f", "g"}
    assert found["c"].neighbours == {1: ["d"], 2: [STRONG]}, "the two before it are no candidates"


def test_what_one_index_has_found_is_not_read_again_for_the_other(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    find_chunks = MemoryReader.find_chunks

    def noted(reader: MemoryReader, chunk_ids: Sequence[int], *others: Any) -> list[FoundChunk]:
        read.extend(chunk_ids)
        return find_chunks(reader, chunk_ids, *others)

    store_session(host, "one", STRONG, WEAK, "something else")
    monkeypatch.setattr(MemoryReader, "find_chunks", noted)
    found = candidates(host, STRONG, monkeypatch)
    assert found[STRONG].cosine == pytest.approx(1, abs=0.01)
    assert sorted(read) == sorted(set(read)) != []


def store_without_tokens(host: Host, text: str) -> str:
    """Store a memory as before there were token vectors."""
    model = host.model
    assert isinstance(model, EmbeddingDouble)
    identity, model.token_identity = model.token_identity, None
    try:
        return str(host.store(text)["id"])
    finally:
        model.token_identity = identity


@pytest.mark.parametrize("place", range(4))
def test_the_one_memory_without_token_vectors_yet_is_neither_lost_nor_favoured(
    host: Host, place: int
) -> None:
    texts = ["The kiwi ripens beside the plum.", "A kiwi and a pear.", "The plum is blue.", "Nothing of it."]
    stored = [
        store_without_tokens(host, t) if n == place else host.store(t)["id"] for n, t in enumerate(texts)
    ]
    found = host.query(texts[0][::-1])["results"]  # what means the same, without a word in common
    assert found[0]["id"] == stored[0]
    assert [one["id"] for one in found if "tokens" not in one["signals"]] == [stored[place]]


def test_without_any_token_vectors_memories_are_found_as_before_there_were_any(host: Host) -> None:
    ids = [store_without_tokens(host, text) for text in (STRONG, WEAK, "something else")]
    found = host.query("kiwi plum")["results"]
    assert found[0]["id"] == ids[0]
    assert all("tokens" not in one["signals"] for one in found)
