"""The command that counts: stats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sediment_mcp.cli.confirm import answer

if TYPE_CHECKING:
    from sediment_mcp.app import Library
    from sediment_mcp.cli.options import Chosen
    from sediment_mcp.operations.stats import Counted, IndexState, Stats

SHOWN = 10  # projects, tags or questions; --json has all
WIDTH = 15  # of the names on the left
BAR = 24  # columns of the longest bar of a month
MONTHS = 12


def stats(chosen: Chosen, library: Library) -> int:
    from sediment_mcp.operations import unanswered_queries
    from sediment_mcp.operations.stats import stats as counted

    if chosen.forget_questions:
        unanswered_queries.forget(library.config.data_dir)
    result = counted(library)
    return answer(chosen, result, lambda: _show(result))


def _show(result: Stats) -> None:
    from sediment_mcp.cli.terminal import console, hanging, put, styled

    out = console()
    for name, words in _lines(result):
        put(out, hanging(out, [(name.ljust(WIDTH), "bold")], styled((words, ""))))


def _lines(result: Stats) -> Iterator[tuple[str, str]]:
    """What stands on the left, and what beside it."""
    from sediment_mcp.maintenance.environment import size

    states = result["memories"].items()
    yield "memories", _joined(f"{n:,} {state}" for state, n in states if n or state == "live")
    yield "kinds", _joined(f"{kind} {n:,}" for kind, n in result["kinds"].items())
    yield "projects", _listed(result["projects"])
    yield "tags", _listed(result["tags"])
    yield "sessions", f"{result['sessions']:,}"
    yield "stored", _joined(f"{n:,} within a {age}" for age, n in result["stored_within"].items())
    for month, bar in _bars(list(result["months"].items())[-MONTHS:]):
        yield f"  {month}", bar
    yield "passages", f"{result['passages']:,}"
    for one in result["embeddings"]:
        yield "embeddings", f"{one['passages']:,} by {one['model']}"
    for index in result["indexes"]:
        yield f"{index['name'].removesuffix('s')} index", _state(index)
    yield "sizes", _joined(f"{place} {size(n)}" for place, n in result["sizes"].items())
    for asked in result["unanswered"][:SHOWN]:
        times = "once" if asked["times"] == 1 else f"{asked['times']:,} times"
        yield "not found", f"{asked['question']} ({times}, last on {asked['last'][:10]})"


def _joined(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"


def _listed(counts: Sequence[Counted]) -> str:
    shown = [f"{one['name'] or 'global'} {one['memories']:,}" for one in counts[:SHOWN]]
    more = [f"and {len(counts) - SHOWN:,} more"] if len(counts) > SHOWN else []
    return _joined([*shown, *more])


def _bars(months: Sequence[tuple[str, int]]) -> Iterator[tuple[str, str]]:
    most = max((count for _, count in months), default=1)
    for month, count in months:
        yield month, f"{'█' * max(1, round(BAR * count / most))} {count:,}"


def _state(index: IndexState) -> str:
    behind = index["behind"]
    if not index["exists"]:
        return f"none is needed yet, {behind:,} passages are searched directly"
    return f"up to date but for {behind:,} passages, which are searched directly"
