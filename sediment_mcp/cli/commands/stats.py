"""The command that counts memories: stats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import command, pass_invocation
from sediment_mcp.system.text import format_count, format_subject

if TYPE_CHECKING:
    from sediment_mcp.operations.results import IndexStats, MemoryCount, StatsResult

MAX_LISTED = 10  # projects, tags or questions; --json has all
NAME_WIDTH = 15  # columns
BAR_WIDTH = 24  # columns, of the longest bar of a month
MAX_MONTHS = 12


@command("stats", "sediment-mcp stats", "sediment-mcp stats --json")
@click.option("--forget-questions", is_flag=True, help="first forget the questions kept that found nothing")
@pass_invocation
def stats(invocation: Invocation, forget_questions: bool) -> int:
    """Count memories by kind, tag, project and age, and show the sizes."""
    from sediment_mcp.operations.stats import stats
    from sediment_mcp.search import unanswered_queries

    if forget_questions:
        unanswered_queries.delete_all(invocation.config.store_dir)
    app = invocation.app
    result = stats(app)
    return invocation.print_result(result, lambda: _show(result))


def _show(result: StatsResult) -> None:
    from sediment_mcp.cli.terminal import hang, open_console, put, style_words

    out = open_console()
    for name, words in _format_lines(result):
        put(out, hang(out, [(name.ljust(NAME_WIDTH), "bold")], style_words((words, ""))))


def _format_lines(result: StatsResult) -> Iterator[tuple[str, str]]:
    """Yield the name of each line, and the text beside it."""
    from sediment_mcp.system.files import format_bytes

    yield "memories", _format_states(result["memories"])
    yield "kinds", _join(f"{kind} {n:,}" for kind, n in result["kinds"].items())
    yield "projects", _format_counts(result["projects"])
    yield "tags", _format_counts(result["tags"])
    yield "sessions", f"{result['sessions']:,}"
    yield "stored", _join(f"{n:,} within a {age}" for age, n in result["stored_within"].items())
    for month, bar in _format_bars(list(result["months"].items())[-MAX_MONTHS:]):
        yield f"  {month}", bar
    yield "passages", f"{result['passages']:,}"
    for model in result["embeddings"]:
        yield "embeddings", f"{model['passages']:,} by {model['model']}"
    for model in result["token_vectors"]:
        yield "token vectors", f"{model['passages']:,} by {model['model']}"
    for index in result["indexes"]:
        yield f"{index['name'].removesuffix('s')} index", _format_state(index)
    yield "sizes", _join(f"{place} {format_bytes(n)}" for place, n in result["sizes"].items())
    if "team" in result:
        yield "team", f"{result['team']['name']}: {_format_states(result['team']['memories'])}"
    for query in result["unanswered"][:MAX_LISTED]:
        times = "once" if query["times"] == 1 else f"{query['times']:,} times"
        yield "not found", f"{query['question']} ({times}, last on {query['last'][:10]})"


def _format_states(states: Mapping[str, int]) -> str:
    return _join(f"{n:,} {state}" for state, n in states.items() if n or state == "live")


def _join(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"


def _format_counts(counts: Sequence[MemoryCount]) -> str:
    shown = [f"{count['name'] or 'global'} {count['memories']:,}" for count in counts[:MAX_LISTED]]
    more = [f"and {len(counts) - MAX_LISTED:,} more"] if len(counts) > MAX_LISTED else []
    return _join([*shown, *more])


def _format_bars(months: Sequence[tuple[str, int]]) -> Iterator[tuple[str, str]]:
    highest = max((count for _, count in months), default=1)
    for month, count in months:
        yield month, f"{'█' * max(1, round(BAR_WIDTH * count / highest))} {count:,}"


def _format_state(index: IndexStats) -> str:
    behind = index["behind"]
    if not index["exists"]:
        return f"none is needed yet, {format_subject(behind, 'passage')} searched directly"
    if not behind:
        return "up to date"
    return f"up to date but for {format_count(behind, 'passage')}, searched directly"
