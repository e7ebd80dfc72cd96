"""The commands that delete and bring back: delete, restore, history, revert."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from sediment_mcp.cli.confirm import FAILED, confirm, confirm_yes, say
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import (
    command,
    history_option,
    kind_option,
    pass_invocation,
    scope_option,
    session_option,
    tags_option,
)
from sediment_mcp.cli.values import parse_arguments, parse_value
from sediment_mcp.errors import BadArgument
from sediment_mcp.system.time_zone import FIRST_TIME

if TYPE_CHECKING:
    from sediment_mcp.operations.arguments import ListMemories
    from sediment_mcp.operations.results import MemoryResult

MAX_PREVIEWED = 10  # memories shown before a delete by filter
RESOLUTION = timedelta(microseconds=1)  # by which "before" is earlier than "until"


# --- delete and restore -------------------------------------------------------------------------


@command(
    "delete",
    "sediment-mcp delete 0a1b2c3d4e5f6a7b",
    "sediment-mcp delete --tag draft --before 2026-01-01 --yes",
)
@click.argument("ids", metavar="[ID]...", nargs=-1, help="these; or all that a filter finds")
@scope_option("all that belong to: project, global or team", "project", "global", "team")
@kind_option
@tags_option
@session_option
@click.option("--before", metavar="TIME", help="all with an occurred_at earlier than this time or date")
@history_option
@click.option("--permanent", is_flag=True, help="erase for good, without a way back")
@click.option("--yes", is_flag=True, help="do not ask, neither how many nor whether")
@pass_invocation
def delete(invocation: Invocation, ids: tuple[str, ...], permanent: bool, yes: bool, **filters: Any) -> int:
    """Delete memories; restore brings them back for 30 days.

    What a filter finds is shown first, and its number has to be typed.
    """
    from sediment_mcp.cli import render
    from sediment_mcp.operations.arguments import DeleteMemory
    from sediment_mcp.operations.delete_memory import delete_memory
    from sediment_mcp.operations.history import previous_versions
    from sediment_mcp.operations.stores import choose_store

    given = {name: value for name, value in filters.items() if value}
    if given:
        chosen = _choose_by_filter(invocation, ids, given, permanent=permanent, yes=yes)
    else:
        chosen = _choose_by_id(ids, permanent=permanent, yes=yes)
    if chosen is None:
        say("Nothing was erased." if permanent else "Nothing was deleted.")
        return FAILED
    # Ids are looked for in both stores; a filter has found them in one.
    app = choose_store(invocation.app, given.get("scope"))
    before = previous_versions(app, chosen)
    # The ids are checked, and a filter may find more of them than one call of the tool may name.
    result = delete_memory(app, DeleteMemory(ids=chosen, permanent=permanent))
    invocation.print_result(result, lambda: render.show_deleted(result, before, permanent=permanent))
    return FAILED if "not_found" in result else 0


def _choose_by_id(ids: tuple[str, ...], *, permanent: bool, yes: bool) -> list[str] | None:
    """Return the ids once they are checked; None if the person does not want to erase them."""
    from sediment_mcp.operations.arguments import DeleteMemory
    from sediment_mcp.system.text import format_count

    if not ids:
        raise BadArgument("Nothing to delete: pass an ID or a filter such as --tag or --before.")
    checked = parse_arguments(DeleteMemory, {"ids": ids}).ids
    if not permanent or yes:
        return checked
    question = f"Erase {format_count(len(checked), 'memory')} for good?"
    refusal = "--permanent erases for good, and nobody is here to be asked: add --yes."
    return checked if confirm_yes(question, refusal) else None


def _choose_by_filter(
    invocation: Invocation, ids: tuple[str, ...], filters: dict[str, Any], *, permanent: bool, yes: bool
) -> list[str] | None:
    """Return the ids that the filter finds, once confirmed; None if the person says no."""
    from sediment_mcp.cli import render
    from sediment_mcp.operations.list_memories import list_matching

    if ids:
        raise BadArgument("Ids and filters do not go together: give the one or the other.")
    arguments = _parse_filters(**filters)
    chosen_by = (arguments.kind, arguments.tags, arguments.session, arguments.until)
    if arguments.scope == "all" and not any(chosen_by):
        raise BadArgument("That would be everything: say which memories, such as --tag or --before.")
    app = invocation.app
    found = list_matching(app, arguments, invocation.project)
    if found and not yes:
        render.show_deletion_preview(found[:MAX_PREVIEWED], len(found))
        if not _confirm_count(found, permanent):
            return None
    return [memory["id"] for memory in found]


def _parse_filters(*, before: str | None = None, **filters: Any) -> ListMemories:
    from sediment_mcp.operations.arguments import START, ListMemories

    arguments = parse_arguments(ListMemories, filters)
    if before is None:
        return arguments
    end = parse_value("before", START, before)
    return arguments.replace(until=max(end, FIRST_TIME + RESOLUTION) - RESOLUTION)


def _confirm_count(found: Sequence[MemoryResult], permanent: bool) -> bool:
    from sediment_mcp.system.text import format_count

    act = "erase them for good" if permanent else "delete them"
    return confirm(
        f"Type {len(found)} to {act}: ",
        (str(len(found)),),
        f"{format_count(len(found), 'memory')} would go, and nobody is here to be asked: add --yes.",
    )


@command("restore", "sediment-mcp restore 0a1b2c3d4e5f6a7b")
@click.argument("ids", metavar="ID...", nargs=-1, required=True, help="what list --deleted shows")
@pass_invocation
def restore(invocation: Invocation, ids: tuple[str, ...]) -> int:
    """Bring deleted memories back."""
    from sediment_mcp.cli import render
    from sediment_mcp.operations import trash
    from sediment_mcp.operations.arguments import DeleteMemory

    chosen = list(dict.fromkeys(parse_arguments(DeleteMemory, {"ids": ids}).ids))
    app = invocation.app
    result = trash.restore_memories(app, chosen)
    invocation.print_result(result, lambda: render.show_restored(result))
    return FAILED if "not_found" in result else 0


# --- versions -----------------------------------------------------------------------------------


@command("history", "sediment-mcp history 0a1b2c3d4e5f6a7b")
@click.argument("memory_id", metavar="ID", help="the id of any version")
@pass_invocation
def history(invocation: Invocation, memory_id: str) -> int:
    """Show all versions of a memory, oldest first."""
    from sediment_mcp.cli import render
    from sediment_mcp.operations import history

    app = invocation.app
    result = history.history(app, _parse_id(memory_id), invocation.project)
    return invocation.print_result(result, lambda: render.show_history(result))


@command("revert", "sediment-mcp revert 0a1b2c3d4e5f6a7b")
@click.argument("memory_id", metavar="ID", help="the version whose text becomes current")
@pass_invocation
def revert(invocation: Invocation, memory_id: str) -> int:
    """Make the text of an old version the current one again."""
    from sediment_mcp.cli import render
    from sediment_mcp.operations import history

    app = invocation.app
    result = history.revert(app, _parse_id(memory_id))
    return invocation.print_result(result, lambda: render.show_reverted(result))


def _parse_id(memory_id: str) -> str:
    from sediment_mcp.operations.arguments import MEMORY_ID

    return parse_value("id", MEMORY_ID, memory_id)
