"""The tools as commands: store, query, list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sediment_mcp.cli.confirm import answer, load_model, parsed, project, standard_input, tidy_up

if TYPE_CHECKING:
    from sediment_mcp.app import Library
    from sediment_mcp.cli.options import Chosen
    from sediment_mcp.operations.arguments import ListMemories


def store(chosen: Chosen, library: Library) -> int:
    from sediment_mcp.cli import render
    from sediment_mcp.operations import tools
    from sediment_mcp.operations.arguments import StoreMemory

    if chosen.content == "-":
        chosen.content = standard_input()
    arguments = parsed(StoreMemory, chosen)
    load_model(library)
    result = tools.store_memory(library, arguments, project(library.config))
    tidy_up(library)
    return answer(chosen, result, lambda: render.show_stored(result))


def query(chosen: Chosen, library: Library) -> int:
    from sediment_mcp.cli import render, terminal
    from sediment_mcp.operations import tools
    from sediment_mcp.operations.arguments import QueryMemory

    arguments = parsed(QueryMemory, chosen)
    with terminal.waiting("Looking"):  # the model may have to be loaded
        result = tools.query_memory(library, arguments, project(library.config))
    return answer(chosen, result, lambda: render.show_found(result, explain=chosen.explain))


def list_(chosen: Chosen, library: Library) -> int:
    from sediment_mcp.cli import render
    from sediment_mcp.operations import tools, trash
    from sediment_mcp.operations.arguments import ListMemories

    arguments = parsed(ListMemories, chosen)
    if chosen.deleted:
        _refuse_filters(arguments)
        trash = trash.list_deleted(library, arguments.limit)
        return answer(chosen, trash, lambda: render.show_trash(trash))
    result = tools.list_memories(library, arguments, project(library.config))
    return answer(chosen, result, lambda: render.show_listed(result, whole=bool(arguments.ids)))


def _refuse_filters(arguments: ListMemories) -> None:
    """A filter that is silently ignored gives a wrong answer."""
    from sediment_mcp.errors import BadArgument

    if arguments.model_fields_set - {"limit"}:
        raise BadArgument("--deleted lists all that can be restored: use it with --limit alone.")
