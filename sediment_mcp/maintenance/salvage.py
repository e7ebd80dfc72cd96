"""Saving what can be read of a damaged database: every row that SQLite still reaches, the rest from a backup.

The damaged file is copied aside first and never written. A table is read row by row, and where a page cannot
be read the numbers behind it are sought by halves. A text is believed if its key, which is a hash, agrees;
otherwise the backup's is taken, if it has one. What is derived is made anew: passages that do not cover their
text, tags, the sequence, and by the caller the indexes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from sediment_mcp.app import WRITE_LOCK, Library
from sediment_mcp.background.backups import contents_of, copy_sound
from sediment_mcp.domain.chunking import split
from sediment_mcp.errors import DamagedDatabase, StorageError
from sediment_mcp.maintenance.row_repair import Row, mended
from sediment_mcp.storage.sql.memories import Store
from sediment_mcp.storage.sqlite import swap
from sediment_mcp.storage.sqlite.attached import KEPT, adopt
from sediment_mcp.storage.sqlite.connection import UNREADABLE, Database
from sediment_mcp.system.files import locked
from sediment_mcp.system.progress import Progress, unwatched

LOWEST, HIGHEST = -(2**63), 2**63 - 1
MARGIN = 200  # rows read beyond a range, because one damaged number must not hide those after it
MOST_NUMBERS = 10_000_000  # more than this is not believed of a damaged counter
ROWS_A_PAGE = 100
HEADER, PAGE = 100, 4096  # bytes; SQLite's file format, section 1.3
PART = "number, id, seq, content, text_key, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL"
ID_INDEX = "sqlite_autoindex_memories_1"


class Salvaged(TypedDict):
    """Memories read from the damaged database; those that ``from_backup`` (its name) had; those known to be
    ``lost``; those whose text does not agree with its hash (``doubtful``); whether the damaged database said
    how many there were (``is_complete``); and the file in which it is kept."""

    read: int
    from_backup: int
    backup: str | None
    lost: int
    doubtful: int
    is_complete: bool
    kept: str


@dataclass(slots=True)
class Remains:
    """What could be read. ``known`` has the ids of all memories that the database still knows by its index,
    ``ended`` (deleted_at, superseded_by) by number."""

    memories: dict[int, Row] = field(default_factory=dict[int, Row])
    chunks: dict[int, tuple[int, int, int]] = field(default_factory=dict[int, tuple[int, int, int]])
    embeddings: dict[int, tuple[int, int, bytes]] = field(default_factory=dict[int, tuple[int, int, bytes]])
    models: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    rules: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    erased: list[str] = field(default_factory=list[str])
    known: dict[int, str] = field(default_factory=dict[int, str])
    ended: dict[int, tuple[int | None, str | None]] = field(
        default_factory=dict[int, tuple[int | None, str | None]]
    )
    is_complete: bool = False


def salvage(library: Library, progress: Progress = unwatched) -> Salvaged:
    """Put what can be saved of the damaged database in its place; running servers notice.

    Raises:
        StorageError: the directory cannot be written, the disk is full, or another process is in the way for
            too long; nothing is changed.
    """
    with library.backups.workshop() as folder, locked(library.config.data_dir / WRITE_LOCK):
        swap.finish(library.database)
        aside = swap.put_aside(library.database, library.now())
        remains = _read(_working_copy(aside, folder), folder, progress)
        name, backup = _newest_backup(library, folder)
        new = folder / "salvaged.tmp"
        with contextlib.closing(Store.prepare(new)) as store:
            with store.attached(backup), store.transaction():
                told = _write(store, remains, library, has_backup=backup is not None)
            if store.integrity() or not store.empty_log():
                raise StorageError("What was read could not be put together: restore a backup instead.")
        swap.replace(library.database, new)
    return Salvaged(**told, backup=name if told["from_backup"] else None, kept=aside.name)


def _newest_backup(library: Library, folder: Path) -> tuple[str | None, Path | None]:
    """Its name and a copy of it; the state before a restore is not what the user has chosen."""
    copy = folder / "borrowed.tmp"
    for backup in library.backups.all():
        if backup.kind == "before-restore" or contents_of(backup.path) is None:
            continue
        with contextlib.suppress(DamagedDatabase):
            copy_sound(backup.path, copy)
            return backup.name, copy
        copy.unlink(missing_ok=True)
    return None, None


# --- reading ------------------------------------------------------------------------------------


def _working_copy(aside: Path, folder: Path) -> Path:
    copy = folder / "damaged.tmp"
    for companion in ("", "-wal"):
        swap.copy_file(aside.with_name(aside.name + companion), copy.with_name(copy.name + companion))
    return copy


def _read(copy: Path, folder: Path, progress: Progress) -> Remains:
    """All that can be read, after mending what keeps SQLite from opening the file at all."""
    for mended_bytes in (0, HEADER, PAGE):
        if mended_bytes:
            _mend_beginning(copy, folder, mended_bytes)
        with contextlib.suppress(*UNREADABLE), contextlib.closing(Database(copy)) as source:
            source.take_any_text()
            if source.is_ours():
                return _read_tables(source, progress)
    return Remains()


def _mend_beginning(copy: Path, folder: Path, count: int) -> None:
    """Write the first bytes, the header or the page that names all tables, as a new database has them."""
    pattern = folder / "pattern.tmp"
    if not pattern.exists():
        with contextlib.closing(Store.prepare(pattern)) as store:
            store.empty_log()
    first = bytearray(pattern.read_bytes()[:PAGE])
    pages = max(1, copy.stat().st_size // PAGE)
    first[28:32] = pages.to_bytes(4)  # size in pages, believed if the next two numbers are the same
    first[92:96] = first[24:28]
    first[32:40] = bytes(8)  # no free pages that anything could be taken from
    with copy.open("r+b") as file:
        file.write(first[:count])


def _read_tables(source: Database, progress: Progress) -> Remains:
    remains = Remains()
    last = _last(source, "memories")
    for done, row in enumerate(_readable(source, "memories", "*", last, PART), start=1):
        memory = mended(row)
        if memory is not None:
            remains.memories[memory.number] = memory
        if done % 1000 == 0:
            progress(done, max(done, last))
    last = _last(source, "chunks")
    for number, *rest in _readable(source, "chunks", 'number, memory, start, "end"', last):
        remains.chunks[number] = tuple(rest)
    last = _last(source, "embeddings")
    for number, *rest in _readable(source, "embeddings", "number, model, chunk, vector", last):
        remains.embeddings[number] = tuple(rest)
    remains.models = _some(source, "SELECT number, fingerprint, name, dimension FROM models")
    remains.rules = _some(source, "SELECT * FROM retention")
    remains.erased = [row[0] for row in _some(source, "SELECT id FROM erased")]
    remains.known, remains.is_complete = _ids(source)
    for number, deleted_at in _some(source, _by_index("deleted_at", "memories_by_deletion")):
        remains.ended[number] = deleted_at, None
    for number, successor in _some(source, _by_index("superseded_by", "memories_by_successor")):
        remains.ended[number] = remains.ended.get(number, (None, None))[0], successor
    return remains


def _by_index(column: str, index: str) -> str:
    return f"SELECT number, {column} FROM memories INDEXED BY {index} WHERE {column} IS NOT NULL"


def _readable(
    source: Database, table: str, columns: str, last: int, part: str = ""
) -> Iterator[tuple[Any, ...]]:
    """Every row that SQLite can read of a table, perhaps some twice, in about the order of their numbers;
    where it cannot read all ``columns`` of one, the ``part`` of them that matters most."""
    sql = f"SELECT {columns} FROM {table} NOT INDEXED WHERE number >= ? ORDER BY number"
    pieces = [(LOWEST, HIGHEST)]
    while pieces:
        low, high = pieces.pop()
        beyond = 0
        try:
            for row in source.iterate(sql, (low,)):
                yield row
                if low <= row[0] <= high:
                    low = row[0] + 1
                beyond += row[0] > high
                if beyond > MARGIN:
                    break
        except UNREADABLE:
            low, high = max(low, 1), min(high, last)
            if low < high:
                middle = (low + high) // 2
                pieces += [(middle + 1, high), (low, middle)]
            elif low == high and part:
                yield from _some(source, f"SELECT {part} FROM {table} NOT INDEXED WHERE number = ?", (low,))


def _last(source: Database, table: str) -> int:
    """The highest number that a table may hold."""
    counter = _some(source, f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'")
    highest = _some(source, f"SELECT MAX(number) FROM {table}")
    believed = [row[0] for row in (*counter, *highest) if isinstance(row[0], int)]
    guessed = source.path.stat().st_size // PAGE * ROWS_A_PAGE
    return min(MOST_NUMBERS, max((number for number in believed if number > 0), default=guessed))


def _some(source: Database, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """The rows of a statement up to the first that cannot be read."""
    found: list[tuple[Any, ...]] = []
    with contextlib.suppress(*UNREADABLE):
        found.extend(source.iterate(sql, values))
    return found


def _ids(source: Database) -> tuple[dict[int, str], bool]:
    """The ids that the database knows by its index, and whether all of the index could be read: from the
    front, and beyond a page that cannot be read from every possible beginning of an id."""
    sql = f"SELECT number, id FROM memories INDEXED BY {ID_INDEX} WHERE id >= ? ORDER BY id"
    try:
        return {row[0]: row[1] for row in source.iterate(sql, ("",))}, True
    except UNREADABLE:
        pass
    found: dict[int, str] = {}
    bounded = sql.replace("id >= ?", "id >= ? AND id < ?")
    for start in (one + two for one in ID_STARTS for two in ID_STARTS):
        end = start + "\x7f"
        for order in (bounded, f"{bounded} DESC"):
            found.update({row[0]: row[1] for row in _some(source, order, (start, end))})
    return found, False


ID_STARTS = "0123456789abcdefghijklmnopqrstuvwxyz"


# --- writing ------------------------------------------------------------------------------------


class _Told(TypedDict):
    read: int
    from_backup: int
    lost: int
    doubtful: int
    is_complete: bool


def _write(store: Store, remains: Remains, library: Library, *, has_backup: bool) -> _Told:
    """Everything into the new database, inside a transaction."""
    sound = {number: row for number, row in remains.memories.items() if row.agrees}
    doubtful = {number: row for number, row in remains.memories.items() if not row.agrees}
    store.note_erased(remains.erased)
    _write_memories(store, sound)
    _write_passages(store, remains)
    own = store.memory_count()
    taken = adopt(store, library.now()) if has_backup else 0
    _end_again(store, remains, own)
    before = store.memory_count()
    _write_memories(store, doubtful)
    _write_passages(store, remains)
    count = store.memory_count()
    if has_backup and not remains.rules:
        store.execute("INSERT OR IGNORE INTO main.retention SELECT * FROM other.retention", ())
    store.execute_many("INSERT OR IGNORE INTO retention VALUES (?,?,?,?)", remains.rules)
    there = {row[0] for row in store.rows("SELECT id FROM memories", ())}
    return _Told(
        read=own + count - before,
        from_backup=taken,
        lost=len({identity for identity in remains.known.values() if identity not in there}),
        doubtful=count - before,
        is_complete=remains.is_complete,
    )


def _write_memories(store: Store, rows: Mapping[int, Row]) -> None:
    """Those whose id is not there yet, in the order of their last change."""
    for number, row in sorted(rows.items(), key=lambda item: (item[1].seq, item[0])):
        is_free = not store.rows("SELECT 1 FROM memories WHERE number = ?", (number,))
        store.execute(
            f"INSERT OR IGNORE INTO memories (number, seq, id, {KEPT}, restored_at, changed_at) "
            "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (number if is_free else None, store.next_seq(), *row.values),
        )
        store.execute_many(
            "INSERT OR IGNORE INTO tags SELECT ?, number FROM memories WHERE id = ?",
            [(tag, row.id) for tag in row.tags],
        )


def _write_passages(store: Store, remains: Remains) -> None:
    """Passages of memories that have none yet: as they were, where they cover the text, otherwise anew."""
    spans: dict[int, dict[int, tuple[int, int]]] = {}
    for number, (memory, start, end) in remains.chunks.items():
        spans.setdefault(memory, {})[number] = start, end
    anew: list[tuple[int, str]] = []
    kept: set[int] = set()
    for memory, content in store.rows(
        "SELECT number, content FROM memories WHERE number NOT IN (SELECT memory FROM chunks)", ()
    ):
        own = dict(sorted(spans.get(memory, {}).items()))
        is_same = memory in remains.memories and remains.memories[memory].content == content
        if is_same and _covers(content, list(own.values())):
            store.execute_many("INSERT INTO chunks VALUES (?,?,?,?)", [(n, memory, *own[n]) for n in own])
            kept |= own.keys()
        else:
            anew.append((memory, content))
    store.execute_many(
        'INSERT INTO chunks (memory, start, "end") VALUES (?,?,?)',
        [(memory, *span) for memory, content in anew for span in split(content)],
    )
    _write_embeddings(store, remains, kept)


def _covers(content: str, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether nothing but white space lies outside the passages."""
    reached = 0
    for start, end in spans:
        if not 0 <= start < end <= len(content) or content[reached:start].strip():
            return False
        reached = end
    return not content[reached:].strip()


def _write_embeddings(store: Store, remains: Remains, chunks: set[int]) -> None:
    """Those of passages that are as they were; what is no unit vector any more is embedded anew."""
    sizes = {row[0]: row[3] for row in remains.models if isinstance(row[3], int)}
    store.execute_many("INSERT OR IGNORE INTO models VALUES (?,?,?,?)", remains.models)
    there = set(store.column("SELECT number FROM models", ()))
    seq = store.next_seq()
    store.execute_many(
        "INSERT OR IGNORE INTO embeddings (model, chunk, seq, vector) VALUES (?,?,?,?)",
        [
            (model, chunk, seq, vector)
            for model, chunk, vector in remains.embeddings.values()
            if chunk in chunks and model in there and _is_unit(vector, sizes.get(model, 0))
        ],
    )


def _is_unit(vector: object, size: int) -> bool:
    import numpy as np

    if not isinstance(vector, bytes) or len(vector) != 2 * size:
        return False
    values = np.frombuffer(vector, "<f2").astype(np.float32)
    return bool(abs(float(values @ values) - 1) < 0.02)


def _end_again(store: Store, remains: Remains, own: int) -> None:
    """What came from the backup, and is known to have been deleted or replaced since, stays so."""
    store.execute_many(
        "UPDATE memories SET deleted_at = COALESCE(?, deleted_at), "
        "superseded_by = COALESCE(?, superseded_by) WHERE id = ?",
        [
            (deleted_at if isinstance(deleted_at, int) else None, successor, remains.known[number])
            for number, (deleted_at, successor) in remains.ended.items()
            if number in remains.known and number not in remains.memories
        ],
    )
