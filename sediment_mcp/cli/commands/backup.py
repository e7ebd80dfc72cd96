"""The commands about backups, and how their results look: backup, restore-backup."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from sediment_mcp.cli.confirm import answer, confirmed, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sediment_mcp.app import Library
    from sediment_mcp.background.backups import Backup
    from sediment_mcp.cli.options import Chosen
    from sediment_mcp.maintenance.restore import Preview, Restored


class _Listed(TypedDict):
    """One backup; ``memories`` and ``newest`` are null where it cannot be read."""

    name: str
    time: str
    kind: str
    bytes: int
    memories: int | None
    newest: str | None


def backup(chosen: Chosen, library: Library) -> int:
    """Make one now, in the folder or as a file of the user's own; or list those in the folder."""
    from pathlib import Path

    from sediment_mcp.cli.terminal import waiting
    from sediment_mcp.errors import BadArgument

    if chosen.list:
        if chosen.file:
            raise BadArgument("--list shows all backups in the folder: give no FILE with it.")
        listed = [_described(library, one) for one in library.backups.all()]
        return answer(chosen, {"backups": listed}, lambda: _show_list(listed))
    with library.read():  # there is something to copy from now on
        pass
    with waiting("Making a backup"):
        if chosen.file:
            path = Path(chosen.file).expanduser()
            library.backups.make_file(path)
        else:
            path = library.backups.make().path
    result = {"file": str(path)}
    return answer(chosen, result, lambda: _show_made(path))


def _described(library: Library, one: Backup) -> _Listed:
    from sediment_mcp.operations.results import written

    contents = library.backups.contents(one)
    return _Listed(
        name=one.name,
        time=written(one.time),
        kind=one.kind,
        bytes=one.path.stat().st_size,
        memories=contents.memories if contents else None,
        newest=written(contents.newest) if contents and contents.newest else None,
    )


def restore_backup(chosen: Chosen, library: Library) -> int:
    """Show what a backup holds and would change, ask, and go back to it."""
    from sediment_mcp.cli.terminal import waiting
    from sediment_mcp.maintenance import restore

    name = chosen.name or restore.newest_backup(library)
    if not chosen.yes:
        with waiting("Looking at the backup"):
            _show_preview(restore.preview(library, name))
        if not _is_wanted():
            say("Nothing was changed.")
            return 1
    with waiting("Going back"):
        result = restore.restore(library, name)
    return answer(chosen, result, lambda: _show_restored(result))


def _is_wanted() -> bool:
    return confirmed(
        "Go back to it? [y/N] ",
        ("y", "yes"),
        "The present memories would change, and nobody is here to be asked: add --yes.",
    )


# --- how it looks -------------------------------------------------------------------------------


def _show_made(path: object) -> None:
    from sediment_mcp.cli.terminal import console, put, styled

    put(console(), styled(("Backup made:", "bold green"), (str(path), "cyan")))


def _show_list(listed: Sequence[_Listed]) -> None:
    from sediment_mcp.cli.terminal import console, moment, put, styled
    from sediment_mcp.maintenance.environment import size

    out = console()
    for one in listed:
        facts = [(moment(one["time"]), ""), (one["name"], "cyan"), (size(one["bytes"]), "dim")]
        if one["memories"] is None:
            facts.append(("cannot be read", "bold red"))
        else:
            facts.append((_memories(one["memories"]), ""))
        put(out, styled(*facts, gap="  "))
    last = "sediment-mcp restore-backup NAME goes back to one." if listed else "There is no backup yet."
    put(out, styled((last, "dim")))


def _show_preview(told: Preview) -> None:
    from sediment_mcp.cli.terminal import console, moment, put, styled

    out = console(stderr=True)
    newest = f", the newest of {moment(told['newest'])}" if told["newest"] else ""
    put(out, styled((told["backup"], "cyan"), (f"holds {_memories(told['memories'])}{newest}.", "")))
    put(out, _what_changes(told, "comes back", "goes to the trash", "gets its older state back"))


def _what_changes(told: Preview, returning: str, leaving: str, changing: str) -> str:
    if told["returning"] is None:
        return "The present database is damaged and cannot be compared; it is kept as a file."
    counts = ((told["returning"], returning), (told["leaving"], leaving), (told["changing"], changing))
    parts = [f"{count:,} {words}" for count, words in counts if count]
    return f"Of what can be found, {', '.join(parts)}." if parts else "Nothing that can be found differs."


def _show_restored(result: Restored) -> None:
    from sediment_mcp.cli.terminal import console, put, styled

    out = console()
    put(out, styled(("Back at", "bold green"), (result["backup"], "cyan")))
    put(out, _what_changes(result, "came back", "went to the trash", "got its older state back"))
    if result["kept"]:
        put(out, styled(("What was there before is kept as", ""), (result["kept"], "cyan")))


def _memories(count: int) -> str:
    return f"{count:,} {'memory' if count == 1 else 'memories'}"
