"""The command that writes instructions for the agents of a project: guidance."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click

from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import command, complete_words, dry_run_option, pass_invocation


def _list_files() -> Iterable[str]:
    from sediment_mcp.hosts.agent_instructions import INSTRUCTIONS_FILES

    return INSTRUCTIONS_FILES


@command("guidance", "sediment-mcp guidance claude agents", "sediment-mcp guidance cursor --uninstall")
@click.argument(
    "files",
    metavar="[FILE]...",
    nargs=-1,
    shell_complete=complete_words(_list_files),
    help="such as claude, agents or gemini; none lists them",
)
@click.option("--uninstall", is_flag=True, help="take the instructions out again")
@dry_run_option
@pass_invocation
def guidance(invocation: Invocation, files: tuple[str, ...], uninstall: bool, dry_run: bool) -> int:
    """Write instructions for agents into a project's files, or list where they stand."""
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts.agent_instructions import INSTRUCTIONS_FILES

    unknown = next((name for name in files if name not in INSTRUCTIONS_FILES), None)
    if unknown is not None:
        raise BadArgument(f"{unknown!r} is no kind of guidance: take one of {', '.join(INSTRUCTIONS_FILES)}.")
    folder = _find_folder(invocation)
    names = list(dict.fromkeys(files))
    if names:
        return _change(invocation, folder, names, uninstall=uninstall, dry_run=dry_run)
    if uninstall or dry_run:
        raise BadArgument(f"Name what to change: {', '.join(INSTRUCTIONS_FILES)}.")
    return _list(invocation, folder)


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


def _list(invocation: Invocation, folder: Path) -> int:
    from sediment_mcp.hosts.agent_instructions import INSTRUCTIONS_FILES, get_block_state
    from sediment_mcp.hosts.config_file import read_text

    files = [
        {
            "name": name,
            "path": str(folder / file.path),
            "state": get_block_state(read_text(folder / file.path)),
        }
        for name, file in INSTRUCTIONS_FILES.items()
    ]
    lines = [f"{file['name']}: {file['state']}, {file['path']}" for file in files]
    return invocation.print_result({"files": files}, lambda: _show(lines))


def _change(invocation: Invocation, folder: Path, names: list[str], *, uninstall: bool, dry_run: bool) -> int:
    results = [_change_file(folder, name, uninstall=uninstall, dry_run=dry_run) for name in names]
    lines = [
        result["diff"] if dry_run and result["diff"] else f"{result['path']}: {result['outcome']}."
        for result in results
    ]
    return invocation.print_result({"files": results}, lambda: _show(lines))


def _change_file(folder: Path, name: str, *, uninstall: bool, dry_run: bool) -> dict[str, str]:
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts import config_file
    from sediment_mcp.hosts.agent_instructions import INSTRUCTIONS_FILES, put_block, take_block

    file = INSTRUCTIONS_FILES[name]
    path = folder / file.path
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise BadArgument(f"{path} is a link that leads out of the folder: write into its target by hand.")
    before = config_file.read_text(path)
    after = take_block(before, file) if uninstall else put_block(before, file)
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
