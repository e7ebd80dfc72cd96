"""The commands that make backups and go back to them: backup, restore-backup."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import click

from sediment_mcp.cli.confirm import FAILED, confirm_yes, say
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import (
    command,
    complete_file,
    pass_invocation,
    passphrase_option,
    yes_option,
)
from sediment_mcp.errors import BadArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sediment_mcp.app import Application
    from sediment_mcp.background.backups import Backup
    from sediment_mcp.maintenance.results import RestorePreview, RestoreResult


class _BackupResult(TypedDict):
    """One backup; ``memories`` and ``newest`` are null where it cannot be read."""

    name: str
    time: str
    kind: str
    bytes: int
    memories: int | None
    newest: str | None


@command(
    "backup",
    "sediment-mcp backup",
    "sediment-mcp backup /mnt/disk/memories.db",
    "sediment-mcp backup --list",
)
@click.argument(
    "file",
    metavar="[FILE]",
    required=False,
    shell_complete=complete_file,
    help="a new file of your own; else in the folder",
)
@click.option("--list", "is_list", is_flag=True, help="list what there is in the folder")
@click.option("--encrypt", is_flag=True, help="over PostgreSQL: with a passphrase, in the format of age")
@passphrase_option
@pass_invocation
def backup(
    invocation: Invocation, file: str | None, is_list: bool, encrypt: bool, passphrase_file: str | None
) -> int:
    """Make a backup now, or list those that there are.

    Of memories in PostgreSQL it is an export of the tenant, into a FILE.
    """
    from pathlib import Path

    from sediment_mcp.cli.terminal import show_spinner

    if invocation.config.database:
        return _export_tenant(invocation, "" if is_list else file or "", encrypt, passphrase_file)
    if encrypt or passphrase_file:
        raise BadArgument("A backup is a database, which is not encrypted: use export FILE --encrypt.")
    if is_list:
        return _list(invocation, file)
    app = invocation.app
    with app.storage.read():  # this creates the database, if there is none
        pass
    with show_spinner("Making a backup"):
        if file:
            path = Path(file).expanduser()
            app.backups.make_file(path)
        else:
            path = app.backups.make().path
    return invocation.print_result({"file": str(path)}, lambda: _show_made(path))


def _export_tenant(invocation: Invocation, file: str, encrypt: bool, passphrase_file: str | None) -> int:
    from pathlib import Path

    from sediment_mcp.cli.commands.export import export_everything

    if not file:
        raise BadArgument(
            "The memories are in PostgreSQL, whose operator makes backups, as with pg_dump: name a FILE for "
            "an export of yours."
        )
    path = Path(file).expanduser()
    if path.exists():
        raise BadArgument(f"{path} exists already: name a new file.")
    result = export_everything(invocation, str(path), encrypt=encrypt, passphrase_file=passphrase_file)
    return invocation.print_result({"file": str(path), **result}, lambda: _show_made(path))


def _list(invocation: Invocation, file: str | None) -> int:
    if file:
        raise BadArgument("--list shows all backups in the folder: give no FILE with it.")
    app = invocation.app
    backups = [_describe_backup(app, backup) for backup in app.backups.list_all()]
    return invocation.print_result({"backups": backups}, lambda: _show_list(backups))


def _describe_backup(app: Application, one: Backup) -> _BackupResult:
    from sediment_mcp.system.timestamps import isoformat

    contents = app.backups.read_contents(one)
    return _BackupResult(
        name=one.name,
        time=isoformat(one.time),
        kind=one.kind,
        bytes=one.path.stat().st_size,
        memories=contents.memories if contents else None,
        newest=isoformat(contents.newest) if contents else None,
    )


@command("restore-backup", "sediment-mcp restore-backup", "sediment-mcp restore-backup ~/memories.db --yes")
@click.argument("name", metavar="[NAME]", required=False, help="from the list, or a file; else the newest")
@yes_option
@passphrase_option
@pass_invocation
def restore_backup(invocation: Invocation, name: str | None, yes: bool, passphrase_file: str | None) -> int:
    """Go back to a backup; what is newer goes to the trash.

    Over PostgreSQL what an exported FILE holds and is missing comes back, and nothing goes to the trash.
    """
    from sediment_mcp.cli.terminal import show_spinner
    from sediment_mcp.maintenance import restore

    if invocation.config.database:
        return _import_tenant(invocation, name, passphrase_file, yes=yes)
    app = invocation.app
    chosen = name or restore.find_newest_backup(app)
    if not yes:
        with show_spinner("Looking at the backup"):
            _show_preview(restore.preview_restore(app, chosen))
        refusal = "The present memories would change, and nobody is here to be asked: add --yes."
        if not confirm_yes("Go back to it?", refusal):
            say("Nothing was changed.")
            return FAILED
    with show_spinner("Going back"):
        result = restore.restore_backup(app, chosen)
    return invocation.print_result(result, lambda: _show_restored(result))


def _import_tenant(
    invocation: Invocation, name: str | None, passphrase_file: str | None, *, yes: bool
) -> int:
    from sediment_mcp.cli.commands.import_ import import_everything

    if name is None:
        raise BadArgument(
            "Name the FILE that `sediment-mcp backup FILE` has written; to bring a whole PostgreSQL database "
            "back is the work of its operator."
        )
    refusal = "Memories would be brought back, and nobody is here to be asked: add --yes."
    question = "Bring back what is missing here? What is here stays, and the later change of each counts."
    if not (yes or confirm_yes(question, refusal)):
        say("Nothing was changed.")
        return FAILED
    return import_everything(invocation, name, passphrase_file)


# --- how results look ---------------------------------------------------------------------------


def _show_made(path: object) -> None:
    from sediment_mcp.cli.terminal import open_console, put, style_words

    put(open_console(), style_words(("Backup made:", "bold green"), (str(path), "cyan")))


def _show_list(backups: Sequence[_BackupResult]) -> None:
    from sediment_mcp.cli.terminal import format_local_time, open_console, put, style_words
    from sediment_mcp.system.files import format_bytes
    from sediment_mcp.system.text import format_count

    out = open_console()
    for one in backups:
        facts = [
            (format_local_time(one["time"]), ""),
            (one["name"], "cyan"),
            (format_bytes(one["bytes"]), "dim"),
        ]
        if one["memories"] is None:
            facts.append(("cannot be read", "bold red"))
        else:
            facts.append((format_count(one["memories"], "memory"), ""))
        put(out, style_words(*facts, gap="  "))
    last = "sediment-mcp restore-backup NAME goes back to one." if backups else "There is no backup yet."
    put(out, style_words((last, "dim")))


def _show_preview(preview: RestorePreview) -> None:
    from sediment_mcp.cli.terminal import format_local_time, open_console, put, style_words
    from sediment_mcp.system.text import format_count

    out = open_console(stderr=True)
    newest = f", the newest of {format_local_time(preview['newest'])}" if "newest" in preview else ""
    put(
        out,
        style_words(
            (preview["backup"], "cyan"), (f"holds {format_count(preview['memories'], 'memory')}{newest}.", "")
        ),
    )
    put(out, _format_changes(preview, "comes back", "goes to the trash", "gets its older state back"))
    _show_staying_erased(preview)


def _format_changes(preview: RestorePreview, returning: str, leaving: str, changing: str) -> str:
    if "returning" not in preview:
        return "The present database is damaged and cannot be compared; it is kept as a file."
    counts = (
        (preview["returning"], returning),
        (preview.get("leaving", 0), leaving),
        (preview.get("changing", 0), changing),
    )
    parts = [f"{count:,} {words}" for count, words in counts if count]
    return f"Of what can be found, {', '.join(parts)}." if parts else "Nothing that can be found differs."


def _show_staying_erased(preview: RestorePreview) -> None:
    from sediment_mcp.cli.terminal import open_console, put
    from sediment_mcp.system.text import format_count

    if count := preview.get("staying_erased", 0):
        erased = format_count(count, "memory")
        put(
            open_console(stderr=True),
            f"{erased} stay erased: that was for good, on all synchronized devices.",
        )


def _show_restored(result: RestoreResult) -> None:
    from sediment_mcp.cli.terminal import open_console, put, style_words

    out = open_console()
    put(out, style_words(("Back at", "bold green"), (result["backup"], "cyan")))
    put(out, _format_changes(result, "came back", "went to the trash", "got its older state back"))
    _show_staying_erased(result)
    if "kept" in result:
        put(out, style_words(("What was there before is kept as", ""), (result["kept"], "cyan")))
