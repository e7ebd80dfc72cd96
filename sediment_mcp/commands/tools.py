"""The tools as commands: store, query, list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .console import answer, load_model, parsed, project, standard_input, tidy_up

if TYPE_CHECKING:
    from ..contract import ListMemories
    from ..library import Library
    from .options import Chosen


def store(chosen: Chosen, library: Library) -> int:
    from .. import operations
    from ..contract import StoreMemory
    from . import shown

    if chosen.content == "-":
        chosen.content = standard_input()
    arguments = parsed(StoreMemory, chosen)
    load_model(library)
    result = operations.store_memory(library, arguments, project(library.config))
    tidy_up(library)
    return answer(chosen, result, lambda: shown.show_stored(result))


def query(chosen: Chosen, library: Library) -> int:
    from .. import operations
    from ..contract import QueryMemory
    from . import shown, terminal

    arguments = parsed(QueryMemory, chosen)
    with terminal.waiting("Looking"):  # the model may have to be loaded
        result = operations.query_memory(library, arguments, project(library.config))
    return answer(chosen, result, lambda: shown.show_found(result, explain=chosen.explain))


def list_(chosen: Chosen, library: Library) -> int:
    from .. import forgetting, operations
    from ..contract import ListMemories
    from . import shown

    arguments = parsed(ListMemories, chosen)
    if chosen.deleted:
        _refuse_filters(arguments)
        trash = forgetting.list_deleted(library, arguments.limit)
        return answer(chosen, trash, lambda: shown.show_trash(trash))
    result = operations.list_memories(library, arguments, project(library.config))
    return answer(chosen, result, lambda: shown.show_listed(result, whole=bool(arguments.ids)))


def _refuse_filters(arguments: ListMemories) -> None:
    """A filter that is silently ignored gives a wrong answer."""
    from ..errors import BadArgument

    if arguments.model_fields_set - {"limit"}:
        raise BadArgument("--deleted lists all that can be restored: use it with --limit alone.")
