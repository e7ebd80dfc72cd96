"""What an installation costs: megabytes fetched, megabytes on disk, seconds to start, memory.

Nothing here knows any program by name: an environment is made from requirements, and a `Peer` of
speed/peers.py tells how its server is started and asked.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from peers import Peer
from stdio_client import Server, close_input

MEGABYTE = 1e6
BARE = "import json, asyncio, sqlite3"
"""What a server cannot do without: its start is measured in multiples of Python's with these."""

QUESTION = "When do we ship a new version?"
WITHOUT_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}
Requirements = Sequence[Sequence[str]]
"""What one call of pip after the other is given."""


class Environment:
    """A virtual environment without pip, and what was fetched for it."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder, self.wheels = folder, wheels
        self._scripts = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self._scripts / "python"

    def run(self, *arguments: str) -> str:
        """What this environment's Python prints."""
        return subprocess.run(
            [str(self.python), *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    def version(self, package: str) -> str:
        return self.run("-c", f"from importlib import metadata; print(metadata.version({package!r}))")


def install(base: Path, requirements: Requirements, python: str = sys.executable) -> Environment:
    """Fetch what is required and all it needs, then install that without bytecode.

    Raises:
        subprocess.CalledProcessError: something is not to be had.
    """
    made = Environment(base / "environment", base / "wheels")
    subprocess.run([python, "-m", "venv", "--without-pip", str(made.folder)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(made.folder)]
    for wanted in requirements:
        fetch = [*pip, "download", "--quiet", "--prefer-binary", "--dest", str(made.wheels), *wanted]
        subprocess.run(fetch, check=True, stdout=sys.stderr)
    for wanted in requirements:
        subprocess.run(
            [
                *pip,
                "install",
                "--quiet",
                "--no-compile",
                "--no-index",
                "--find-links",
                str(made.wheels),
                *wanted,
            ],
            check=True,
            stdout=sys.stderr,
            env=os.environ | {"PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""},
        )
    return made


def measure_download(environment: Environment) -> float:
    """Megabytes of all files that were fetched."""
    return sum(file.stat().st_size for file in environment.wheels.iterdir()) / MEGABYTE


def list_downloads(environment: Environment) -> dict[str, float]:
    """Megabytes of each file that was fetched, by the name of its package, the largest first."""
    sizes = {
        file.name.partition("-")[0]: file.stat().st_size / MEGABYTE for file in environment.wheels.iterdir()
    }
    return dict(sorted(sizes.items(), key=lambda one: -one[1]))


def measure_disk(folder: Path) -> dict[str, float]:
    """Megabytes of the files below a folder: without bytecode, and the bytecode."""
    files = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
    bytecode = sum(file.stat().st_size for file in files if file.suffix == ".pyc")
    return {
        "disk_mb": (sum(file.stat().st_size for file in files) - bytecode) / MEGABYTE,
        "bytecode_mb": bytecode / MEGABYTE,
    }


def compile_all(environment: Environment) -> None:
    """Write the bytecode that the first start would write; what does not compile is no part of any start."""
    subprocess.run(
        [str(environment.python), "-m", "compileall", "-q", str(environment.folder)],
        check=False,
        capture_output=True,
    )


def measure_bare_start(environment: Environment) -> float:
    """Seconds of a Python that imports what every server needs, and ends."""
    started = time.perf_counter()
    environment.run("-c", BARE)
    return time.perf_counter() - started


def measure_start(
    peer: Peer, environment: Environment, directory: Path, runs: int, *, ask: bool = True, **variables: str
) -> dict[str, float]:
    """Median seconds of new processes to the answers to `initialize` and, with ``ask``, to a query.

    Ratios are to a bare Python, started in turn with the server so that both feel the same load.
    """
    bare, starts, firsts = list[float](), list[float](), list[float]()
    for _ in range(runs):
        bare.append(measure_bare_start(environment))
        with running(peer, environment, directory, **variables) as (server, seconds):
            starts.append(seconds)
            if ask:
                peer.ask(server, "query", QUESTION)
                firsts.append(time.perf_counter() - server.started)
    usual = statistics.median(bare)
    figures = {"bare_s": usual, "initialize_s": statistics.median(starts)}
    if firsts:
        figures["first_answer_s"] = statistics.median(firsts)
    ratios = {f"{name[:-2]}_ratio": value / usual for name, value in figures.items() if name != "bare_s"}
    return figures | ratios


@contextlib.contextmanager
def running(
    peer: Peer, environment: Environment, directory: Path, **variables: str
) -> Iterator[tuple[Server, float]]:
    """A server that has been initialized, and the seconds that this took."""
    command = peer.command(environment.folder, directory)
    server = Server(command, directory, **peer.variables(directory), **variables)
    try:
        yield server, server.initialize() / 1000
    finally:
        end(server)


def end(server: Server) -> None:
    """End a server, by force if it does not notice the end of its input."""
    try:
        server.end(close_input)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


def measure_memory(
    peer: Peer, environment: Environment, directory: Path, *, ask: bool = True, queries: int = 10
) -> dict[str, float]:
    """Megabytes before anything has been embedded, and after some queries; Linux only."""
    with running(peer, environment, directory) as (server, _):
        server.request("tools/list", {})
        before = server.memory()
        figures = {f"{kind}_before": before[kind] for kind in ("private_mb", "dirty_mb")}
        if ask:
            for _ in range(queries):
                peer.ask(server, "query", QUESTION)
            after = server.memory()
            figures |= {f"{kind}_after": after[kind] for kind in ("private_mb", "dirty_mb")}
    return figures


def measure_together(peer: Peer, environment: Environment, directory: Path, servers: int) -> float:
    """Megabytes that so many servers on one directory take in all: the sum of their proportional sets."""
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(running(peer, environment, directory))[0] for _ in range(servers)]
        for server in started:
            peer.ask(server, "query", QUESTION)
        return sum(server.memory()["proportional_mb"] for server in started)


def measure_uvx(
    uvx: Sequence[str], requirement: str, command: Sequence[str], say: Callable[[str], None]
) -> dict[str, float]:
    """Seconds of `uvx --from REQUIREMENT COMMAND` with an empty cache, and with what it holds then."""
    cache = Path(tempfile.mkdtemp(prefix="footprint-uv-"))
    try:
        figures: dict[str, float] = {}
        for name in ("uvx_empty_cache_s", "uvx_again_s"):
            say(f"{requirement} by uvx, {name}")
            started = time.perf_counter()
            subprocess.run(
                [*uvx, "--from", requirement, *command],
                check=True,
                capture_output=True,
                env=os.environ | {"UV_CACHE_DIR": str(cache)},
            )
            figures[name] = time.perf_counter() - started
        return figures
    finally:
        shutil.rmtree(cache)


def find_uvx() -> list[str] | None:
    """The words that start uvx: the program on PATH, or the module of this environment."""
    if found := shutil.which("uvx"):
        return [found]
    beside = Path(sys.executable).with_name("uvx.exe" if os.name == "nt" else "uvx")
    return [str(beside)] if beside.exists() else None
