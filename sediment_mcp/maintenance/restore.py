"""Restore a backup: preview what that would change, and carry it out.

A sound database stays in place and takes over the backup's content in one transaction, which running servers
see as a change like any other. A damaged one is renamed, and the backup takes its place.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from sediment_mcp.app import Application
from sediment_mcp.errors import BadArgument, DamagedDatabase
from sediment_mcp.maintenance.results import RestorePreview, RestoreResult
from sediment_mcp.maintenance.row_repair import count_wrong_rows
from sediment_mcp.operations.results import build_result
from sediment_mcp.storage.sqlite import swap
from sediment_mcp.storage.sqlite.attached import count_differences, return_to_other
from sediment_mcp.storage.sqlite.backup_file import read_contents
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.read_only import open_in_place
from sediment_mcp.system.directory_encryption import DirectoryEncryption
from sediment_mcp.system.timestamps import isoformat_to_second


def find_newest_backup(app: Application) -> str:
    """Return the name of the newest backup that can be read.

    Backups that were made before a restore are left out.

    Raises:
        BadArgument: there is no such backup.
    """
    for backup in app.backups.list_all():
        if backup.kind != "before-restore" and app.backups.read_contents(backup):
            return backup.name
    raise BadArgument("There is no backup yet: sediment-mcp backup makes one.")


def preview_restore(app: Application, name: str) -> RestorePreview:
    """Return what restoring a backup would change; change nothing.

    Raises:
        BadArgument: there is no such backup, or it is damaged.
    """
    with app.backups.sound_copy(app.backups.find(name)) as copy:
        return _preview(app, name, copy, is_damaged=is_damaged(app.file.path, app.encryption))


def _preview(app: Application, name: str, copy: Path, *, is_damaged: bool) -> RestorePreview:
    contents = read_contents(copy, app.encryption.database_key(copy))
    assert contents is not None  # a sound copy can be read
    preview = build_result(
        RestorePreview, backup=name, memories=contents.memories, newest=isoformat_to_second(contents.newest)
    )
    if not is_damaged:
        with app.file.read(attach=copy) as session:
            differences = count_differences(session)
        preview["returning"] = differences.returning
        preview["leaving"] = differences.leaving
        preview["changing"] = differences.changing
        if differences.staying_erased:
            preview["staying_erased"] = differences.staying_erased
    return preview


def restore_backup(app: Application, name: str) -> RestoreResult:
    """Restore a backup; the state before is kept.

    Raises:
        BadArgument: there is no such backup, or it is damaged.
        StorageError: the directory cannot be written, or another process is in the way for too long.
    """
    path, damaged = app.backups.find(name), is_damaged(app.file.path, app.encryption)
    kept = None
    if not damaged and _has_memories(app):
        kept = app.backups.make("before-restore").name
    with app.backups.sound_copy(path) as copy:
        preview = _preview(app, name, copy, is_damaged=damaged)
        if damaged:
            kept = _replace_damaged(app, copy).name
        else:
            with app.file.write(attach=copy) as session:
                session.audit.record("restore-backup")
                return_to_other(session, app.now())
    return build_result(RestoreResult, **preview, kept=kept)


def is_damaged(database: Path, encryption: DirectoryEncryption) -> bool:
    """Return whether the database exists and is damaged."""
    if not database.exists() or database.stat().st_size == 0:
        return False
    try:
        with contextlib.closing(open_in_place(database, encryption)) as session:
            return bool(session.database.integrity_faults()) or count_wrong_rows(session.database) > 0
    except DamagedDatabase:
        return True


def _has_memories(app: Application) -> bool:
    with app.storage.read() as session:
        return session.changes.count_memories() > 0


def _replace_damaged(app: Application, copy: Path) -> Path:
    """Put the backup in the place of the damaged database; return where the latter is kept."""
    with app.file.file_lock():
        aside = swap.keep_damaged(app.file.path, app.now())
        SqliteDatabase.prepare(copy, key=app.encryption.database_key(copy)).close()
        swap.replace(app.file.path, copy)
    return aside
