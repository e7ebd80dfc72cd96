"""A person's terminal: the only module that imports rich.

In a terminal text is wrapped and coloured; in a pipe each line stays whole and plain. What memories hold is
data: neither rich's markup nor the terminal's own control characters in it have any effect.
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Callable, Generator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sediment_mcp.system.progress import Progress
from sediment_mcp.system.text import visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import TaskID
    from rich.text import Text

    from sediment_mcp.operations import arguments

WIDEST = 100  # columns; longer lines of prose are hard to read
INDENT = 3
PLAIN_EVERY = 5.0  # seconds between two lines of progress where there is no terminal


# --- pieces -------------------------------------------------------------------------------------


def show_memory(out: Console, memory: arguments.MemoryResult) -> None:
    put(out, hanging(out, [(memory["id"], "cyan")], styled(*facts_of(memory), gap="  ")))
    show_body(out, memory["content"], cut=memory["truncated"])


def facts_of(memory: arguments.MemoryResult) -> list[tuple[str, str]]:
    """What stands beside the id: when, what, where, tags."""
    facts = [(moment(memory["occurred_at"]), ""), (memory["kind"], "magenta")]
    facts += [(f"#{tag}", "green") for tag in memory["tags"]]
    facts.append((_folder(memory["project"]) if memory["project"] else "global", "blue"))
    if memory["session"]:
        facts.append((f"session {memory['session']}", "dim"))
    if memory["expires_at"]:
        facts.append((f"until {moment(memory['expires_at'])}", "dim"))
    if memory["superseded_by"]:
        facts.append((f"replaced by {memory['superseded_by']}", "yellow"))
    return facts


def _folder(project: str) -> str:
    """The name that people use for a project; two of one name are told apart when a memory is shown whole."""
    return re.split(r"[\\/]", project.rstrip("\\/"))[-1] or project


def details_of(memory: arguments.MemoryResult) -> str:
    details = [f"importance {memory['importance']:g}", f"stored {moment(memory['created_at'])}"]
    if memory["project"]:
        details.append(f"project {memory['project']}")
    if memory["metadata"]:
        from json import dumps

        details.append(f"metadata {dumps(memory['metadata'], ensure_ascii=False)}")
    return " · ".join(details)


def moment(iso: str) -> str:
    """A time where the reader lives, to the minute."""
    try:
        return f"{datetime.fromisoformat(iso).astimezone():%Y-%m-%d %H:%M}"
    except (OverflowError, OSError, ValueError):  # at the edges of the calendar no time zone can move it
        return iso


def styled(*parts: tuple[str, str], gap: str = " ") -> Text:
    """Words with their styles, and a gap between each two."""
    from rich.text import Text

    return Text(gap).join(Text(visible(word), style) for word, style in parts)


def show_body(out: Console, text: str | Text, *, cut: bool = False) -> None:
    """Indented text; a terminal wraps it, a pipe gets its lines whole."""
    from rich.padding import Padding
    from rich.text import Text

    body = Text(visible(text).rstrip("\n")) if isinstance(text, str) else text
    if cut:
        body.append(" […]", "dim")
    if out.is_terminal:
        put(out, Padding(body, (0, 0, 0, INDENT), expand=False))
    else:
        for line in body.split("\n", allow_blank=True):
            put(out, Text(" " * INDENT).append_text(line))


def hanging(out: Console, head: Sequence[tuple[str, str]], rest: Text) -> RenderableType:
    """Words of fixed width, and what is wrapped beside them."""
    from rich.table import Table
    from rich.text import Text

    if not out.is_terminal:
        return styled(*head, ("", "")).append_text(rest)
    grid = Table.grid(padding=(0, 1))
    for word, _ in head:
        grid.add_column(width=len(word))
    grid.add_column()
    grid.add_row(*(Text(visible(word), style) for word, style in head), rest)
    return grid


def show_notes(out: Console, notes: Sequence[str]) -> None:
    for note in notes:
        put(out, styled(("Note:", "yellow"), (note, "")))


def console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # for the edge to decide; rich would end the process as if it had failed

    console = Quiet(stderr=stderr, highlight=False, markup=False, emoji=False)
    if console.is_terminal and console.width > WIDEST:
        console.width = WIDEST
    return console


def put(out: Console, what: RenderableType) -> None:
    out.print(what, soft_wrap=not out.is_terminal)


# --- long work ----------------------------------------------------------------------------------


@contextlib.contextmanager
def waiting(what: str) -> Generator[None]:
    """Say on stderr what is waited for, if there is a terminal to say it on."""
    err = console(stderr=True)
    with err.status(f"{what} …") if err.is_terminal else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def bars() -> Generator[Callable[[str], Progress]]:
    """A progress bar on stderr for each part of the work; now and then a line where there is no terminal."""
    err = console(stderr=True)
    if not err.is_terminal:
        yield _lines
        return
    from rich.progress import Progress as Bars

    with Bars(console=err, transient=True) as display:
        tasks: dict[str, TaskID] = {}

        def bar(name: str) -> Progress:
            tasks[name] = display.add_task(name, total=None)
            return lambda done, total: display.update(tasks[name], completed=done, total=total)

        yield bar


def _lines(name: str) -> Progress:
    next_time = time.monotonic() + PLAIN_EVERY

    def watch(done: int, total: int) -> None:
        nonlocal next_time
        if time.monotonic() >= next_time:
            next_time = time.monotonic() + PLAIN_EVERY
            sys.stderr.write(f"sediment-mcp: {name}: {done:,} of {total:,}\n")

    return watch
