"""One size, one number of processes: start them all at once, let them all be busy at once, measure each call.

Every server has a bare embedding process at its side. A client asks the two in turn with the same text, so
both times are taken under the same load, and their difference is what the server adds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hosts import SCRIPT
from sentences import TOPICS, Writer
from stdio_client import Server, close_input, do_at_once

BARE_EMBEDDING = (sys.executable, str(Path(__file__).with_name("bare_embedding.py")))
PING_EVERY = 5  # calls

Times = dict[str, list[float]]


@dataclass
class Run:
    """What one run has measured: times by what was timed, memory by process, and what has gone missing."""

    times: Times = field(default_factory=dict[str, list[float]])
    memory: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    lost: int = 0
    by_words: int = 0  # first answers without the model

    def add(self, what: str, took: float) -> None:
        self.times.setdefault(what, []).append(took)


def run(directory: Path, processes: int, calls: int, seed: int) -> Run:
    """Start, ask, store, look at memory, end; ``calls`` of each kind for every process."""
    measured = Run()
    clients = [_Client(directory, measured, Writer(seed * 1000 + number)) for number in range(processes)]
    do_at_once([client.start for client in clients])
    do_at_once([client.start_bare for client in clients])
    do_at_once([lambda client=client: client.ask(calls) for client in clients])
    do_at_once([lambda client=client: client.store(calls) for client in clients])
    for client in clients:
        client.bare.end(close_input)  # or the weights would count as shared
    measured.memory = [client.server.memory() for client in clients]
    measured.lost = clients[0].lost([stored for client in clients for stored in client.stored])
    for client in clients:
        seconds, status = client.server.end(close_input)
        assert status == 0, status
        measured.add("end", seconds)
    return measured


class _Client:
    """A server, a bare embedding process, and who asks both."""

    def __init__(self, directory: Path, measured: Run, writer: Writer) -> None:
        self._directory, self._run, self._writer = directory, measured, writer
        self.stored: list[str] = []

    def start(self) -> None:
        self.server = Server([str(SCRIPT)], self._directory)
        self._run.add("initialize", self.server.initialize() / 1000)
        _, answer = self.server.call("query_memory", {"query": self._question()})
        self._run.add("start", time.perf_counter() - self.server.started)
        self._run.by_words += answer.get("mode", "hybrid") != "hybrid"
        assert not self.server.has_loaded("libtorch"), "torch has been imported"

    def start_bare(self) -> None:
        self.bare = Server(BARE_EMBEDDING, self._directory)
        self.bare.request("query", {"text": "A first text loads the model."})

    def ask(self, calls: int) -> None:
        busy = self.server.busy()
        for number in range(calls):
            text = self._question()
            self._run.add("bare query", self.bare.request("query", {"text": text})[1])
            self._run.add("query", self.server.call("query_memory", {"query": text})[0])
            if number % PING_EVERY == 0:
                self._run.add("ping", self.server.request("ping", {})[0])
        self._run.add("query cpu", (self.server.busy() - busy) / calls)

    def store(self, calls: int) -> None:
        busy = self.server.busy()
        for _ in range(calls):
            text = self._writer.sentence(self._writer.chance.randrange(900))
            text = f"{text[:-1]}, noted with {self._writer.name()} {self._writer.chance.randrange(10**9)}."
            self._run.add("bare store", self.bare.request("document", {"text": text})[1])
            took, answer = self.server.call("store_memory", {"content": text})
            self._run.add("store", took)
            self.stored.append(answer["id"])
        self._run.add("store cpu", (self.server.busy() - busy) / calls)

    def lost(self, ids: Sequence[str]) -> int:
        """How many of these, all acknowledged, are not there."""
        found = 0
        for start in range(0, len(ids), 100):
            _, page = self.server.call("list_memories", {"ids": ids[start : start + 100]})
            found += len(page["memories"])
        return len(ids) - found

    def _question(self) -> str:
        return self._writer.question(self._writer.chance.choice(TOPICS))
