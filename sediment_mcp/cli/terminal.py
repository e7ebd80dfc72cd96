"""Write to a person's terminal: the only module that imports rich.

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

from sediment_mcp.operations.results import DEFAULTS, name_owner, stored_at
from sediment_mcp.system.progress import Progress
from sediment_mcp.system.text import show_control_characters
from sediment_mcp.system.time_zone import current_zone

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import TaskID
    from rich.text import Text

    from sediment_mcp.operations import results

MAX_WIDTH = 100  # columns; longer lines of prose are hard to read
INDENT = 3
LINE_EVERY = 5.0  # seconds, between two lines of progress where there is no terminal


# --- memories -----------------------------------------------------------------------------------


def show_memory(out: Console, memory: results.MemoryResult) -> None:
    """Print a memory: a line of facts, and its text below."""
    put(out, hang(out, [(memory["id"], "cyan")], style_words(*list_facts(memory), gap="  ")))
    show_body(out, memory["content"], cut=memory.get("truncated", False))


def list_facts(memory: results.MemoryResult) -> list[tuple[str, str]]:
    """Return the facts shown beside the id, with their styles: time, kind, project, tags."""
    facts = [
        (format_local_time(memory["occurred_at"]), ""),
        (memory.get("kind", DEFAULTS["kind"]), "magenta"),
    ]
    facts += [(f"#{tag}", "green") for tag in memory.get("tags", [])]
    facts.append((_name_owner(memory), "blue"))
    if "session" in memory:
        facts.append((f"session {memory['session']}", "dim"))
    if "expires_at" in memory:
        facts.append((f"until {format_local_time(memory['expires_at'])}", "dim"))
    if "superseded_by" in memory:
        facts.append((f"replaced by {memory['superseded_by']}", "yellow"))
    return facts


def _name_owner(memory: results.MemoryResult) -> str:
    """Return whom a memory belongs to; the details show the whole name of a project."""
    if "project" not in memory or "scope" in memory:
        return name_owner(memory) or "global"
    project = memory["project"]
    return re.split(r"[\\/]", project.rstrip("\\/"))[-1] or project


def format_details(memory: results.MemoryResult) -> str:
    """Return the other attributes of a memory that is shown whole."""
    importance = memory.get("importance", DEFAULTS["importance"])
    details = [f"importance {importance:g}", f"stored {format_local_time(stored_at(memory))}"]
    if "project" in memory:
        details.append(f"project {memory['project']}")
    if "metadata" in memory:
        from json import dumps

        details.append(f"metadata {dumps(memory['metadata'], ensure_ascii=False)}")
    return " · ".join(details)


# --- lines --------------------------------------------------------------------------------------


def format_local_time(iso: str) -> str:
    """Return a time in the time zone of the user, to the minute."""
    try:
        return f"{datetime.fromisoformat(iso).astimezone(current_zone()):%Y-%m-%d %H:%M}"
    except (OverflowError, OSError, ValueError):  # at the limits of the calendar it cannot be converted
        return iso


def style_words(*words: tuple[str, str], gap: str = " ") -> Text:
    """Return words with their styles, and a gap between each two."""
    from rich.text import Text

    return Text(gap).join(Text(show_control_characters(word), style) for word, style in words)


def show_body(out: Console, text: str | Text, *, cut: bool = False) -> None:
    """Print indented text; a terminal wraps it, a pipe gets its lines whole."""
    from rich.padding import Padding
    from rich.text import Text

    body = Text(show_control_characters(text).rstrip("\n")) if isinstance(text, str) else text
    if cut:
        body.append(" […]", "dim")
    if out.is_terminal:
        put(out, Padding(body, (0, 0, 0, INDENT), expand=False))
    else:
        for line in body.split("\n", allow_blank=True):
            put(out, Text(" " * INDENT).append_text(line))


def hang(out: Console, head: Sequence[tuple[str, str]], rest: Text) -> RenderableType:
    """Return words of fixed width with the rest wrapped beside them, as a hanging indent."""
    from rich.table import Table
    from rich.text import Text

    if not out.is_terminal:
        return style_words(*head, ("", "")).append_text(rest)
    grid = Table.grid(padding=(0, 1))
    for word, _ in head:
        grid.add_column(width=len(word))
    grid.add_column()
    grid.add_row(*(Text(show_control_characters(word), style) for word, style in head), rest)
    return grid


def show_notes(out: Console, notes: Sequence[str]) -> None:
    """Print each note on a line of its own."""
    for note in notes:
        put(out, style_words(("Note:", "yellow"), (note, "")))


def open_console(*, stderr: bool = False) -> Console:
    """Return a console that shows text unchanged and never ends the process."""
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # `main` handles it; rich would end the process with a failure

    console = Quiet(stderr=stderr, highlight=False, markup=False, emoji=False)
    if console.is_terminal and console.width > MAX_WIDTH:
        console.width = MAX_WIDTH
    return console


def put(out: Console, what: RenderableType) -> None:
    """Print text; it is wrapped only in a terminal."""
    if isinstance(what, str):
        what = show_control_characters(what)
    out.print(what, soft_wrap=not out.is_terminal)


# --- progress -----------------------------------------------------------------------------------


@contextlib.contextmanager
def show_spinner(what: str) -> Generator[None]:
    """Show on stderr a sentence with a spinner, if stderr is a terminal."""
    err = open_console(stderr=True)
    with err.status(f"{what} …") if err.is_terminal else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def show_progress() -> Generator[Callable[[str], Progress]]:
    """Show a bar on stderr for each part of the work; without a terminal, a line now and then."""
    err = open_console(stderr=True)
    if not err.is_terminal:
        yield _print_lines
        return
    from rich.progress import Progress as Bars

    with Bars(console=err, transient=True) as display:
        tasks: dict[str, TaskID] = {}

        def bar(name: str) -> Progress:
            tasks[name] = display.add_task(name, total=None)
            return lambda done, total: display.update(tasks[name], completed=done, total=total)

        yield bar


def _print_lines(name: str) -> Progress:
    next_time = time.monotonic() + LINE_EVERY

    def watch(done: int, total: int) -> None:
        nonlocal next_time
        if time.monotonic() >= next_time:
            next_time = time.monotonic() + LINE_EVERY
            sys.stderr.write(f"sediment-mcp: {name}: {done:,} of {total:,}\n")

    return watch
