"""Save what can be read of a damaged database, and take the rest from a backup.

The damaged file is kept under another name and never written; a copy is read, every row that SQLite still
reaches. A text is trusted if it agrees with its hash; otherwise the backup's is taken, if it has one. Of an
encrypted database the pages that stand are read first; what those that fell decrypt to serves only where the
backup has nothing. Derived data are made anew: chunks that do not cover their text, tags, the change
sequence, and by the caller the indexes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

from sediment_mcp.app import Application
from sediment_mcp.background.backups import UNFINISHED
from sediment_mcp.domain.audit import ACTIONS
from sediment_mcp.domain.chunking import split_into_chunks
from sediment_mcp.embeddings.codec import are_unit_tokens, are_unit_vectors
from sediment_mcp.errors import DamagedDatabase, StorageError
from sediment_mcp.maintenance.results import SalvageResult
from sediment_mcp.maintenance.row_repair import RepairedRow, repair_row
from sediment_mcp.operations.results import build_result
from sediment_mcp.storage.sqlite import swap
from sediment_mcp.storage.sqlite.attached import add_missing
from sediment_mcp.storage.sqlite.backup_file import copy_sound, read_contents
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.page_salvage import is_likely_encrypted, make_readable
from sediment_mcp.storage.sqlite.salvage import WHOLE_TABLES, SalvageReader, SalvageWriter, open_damaged
from sediment_mcp.storage.sqlite.session import SqliteSession
from sediment_mcp.system.progress import Progress, ignore_progress
from sediment_mcp.system.timestamps import from_micros

REPORT_EVERY = 1000  # rows
FLOAT16_BYTES = 2


class _Counts(TypedDict):
    read: int
    from_backup: int
    lost: int
    doubtful: int
    is_complete: bool


@dataclass(slots=True)
class Remains:
    """What could be read of a damaged database.

    ``memories``, ``chunks`` (memory key, start, end) and ``embeddings`` (model key, chunk id, vector) are by
    key; ``token_vectors`` are (model key, chunk id, token vectors). ``known_ids`` has, by key, the ids of all
    memories that an index of the database still lists, ``endings`` their (deleted_at, superseded_by).
    ``is_complete`` says whether that list was read to its end, ``unread_tables`` are those of the small
    tables that were not.
    """

    memories: dict[int, RepairedRow] = field(default_factory=dict[int, RepairedRow])
    chunks: dict[int, tuple[int, int, int]] = field(default_factory=dict[int, tuple[int, int, int]])
    embeddings: dict[int, tuple[int, int, bytes]] = field(default_factory=dict[int, tuple[int, int, bytes]])
    token_vectors: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    models: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    token_models: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    rules: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    audit: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    whole_tables: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict[str, list[tuple[Any, ...]]])
    unread_tables: set[str] = field(default_factory=lambda: set(WHOLE_TABLES))
    erased_ids: list[str] = field(default_factory=list[str])
    known_ids: dict[int, str] = field(default_factory=dict[int, str])
    endings: dict[int, tuple[int | None, str | None]] = field(
        default_factory=dict[int, tuple[int | None, str | None]]
    )
    is_complete: bool = False


def salvage(app: Application, progress: Progress = ignore_progress) -> SalvageResult:
    """Replace the damaged database by what can be saved of it; running servers notice.

    Raises:
        StorageError: the directory cannot be written, the disk is full, or another process is in the way for
            too long; nothing is changed.
    """
    with app.backups.scratch_directory() as folder, app.file.file_lock():
        swap.finish(app.file.path)
        new = _build_scratch_path(folder, "salvaged")
        key = app.encryption.database_key(new)  # asked for first: without it nothing is done
        damaged_key = app.encryption.database_key(app.file.path)
        aside = swap.keep_damaged(app.file.path, app.now())
        remains = _read_damaged(aside, folder, damaged_key, progress)
        name, backup = _copy_newest_backup(app, folder, key)
        with contextlib.closing(SqliteDatabase.prepare(new, key=key)) as database:
            with database.attached(backup, key), database.transaction():
                counts = _write(SqliteSession(database), remains, app, has_backup=backup is not None)
            if database.integrity_faults() or not database.empty_log():
                raise StorageError("What was read could not be put together: restore a backup instead.")
        swap.replace(app.file.path, new)
    backup_name = name if counts["from_backup"] else None
    return build_result(SalvageResult, **counts, backup=backup_name, kept=aside.name)


def _build_scratch_path(folder: Path, name: str) -> Path:
    """Return the path of a scratch file, which is removed with other unfinished ones."""
    return folder / f"{name}{UNFINISHED}"


def _copy_aside(aside: Path, folder: Path, name: str) -> Path:
    """Copy the damaged database and its log into the folder, to read the copy."""
    copy = _build_scratch_path(folder, name)
    for companion in ("", "-wal"):
        swap.copy_file(aside.with_name(aside.name + companion), copy.with_name(copy.name + companion))
    return copy


def _copy_newest_backup(app: Application, folder: Path, key: bytes | None) -> tuple[str | None, Path | None]:
    """Return the name of the newest sound backup, and a copy of it with this key.

    None and None without one. Backups made before a restore are left out: the user has chosen to leave that
    state.
    """
    copy = _build_scratch_path(folder, "backup")
    for backup in app.backups.list_all():
        backup_key = app.encryption.database_key(backup.path)
        if backup.kind == "before-restore" or read_contents(backup.path, backup_key) is None:
            continue
        with contextlib.suppress(DamagedDatabase):
            copy_sound(backup.path, copy, source_key=backup_key, key=key)
            return backup.name, copy
        copy.unlink(missing_ok=True)
    return None, None


# --- reading ------------------------------------------------------------------------------------


def _read_damaged(aside: Path, folder: Path, key: bytes | None, progress: Progress) -> Remains:
    """Read what is left in the file that was put aside, by way of copies in the folder."""
    pattern = _build_scratch_path(folder, "pattern")
    copy = _copy_aside(aside, folder, "damaged")
    if key is None or not is_likely_encrypted(aside, key):
        return _read(copy, pattern, None, progress)
    standing = make_readable(copy, key)
    remains = _read(copy, pattern, key, progress)
    if standing.is_checked and standing.fallen:
        copy = _copy_aside(aside, folder, "fallen")
        make_readable(copy, key, believes_fallen=True)
        _add_fallen(remains, copy, pattern, key, progress)
    return remains


def _read(copy: Path, pattern: Path, key: bytes | None, progress: Progress) -> Remains:
    remains = Remains()
    with open_damaged(copy, pattern, key) as reader:
        if reader is not None:
            remains.memories = _read_memories(reader, progress)
            remains.chunks = {key: tuple(rest) for key, *rest in reader.chunks()}
            remains.embeddings = {key: tuple(rest) for key, *rest in reader.embeddings()}
            remains.token_vectors = reader.token_vectors()
            remains.models, remains.token_models = reader.models(), reader.token_models()
            remains.rules = reader.rules()
            remains.audit = [entry for entry in reader.audit() if _is_sound_entry(entry)]
            remains.whole_tables, remains.unread_tables = reader.whole_tables()
            remains.erased_ids = reader.erased_ids()
            remains.known_ids, remains.is_complete = reader.ids()
            remains.endings = reader.endings()
    return remains


def _add_fallen(remains: Remains, copy: Path, pattern: Path, key: bytes, progress: Progress) -> None:
    """Add what only pages that fell tell.

    Memories whose text agrees with its hash, as doubtful ones, and the ids of erased ones.
    """
    with open_damaged(copy, pattern, key) as reader:
        if reader is None:
            return
        for memory_key, row in _read_memories(reader, progress).items():
            known = remains.memories.get(memory_key)
            if row.is_sound and (known is None or not known.is_sound):
                remains.memories[memory_key] = replace(row, is_sound=False)
        remains.erased_ids += reader.erased_ids()


def _read_memories(reader: SalvageReader, progress: Progress) -> dict[int, RepairedRow]:
    found: dict[int, RepairedRow] = {}
    for done, row in enumerate(reader.memories(), start=1):
        repaired = repair_row(row)
        if repaired is not None:
            found[repaired.memory_key] = repaired
        if done % REPORT_EVERY == 0:
            progress(done, max(done, reader.last_memory_key))
    return found


# --- writing ------------------------------------------------------------------------------------


def _write(session: SqliteSession, remains: Remains, app: Application, *, has_backup: bool) -> _Counts:
    """Write everything into the new database, inside a transaction.

    The order: sound rows, then what the backup has besides, then doubtful rows.
    """
    writer = SalvageWriter(session.database)
    session.record_erased(remains.erased_ids)
    _write_memories(writer, remains, are_sound=True)
    sound = session.changes.count_memories()
    from_backup = add_missing(session, app.now()) if has_backup else 0
    writer.set_endings(_find_endings_of_unread(remains))
    before = session.changes.count_memories()
    _write_memories(writer, remains, are_sound=False)
    doubtful = session.changes.count_memories() - before
    if has_backup and not remains.rules:
        writer.adopt_rules()
    writer.add_rules(remains.rules)
    writer.add_whole_tables(remains.whole_tables)
    writer.add_audit(remains.audit)
    if has_backup:
        writer.adopt_audit()
        writer.adopt_whole_tables(remains.unread_tables)
    return _Counts(
        read=sound + doubtful,
        from_backup=from_backup,
        lost=len(set(remains.known_ids.values()) - writer.ids()),
        doubtful=doubtful,
        is_complete=remains.is_complete,
    )


def _write_memories(writer: SalvageWriter, remains: Remains, *, are_sound: bool) -> None:
    """Write the sound or the doubtful memories with their chunks, in order of last change."""
    rows = [row for row in remains.memories.values() if row.is_sound == are_sound]
    for row in sorted(rows, key=lambda row: (row.seq, row.memory_key)):
        writer.add_memory(row.memory_key, row.values, row.tags)
    unchanged = _write_chunks(writer, remains)
    _write_embeddings(writer, remains, unchanged)
    _write_token_vectors(writer, remains, unchanged)


def _write_chunks(writer: SalvageWriter, remains: Remains) -> set[int]:
    """Write chunks of memories that have none yet; return the ids of the unchanged chunks.

    Other memories are split anew, because the chunks that could be read do not cover their text.
    """
    chunks_of = _group_chunks(remains.chunks)
    as_before: list[tuple[int, int, int, int]] = []
    anew: list[tuple[None, int, int, int]] = []
    for memory_key, content in writer.memories_without_chunks():
        own = chunks_of.get(memory_key, {})
        row = remains.memories.get(memory_key)
        if row is not None and row.content == content and _is_covered(content, list(own.values())):
            as_before += [(chunk_id, memory_key, *span) for chunk_id, span in own.items()]
        else:
            anew += [(None, memory_key, *span) for span in split_into_chunks(content)]
    writer.add_chunks(as_before)
    writer.add_chunks(anew)
    return {chunk_id for chunk_id, *_ in as_before}


def _group_chunks(chunks: Mapping[int, tuple[int, int, int]]) -> dict[int, dict[int, tuple[int, int]]]:
    """Return, for each memory key, its spans (start, end) by chunk id, in order."""
    grouped: dict[int, dict[int, tuple[int, int]]] = {}
    for chunk_id, (memory_key, start, end) in sorted(chunks.items()):
        grouped.setdefault(memory_key, {})[chunk_id] = start, end
    return grouped


def _is_covered(content: str, spans: Sequence[tuple[int, int]]) -> bool:
    """Return whether the spans hold all of the content but white space."""
    reached = 0
    for start, end in spans:
        if not 0 <= start < end <= len(content) or content[reached:start].strip():
            return False
        reached = end
    return not content[reached:].strip()


def _write_embeddings(writer: SalvageWriter, remains: Remains, chunk_ids: set[int]) -> None:
    """Write the sound embeddings of unchanged chunks.

    A vector that is no longer of length one is left out, and is computed anew later.
    """
    dimensions = _read_dimensions(remains.models)
    models = writer.add_models(remains.models)
    writer.add_embeddings(
        (model, chunk_id, vector)
        for model, chunk_id, vector in remains.embeddings.values()
        if chunk_id in chunk_ids and model in models and _is_sound_vector(vector, dimensions.get(model, 0))
    )


def _write_token_vectors(writer: SalvageWriter, remains: Remains, chunk_ids: set[int]) -> None:
    """Write the sound token vectors of unchanged chunks; the others are made anew later."""
    dimensions = _read_dimensions(remains.token_models)
    models = writer.add_token_models(remains.token_models)
    writer.add_token_vectors(
        row
        for row in remains.token_vectors
        if row[1] in chunk_ids
        and row[0] in models
        and _is_sound_token_vectors(row[2], dimensions.get(row[0], 0))
    )


def _read_dimensions(models: Iterable[tuple[Any, ...]]) -> dict[int, int]:
    return {row[0]: row[3] for row in models if isinstance(row[3], int)}


def _is_sound_entry(entry: tuple[Any, ...]) -> bool:
    """Return whether an entry of the audit is one, with a list of ids."""
    number, at, caller, action, memories, text = entry
    if not (isinstance(number, int) and isinstance(at, int) and isinstance(caller, str)):
        return False
    try:
        ids: object = json.loads(memories)
        from_micros(at)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return False
    return isinstance(ids, list) and action in ACTIONS and isinstance(text, str | None)


def _is_sound_token_vectors(encoded: object, dimension: int) -> bool:
    return isinstance(encoded, bytes) and are_unit_tokens(encoded, dimension)


def _is_sound_vector(vector: object, dimension: int) -> bool:
    if not isinstance(vector, bytes) or not 0 < len(vector) == FLOAT16_BYTES * dimension:
        return False
    return are_unit_vectors([vector])


def _find_endings_of_unread(remains: Remains) -> Iterable[tuple[int | None, str | None, str]]:
    """Yield (deleted_at, superseded_by, id) of memories whose row is missing or doubtful.

    They come from the backup, if it has them. What was deleted or replaced after the backup stays so.
    """
    sound = {memory_key for memory_key, row in remains.memories.items() if row.is_sound}
    for memory_key, (deleted_at, successor) in remains.endings.items():
        if memory_key in remains.known_ids and memory_key not in sound:
            time = deleted_at if isinstance(deleted_at, int) else None
            yield time, successor, remains.known_ids[memory_key]
