"""The tools as commands: store, query, list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sediment_mcp.cli.confirm import read_standard_input
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import (
    STREAM,
    command,
    complete_words,
    encoding_option,
    filter_options,
    kind_option,
    pass_invocation,
    scope_option,
    session_option,
    tags_option,
)
from sediment_mcp.cli.values import parse_arguments
from sediment_mcp.errors import BadArgument

if TYPE_CHECKING:
    from sediment_mcp.operations.arguments import ListMemories


@command(
    "store",
    'sediment-mcp store "Postgres on the staging host listens on port 5433." --tag database',
    "git log -1 --format=%B | sediment-mcp store - --kind episodic",
)
@click.argument(
    "content",
    metavar="TEXT...",
    nargs=-1,
    required=True,
    help="what to remember, several words are one text; - reads it from standard input",
)
@kind_option
@tags_option
@scope_option("project, global or team", "project", "global", "team")
@session_option
@click.option("--importance", metavar="0…1", help="a gentle nudge in ranking, 0.5 by default")
@click.option("--occurred-at", metavar="TIME", help="when it happened, ISO 8601, or a date; now by default")
@click.option("--expires-at", metavar="TIME", help="forgotten after this time or date")
@click.option("--replaces", metavar="ID", multiple=True, help="a memory it corrects; repeatable")
@click.option("--metadata", metavar="JSON", help="a JSON object of your own")
@encoding_option
@pass_invocation
def store(invocation: Invocation, content: tuple[str, ...], encoding: str | None, **options: Any) -> int:
    """Store a memory.

    What comes from standard input in another encoding than UTF-8 is decoded, or refused if it cannot be told.
    """
    from sediment_mcp.cli import render
    from sediment_mcp.operations.arguments import StoreMemory
    from sediment_mcp.operations.store_memory import store_memory
    from sediment_mcp.operations.stores import choose_store

    is_streamed = content == (STREAM,)
    if encoding is not None and not is_streamed:
        raise BadArgument("--encoding is for standard input: give - for the text, or leave it out.")
    text = read_standard_input(encoding) if is_streamed else " ".join(content)
    arguments = parse_arguments(StoreMemory, {"content": text, **options})
    invocation.load_model()
    app = invocation.app
    result = store_memory(app, arguments, invocation.project)
    invocation.embed_pending(choose_store(app, arguments.scope))
    return invocation.print_result(result, lambda: render.show_stored(result))


@command(
    "query",
    'sediment-mcp query "How do I reach the test database?"',
    'sediment-mcp query "release" --tag work --since 2026-01-01 --limit 3 --explain',
)
@click.argument("query", metavar="TEXT...", nargs=-1, required=True, help="a question or key words")
@click.option("--limit", metavar="N", help="at most so many, 5 by default")
@click.option("--max-chars", metavar="N", help="budget for all content, 8000 by default")
@click.option("--explain", is_flag=True, help="say of each result why it stands there")
@filter_options
@pass_invocation
def query(invocation: Invocation, query: tuple[str, ...], explain: bool, **options: Any) -> int:
    """Find memories by meaning and by words."""
    from sediment_mcp.cli import render, terminal
    from sediment_mcp.operations.arguments import QueryMemory
    from sediment_mcp.operations.query_memory import query_memory

    arguments = parse_arguments(
        QueryMemory, {"query": " ".join(query), "explain": explain or not invocation.json, **options}
    )
    app = invocation.app
    with terminal.show_spinner("Looking"):  # the model may have to be loaded
        result = query_memory(app, arguments, invocation.project)
    return invocation.print_result(result, lambda: render.show_results(result, explain=explain))


@command(
    "list",
    "sediment-mcp list --kind procedural --order oldest",
    "sediment-mcp list --related-to 7k2m9qpx4hwd",
    "sediment-mcp list --deleted",
)
@click.argument("ids", metavar="[ID]...", nargs=-1, help="read these whole")
@click.option("--related-to", metavar="ID", help="what is related to this one, nearest first, and why")
@click.option("--limit", metavar="N", help="so many a page, 20 by default")
@click.option(
    "--order",
    metavar="ORDER",
    shell_complete=complete_words(lambda: ("newest", "oldest")),
    help="newest (default) or oldest",
)
@click.option("--cursor", metavar="CURSOR", help="where the page before ended")
@click.option("--deleted", is_flag=True, help="what restore can bring back")
@filter_options
@pass_invocation
def list_(invocation: Invocation, deleted: bool, **options: Any) -> int:
    """Browse memories by date, read some whole by id, or see what is related to one."""
    from sediment_mcp.cli import render
    from sediment_mcp.operations.arguments import ListMemories
    from sediment_mcp.operations.list_memories import list_memories

    arguments = parse_arguments(ListMemories, options)
    if deleted:
        return _list_deleted(invocation, arguments)
    app = invocation.app
    result = list_memories(app, arguments, invocation.project)
    return invocation.print_result(result, lambda: render.show_page(result, whole=bool(arguments.ids)))


def _list_deleted(invocation: Invocation, arguments: ListMemories) -> int:
    """Show the trash; refuse filters, because one that is ignored gives a wrong answer."""
    from sediment_mcp.cli import render
    from sediment_mcp.operations import trash

    if arguments.given - {"limit"}:
        raise BadArgument("--deleted lists all that can be restored: use it with --limit alone.")
    app = invocation.app
    result = trash.list_deleted(app, arguments.limit, invocation.project)
    return invocation.print_result(result, lambda: render.show_trash(result))
