"""Going back to a backup: what that would change, and the change itself.

A sound database stays where it is and takes the backup's content over in one transaction, so that servers at
work beside it see a change like any other. A damaged one is put aside, and the backup takes its place.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

from sediment_mcp.app import WRITE_LOCK, Library
from sediment_mcp.background.backups import contents_of
from sediment_mcp.errors import BadArgument, DamagedDatabase
from sediment_mcp.maintenance.row_repair import wrong_rows
from sediment_mcp.operations.results import written
from sediment_mcp.storage.sql.memories import Store
from sediment_mcp.storage.sqlite import swap
from sediment_mcp.storage.sqlite.attached import difference, return_to
from sediment_mcp.system.files import locked


class Preview(TypedDict):
    """What a backup holds, and what going back to it would mean: ``returning`` memories come back,
    ``leaving`` go to the trash, ``changing`` get back what was said of them then. Null where the present
    database is damaged and cannot be compared."""

    backup: str
    memories: int
    newest: str | None
    returning: int | None
    leaving: int | None
    changing: int | None


class Restored(Preview):
    """``kept`` names the backup, or the file, in which the state before is kept."""

    kept: str | None


def newest_backup(library: Library) -> str:
    """The name of the newest backup that can be read, those made before a restore left out.

    Raises:
        BadArgument: there is none.
    """
    for backup in library.backups.all():
        if backup.kind != "before-restore" and library.backups.contents(backup):
            return backup.name
    raise BadArgument("There is no backup yet: sediment-mcp backup makes one.")


def preview(library: Library, name: str) -> Preview:
    """
    Raises:
        BadArgument: there is no such backup, or it is damaged.
    """
    with library.backups.borrowed(library.backups.named(name)) as copy:
        return _preview(library, name, copy, is_damaged=is_damaged(library.database))


def _preview(library: Library, name: str, copy: Path, *, is_damaged: bool) -> Preview:
    contents = contents_of(copy)
    assert contents is not None  # it has been checked
    counts: dict[str, int | None] = dict.fromkeys(("returning", "leaving", "changing"))
    if not is_damaged:
        with library.read(beside=copy) as store:
            counts |= asdict(difference(store))
    return Preview(
        backup=name,
        memories=contents.memories,
        newest=contents.newest and written(contents.newest),
        returning=counts["returning"],
        leaving=counts["leaving"],
        changing=counts["changing"],
    )


def restore(library: Library, name: str) -> Restored:
    """Go back to a backup; what was there before is kept.

    Raises:
        BadArgument: there is no such backup, or it is damaged.
        StorageError: the directory cannot be written, or another process is in the way for too long.
    """
    path, damaged = library.backups.named(name), is_damaged(library.database)
    kept = None
    if not damaged and _holds_anything(library):
        kept = library.backups.make("before-restore").name
    with library.backups.borrowed(path) as copy:
        told = _preview(library, name, copy, is_damaged=damaged)
        if damaged:
            kept = _take_its_place(library, copy).name
        else:
            with library.write(beside=copy) as store:
                return_to(store, library.now())
    return Restored(**told, kept=kept)


def is_damaged(database: Path) -> bool:
    """Whether there is a database in which something is wrong."""
    if not database.exists() or database.stat().st_size == 0:
        return False
    try:
        with contextlib.closing(Store(database, read_only=True)) as store:
            return bool(store.integrity()) or wrong_rows(store) > 0
    except DamagedDatabase:
        return True


def _holds_anything(library: Library) -> bool:
    with library.read() as store:
        return store.memory_count() > 0


def _take_its_place(library: Library, copy: Path) -> Path:
    """Put the damaged database aside; returns where it is kept."""
    with locked(library.config.data_dir / WRITE_LOCK):
        aside = swap.put_aside(library.database, library.now())
        Store.prepare(copy).close()
        swap.replace(library.database, copy)
    return aside
