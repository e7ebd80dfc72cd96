"""The versions of a memory: the chain tells the truth, whatever is deleted, reverted or erased."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.host import Clock, Host
from support.memories import memory_of as memory

from sediment_mcp.errors import BadArgument, UnknownMemory
from sediment_mcp.operations.history import history, previous_versions, revert, sort_versions
from sediment_mcp.operations.trash import restore_memories

pytestmark = pytest.mark.over_both


def chain_of(host: Host, clock: Clock, *texts: str, **more: Any) -> list[str]:
    """Store texts, each a day later and in the place of the one before."""
    ids: list[str] = []
    for text in texts:
        ids.append(host.store(text, replaces=ids[-1:], **more)["id"])
        clock.advance(days=1)
    return ids


def states(host: Host, identity: str) -> dict[str, str]:
    return {version["id"]: version["state"] for version in history(host.app, identity)["versions"]}


def test_any_version_s_id_leads_to_all_of_them_oldest_first(host: Host, clock: Clock) -> None:
    ids = chain_of(host, clock, "The port is 8080", "The port is 8081", "The port is 8082")
    host.store("Something else")
    for identity in ids:
        told = history(host.app, identity)
        assert [version["id"] for version in told["versions"]] == ids
        assert [version["state"] for version in told["versions"]] == ["superseded", "superseded", "current"]
        assert [version["occurred_at"][:10] for version in told["versions"]] == [
            "2026-05-08", "2026-05-09", "2026-05-10",
        ]  # fmt: skip
        assert told["current"] == ids[2]


def test_one_memory_may_replace_several_histories(host: Host, clock: Clock) -> None:
    one = chain_of(host, clock, "Tea at four", "Tea at five")
    other = chain_of(host, clock, "Cake at four", "Cake at five")
    last = host.store("Tea and cake at six", replaces=[one[-1], other[-1]])["id"]
    told = [version["id"] for version in history(host.app, other[0])["versions"]]
    assert told == [*one, *other, last]


def test_an_id_of_nothing_has_no_history(host: Host) -> None:
    for act in (history, revert):
        with pytest.raises(UnknownMemory, match="nosuchid"):
            act(host.app, "nosuchid")


def test_reverting_adds_a_version_with_the_old_text_and_all_it_had(host: Host, clock: Clock) -> None:
    more = {"tags": ["net"], "session": "s", "importance": 0.7, "metadata": {"a": 1}, "kind": "procedural"}
    old, new = chain_of(host, clock, "Port 8080 is open", "Port 9090 is open", **more)
    model = host.model
    embedded = model.documents  # type: ignore[union-attr]
    answer = revert(host.app, old)
    assert (answer["reverted_to"], answer["superseded"]) == (old, new)
    assert [m["id"] for m in host.list()["memories"]] == [answer["id"]]
    before, after = (host.list(ids=[i], include_superseded=True)["memories"][0] for i in (old, answer["id"]))
    different = {name for name in before if before[name] != after[name]}
    assert different == {"id", "created_at", "superseded_by"}
    assert after["created_at"].startswith("2026-05-10")
    assert [v["id"] for v in history(host.app, old)["versions"]] == [old, new, answer["id"]]
    assert host.found_by_meaning("Port 8080 is open") == {answer["id"]}
    assert host.found_by_words("8080") == {answer["id"]}
    host.run_jobs()
    assert model.documents == embedded, "the vectors are known already"  # type: ignore[union-attr]
    with host.app.storage.read() as session:
        key = session.token_vectors.model_key(model.token_identity.fingerprint)  # type: ignore[union-attr]
        assert session.token_vectors.count_embedded(key) == (3, 3)


def test_a_long_version_comes_back_with_all_its_passages(host: Host) -> None:
    text = "\n\n".join(f"Part {n}. " + f"word{n} and so on " * 60 for n in range(12))
    old = host.store(text)["id"]
    host.run_jobs()
    host.store("Short", replaces=[old])
    new = revert(host.app, old)["id"]
    assert host.found_by_words("word11") == {new}
    passage = host.query("word11", max_chars=2000)["results"][0]["content"]
    assert host.found_by_meaning(passage) == {new}


def test_deleting_the_current_version_revives_none_before_it(host: Host, clock: Clock) -> None:
    old, new = chain_of(host, clock, "The port is 8080", "The port is 9090")
    assert previous_versions(host.app, [new, old, "nosuchid"]) == {new: old}
    host.delete(new)
    assert host.list()["total"] == 0
    assert host.found("port", include_superseded=True) == [old]
    assert states(host, old) == {old: "superseded", new: "deleted"}
    assert "current" not in history(host.app, old)
    again = revert(host.app, old)["id"]
    assert states(host, new) == {old: "superseded", new: "deleted", again: "current"}
    restore_memories(host.app, [new])
    assert states(host, new) == {old: "superseded", new: "superseded", again: "current"}
    assert [m["id"] for m in host.list()["memories"]] == [again]


def test_history_survives_the_erasure_of_any_version(host: Host, clock: Clock) -> None:
    first, second, third = chain_of(host, clock, "Port 1", "Port 2", "Port 3")
    host.delete(second, permanent=True)
    assert [v["id"] for v in history(host.app, first)["versions"]] == [first, third]
    host.delete(third, permanent=True)
    assert states(host, first) == states(host, third) == {first: "superseded"}
    assert host.list()["total"] == 0
    answer = revert(host.app, first)
    assert "superseded" not in answer
    assert states(host, first) == {first: "superseded", answer["id"]: "current"}
    assert [m["id"] for m in host.list()["memories"]] == [answer["id"]]


def test_reverting_what_makes_no_sense_changes_nothing(host: Host, clock: Clock) -> None:
    old, new = chain_of(host, clock, "The port is 8080", "The port is 9090")
    with pytest.raises(BadArgument, match="current version already"):
        revert(host.app, new)
    again = revert(host.app, old)["id"]
    with pytest.raises(BadArgument, match=f"{again}, has this very text"):
        revert(host.app, old)
    host.delete(old)
    with pytest.raises(BadArgument, match=f"sediment-mcp restore {old}"):
        revert(host.app, old)
    assert states(host, new) == {old: "deleted", new: "superseded", again: "current"}


def test_a_text_that_is_current_elsewhere_is_not_stored_twice(host: Host, clock: Clock) -> None:
    old, new = chain_of(host, clock, "The port is 8080", "The port is 9090")
    elsewhere = host.store("The port is 8080")["id"]
    assert elsewhere != old
    assert revert(host.app, old) == {"id": elsewhere, "reverted_to": old, "superseded": new}
    assert [m["id"] for m in host.list()["memories"]] == [elsewhere]
    assert [v["id"] for v in history(host.app, old)["versions"]] == [old, new, elsewhere]


def test_a_note_that_had_ended_comes_back_for_another_day(host: Host, clock: Clock) -> None:
    old, _ = chain_of(host, clock, "Lunch at one", "Lunch at two", kind="working")
    clock.advance(days=3)
    assert set(states(host, old).values()) == {"expired"}
    new = revert(host.app, old)["id"]
    assert host.list(ids=[new])["memories"][0]["expires_at"] == "2026-05-14T12:00:00Z"


@given(st.lists(st.integers(0, 30), max_size=12), st.randoms(use_true_random=False))
def test_each_version_comes_after_all_that_it_replaced(picks: list[int], dice: Any) -> None:
    """Any forest of successors, in which numbers need not rise along a chain."""
    numbers = dice.sample(range(100), len(picks) + 1)
    versions = [memory(numbers[0], superseded_by=None)]
    for number, pick in zip(numbers[1:], picks, strict=True):
        versions.append(memory(number, superseded_by=versions[pick % len(versions)].id))
    dice.shuffle(versions)
    order = [version.id for version in sort_versions(versions)]
    assert sorted(order) == sorted(version.id for version in versions)
    for version in versions:
        assert version.superseded_by is None or order.index(version.id) < order.index(version.superseded_by)
