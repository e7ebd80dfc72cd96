"""How results look to a person: the only module that imports rich, and the only one that prints them.

In a terminal text is wrapped and coloured; in a pipe each line stays whole and plain. What memories hold is
data: neither rich's markup nor the terminal's own control characters in it have any effect.
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from .progress import Progress
from .visible import visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import TaskID
    from rich.text import Text

    from . import contract
    from .checkup import Reindexed
    from .forgetting import Removed, RuleResult, Upcoming
    from .history import HistoryResult, RevertResult
    from .surroundings import Finding

WIDEST = 100  # columns; longer lines of prose are hard to read
INDENT = 3
NAMED = 3  # memories whose history is told after a delete
MOST_IDS = 100  # in one command that is shown
PLAIN_EVERY = 5.0  # seconds between two lines of progress where there is no terminal
STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}
SIGNALS = {
    "semantic": ("meaning", "cosine of the question and the best passage"),
    "lexical": ("words", "BM25 of that passage, as a share of the highest"),
    "date": ("date", "1: of a day that the question names"),
    "context": ("session", "share of the relevance that its neighbours in the session lend"),
    "relevance": ("relevance", "all of these together, as a share of the most relevant"),
    "recency": ("recency", "factor: the newer, the nearer to 1"),
    "importance": ("importance", "factor: the more important, the nearer to 1"),
    "project": ("project", "factor: below 1 for another project's"),
}
IN_BRIEF = ("semantic", "lexical", "date", "context")


# --- results ------------------------------------------------------------------------------------


def show_stored(result: contract.StoreResult) -> None:
    out = _console()
    words = {"stored": "Stored", "duplicate": "Known already", "merged": "Stored, merged with an older one"}
    _print(out, _line((words[result["status"]], "bold green"), ("as", ""), (result["id"], "cyan")))
    if result["superseded"]:
        _print(out, _line(("It replaces", ""), (", ".join(result["superseded"]), "cyan")))
    if result["expires_at"]:
        _print(out, _line(("Forgotten after", ""), (_moment(result["expires_at"]), "")))
    for similar in result["similar"]:
        _print(
            out,
            _line(("Similar:", "yellow"), (similar["id"], "cyan"), (f"{similar['similarity']:.2f}", "dim")),
        )
        _body(out, similar["content"])
    _notes(out, result["warnings"])


def show_found(result: contract.QueryResult, *, explain: bool = False) -> None:
    """What was found; ``explain`` says of each result why it stands where it does."""
    out = _console()
    results = result["results"]
    if not results:
        _print(out, "Nothing found.")
    elif all(found["match"] == "weak" for found in results):
        _print(out, _line(("Nothing really fits. The nearest:", "yellow")))
        _print(out, "")
    for rank, found in enumerate(results, start=1):
        _show_ranked(out, rank, found, explain)
    _notes(out, result["notes"])


def _show_ranked(out: Console, rank: int, found: contract.RankedResult, explain: bool) -> None:
    weak = [("weak", "yellow")] if found["match"] == "weak" else []
    score = (f"{found['score']:.2f}", "bold")
    facts = _line(score, *weak, *_facts(found), gap="  ")
    _print(out, _hanging(out, [(f"{rank}.".ljust(INDENT - 1), "dim"), (found["id"], "cyan")], facts))
    _body(out, found["content"], cut=found["truncated"])
    for line in _explanations(found["signals"]) if explain else [_reasons(found["signals"])]:
        _body(out, _line((line, "dim")))
    _print(out, "")


def _reasons(signals: dict[str, float]) -> str:
    told = [(SIGNALS[name][0], signals.get(name, 0.0)) for name in IN_BRIEF]
    return " · ".join(f"{word} {value:.2f}" for word, value in told if value >= 0.005)


def _explanations(signals: dict[str, float]) -> list[str]:
    return [
        f"{word:<11}{signals[name]:5.2f}   {meaning}"
        for name, (word, meaning) in SIGNALS.items()
        if name in signals
    ]


def show_listed(result: contract.ListResult, *, whole: bool) -> None:
    """A page of memories; ``whole`` says that they were asked for by id, so everything of them is shown."""
    out = _console()
    memories = result["memories"]
    for memory in memories:
        _show_memory(out, memory)
        if whole:
            _body(out, _line((_details(memory), "dim")))
        _print(out, "")
    if not memories:
        _print(out, "Nothing found.")
    elif not whole:
        _print(out, _line((f"{len(memories)} of {result['total']:,}", "dim")))
    if "next_cursor" in result:
        _print(out, _line((f"More: the same with --cursor {result['next_cursor']}", "dim")))


def show_trash(result: contract.TrashResult) -> None:
    out = _console()
    for memory in result["memories"]:
        _show_deleted(out, memory)
    if result["memories"]:
        _print(
            out, _line((f"{len(result['memories'])} of {result['total']:,}; sediment-mcp restore ID", "dim"))
        )
    else:
        _print(out, "Nothing is deleted.")


def _show_deleted(out: Console, memory: contract.DeletedMemory) -> None:
    _show_memory(out, memory)
    deleted, until = _moment(memory["deleted_at"]), _moment(memory["recoverable_until"])
    _body(out, _line((f"deleted {deleted} · can be restored until {until}", "dim")))
    _print(out, "")


def show_doomed(shown: Sequence[contract.MemoryResult], total: int) -> None:
    """What a filter has found, before it is deleted: its newest, and how many there are."""
    out = _console(stderr=True)
    for memory in shown:
        _show_memory(out, memory)
    if total > len(shown):
        _print(out, _line((f"… and {total - len(shown):,} more", "dim")))


def show_deleted(result: contract.DeleteResult, before: Mapping[str, str], *, permanent: bool) -> None:
    """``before`` names, for each deleted memory that had replaced others, the version before it."""
    out = _console()
    if result["deleted"]:
        word = "Erased for good:" if permanent else "Deleted:"
        _print(out, _line((word, "bold"), (", ".join(result["deleted"]), "cyan")))
    elif not result["not_found"]:
        _print(out, "Nothing matches.")
    if result["recoverable_until"]:
        until = f"Until {_moment(result['recoverable_until'])} they come back with:"
        _print(out, _line((until, "dim"), (_restoring(result["deleted"]), "")))
    for identity, older in list(before.items())[:NAMED]:
        _print(out, f"What {identity} had replaced stays history. To revive it: sediment-mcp revert {older}")
    if len(before) > NAMED:
        _print(out, f"So does what {len(before) - NAMED} more of them had replaced.")
    _show_missing(out, result["not_found"], "No such memory:")


def _restoring(ids: Sequence[str]) -> str:
    return f"sediment-mcp restore {' '.join(ids[:MOST_IDS])}{' …' if len(ids) > MOST_IDS else ''}"


def show_restored(restored: Sequence[str], not_found: Sequence[str]) -> None:
    out = _console()
    if restored:
        _print(out, _line(("Restored:", "bold green"), (", ".join(restored), "cyan")))
    _show_missing(out, not_found, "Not among the deleted:")


def _show_missing(out: Console, ids: Sequence[str], words: str) -> None:
    if ids:
        _print(out, _line((words, "yellow"), (", ".join(ids), "")))


def show_history(result: HistoryResult) -> None:
    out = _console()
    for version in result["versions"]:
        state = (version["state"], "bold green" if version["id"] == result["current"] else "yellow")
        facts = _line((f"stored {_moment(version['created_at'])}", ""), state, *_facts(version), gap="  ")
        _print(out, _hanging(out, [(version["id"], "cyan")], facts))
        if version["deleted_at"]:
            _body(out, _line((f"deleted {_moment(version['deleted_at'])}", "dim")))
        _body(out, version["content"])
        _print(out, "")
    if len(result["versions"]) > 1:
        _print(out, _line(("sediment-mcp revert ID makes an old text the current one again", "dim")))


def show_reverted(result: RevertResult) -> None:
    text = f"is current, with the text of {result['reverted_to']}"
    _print(_console(), _line((result["id"], "cyan"), (text, "")))


def show_upcoming(result: Upcoming) -> None:
    out = _console()
    words = {"erase": "will be erased for good", "trash": "will go to the trash for 30 days"}
    for memory in result["memories"]:
        _show_memory(out, memory)
        _body(out, _line((f"{words[memory['action']]} ({memory['reason']})", "yellow")))
        _print(out, "")
    if result["total"]:
        _print(out, _line((f"{len(result['memories'])} of {result['total']:,} that would go now", "dim")))
    else:
        _print(out, "Nothing has ended.")


def show_removed(result: Removed) -> None:
    erased, trashed = len(result["erased"]), len(result["trashed"])
    _print(_console(), f"{erased:,} erased for good, {trashed:,} put into the trash.")


def show_rules(rules: Sequence[RuleResult]) -> None:
    out = _console()
    for rule in rules:
        whose = f"kind {rule['kind']}" if rule["kind"] else f"tag {rule['tag']}"
        age = f"at most {rule['max_age']} days old" if rule["max_age"] else ""
        count = f"at most {rule['max_count']:,} of them" if rule["max_count"] else ""
        _print(out, _line((f"{whose}:", "bold"), (", ".join(filter(None, (age, count))), "")))
    _print(out, "Besides: what says when it expires, 7 days after; what was deleted, 30 days after.")
    _print(out, "What has importance 1 stays. See what would go: sediment-mcp retention preview")


def show_cleared(count: int) -> None:
    _print(_console(), f"{count} {'rule' if count == 1 else 'rules'} cleared; what is deleted stays so.")


def show_findings(findings: Sequence[Finding]) -> None:
    out = _console()
    for finding in findings:
        state = (f"{finding.state:<8}", STYLES[finding.state])
        _print(out, _hanging(out, [state, (f"{finding.name:<15}", "bold")], _line((finding.sentence, ""))))
        if finding.remedy:
            _print(out, _hanging(out, [(" " * 8, ""), (f"{'':<13}→", "bold")], _line((finding.remedy, ""))))


def show_reindexed(result: Reindexed) -> None:
    passages = f"{result['passages']:,} passages"
    by_meaning = f"by meaning ({result['model']})" if result["embedded"] else ""
    kinds = " and ".join(["by words", by_meaning] if by_meaning else ["by words"])
    _print(_console(), f"{passages} are indexed {kinds}." if result["passages"] else "Nothing is stored yet.")


# --- pieces -------------------------------------------------------------------------------------


def _show_memory(out: Console, memory: contract.MemoryResult) -> None:
    _print(out, _hanging(out, [(memory["id"], "cyan")], _line(*_facts(memory), gap="  ")))
    _body(out, memory["content"], cut=memory["truncated"])


def _facts(memory: contract.MemoryResult) -> list[tuple[str, str]]:
    """What stands beside the id: when, what, where, tags."""
    facts = [(_moment(memory["occurred_at"]), ""), (memory["kind"], "magenta")]
    facts += [(f"#{tag}", "green") for tag in memory["tags"]]
    facts.append((_folder(memory["project"]) if memory["project"] else "global", "blue"))
    if memory["session"]:
        facts.append((f"session {memory['session']}", "dim"))
    if memory["expires_at"]:
        facts.append((f"until {_moment(memory['expires_at'])}", "dim"))
    if memory["superseded_by"]:
        facts.append((f"replaced by {memory['superseded_by']}", "yellow"))
    return facts


def _folder(project: str) -> str:
    """The name that people use for a project; two of one name are told apart when a memory is shown whole."""
    return re.split(r"[\\/]", project.rstrip("\\/"))[-1] or project


def _details(memory: contract.MemoryResult) -> str:
    details = [f"importance {memory['importance']:g}", f"stored {_moment(memory['created_at'])}"]
    if memory["project"]:
        details.append(f"project {memory['project']}")
    if memory["metadata"]:
        from json import dumps

        details.append(f"metadata {dumps(memory['metadata'], ensure_ascii=False)}")
    return " · ".join(details)


def _moment(iso: str) -> str:
    """A time where the reader lives, to the minute."""
    try:
        return f"{datetime.fromisoformat(iso).astimezone():%Y-%m-%d %H:%M}"
    except (OverflowError, OSError, ValueError):  # at the edges of the calendar no time zone can move it
        return iso


def _line(*parts: tuple[str, str], gap: str = " ") -> Text:
    """Words with their styles, and a gap between each two."""
    from rich.text import Text

    return Text(gap).join(Text(visible(word), style) for word, style in parts)


def _body(out: Console, text: str | Text, *, cut: bool = False) -> None:
    """Indented text; a terminal wraps it, a pipe gets its lines whole."""
    from rich.padding import Padding
    from rich.text import Text

    body = Text(visible(text).rstrip("\n")) if isinstance(text, str) else text
    if cut:
        body.append(" […]", "dim")
    if out.is_terminal:
        _print(out, Padding(body, (0, 0, 0, INDENT), expand=False))
    else:
        for line in body.split("\n", allow_blank=True):
            _print(out, Text(" " * INDENT).append_text(line))


def _hanging(out: Console, head: Sequence[tuple[str, str]], rest: Text) -> RenderableType:
    """Words of fixed width, and what is wrapped beside them."""
    from rich.table import Table
    from rich.text import Text

    if not out.is_terminal:
        return _line(*head, ("", "")).append_text(rest)
    grid = Table.grid(padding=(0, 1))
    for word, _ in head:
        grid.add_column(width=len(word))
    grid.add_column()
    grid.add_row(*(Text(visible(word), style) for word, style in head), rest)
    return grid


def _notes(out: Console, notes: Sequence[str]) -> None:
    for note in notes:
        _print(out, _line(("Note:", "yellow"), (note, "")))


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # for the edge to decide; rich would end the process as if it had failed

    console = Quiet(stderr=stderr, highlight=False, markup=False, emoji=False)
    if console.is_terminal and console.width > WIDEST:
        console.width = WIDEST
    return console


def _print(out: Console, what: RenderableType) -> None:
    out.print(what, soft_wrap=not out.is_terminal)


# --- long work ----------------------------------------------------------------------------------


@contextlib.contextmanager
def waiting(what: str) -> Generator[None]:
    """Say on stderr what is waited for, if there is a terminal to say it on."""
    err = _console(stderr=True)
    with err.status(f"{what} …") if err.is_terminal else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def bars() -> Generator[Callable[[str], Progress]]:
    """A progress bar on stderr for each part of the work; now and then a line where there is no terminal."""
    err = _console(stderr=True)
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
