"""Deleting against the contract: found by nobody, or gone without a trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.host import QUIET, SMALL, Host

from sediment_mcp.operations.trash import restore_memories

pytestmark = pytest.mark.over_both

OpenHost = Callable[..., Host]


@pytest.mark.parametrize("flushed", [False, True], ids=["memtable", "snapshot"])
def test_deleted_means_found_by_nobody_until_restored(open_host: OpenHost, flushed: bool) -> None:
    host, other = open_host(tuning=SMALL), open_host(tuning=SMALL)
    ids = [host.store(f"otter {n}")["id"] for n in range(8)]
    if flushed:
        host.run_jobs()
    assert set(other.found("otter")) == set(ids)
    answer = host.delete(ids[0], "nosuchid", ids[0])
    assert answer == {
        "deleted": [ids[0]], "not_found": ["nosuchid"], "recoverable_until": "2026-06-07T12:00:00Z",
    }  # fmt: skip
    for each in (host, other):
        assert set(each.found("otter", include_superseded=True)) == set(ids[1:])
        assert each.list()["total"] == 7
        assert each.list(ids=[ids[0]])["memories"] == []
    again = host.delete(ids[0])
    assert again == {"deleted": [], "not_found": [ids[0]], "recoverable_until": None}
    other.run_jobs()
    assert restore_memories(other.app, [ids[0], "nosuchid"]) == {
        "restored": [ids[0]], "not_found": ["nosuchid"],
    }  # fmt: skip
    for each in (host, other):
        assert set(each.found_by_words("otter")) == set(ids)
        assert each.found_by_meaning("otter 0") == {ids[0]}


@pytest.mark.parametrize("flushed", [False, True], ids=["memtable", "snapshot"])
@pytest.mark.parametrize("trashed", [False, True], ids=["live", "trashed"])
def test_permanent_leaves_no_trace_in_any_file(open_host: OpenHost, flushed: bool, trashed: bool) -> None:
    host, other = open_host(tuning=SMALL), open_host(tuning=SMALL)
    secret = "xylophonesecret qwertzuiopword " * 3 + "zyzzyvaunique " * 400
    victim = host.store(secret.strip())["id"]
    rest = [host.store(f"heron {n} " + "wades " * 200)["id"] for n in range(9)]
    if flushed:
        host.run_jobs()
    assert other.found_by_words("xylophonesecret") == {victim}
    if trashed:
        host.delete(victim)
        host.run_jobs()
    before = host.traces(secret)
    assert before, "the test looks in the wrong place"
    assert not flushed or any(name.startswith("text-") for name in before)
    answer = host.delete(victim, permanent=True)
    assert answer == {"deleted": [victim], "not_found": [], "recoverable_until": None}
    assert host.traces(secret) == []
    for each in (host, other):
        assert each.found_by_words("xylophonesecret") == set()
        assert each.found_by_words("heron") == set(rest)
    assert restore_memories(host.app, [victim]) == {"restored": [], "not_found": [victim]}


def test_permanent_reaches_the_leavings_of_a_crashed_rebuild(host: Host) -> None:
    victim = host.store("xylophonesecret")["id"]
    host.rebuild_text()
    (host.files / "text.json").unlink()  # as after a crash just before the pointer is written
    assert any(name.startswith("text-") for name in host.traces("xylophonesecret"))
    host.delete(victim, permanent=True)
    assert host.traces("xylophonesecret") == []


def test_permanent_empties_the_log_once_a_slow_reader_is_done(open_host: OpenHost) -> None:
    host, other = open_host(tuning=replace(QUIET, erase_timeout_ms=50)), open_host()
    victim = host.store("xylophonesecret")["id"]
    other.found("something")
    with other.app.storage.read() as session:
        session.changes.count_memories()
        host.delete(victim, permanent=True)
    host.store("The next write of any process")
    assert host.traces("xylophonesecret") == []
