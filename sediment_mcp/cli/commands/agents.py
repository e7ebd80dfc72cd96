"""The command that tells the agents of a project when to use their memory: guidance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.cli.confirm import answer, project

if TYPE_CHECKING:
    from sediment_mcp.app import Library
    from sediment_mcp.cli.options import Chosen


def guidance(chosen: Chosen, library: Library) -> int:
    """Write it into the project's files, take it out, or say where it is."""
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts.agent_instructions import KINDS

    unknown = next((name for name in chosen.files if name not in KINDS), None)
    if unknown is not None:
        raise BadArgument(f"{unknown!r} is no kind of guidance: take one of {', '.join(KINDS)}.")
    folder = Path(project(library.config) or Path.cwd())
    names = list(dict.fromkeys(chosen.files))
    return _change(chosen, folder, names) if names else _list(chosen, folder)


def _list(chosen: Chosen, folder: Path) -> int:
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts.agent_instructions import KINDS, state_of
    from sediment_mcp.hosts.config_file import read

    if chosen.uninstall or chosen.dry_run:
        raise BadArgument(f"Name what to change: {', '.join(KINDS)}.")
    found = [
        {"name": name, "path": str(folder / kind.file), "state": state_of(read(folder / kind.file))}
        for name, kind in KINDS.items()
    ]
    return answer(
        chosen,
        {"files": found},
        lambda: _show([f"{one['name']}: {one['state']}, {one['path']}" for one in found]),
    )


def _change(chosen: Chosen, folder: Path, names: list[str]) -> int:
    from sediment_mcp.hosts import config_file
    from sediment_mcp.hosts.agent_instructions import KINDS, taken_out, written

    result: list[dict[str, str]] = []
    for name in names:
        kind, path = KINDS[name], folder / KINDS[name].file
        before = config_file.read(path)
        after = taken_out(before, kind) if chosen.uninstall else written(before, kind)
        if before != after and not chosen.dry_run:
            config_file.change(path, before, after, backup=False)
        outcome = _outcome(before, after, chosen.uninstall)
        result.append(
            {
                "name": name,
                "path": str(path),
                "outcome": outcome,
                "diff": config_file.diff(path, before, after),
            }
        )
    lines = [
        one["diff"] if chosen.dry_run and one["diff"] else f"{one['path']}: {one['outcome']}."
        for one in result
    ]
    return answer(chosen, {"files": result}, lambda: _show(lines))


def _outcome(before: str | None, after: str | None, removing: bool) -> str:
    if before == after:
        return "not there" if removing else "unchanged"
    return "removed" if removing else "written"


def _show(lines: list[str]) -> None:
    from sediment_mcp.cli.terminal import console, put, styled

    out = console()
    for line in lines:
        put(out, styled((line, "")))
