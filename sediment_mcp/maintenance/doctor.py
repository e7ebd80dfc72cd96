"""What `doctor` finds: everything that can be known about an installation and its data, as plain findings.

Looking changes nothing and disturbs nobody: the database is opened read-only, beside running servers too,
and the model is loaded with its files verified anew. Only `mend` writes.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from sediment_mcp.app import DATABASE, EXACT_UP_TO, TEXT_TAIL, VECTOR_TAIL, WRITE_LOCK, Library
from sediment_mcp.background.backups import FOLDER, named_in
from sediment_mcp.config import NO_MODEL, Config
from sediment_mcp.embeddings.protocols import Embedder, ModelIdentity, load_embedder
from sediment_mcp.errors import DamagedSnapshot, ModelUnavailable, NewerDatabase, StorageError
from sediment_mcp.indexes import tantivy_index, usearch_index
from sediment_mcp.indexes.tantivy_index import TextIndex
from sediment_mcp.indexes.text_search import INDEX_NAME
from sediment_mcp.indexes.usearch_index import VectorIndex
from sediment_mcp.indexes.vector_search import index_name
from sediment_mcp.maintenance import environment
from sediment_mcp.maintenance.environment import Finding, State, size
from sediment_mcp.maintenance.restore import is_damaged
from sediment_mcp.maintenance.row_repair import wrong_rows
from sediment_mcp.maintenance.salvage import Salvaged, salvage
from sediment_mcp.storage.sql.memories import Store
from sediment_mcp.system.data_directory import fault
from sediment_mcp.system.progress import Progress, unwatched

__all__ = ["Finding", "State", "examine", "mend", "worst"]

COUNTED = 10_000_000  # changes; more are not told apart
LAG = 4  # times the usual tail, from which an index should have been written long ago
REBUILD = "sediment-mcp doctor --fix writes it anew."
RECOVER = (
    "sediment-mcp doctor --fix saves what can be read, takes the rest from a backup and keeps this file."
)
Load = Callable[[Config], Embedder]


def examine(config: Config, load: Load = load_embedder) -> Iterator[Finding]:
    """All findings, one after the other as they are made. Nothing is created or changed."""
    yield environment.package()
    yield environment.libraries()
    yield environment.directory(config.data_dir)
    is_safe = fault(config.data_dir) is None  # otherwise nothing in it is opened
    for finding in (
        environment.permissions(config.data_dir),
        environment.disk(config.data_dir),
        environment.locks(config.data_dir, WRITE_LOCK) if is_safe else None,
    ):
        if finding is not None:
            yield finding
    yield from _backups(config)
    identity, finding = _model(config, load)
    yield finding
    if is_safe:
        yield from _data(config.data_dir, identity)


def _backups(config: Config) -> Iterator[Finding]:
    """The newest backup, and damaged databases that were put aside."""
    folder, database = config.data_dir / FOLDER, config.data_dir / DATABASE
    made = named_in(folder)
    if made:
        total = size(sum(backup.path.stat().st_size for backup in made))
        newest = f"{made[0].time:%Y-%m-%d %H:%M} UTC"
        if _is_anything_stored(database):
            yield Finding("backups", "ok", f"{len(made)}, {total}, the newest of {newest}.")
        else:
            yield Finding(
                "backups", "warning", f"Nothing is stored, but there is a backup of {newest}.",
                "sediment-mcp restore-backup shows what it holds, and goes back to it.",
            )  # fmt: skip
    for path in sorted(config.data_dir.glob(f"{database.stem}.damaged-*{database.suffix}")):
        yield Finding(
            "put aside", "ok", f"{path.name}, {size(path.stat().st_size)}: a damaged database.",
            "Delete it when you no longer need it: it holds also what has been erased.",
        )  # fmt: skip


def worst(findings: list[Finding]) -> State:
    """The state of the whole: that of its worst finding."""
    states = {finding.state for finding in findings}
    return "problem" if "problem" in states else "warning" if "warning" in states else "ok"


def mend(library: Library, progress: Callable[[str], Progress] = lambda _: unwatched) -> list[Finding]:
    """Make the data private, save what can be read of a damaged database, embed what is missing and write
    every index anew; returns what became of a damaged database. A missing or newer one is left as it is.

    Raises:
        StorageError: the directory cannot be used, or another process is in the way for too long.
    """
    if unsafe := fault(library.config.data_dir):
        raise StorageError(str(unsafe))
    if library.config.data_dir.is_dir():
        with contextlib.suppress(PermissionError):  # of another user's files `examine` tells
            environment.make_all_private(library.config.data_dir)
    found: list[Finding] = []
    if is_damaged(library.database):
        found.append(_saved(salvage(library, progress("damaged database"))))
    if worst(list(_database(library.database))) == "ok":
        reindex(library, progress)
    return found


def _saved(told: Salvaged) -> Finding:
    parts = [f"{told['read']:,} memories were read"]
    if told["from_backup"]:
        parts.append(f"{told['from_backup']:,} came from the backup {told['backup']}")
    if told["doubtful"]:
        parts.append(f"{told['doubtful']:,} of these may have a wrong character in their text")
    unknown = "" if told["is_complete"] else " or more, for the list of them is damaged too"
    if told["lost"] or unknown:
        parts.append(f"{told['lost']:,} are lost{unknown}")
    return Finding(
        "salvage", "ok" if len(parts) == 1 else "warning", f"The database was damaged: {', '.join(parts)}.",
        f"It is kept as {told['kept']}: delete that file when you no longer need it.",
    )  # fmt: skip


class Reindexed(TypedDict):
    """``embedded`` of the ``passages`` have an embedding of the ``model``; null without a model."""

    model: str | None
    passages: int
    embedded: int


def reindex(library: Library, progress: Callable[[str], Progress] = lambda _: unwatched) -> Reindexed:
    """Embed what is missing and write every index anew; where nothing is stored, nothing is made.

    Raises:
        StorageError: the data cannot be used, or another process is in the way for too long.
    """
    embedder = library.embedder()
    identity = embedder.identity if embedder else None
    done = total = 0
    if _is_anything_stored(library.database):
        library.rebuild(progress)
        with library.read() as store:
            model = store.embeddings.number_of(identity.fingerprint) if identity else None
            done, total = store.embeddings.counts(model or 0)
    return Reindexed(model=identity.name if identity else None, passages=total, embedded=done)


def _is_anything_stored(database: Path) -> bool:
    return database.is_file() and database.stat().st_size > 0


# --- the model ----------------------------------------------------------------------------------


def _model(config: Config, load: Load) -> tuple[ModelIdentity | None, Finding]:
    """Load the model as at the first day: in a directory of its own, so that no earlier verification of its
    files is believed and none is written down."""
    with tempfile.TemporaryDirectory() as empty:
        try:
            identity = load(replace(config, data_dir=Path(empty))).identity
        except ModelUnavailable as error:
            return None, Finding("model", "ok" if config.model == NO_MODEL else "problem", str(error))
        except Exception as error:  # noqa: BLE001  whatever a model's own code raises is what was asked for
            return None, Finding(
                "model", "problem", f"{config.model} fails to load ({type(error).__name__}: {error}).",
                "Install sediment-mcp anew, or set SEDIMENT_MODEL to another model.",
            )  # fmt: skip
    return identity, Finding(
        "model", "ok", f"{identity.name} loads, {identity.dimension} dimensions, its files are sound."
    )


# --- the database -------------------------------------------------------------------------------


def _data(data_dir: Path, identity: ModelIdentity | None) -> Iterator[Finding]:
    path = data_dir / DATABASE
    about_it = list(_database(path))
    yield from about_it
    if len(about_it) == 1 or worst(about_it) != "ok":  # nothing is stored, or not to be trusted
        return
    with contextlib.closing(Store(path, read_only=True)) as store, store.snapshot():
        yield _memories(store)
        yield from _embeddings(store, identity)
        yield _text(store, data_dir)
        yield from _vectors(store, data_dir, identity)


def _database(path: Path) -> Iterator[Finding]:
    """One finding if there is nothing to be read, otherwise two: the file, and what SQLite says of it."""
    if not _is_anything_stored(path):
        yield Finding("database", "ok", "Nothing is stored yet.")
        return
    try:
        with contextlib.closing(Store(path, read_only=True)) as store:
            (schema, known), faults = store.schema(), store.integrity()
            wrong = wrong_rows(store) if schema == known and not faults else 0
    except NewerDatabase as error:
        yield Finding("database", "problem", str(error))
    except StorageError as error:
        yield Finding("database", "problem", f"It cannot be read ({_cause(error)}).", RECOVER)
    else:
        if schema < known:
            yield Finding("database", "ok", f"Schema {schema}: the next use brings it to {known}.")
            return
        yield Finding("database", "ok", f"{size(path.stat().st_size)}, log {_log(path)}, schema {schema}.")
        if faults:
            yield Finding("integrity", "problem", f"Damaged: {'; '.join(faults[:3])}.", RECOVER)
        elif wrong:
            what = "memory is not what was stored" if wrong == 1 else "memories are not what was stored"
            yield Finding("integrity", "problem", f"Damaged: {wrong:,} {what}.", RECOVER)
        else:
            yield Finding(
                "integrity", "ok", "SQLite finds nothing wrong, and every text agrees with its hash."
            )


def _cause(error: StorageError) -> str:
    return str(error.__cause__ or error).rstrip(".")


def _log(path: Path) -> str:
    log = path.with_name(path.name + "-wal")
    return size(log.stat().st_size if log.exists() else 0)


def _memories(store: Store) -> Finding:
    tally = store.tallies.states(datetime.now(UTC))
    counts = [f"{count:,} {word}" for word, count in tally.items() if word == "live" or count]
    return Finding("memories", "ok", f"{', '.join(counts)}.")


def _embeddings(store: Store, identity: ModelIdentity | None) -> Iterator[Finding]:
    """How far the model in use has come, and what others have left; without a model, the latter alone."""
    used = identity.fingerprint if identity else ""
    if identity is not None:
        done, total = store.embeddings.counts(store.embeddings.number_of(used) or 0)
        yield Finding(
            "embeddings", "ok" if done == total else "warning", f"{done:,} of {total:,} passages.",
            "" if done == total else "A running server goes on with it; sediment-mcp reindex does it now.",
        )  # fmt: skip
    others = [
        f"{name} ({count:,} passages)"
        for name, fingerprint, _, count in store.embeddings.models()
        if fingerprint != used and count
    ]
    if others:
        yield Finding("other models", "ok", f"Kept for a way back: {', '.join(others)}.")


# --- the indexes --------------------------------------------------------------------------------


def _text(store: Store, data_dir: Path) -> Finding:
    name = "text index"
    if not (data_dir / tantivy_index.POINTER).exists():
        return _without(
            name, store.settled_chunks(store.seq()), TEXT_TAIL, "searched directly, no index is needed yet"
        )
    try:
        index = TextIndex(data_dir)
    except DamagedSnapshot as error:
        return _damaged(name, error)
    if not store.knows_snapshot(INDEX_NAME, index.token, index.seq):
        return _foreign(name)
    expected, tail = store.settled_chunks(index.seq), store.changed_chunks(index.seq, COUNTED)
    return _compared(name, (index.seq, store.seq()), (index.count, expected), tail, TEXT_TAIL)


def _vectors(store: Store, data_dir: Path, identity: ModelIdentity | None) -> Iterator[Finding]:
    for name, fingerprint, dimension, count in store.embeddings.models():
        if identity is None or fingerprint == identity.fingerprint:
            yield _vector(store, data_dir, ModelIdentity(name, fingerprint, dimension), count)


def _vector(store: Store, data_dir: Path, identity: ModelIdentity, count: int) -> Finding:
    name = "vector index"
    model = store.embeddings.number_of(identity.fingerprint) or 0
    if not usearch_index.is_there(data_dir, identity.fingerprint):
        return _without(name, count, EXACT_UP_TO, "compared one by one, which is exact and quick for so few")
    try:
        index = VectorIndex(data_dir, identity.fingerprint, identity.dimension)
    except DamagedSnapshot as error:
        return _damaged(name, error)
    if not store.knows_snapshot(index_name(identity.fingerprint), index.token, index.seq):
        return _foreign(name)
    expected = store.embeddings.settled(model, index.seq)
    tail = store.embeddings.count_since(model, index.seq, COUNTED)
    return _compared(name, (index.seq, store.seq()), (index.count, expected), tail, VECTOR_TAIL)


def _without(name: str, passages: int, usual: int, how: str) -> Finding:
    if passages >= LAG * usual:
        return Finding(
            name, "warning", f"There is none, and {passages:,} passages are searched without.",
            f"A running server writes it; {REBUILD}",
        )  # fmt: skip
    return Finding(name, "ok", f"{passages:,} passages are {how}.")


def _damaged(name: str, error: DamagedSnapshot) -> Finding:
    sentence = str(error).removesuffix(": it is rebuilt.")
    return Finding(name, "problem", f"{sentence}.", REBUILD)


def _foreign(name: str) -> Finding:
    return Finding(name, "problem", "It belongs to another database, such as one before a backup.", REBUILD)


def _compared(
    name: str, reached: tuple[int, int], passages: tuple[int, int], tail: int, usual: int
) -> Finding:
    """What an index has reached, as (change of the index, newest change) and (passages, passages that the
    index must at least hold), with ``tail`` passages changed since."""
    behind = f"change {reached[0]:,} of {reached[1]:,}, {passages[0]:,} passages, {tail:,} in the tail"
    if passages[0] < passages[1]:
        return Finding(
            name, "problem", f"{passages[1] - passages[0]:,} passages are missing ({behind}).", REBUILD
        )
    if tail >= LAG * usual:
        return Finding(
            name, "warning", f"It lags far behind ({behind}).", f"A running server catches up; {REBUILD}"
        )
    return Finding(name, "ok", f"Sound: {behind}.")
