"""What sediment-mcp costs a machine, beside an earlier version and other memories for agents.

    python benchmarks/footprint.py                      this checkout
    python benchmarks/footprint.py --before OLD.whl --peers --out RESULTS
    python benchmarks/footprint.py --check ENVIRONMENT

Each is installed from PyPI into an environment of its own, by pip, and measured there: megabytes fetched and
on disk, seconds to start, memory, tokens. A table goes to stdout as Markdown, progress to stderr; README.md
beside this file says what is measured and how. ``--check`` measures an environment that is there, and exits
with 1 if it is larger than is promised, or holds torch.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().with_name("speed")))

from footprint_measures import (
    MEGABYTE,
    QUESTION,
    WITHOUT_BYTECODE,
    Environment,
    compile_all,
    find_uvx,
    install,
    list_downloads,
    measure_disk,
    measure_download,
    measure_memory,
    measure_start,
    measure_together,
    measure_uvx,
    running,
)
from machine import machine
from peers import PEERS, SEDIMENT, CannotRun, Peer, call_tool, find_python, texts
from stdio_client import Gone, Server

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {"download_mb": 90.0, "disk_mb": 260.0}
"""MB that are promised: fetched, and on disk without bytecode; the default model is in both."""

OURS, BEFORE = "sediment-mcp", "before"
FILL_SECONDS = 300
FAILURES = (CannotRun, Gone, OSError, ValueError, KeyError, subprocess.SubprocessError)
Figures = dict[str, Any]

ROWS = (
    ("version", "version", "{}"),
    ("download_mb", "download, MB", "{:.1f}"),
    ("files", "packages", "{}"),
    ("disk_mb", "disk, MB", "{:.0f}"),
    ("bytecode_mb", "bytecode after the first start, MB", "{:.0f}"),
    ("initialize_s", "start to `initialize`, s", "{:.2f}"),
    ("initialize_ratio", "… in bare starts of Python", "{:.1f} x"),
    ("first_answer_s", "start to the first answer, s", "{:.2f}"),
    ("first_answer_ratio", "… in bare starts of Python", "{:.1f} x"),
    ("uncompiled_initialize_s", "without bytecode: `initialize`, s", "{:.2f}"),
    ("uncompiled_first_answer_s", "without bytecode: the first answer, s", "{:.2f}"),
    ("private_mb_before", "private memory before the first embedding, MB", "{:.0f}"),
    ("dirty_mb_before", "… of it held by no file", "{:.0f}"),
    ("private_mb_after", "private memory with the model loaded, MB", "{:.0f}"),
    ("dirty_mb_after", "… of it held by no file", "{:.0f}"),
    ("together_mb", "servers on one directory, proportional MB in all", "{:.0f}"),
    ("five short hits", "five short hits, tokens", "{:,}"),
    ("tools, as a model reads them", "the tools' definitions, tokens", "{:,}"),
    ("uvx_empty_cache_s", "`uvx … --version`, empty cache, s", "{:.1f}"),
    ("uvx_again_s", "`uvx … --version`, again, s", "{:.2f}"),
)
"""Each figure with its title and its form in the table."""


def _start_qdrant(environment: Path, directory: Path) -> list[str]:
    return [str(environment / "bin" / "mcp-server-qdrant")]


def _ask_qdrant(server: Server, what: str, text: str) -> str:
    return call_tool(
        server, f"qdrant-{'store' if what == 'store' else 'find'}", _qdrant_arguments(what, text)
    )


def _qdrant_arguments(what: str, text: str) -> dict[str, Any]:
    return {"information": text} if what == "store" else {"query": text}


QDRANT = Peer(
    "mcp-server-qdrant",
    (("mcp-server-qdrant", "fastembed"),),
    _start_qdrant,
    _ask_qdrant,
    variables=lambda directory: {
        "HOME": str(directory),
        "QDRANT_LOCAL_PATH": str(directory / "qdrant"),
        "COLLECTION_NAME": "memories",
        "PYTHONPATH": "",
    },
)
MEMORY_SERVICE = next(peer for peer in PEERS if peer.name == "mcp-memory-service")
OTHERS = ((QDRANT, ("mcp-server-qdrant", "--help")), (MEMORY_SERVICE, ("memory", "--version")))
"""Each with the command that uvx is given, which only has to end."""


class Footprint:
    """What was asked for, and the figures so far."""

    def __init__(self, chosen: argparse.Namespace, base: Path) -> None:
        self._chosen, self._base = chosen, base
        self._started = time.monotonic()
        self.subjects: dict[str, Figures] = {}

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - self._started:7.1f} s  {what}", file=sys.stderr, flush=True)

    def measure_ours(self, title: str, wheel: Path) -> None:
        """Measure sediment-mcp from a wheel."""
        besides = self._chosen.before_with if title == BEFORE else ()
        peer = dataclasses.replace(
            SEDIMENT,
            install=(*((one,) for one in besides), (*besides, str(wheel))),
            command=lambda environment, directory: [str(environment / "bin" / "sediment-mcp")],
            variables=lambda directory: {"PYTHONPATH": ""},
        )
        figures = self._measure(title, peer, ("sediment-mcp", "--version"), str(wheel))
        figures["wheel_mb"] = wheel.stat().st_size / MEGABYTE

    def measure_peers(self) -> None:
        """Measure the others; what cannot be measured here is said with its reason."""
        for peer, command in OTHERS:
            python = find_python() if peer is MEMORY_SERVICE else sys.executable
            self._measure(peer.name, peer, command, peer.name, python)

    def _measure(
        self, title: str, peer: Peer, command: tuple[str, ...], source: str, python: str = sys.executable
    ) -> Figures:
        figures: Figures = self.subjects.setdefault(title, {"reasons": []})
        self.say(f"{title}: fetching and installing")
        try:
            environment = install(self._base / title, peer.install, python)
        except FAILURES as error:
            figures["reasons"].append(_explain("installation", error))
            return figures
        figures["version"] = environment.version(peer.name)
        figures["download_mb"] = measure_download(environment)
        figures["downloads"] = list_downloads(environment)
        figures["files"] = len(figures["downloads"])
        figures |= measure_disk(environment.folder)
        self._run(title, peer, environment, figures)
        if self._chosen.uvx:
            self._try(figures, "uvx", lambda: self._measure_uvx(source, command))
        self.subjects[title] = figures
        return figures

    def _run(self, title: str, peer: Peer, environment: Environment, figures: Figures) -> None:
        directory = self._base / title / "data"
        directory.mkdir()
        can_answer = self._try(figures, "a query", lambda: self._fill(peer, environment, directory, figures))
        runs = self._chosen.runs
        for kind, variables in (("uncompiled_", WITHOUT_BYTECODE), ("", {})):
            self.say(f"{title}: {kind}starts")
            if not kind:
                compile_all(environment)
                figures["bytecode_mb"] = measure_disk(environment.folder)["bytecode_mb"]
            started = lambda variables=variables: measure_start(  # noqa: E731
                peer, environment, directory, runs, ask=can_answer, **variables
            )
            self._try(figures, "start", started, kind)
        self.say(f"{title}: memory")
        self._try(figures, "memory", lambda: measure_memory(peer, environment, directory, ask=can_answer))
        if peer.name == SEDIMENT.name:
            self._try(figures, "tokens", lambda: _measure_tokens(peer.command(environment.folder, directory)))
            servers = self._chosen.servers
            self._try(
                figures,
                "servers together",
                lambda: {"together_mb": measure_together(peer, environment, directory, servers)},
            )

    def _fill(self, peer: Peer, environment: Environment, directory: Path, figures: Figures) -> Figures:
        count = self._chosen.memories
        self.say(f"{peer.name}: storing {count:,} memories")
        with running(peer, environment, directory) as (server, _):
            until = time.monotonic() + FILL_SECONDS
            for done, text in enumerate(islice(texts(count), count)):
                peer.ask(server, "store", text)
                if time.monotonic() > until:
                    figures["reasons"].append(
                        f"memories: {done + 1:,} of {count:,} stored in {FILL_SECONDS} s"
                    )
                    break
            peer.ask(server, "query", QUESTION)
        return {}

    def _try(self, figures: Figures, what: str, measure: Callable[[], Figures], prefix: str = "") -> bool:
        """Add what is measured, or the reason why there is nothing; return whether it could be."""
        try:
            figures.update({f"{prefix}{name}": value for name, value in measure().items()})
        except FAILURES as error:
            figures["reasons"].append(_explain(what, error))
            return False
        return True

    def _measure_uvx(self, source: str, command: tuple[str, ...]) -> Figures:
        if (uvx := find_uvx()) is None:
            raise CannotRun("uvx was not found")
        return measure_uvx(uvx, source, command, self.say)


def _measure_tokens(command: list[str]) -> Figures:
    try:
        from tokens import measure_tokens
    except ImportError as error:
        raise CannotRun(f"{error}: pip install bpe-openai") from None
    return measure_tokens(command)


def _explain(what: str, error: Exception) -> str:
    shown = getattr(error, "stderr", None) or str(error)
    lines = [line for line in str(shown).splitlines() if line.strip()]
    return f"{what}: {type(error).__name__}: {lines[-1].strip() if lines else 'no word'}"[:300]


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)]
    subprocess.run([*pip, str(ROOT)], check=True, stdout=sys.stderr)
    (wheel,) = folder.glob("*.whl")
    return wheel


def to_markdown(subjects: dict[str, Figures]) -> str:
    """A row for each figure that anybody has, a column for each subject, and the reasons below."""
    titles = list(subjects)
    lines = [f"| | {' | '.join(titles)} |", f"|---|{'---|' * len(titles)}"]
    for name, title, form in ROWS:
        cells = [form.format(one[name]) if name in one else "" for one in subjects.values()]
        if any(cells):
            lines.append(f"| {title} | {' | '.join(cells)} |")
    reasons = [f"- {title}, {reason}" for title, one in subjects.items() for reason in one["reasons"]]
    return "\n".join([*lines, "", *reasons]).rstrip() + "\n"


def find_excess(figures: Figures, targets: dict[str, float]) -> list[str]:
    """A sentence for each figure that is larger than promised."""
    return [
        f"{name} is {figures[name]:.1f}, and at most {most:.0f} are promised."
        for name, most in targets.items()
        if name in figures and figures[name] > most
    ]


def check(environment: Path) -> int:
    """Compare an installed environment with what is promised; return the exit status."""
    figures = measure_disk(environment)
    excess = find_excess(figures, TARGETS)
    print(f"On disk {figures['disk_mb']:.1f} MB.")
    if any(environment.rglob("site-packages/torch/__init__.py")):
        excess.append("torch is installed, and nobody has asked for it.")
    print("\n".join(excess))
    return 1 if excess else 0


def _read(arguments: Iterable[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="footprint", description=(__doc__ or "").split("\n")[0])
    option: Callable[..., Any] = parser.add_argument
    option("--wheel", type=Path, help="measure this wheel; by default one is built of this checkout")
    option("--before", type=Path, metavar="WHEEL", help="an earlier version beside it")
    option(
        "--before-with", action="append", default=[], metavar="REQUIREMENT",
        help="what is installed before that one, such as a build of torch for the processor",
    )  # fmt: skip
    option("--peers", action="store_true", help="mcp-server-qdrant and mcp-memory-service beside them")
    option("--memories", type=int, default=1000, help="that are stored before anything is started")
    option("--runs", type=int, default=7, help="new processes, of which the median is taken")
    option("--servers", type=int, default=10, help="on one directory, whose memory is added up")
    option("--no-uvx", dest="uvx", action="store_false", help="leave out the starts by uvx")
    option("--keep", type=Path, metavar="DIR", help="make the environments there, and keep them")
    option("--out", type=Path, metavar="DIR", help="the table and the figures as JSON into this folder")
    option("--check", type=Path, metavar="ENVIRONMENT", help="only compare its size with what is promised")
    return parser.parse_args(arguments)


def main() -> None:
    """See the module's docstring."""
    chosen = _read()
    if chosen.check:
        raise SystemExit(check(chosen.check))
    base = chosen.keep or Path(tempfile.mkdtemp(prefix="sediment-footprint-"))
    try:
        (base / "wheel").mkdir(parents=True)
        wheel = (chosen.wheel or build_wheel(base / "wheel")).absolute()
        footprint = Footprint(chosen, base)
        footprint.measure_ours(OURS, wheel)
        if chosen.before:
            footprint.measure_ours(BEFORE, chosen.before.absolute())
        if chosen.peers:
            footprint.measure_peers()
        figures = {"machine": machine(), "targets": TARGETS, "subjects": footprint.subjects}
        table = to_markdown(footprint.subjects)
        print(table)
        if chosen.out:
            chosen.out.mkdir(parents=True, exist_ok=True)
            (chosen.out / "footprint.md").write_text(table, encoding="utf-8")
            (chosen.out / "footprint.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    finally:
        if chosen.keep is None:
            shutil.rmtree(base)


if __name__ == "__main__":
    main()
