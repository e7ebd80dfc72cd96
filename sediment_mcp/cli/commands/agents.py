"""The command that writes instructions for agents, of a project or everywhere: guidance."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sediment_mcp.cli.host_machine import detect_machine
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import command, complete_words, dry_run_option, pass_invocation

if TYPE_CHECKING:
    from sediment_mcp.hosts.agent_instructions import InstructionsFile


def _list_files() -> Iterable[str]:
    from sediment_mcp.hosts.agent_instructions import INSTRUCTIONS_FILES, USER_FILES

    return [*INSTRUCTIONS_FILES, *(name for name in USER_FILES if name not in INSTRUCTIONS_FILES)]


@command(
    "guidance",
    "sediment-mcp guidance claude agents",
    "sediment-mcp guidance claude codex --user",
    "sediment-mcp guidance --print",
    "sediment-mcp guidance cursor --uninstall",
)
@click.argument(
    "files",
    metavar="[FILE]...",
    nargs=-1,
    shell_complete=complete_words(_list_files),
    help="such as claude, agents or gemini; none lists them",
)
@click.option("--user", is_flag=True, help="your own files, which are read in all projects")
@click.option(
    "--print", "prints", is_flag=True, help="print a text to paste into Claude Desktop's preferences"
)
@click.option("--uninstall", is_flag=True, help="take the instructions out again")
@dry_run_option
@pass_invocation
def guidance(invocation: Invocation, files: tuple[str, ...], **options: bool) -> int:
    """Write instructions for agents into files of a project or yours, or list where they are."""
    from sediment_mcp.errors import BadArgument

    user, uninstall, dry_run = (options[name] for name in ("user", "uninstall", "dry_run"))
    if options["prints"]:
        return _print_preferences(invocation, is_alone=not (files or user or uninstall or dry_run))
    places = _list_places(invocation, user=user)
    unknown = next((name for name in files if name not in places), None)
    if unknown is not None:
        raise BadArgument(f"{unknown!r} is no kind of guidance: take one of {', '.join(places)}.")
    names = list(dict.fromkeys(files))
    if names:
        chosen = {name: places[name] for name in names}
        return _change(invocation, chosen, uninstall=uninstall, dry_run=dry_run)
    if uninstall or dry_run:
        raise BadArgument(f"Name what to change: {', '.join(places)}.")
    return _list(invocation, places)


def _print_preferences(invocation: Invocation, *, is_alone: bool) -> int:
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts.agent_instructions import PREFERENCES

    if not is_alone:
        raise BadArgument("--print only prints a text: give it alone.")
    return invocation.print_result({"text": PREFERENCES}, lambda: click.echo(PREFERENCES))


@dataclass(frozen=True)
class _Place:
    """A file on this machine, and the folder that it must not lead out of, if it is a project's."""

    path: Path
    file: InstructionsFile
    folder: Path | None = None


def _list_places(invocation: Invocation, *, user: bool) -> dict[str, _Place]:
    from sediment_mcp.hosts.agent_instructions import INSTRUCTIONS_FILES, USER_FILES
    from sediment_mcp.hosts.locations import resolve_path

    if user:
        machine = detect_machine()
        return {name: _Place(resolve_path(file.path, machine), file) for name, file in USER_FILES.items()}
    folder = _find_folder(invocation)
    return {name: _Place(folder / file.path, file, folder) for name, file in INSTRUCTIONS_FILES.items()}


def _find_folder(invocation: Invocation) -> Path:
    """Return the folder named, else the work tree, else the working directory.

    A linked work tree has files of its own, though its memories belong to the repository's project.

    Raises:
        BadArgument: the working directory is gone.
    """
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.system.project_root import find_work_tree, parse_file_uri

    if named := invocation.config.project:
        return Path(parse_file_uri(named) or named)
    try:
        return (find_work_tree(Path()) if named is None else None) or Path.cwd()
    except OSError:
        raise BadArgument("The working directory is gone: name the folder with --project.") from None


def _list(invocation: Invocation, places: Mapping[str, _Place]) -> int:
    from sediment_mcp.hosts.agent_instructions import get_block_state
    from sediment_mcp.hosts.config_file import read_text

    files = [
        {"name": name, "path": str(place.path), "state": get_block_state(read_text(place.path))}
        for name, place in places.items()
    ]
    lines = [f"{file['name']}: {file['state']}, {file['path']}" for file in files]
    return invocation.print_result({"files": files}, lambda: _show(lines))


def _change(invocation: Invocation, places: Mapping[str, _Place], *, uninstall: bool, dry_run: bool) -> int:
    results = [
        _change_file(name, place, uninstall=uninstall, dry_run=dry_run) for name, place in places.items()
    ]
    lines = [
        result["diff"] if dry_run and result["diff"] else f"{result['path']}: {result['outcome']}."
        for result in results
    ]
    return invocation.print_result({"files": results}, lambda: _show(lines))


def _change_file(name: str, place: _Place, *, uninstall: bool, dry_run: bool) -> dict[str, str]:
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts import config_file
    from sediment_mcp.hosts.agent_instructions import put_block, take_block

    path, folder = place.path, place.folder
    if folder and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise BadArgument(f"{path} is a link that leads out of the folder: write into its target by hand.")
    before = config_file.read_text(path)
    after = take_block(before, place.file) if uninstall else put_block(before, place.file)
    if before != after and not dry_run:
        config_file.replace_text(path, before, after, keep_backup=False)
    return {
        "name": name,
        "path": str(path),
        "outcome": _name_outcome(before, after, uninstall),
        "diff": config_file.format_diff(path, before, after),
    }


def _name_outcome(before: str | None, after: str | None, is_removal: bool) -> str:
    if before == after:
        return "not there" if is_removal else "unchanged"
    return "removed" if is_removal else "written"


def _show(lines: list[str]) -> None:
    from sediment_mcp.cli.terminal import open_console, put, style_words

    out = open_console()
    for line in lines:
        put(out, style_words((line, "")))
