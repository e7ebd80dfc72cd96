"""The campaign of faults, in small; and its checker, which must notice every promise that is broken."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the benchmarks are not part of a source distribution", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))

from faults import checker, shim, texts  # noqa: E402
from faults.checker import Checker, Violation  # noqa: E402
from stdio_client import Server, close_input  # noqa: E402


class Story:
    """A history told step by step, and what the checker says to it."""

    def __init__(self) -> None:
        self.checker = Checker()
        self.found: list[Violation] = []
        self._numbers: Iterator[int] = iter(range(1, 10_000))
        self.now = 1000.0

    def tell(self, what: str, **event: Any) -> None:
        self.now += 0.01
        event = {"n": next(self._numbers), "at": self.now, "what": what, **event}
        self.found += self.checker.feed(event)

    def begin(self, act: str, **event: Any) -> int:
        call = next(self._numbers)
        self.tell("begin", call=call, slot=0, life=1, act=act, **event)
        return call

    def store(self, word: str, *, replaces: tuple[str, ...] = (), expires: float | None = None) -> None:
        self.stored(self.begin("store", word=word, replaces=replaces, expires=expires), word, replaces)

    def stored(self, call: int, word: str, replaces: tuple[str, ...] = ()) -> None:
        old = [f"id of {one}" for one in replaces]
        self.tell("end", call=call, outcome="ok", id=f"id of {word}", status="stored", superseded=old)

    def cut(self, act: str, **event: Any) -> None:
        self.tell("end", call=self.begin(act, **event), outcome="none")

    def remove(self, act: str, word: str) -> None:
        self.tell("end", call=self.begin(act, word=word), outcome="ok", deleted=True)

    def look(self, word: str, *results: dict[str, Any], how: str = "words") -> None:
        self.seen(self.begin("look", how=how, words=[word]), *results)

    def seen(self, call: int, *results: dict[str, Any]) -> None:
        self.tell("end", call=call, outcome="ok", results=list(results), mode="hybrid")


def make_result(word: str, **differently: Any) -> dict[str, Any]:
    whole = dict.fromkeys(("content", "tags", "metadata"), True)
    return {
        "id": f"id of {word}", "word": word, **whole, "superseded": False, "lexical": 1.0, "semantic": 1.0,
        **differently,
    }  # fmt: skip


def lost_write(story: Story) -> None:
    story.store("heron")
    story.look("heron")


def lost_in_meaning_alone(story: Story) -> None:
    story.store("other")
    story.look("other", make_result("other"))  # the process has its model
    story.store("heron")
    story.look("heron", make_result("heron", semantic=0.4), how="meaning")


def lost_by_id(story: Story) -> None:
    story.store("heron")
    story.look("heron", how="ids")


def deleted_and_still_there(story: Story) -> None:
    story.store("heron")
    story.remove("delete", "heron")
    story.look("heron", make_result("heron"))


def erased_and_listed(story: Story) -> None:
    story.store("heron")
    story.remove("erase", "heron")
    story.seen(story.begin("look", how="all", words=[]), make_result("heron"))


def stale_version(story: Story) -> None:
    story.store("heron")
    story.store("egret", replaces=("heron",))
    story.look("heron", make_result("heron"))


def broken_chain(story: Story) -> None:
    story.store("heron")
    story.store("egret", replaces=("heron",))
    story.look("heron", make_result("heron"), how="history")


def expired(story: Story) -> None:
    story.store("heron", expires=story.now + 1)
    story.now += 5
    story.look("heron", make_result("heron"))


def half_a_replacement(story: Story) -> None:
    """The process was killed; the new version is there, and the old one still current."""
    story.store("heron")
    story.cut("store", word="egret", replaces=("heron",), expires=None)
    story.look("egret", make_result("egret"))
    story.look("heron", make_result("heron"))


def half_a_memory(story: Story) -> None:
    story.cut("store", word="egret", replaces=(), expires=None)
    story.look("egret", make_result("egret", tags=False))


def twice(story: Story) -> None:
    story.store("heron")
    story.look("heron", make_result("heron"), make_result("heron", id="another"))


def now_there_now_not(story: Story) -> None:
    story.cut("store", word="heron", replaces=(), expires=None)
    story.look("heron")
    story.look("heron", make_result("heron"))


def back_from_the_dead(story: Story) -> None:
    story.store("heron")
    story.cut("delete", word="heron")
    story.look("heron")
    story.look("heron", make_result("heron"))


def refused_and_done(story: Story) -> None:
    call = story.begin("store", word="heron", replaces=(), expires=None)
    story.tell("end", call=call, outcome="error", error="The disk is full: free some space.")
    story.look("heron", make_result("heron"))


def a_future_taken_back(story: Story) -> None:
    story.tell("kept")
    story.store("heron")
    story.tell("set back")
    story.look("heron", make_result("heron"))


def refused_without_a_reason(story: Story) -> None:
    call = story.begin("look", how="words", words=["heron"])
    story.tell(
        "end", call=call, outcome="error", error="Something went wrong inside sediment-mcp: see its log."
    )


def refused_with_internals(story: Story) -> None:
    call = story.begin("look", how="words", words=["heron"])
    story.tell("end", call=call, outcome="error", error="psycopg.OperationalError: the connection is lost")


def refused_without_a_remedy(story: Story) -> None:
    call = story.begin("look", how="words", words=["heron"])
    story.tell("end", call=call, outcome="error", error="The server closed the connection.")


def unknown_then_there_then_not(story: Story) -> None:
    call = story.begin("store", word="heron", replaces=(), expires=None)
    story.tell(
        "end",
        call=call,
        outcome="error",
        error=f"The end of a write broke: it is {checker.UNKNOWN} it is there.",
    )
    story.look("heron", make_result("heron"))
    story.look("heron")


BROKEN = {
    lost_write: checker.LOST, lost_in_meaning_alone: checker.LOST, lost_by_id: checker.LOST,
    deleted_and_still_there: checker.ZOMBIE, erased_and_listed: checker.ZOMBIE,
    stale_version: checker.STALE, broken_chain: checker.STALE, expired: checker.EXPIRED,
    half_a_replacement: checker.STALE, half_a_memory: checker.HALF, twice: checker.HALF,
    now_there_now_not: checker.REFUSED, back_from_the_dead: checker.ZOMBIE, refused_and_done: checker.REFUSED,
    a_future_taken_back: checker.REFUSED, refused_without_a_reason: checker.WRONG,
    refused_with_internals: checker.WRONG, refused_without_a_remedy: checker.WRONG,
    unknown_then_there_then_not: checker.LOST,
}  # fmt: skip


@pytest.mark.parametrize("tell", BROKEN, ids=lambda tell: tell.__name__)
def test_a_broken_promise_is_noticed(tell: Any) -> None:
    story = Story()
    tell(story)
    assert {violation.kind for violation in story.found} == {BROKEN[tell]}, story.found


def test_what_is_allowed_is_no_violation() -> None:
    story = Story()
    story.store("heron")
    looking = story.begin("look", how="words", words=["egret"])
    storing = story.begin("store", word="egret", replaces=("heron",), expires=None)
    story.look("egret")  # not yet
    story.look("heron", make_result("heron"))
    story.look("egret", make_result("egret"))  # committed, though not yet answered
    story.seen(looking)  # asked before
    story.stored(storing, "egret", ("heron",))
    story.look("heron", make_result("egret"))
    story.look("heron", make_result("heron", superseded=True), how="history")
    story.cut("delete", word="egret")
    story.look("egret", make_result("egret"))  # that it was cut off has not happened
    story.remove("erase", "egret")
    story.look("egret")
    story.look("heron", make_result("heron", superseded=True), how="ids")
    story.store("crane", expires=story.now + 1)
    story.look("crane", make_result("crane"))
    story.now += 5
    story.look("crane")
    story.tell("kept")
    story.store("stork")
    story.tell("set back")
    story.look("stork")
    assert story.found == []


def test_the_hidden_text_shares_no_word_and_means_the_same() -> None:
    from sediment_mcp.indexes.analyzer import extract_terms

    text = texts.text("bcdfghjkl")
    assert texts.text("bcdfghjkl") == text
    assert texts.hidden(text).replace("\ufffd", "") == text
    assert set(extract_terms(texts.hidden(text))).isdisjoint(extract_terms(text))


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
def test_what_was_refused_does_not_come_back_from_the_log_after_a_kill(tmp_path: Path, error: int) -> None:
    """The pages of the COMMIT are in the log, only their sync has failed."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    try:
        disk = shim.Shim(tmp_path, data, 1)
    except (OSError, subprocess.CalledProcessError) as reason:
        pytest.skip(f"system calls cannot be made to fail here: {reason}")
    variables = disk.variables | {"SEDIMENT_MODEL": "none", "PYTHONPATH": str(BENCHMARKS.parent)}

    def start() -> Server:
        server = Server([sys.executable, "-m", "sediment_mcp"], data, **variables)
        server.initialize()
        return server

    server = start()
    server.call("store_memory", {"content": "kept"})
    with disk.failing(shim.SYNC, error, 1.0):
        refused = {"name": "store_memory", "arguments": {"content": "refused"}}
        assert server.request("tools/call", refused)[1]["isError"]
    server.end(lambda process: process.kill())
    server = start()
    listed = server.call("list_memories", {})[1]["memories"]
    server.end(close_input)
    assert [memory["content"] for memory in listed] == ["kept"]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_a_small_campaign_breaks_no_promise() -> None:
    faults = [
        "kill -9 of one", "kill -9 of all", "end of input in a call",
        "derived file, bits flipped", "database set back",
    ]  # fmt: skip
    command = [sys.executable, BENCHMARKS / "faults", "--processes", "2", "--kills", "2", "--damage", "1"]
    options = ["--model", "none", "--seed", "20261120", "--only", *faults]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert all(fault in done.stdout for fault in faults)
