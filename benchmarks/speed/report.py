"""Figures as Markdown tables and as plots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from machine import machine

Figures = dict[str, Any]
Column = tuple[str, Callable[[Figures], object]]


def _ms(name: str) -> Callable[[Figures], object]:
    return lambda row: f"{row[name]:.1f}"


def _seconds(name: str) -> Callable[[Figures], object]:
    return lambda row: f"{row[name]:.2f}"


def _whole(name: str) -> Callable[[Figures], object]:
    return lambda row: f"{row[name]:,.0f}"


CELLS: tuple[Column, ...] = (
    ("memories", _whole("memories")),
    ("processes", _whole("processes")),
    ("query p50", _ms("query_ms")),
    ("p99", _ms("query_p99_ms")),
    ("embedding alone", _ms("query_bare_ms")),
    ("**above it**", _ms("query_above_ms")),
    ("processor", _ms("query_cpu_ms")),
    ("store p50", _ms("store_ms")),
    ("p99", _ms("store_p99_ms")),
    ("embedding alone", _ms("store_bare_ms")),
    ("**above it**", _ms("store_above_ms")),
    ("processor", _ms("store_cpu_ms")),
    ("ping", _ms("ping_ms")),
    ("start to `initialize` s", _seconds("initialize_s")),
    ("start to first answer s", _seconds("start_s")),
    ("end s", _seconds("end_s")),
    ("private MB", _whole("private_mb")),
    ("of it dirty", _whole("dirty_mb")),
    ("shared MB", _whole("shared_mb")),
    ("disk MB", _ms("disk_mb")),
    ("calls", _whole("calls")),
    ("lost", _whole("lost")),
    ("first answers without model", _whole("first_answers_by_words")),
)
TARGETS: tuple[Column, ...] = (
    ("memories", _whole("memories")),
    ("measure", lambda row: row["measure"]),
    ("target", lambda row: row["target"]),
    ("measured", lambda row: f"{row['measured']:.3g}"),
    ("", lambda row: "met" if row["met"] else "**missed**"),
)
FILTERS: tuple[Column, ...] = (
    ("filter", lambda row: row["filter"]),
    ("admits", lambda row: f"{row['admits']:.2%}"),
    ("best 10 by meaning found", lambda row: f"{row['by_meaning']:.2%}"),
    ("best 10 by words found", lambda row: f"{row['by_words']:.2%}"),
    ("wrong ones", _whole("wrong")),
    ("p50 ms", _ms("p50_ms")),
    ("above unfiltered ms", _ms("above_unfiltered_ms")),
    ("processor ms", _ms("cpu_ms")),
    ("above unfiltered ms", _ms("cpu_above_unfiltered_ms")),
)
RECALL: tuple[Column, ...] = (
    ("memories", _whole("memories")),
    ("recall@10, mean", lambda row: f"{row['mean']:.4f}"),
    ("worst question", lambda row: f"{row['worst']:.1f}"),
    ("questions", _whole("questions")),
    ("searched", lambda row: "by HNSW" if row["by_index"] else "exactly"),
)
PEERS: tuple[Column, ...] = (
    ("", lambda row: row["name"]),
    ("memories", _whole("memories")),
    *(
        (title, lambda row, name=name, show=show: show(name)(row) if name in row else "")
        for title, name, show in (
            ("store p50 ms", "store_ms", _ms),
            ("query p50 ms", "query_ms", _ms),
            ("start to first answer s", "start_s", _seconds),
            ("private MB", "private_mb", _whole),
            ("of it dirty", "dirty_mb", _whole),
            ("runs", "runs", _whole),
        )
    ),
    ("not run because", lambda row: row.get("reason", "")),
)
SIMILARITY: tuple[Column, ...] = (
    ("median cosine", lambda row: row["vectors"]),
    ("to the nearest", _seconds("1")),
    ("10th", _seconds("10")),
    ("50th", _seconds("50")),
    ("of all pairs", _seconds("all")),
)


def markdown(figures: Figures) -> str:
    """All tables, headed by the machine."""
    return "\n".join(_parts(figures))


def _parts(figures: Figures) -> Iterator[str]:
    yield "# How quick sediment-mcp is\n"
    yield from (f"- {name}: {value}" for name, value in figures["machine"].items())
    yield f"- {figures['method']}"
    if figures["cells"]:
        yield "\n## Calls, starts and memory\n\nMilliseconds where nothing else is said.\n"
        yield table(CELLS, figures["cells"])
        bare = figures["protocol"]
        yield (
            "\nA bare server of the MCP SDK with one empty tool: "
            f"{bare['initialize_s']:.2f} s to `initialize`, {bare['call_ms']:.2f} ms a call."
        )
    for title, name, columns in (
        ("Targets", "targets", TARGETS),
        ("Filters at {filtered:,} memories", "filters", FILTERS),
        ("Beside others, one process", "peers", PEERS),
        ("Recall of search by meaning against exact search", "recall", RECALL),
        ("The generated corpus beside embedded texts", "similarity", SIMILARITY),
    ):
        if figures.get(name):
            yield f"\n## {title.format(**figures)}\n"
            yield table(columns, figures[name])
    if figures.get("rebuilt"):
        yield "\n## Both indexes written anew, embeddings present\n"
        yield from (f"- {size:,} memories: {took:.0f} s" for size, took in figures["rebuilt"].items())


def formatted(name: str, form: str) -> Callable[[Figures], object]:
    """A column's figure in a form of `format`."""
    return lambda row: format(row[name], form)


def shown(name: str) -> Callable[[Figures], object]:
    """A column's figure as it is."""
    return lambda row: row[name]


def headed(title: str, parts: Iterable[tuple[str, Sequence[Column], Sequence[Figures]]]) -> Iterator[str]:
    """The machine, and each table that has rows below its heading."""
    yield f"# {title}\n"
    yield from (f"- {name}: {value}" for name, value in machine().items())
    for heading, columns, rows in parts:
        if rows:
            yield f"\n## {heading}\n"
            yield table(columns, rows)


def at_most(memories: int, measure: str, most: float, measured: float) -> Figures:
    """A row of `TARGETS`: what was measured, and whether that is no more than allowed."""
    return {
        "memories": memories, "measure": measure, "target": f"at most {most:g}", "measured": measured,
        "met": measured <= most,
    }  # fmt: skip


def table(columns: Sequence[Column], rows: Sequence[Figures]) -> str:
    lines = [[name for name, _ in columns], ["---" for _ in columns]]
    lines += [[str(show(row)) for _, show in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# --- plots --------------------------------------------------------------------------------------

PANELS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("query", "ms", {"query_ms": "p50", "query_p99_ms": "p99", "query_bare_ms": "embedding alone"}),
    ("store", "ms", {"store_ms": "p50", "store_p99_ms": "p99", "store_bare_ms": "embedding alone"}),
    ("query above the bare embedding", "ms", {"query_above_ms": "p50"}),
    ("process start to first answer", "s", {"start_s": "median"}),
    ("memory of a process", "MB", {"private_mb": "private", "dirty_mb": "dirty", "shared_mb": "shared"}),
    ("disk", "MB", {"disk_mb": "directory"}),
)
LINES = ("-", "--", ":")


def plot(figures: Figures, folder: Path) -> Path:
    """Write `speed.png`: a panel for each measure, over the number of memories."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(15, 8.5), constrained_layout=True)
    for axis, (title, unit, names) in zip(axes.flat, PANELS, strict=True):
        for colour, processes in enumerate(sorted({row["processes"] for row in figures["cells"]})):
            rows = [row for row in figures["cells"] if row["processes"] == processes]
            for line, (name, label) in zip(LINES, names.items(), strict=False):
                axis.plot(
                    [row["memories"] for row in rows], [row[name] for row in rows],
                    f"C{colour}o{line}", markersize=3,
                    label=f"{label}, {processes} process{'es' if processes > 1 else ''}",
                )  # fmt: skip
        axis.set(title=title, xlabel="memories", ylabel=unit, xscale="log")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    figure.suptitle(f"{figures['machine']['libraries'].split(',')[0]} on {figures['machine']['processor']}")
    file = folder / "speed.png"
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
    return file
