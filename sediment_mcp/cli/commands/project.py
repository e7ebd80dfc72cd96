"""The command that lists projects and takes one along to another folder: project."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from sediment_mcp.cli.confirm import FAILED, confirm_yes, say
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import (
    command,
    complete_directory,
    dry_run_option,
    pass_invocation,
    yes_option,
)
from sediment_mcp.errors import BadArgument

if TYPE_CHECKING:
    from sediment_mcp.operations.results import MoveResult, ProjectResult

ACTIONS = ("list", "move")


@command(
    "project",
    "sediment-mcp project list",
    "sediment-mcp project move ~/code/shop ~/code/store",
    "sediment-mcp project move ~/code/shop . --dry-run",
)
@click.argument("action", metavar="ACTION", type=click.Choice(ACTIONS), help=", ".join(ACTIONS))
@click.argument(
    "folders",
    metavar="[OLD NEW]",
    nargs=-1,
    shell_complete=complete_directory,
    help="for move: the old folder, which may be gone, and the new one",
)
@dry_run_option
@yes_option
@pass_invocation
def project(invocation: Invocation, action: str, folders: tuple[str, ...], **options: bool) -> int:
    """List projects, or take along what belongs to one whose folder was renamed or moved.

    Memories move with their history and the trash; moving them back undoes it.
    """
    if action == "list":
        if folders or any(options.values()):
            raise BadArgument("project list takes nothing else: it shows every project.")
        return _list(invocation)
    if len(folders) != 2:
        raise BadArgument("project move needs two folders: the old one, then the new one.")
    return _move(invocation, *folders, **options)


def _list(invocation: Invocation) -> int:
    from sediment_mcp.operations.projects import list_projects

    app = invocation.app
    result = list_projects(app)
    return invocation.print_result({"projects": result}, lambda: _show_projects(result))


def _move(invocation: Invocation, old: str, new: str, *, dry_run: bool, yes: bool) -> int:
    from sediment_mcp.operations.projects import move_project, plan_move

    app = invocation.app
    planned = plan_move(app, old, new)
    if dry_run:
        result = {**planned, "dry_run": True}
        return invocation.print_result(result, lambda: _show_move(planned, dry_run=True))
    if planned["there_before"] and not yes and not _confirm_merge(planned):
        say("Nothing was moved.")
        return FAILED
    moved = move_project(app, old, new)
    return invocation.print_result({**moved, "dry_run": False}, lambda: _show_move(moved, dry_run=False))


def _confirm_merge(planned: MoveResult) -> bool:
    """Ask whether two projects may become one, because no command separates them again."""
    from sediment_mcp.system.text import format_count

    there = format_count(planned["there_before"], "memory")
    return confirm_yes(
        f"{planned['to']} has {there} already. Put all together?",
        f"{planned['to']} has {there} already, and nobody is here to be asked whether to put all together: "
        "add --yes.",
    )


# --- how results look ---------------------------------------------------------------------------


def _show_projects(projects: list[ProjectResult]) -> None:
    from sediment_mcp.cli.terminal import open_console, put, style_words
    from sediment_mcp.system.text import format_count

    out = open_console()
    for one in projects:
        gone = "its folder is gone" if _is_gone(one) else ""
        count = format_count(one["memories"], "memory")
        name = " ".join(one["project"].splitlines())
        put(out, style_words((name, "blue"), (count, ""), (gone, "yellow"), gap="  "))
    if not projects:
        put(out, "Nothing belongs to a project.")
    elif any(_is_gone(one) for one in projects):
        put(out, "What belongs to a folder that was renamed or moved: sediment-mcp project move OLD NEW")


def _is_gone(project: ProjectResult) -> bool:
    """Return True if the project is a folder that is gone; a name that is no path has none."""
    return os.path.isabs(project["project"]) and not project["exists"]


def _show_move(result: MoveResult, *, dry_run: bool) -> None:
    from sediment_mcp.cli.terminal import open_console, put, show_notes, style_words
    from sediment_mcp.system.text import format_count

    out = open_console()
    count = format_count(result["moved"], "memory")
    words = "would move" if dry_run else "moved"
    line = f"{count} {words} from {result['from']} to {result['to']}, history and trash included."
    put(out, style_words((line, "")))
    show_notes(out, result.get("notes", []))
