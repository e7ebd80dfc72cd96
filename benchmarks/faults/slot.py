"""One place for a server process, and the thread that asks it and starts it anew when it has gone."""

from __future__ import annotations

import contextlib
import itertools
import math
import queue
import random
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stdio_client import Gone, Server, close_input

from . import texts
from .checker import Known
from .history import History

FOUND = 20  # results asked for
MOST_LIVE = 150  # memories; beyond it more is removed than stored
REST = 0.03  # seconds at most between two calls, as a host has other things to do too
IN_THE_PAST = "lies in the past"  # a call that waited for as long as its memory should live
LIFE = 4.0  # seconds that an expiring memory lives
ACTS = {
    "store": 26, "expiring": 3, "replace": 8, "delete": 6, "erase": 4,
    "words": 24, "meaning": 14, "ids": 6, "history": 6,
}  # fmt: skip
ID = re.compile(r"\b[a-z0-9]{12}\b|\d+(?:\.\d+)?")  # and numbers, to count refusals that are alike
LOOKS = ("words", "meaning", "ids", "history")
REMOVALS = ("replace", "delete", "erase")
NOT_COPIED = shutil.ignore_patterns("*.socket")  # a socket is no file that could be kept


@dataclass(frozen=True)
class Machine:
    """Where servers share files and a clock; ``variables`` are those of their environment."""

    directory: Path
    variables: Mapping[str, str]


@dataclass
class Common:
    """What all slots share. ``command`` starts a server; ``paused`` lets nobody ask."""

    machines: Sequence[Machine]
    history: History
    command: list[str]
    logs: Path
    seed: int
    model: bool
    paused: bool = False
    ending: bool = False
    longest: float = 0.0  # seconds that a call took
    newest: tuple[str, int] | None = None  # a word just stored, and by which slot, for another to ask for
    _excused_until: float = -math.inf
    counts: dict[str, int] = field(default_factory=dict)

    @contextlib.contextmanager
    def excusing(self) -> Iterator[None]:
        """Calls that are under way inside may be refused."""
        self._excused_until = math.inf
        try:
            yield
        finally:
            self._excused_until = time.monotonic()

    def is_excused(self, begun: float) -> bool:
        """Whether a call that began at this moment, and ends now, may be refused."""
        return begun < self._excused_until

    def count(self, what: str) -> None:
        with self.history.lock:
            self.counts[what] = self.counts.get(what, 0) + 1


@dataclass
class Order:
    """What to do in the middle of the next change: after so many seconds, ``act`` on the server."""

    after: float
    act: Callable[[Server], None]
    done: threading.Event = field(default_factory=threading.Event)
    at: float = 0.0


class Slot(threading.Thread):
    def __init__(self, number: int, common: Common) -> None:
        super().__init__(name=f"slot {number}", daemon=True)
        self.number, self.common = number, common
        self.machine = common.machines[number % len(common.machines)]
        self.server: Server | None = None
        self.life = 0
        self.asked_at: float | None = None
        self.is_idle = threading.Event()
        self.order: Order | None = None
        self.may_end = False  # somebody has seen to it that the process ends
        self.variables: dict[str, str] = {}  # of the next process, beside those of all
        self._right: list[tuple[float, Future[float]]] = []
        self._jobs: queue.Queue[tuple[Callable[[Slot], Any], Future[Any]]] = queue.Queue()
        self._asks_again = False
        self._chance = random.Random(f"{common.seed} {number}")

    # --- from other threads -------------------------------------------------------------------

    def job(self, work: Callable[[Slot], Any]) -> Future[Any]:
        """Let the thread do this between two calls, even while all are paused."""
        future: Future[Any] = Future()
        self._jobs.put((work, future))
        return future

    def right_answer(self, since: float) -> Future[float]:
        """The moment of the first right answer to a question asked after ``since``."""
        future: Future[float] = Future()
        self._right.append((since, future))
        return future

    def kill(self) -> None:
        server = self.server
        if server is not None:
            self.may_end = True
            server.process.kill()

    # --- the thread ---------------------------------------------------------------------------

    def run(self) -> None:
        while not self.common.ending:
            try:
                self._step()
            except Gone:
                self._bury()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
                self.common.history.complain("wrong", f"slot {self.number}: {error!r}")
                self.kill()
                self._bury()
        self.end()

    def _step(self) -> None:
        try:
            work, future = self._jobs.get_nowait()
        except queue.Empty:
            pass
        else:
            try:
                future.set_result(work(self))
            except Gone:
                self._bury()
                future.set_result(None)
            return
        if self.common.paused:
            self.is_idle.set()
            time.sleep(0.002)
            return
        self.is_idle.clear()
        if self._right:
            self._look_for_right()
        else:
            self._act()
            time.sleep(self._chance.random() * REST)

    def _bury(self) -> None:
        server, self.server = self.server, None
        self.asked_at = None
        if server is None:
            return
        try:
            status = server.process.wait(10)
        except Exception:  # noqa: BLE001
            self.common.history.complain("wrong", f"slot {self.number} closed its output and stays")
            server.process.kill()
            status = server.process.wait()
        for pipe in (server.process.stdin, server.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self.common.history.add("ended", slot=self.number, life=self.life, status=status)
        if not self.may_end:
            log = self._log().read_text(errors="replace")[-1500:]
            self.common.history.complain(
                "died", f"slot {self.number} life {self.life}, status {status}: {log}"
            )

    def _log(self) -> Path:
        return self.common.logs / f"slot{self.number}.log"

    def end(self) -> None:
        server, self.server = self.server, None
        if server is not None:
            server.end(close_input)

    def started(self) -> Server:
        """The server, started if there is none."""
        if self.server is None:
            self.life += 1
            self.may_end = False
            self.common.history.add("start", slot=self.number, life=self.life)
            variables = {**self.machine.variables, **self.variables}
            with self._log().open("ab") as log:
                log.write(f"--- life {self.life}\n".encode())
                log.flush()
                self.server = Server(self.common.command, self.machine.directory, log, **variables)
            self.asked_at = time.monotonic()
            self.server.initialize()
            self.asked_at = None
        return self.server

    # --- calls --------------------------------------------------------------------------------

    def _call(self, tool: str, arguments: dict[str, Any], begun: int, *, may_be_cut: bool = False) -> Any:
        """The structured result, or None after a refusal.

        Raises:
            Gone: the process has ended; that is recorded, once it is certain that nothing follows.
        """
        server = self.started()
        history = self.common.history
        self.asked_at = started = time.monotonic()
        try:
            server.ask("tools/call", {"name": tool, "arguments": arguments})
            order = self.order if may_be_cut else None
            if order is not None:
                self.order = None
                time.sleep(order.after)
                self.may_end = True
                order.at = time.time()
                order.act(server)
                order.done.set()
            result = server.answer()
        except Gone:
            try:
                server.process.wait(10)
            except Exception:  # noqa: BLE001
                server.process.kill()
                server.process.wait()
            history.add("end", call=begun, outcome="none")
            raise
        finally:
            self.asked_at = None
            self.common.longest = max(self.common.longest, time.monotonic() - started)
        if result.get("isError"):
            sentence = result["content"][0]["text"]
            self.common.count(f"refused: {ID.sub('…', sentence)}")
            history.add("end", call=begun, outcome="error", error=sentence)
            if not (self.common.is_excused(started) or IN_THE_PAST in sentence):
                history.complain("wrong", f"slot {self.number}: {tool} was refused: {sentence}")
            return None
        return result["structuredContent"]

    def _begin(self, act: str, **event: Any) -> int:
        self.started()
        return self.common.history.begin(slot=self.number, life=self.life, act=act, **event)

    # --- changes ------------------------------------------------------------------------------

    def _act(self) -> None:
        newest = self.common.newest
        if newest is not None and newest[1] != self.number and self.order is None:
            self.common.newest = None
            self.look("words", [newest[0]])
            self.common.count("read at once by another process")
            return
        live = self._live()
        weights = {
            act: weight * (4 if len(live) > MOST_LIVE and act in REMOVALS else 1)
            for act, weight in ACTS.items()
        }
        if len(live) > MOST_LIVE:
            weights["store"] = 4
        if self.order is not None:  # somebody waits for a change
            weights = {act: weight for act, weight in weights.items() if act not in LOOKS}
        act = "store" if not live else self._chance.choices(list(weights), list(weights.values()))[0]
        if act == "store":
            word = self.store_one()
            if word is not None and self._chance.random() < 0.6:  # one reads one's own writes
                self.look("words", [word])
            elif word is not None:  # and the next one reads it at once, too
                self.common.newest = word, self.number
        elif act == "expiring":
            self.store_one(expires=time.time() + LIFE)
        elif act == "replace":
            self.store_one(replaces=1)
        elif act in ("delete", "erase"):
            self._remove(act)
        else:
            self.look(act, [self._interesting(live)])

    def _live(self) -> list[Known]:
        with self.common.history.lock:
            return list(self.common.history.checker.live.values())

    def _interesting(self, live: list[Known]) -> str:
        """A word to ask for: often one of the newest, of whatever process, there or not."""
        with self.common.history.lock:
            newest = list(itertools.islice(reversed(self.common.history.checker.known.values()), 200))
        pick = self._chance.random()
        if pick < 0.4:
            return self._chance.choice(newest[:12]).word
        removed = [known for known in newest if known.removals or known.expires]
        if pick < 0.7 and removed:
            return self._chance.choice(removed[:20]).word
        return self._chance.choice(live).word

    def store_one(self, *, expires: float | None = None, replaces: int = 0) -> str | None:
        word = texts.marker(self._chance)
        arguments: dict[str, Any] = {"content": texts.text(word), **texts.attributes(word)}
        if expires is not None:
            arguments["expires_at"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(expires))
            arguments["expires_at"] += f".{int(expires % 1 * 1000):03}Z"
        self.started()
        with self.common.history.lock:
            old = self._chance.sample(self._live(), replaces) if replaces else []
            arguments["replaces"] = [known.id for known in old]
            words = [known.word for known in old]
            begun = self._begin("store", word=word, replaces=words, expires=expires)
        answer = self._call("store_memory", arguments, begun, may_be_cut=True)
        if answer is None:
            return None
        self.common.history.add(
            "end",
            call=begun,
            outcome="ok",
            id=answer["id"],
            status=answer["status"],
            superseded=answer.get("superseded", []),
        )
        self.common.count("writes")
        return word

    def _remove(self, act: str) -> None:
        self.started()
        with self.common.history.lock:
            live = self._live()
            if not live:
                return
            known = self._chance.choice(live)
            begun = self._begin(act, word=known.word)
        arguments = {"ids": [known.id], "permanent": act == "erase"}
        answer = self._call("delete_memory", arguments, begun, may_be_cut=True)
        if answer is not None:
            self.common.history.add("end", call=begun, outcome="ok", deleted=bool(answer["deleted"]))
            self.common.count("writes")

    # --- questions ----------------------------------------------------------------------------

    def _look_for_right(self) -> None:
        """Ask for something that is certainly there, and tell those who wait that it was found."""
        live = self._live()
        if not live:
            self.store_one()
            return
        self.started()
        asked_at = time.time()
        word = self._chance.choice(live).word
        answer = self.look("words", [word])
        if answer is None or word not in [result["word"] for result in answer]:
            time.sleep(0.02)
            return
        for waiting in [one for one in self._right if one[0] <= asked_at]:
            self._right.remove(waiting)
            waiting[1].set_result(time.time())

    def look(self, how: str, words: list[str]) -> list[dict[str, Any]] | None:
        """Ask for the memories of these words; what came, None after a refusal."""
        if how == "meaning" and not self.common.model:
            how = "words"
        known = [self.common.history.checker.known[word] for word in words]
        ids = [one.id for one in known if one.id]
        if how == "ids" and len(ids) < len(known):
            how = "words"
        begun = self._begin("look", how=how, words=words)
        if how == "ids":
            answer = self._call("list_memories", {"ids": ids}, begun)
            results = answer["memories"] if answer is not None else []
        else:
            text = texts.hidden(texts.text(words[0])) if how == "meaning" else " ".join(words)
            arguments = {"query": text, "limit": FOUND, "max_chars": 100_000, "explain": True}
            arguments["include_superseded"] = how == "history"
            answer = self._call("query_memory", arguments, begun)
            results = answer["results"] if answer is not None else []
        if answer is None:
            return None
        reduced = [_reduced(result) for result in results]
        mode = answer.get("mode", "hybrid")
        broken = self.common.history.add("end", call=begun, outcome="ok", results=reduced, mode=mode)
        if broken and not self._asks_again:
            self._ask_again(how, words)
        self.common.count("questions")
        return reduced

    def _ask_again(self, how: str, words: list[str]) -> None:
        """Keep the files as they are, and see in the history whether it stays wrong."""
        self._asks_again = True
        place = self.common.logs / f"evidence-{len(self.common.history.violations)}"
        with contextlib.suppress(OSError, shutil.Error):  # files come and go
            shutil.copytree(self.machine.directory, place, ignore=NOT_COPIED)
        for _ in range(3):
            self.look(how, words)
        self._asks_again = False

    def try_everything(self) -> None:
        """Every way of asking once; refusals are for the caller to excuse."""
        live = self._live()
        if live:
            for how in ("words", "meaning", "ids", "history"):
                self.look(how, [self._chance.choice(live).word])
        self.list_everything()
        self.store_one()
        self._remove("delete")
        self._remove("erase")

    def list_everything(self) -> None:
        """All pages; only while nobody writes."""
        begun = self._begin("look", how="all", words=[])
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            answer = self._call("list_memories", {"limit": 100, **cursor}, begun)
            if answer is None:
                return
            found += answer["memories"]
            if "next_cursor" not in answer:
                break
            cursor = {"cursor": answer["next_cursor"]}
        self.common.history.add(
            "end", call=begun, outcome="ok", results=[_reduced(one) for one in found], mode=""
        )


def _reduced(result: dict[str, Any]) -> dict[str, Any]:
    """A memory as the history keeps it: is everything of it as it was stored?"""
    word = result["content"].partition(":")[0]
    expected = texts.attributes(word)
    signals = result.get("signals", {})
    return {
        "id": result["id"],
        "word": word,
        "content": result["content"] == texts.text(word),
        "tags": result.get("tags", []) == expected["tags"],
        "metadata": result.get("metadata", {}) == expected["metadata"],
        "superseded": "superseded_by" in result,
        "lexical": signals.get("lexical"),
        "semantic": signals.get("semantic"),
    }
