"""Examine an installation and its data, and fix what is wrong with them.

Examining changes nothing and does not hinder running servers: the database is opened read-only, and the model
is loaded with its files verified anew. Only `fix` and `reindex` write. Of memories in PostgreSQL the indexes
here are examined alike; what is said of the server stands in `server_findings`. Without the key of an
encrypted directory its files are not opened, and nothing is said of them or done to them.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sediment_mcp.app import Application, build_storage
from sediment_mcp.background.backups import FOLDER, list_backups
from sediment_mcp.config import NO_MODEL, Config
from sediment_mcp.embeddings.loader import load_embedder
from sediment_mcp.embeddings.protocols import Embedder
from sediment_mcp.embeddings.reranker import load_scorer
from sediment_mcp.errors import ModelUnavailable, NewerDatabase, StorageError
from sediment_mcp.maintenance import environment
from sediment_mcp.maintenance.embedding_findings import check_embeddings, check_token_vectors
from sediment_mcp.maintenance.encryption_findings import check_disk_encryption, check_encryption
from sediment_mcp.maintenance.findings import Finding, find_worst_state
from sediment_mcp.maintenance.index_findings import check_text_index, check_vector_indexes
from sediment_mcp.maintenance.restore import is_damaged
from sediment_mcp.maintenance.results import ReindexResult, SalvageResult
from sediment_mcp.maintenance.row_repair import count_wrong_rows
from sediment_mcp.maintenance.salvage import salvage
from sediment_mcp.maintenance.server_findings import check_backups, check_cache, check_server
from sediment_mcp.operations.language_hint import find_language_hint
from sediment_mcp.operations.results import build_result
from sediment_mcp.storage.protocols import ReadSession
from sediment_mcp.storage.sqlite.read_only import open_unchanged
from sediment_mcp.storage.sqlite.storage import DATABASE, WRITE_LOCK
from sediment_mcp.system.data_directory import CACHE_ID, find_fault
from sediment_mcp.system.directory_encryption import DirectoryEncryption, find_encryption
from sediment_mcp.system.files import format_bytes, translate_os_errors
from sediment_mcp.system.progress import Progress, ignore_progress
from sediment_mcp.system.text import format_count

RECOVER = (
    "sediment-mcp doctor --fix saves what can be read, takes the rest from a backup and keeps this file."
)
Load = Callable[[Config], Embedder]


def examine(
    config: Config,
    load: Load = load_embedder,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[Finding]:
    """Yield all findings, each as soon as it is made; create and change nothing."""
    is_safe = find_fault(config.store_dir) is None  # otherwise nothing in the directory is opened
    yield from _check_environment(config.store_dir, is_safe=is_safe)
    yield check_disk_encryption(config.store_dir)
    encryption = find_encryption(config)
    if is_safe:
        findings, is_safe = check_encryption(config, encryption)
        yield from findings
    if config.database:
        yield check_backups(config)
    else:
        yield from _check_backups(config)
    embedder, finding = _check_model(config, load)
    yield finding
    if config.reranker != NO_MODEL:
        yield _check_reranker(config)
    if config.database:
        yield from _check_shared(config, encryption, embedder, clock(), is_safe=is_safe)
    elif is_safe:
        yield from _check_data(config, encryption, embedder, clock())


def _check_environment(data_dir: Path, *, is_safe: bool) -> Iterator[Finding]:
    yield environment.check_package()
    yield environment.check_libraries()
    yield environment.check_directory(data_dir)
    for finding in (
        environment.check_permissions(data_dir),
        environment.check_disk(data_dir),
        environment.check_locks(data_dir, WRITE_LOCK) if is_safe else None,
    ):
        if finding is not None:
            yield finding


def _check_backups(config: Config) -> Iterator[Finding]:
    """Report the newest backup, and damaged databases that were put aside."""
    folder, database = config.store_dir / FOLDER, config.store_dir / DATABASE
    made = list_backups(folder)
    if made:
        total = format_bytes(sum(backup.path.stat().st_size for backup in made))
        newest = f"{made[0].time:%Y-%m-%d %H:%M} UTC"
        if _is_anything_stored(database):
            yield Finding("backups", "ok", f"{len(made)}, {total}, the newest of {newest}.")
        else:
            yield Finding(
                "backups", "warning", f"Nothing is stored, but there is a backup of {newest}.",
                "sediment-mcp restore-backup shows what it holds, and goes back to it.",
            )  # fmt: skip
    for path in sorted(config.store_dir.glob(f"{database.stem}.damaged-*{database.suffix}")):
        yield Finding(
            "put aside", "ok", f"{path.name}, {format_bytes(path.stat().st_size)}: a damaged database.",
            "Delete it when you no longer need it: it holds also what has been erased.",
        )  # fmt: skip


def fix(app: Application, progress: Callable[[str], Progress] = lambda _: ignore_progress) -> list[Finding]:
    """Make the data private, salvage a damaged database, and write every index anew.

    Missing embeddings are computed too. Returns what became of a damaged database; a missing database, or one
    of a newer version, is not changed. Without the key of an encrypted directory nothing is done.

    Raises:
        StorageError: the directory cannot be used, or another process is in the way for too long.
    """
    if fault := find_fault(app.config.store_dir):
        raise StorageError(str(fault))
    if not check_encryption(app.config, app.encryption)[1]:  # `examine` says why
        return []
    if app.config.store_dir.is_dir():
        # `examine` reports files of another user.
        with translate_os_errors(), contextlib.suppress(PermissionError):
            environment.make_all_private(app.config.store_dir)
    findings: list[Finding] = []
    if app.config.database:
        reindex(app, progress)
        return findings
    if is_damaged(app.file.path, app.encryption):
        findings.append(_describe_salvage(salvage(app, progress("damaged database"))))
    if find_worst_state(_check_database(app.file.path, app.encryption)) == "ok":
        reindex(app, progress)
    return findings


def _describe_salvage(result: SalvageResult) -> Finding:
    parts = [f"{format_count(result['read'], 'memory')} {'was' if result['read'] == 1 else 'were'} read"]
    if "backup" in result:
        parts.append(f"{result['from_backup']:,} came from the backup {result['backup']}")
    if result["doubtful"]:
        parts.append(f"{result['doubtful']:,} of these may have a wrong character")
    unknown = "" if result["is_complete"] else " or more, for the list of them is damaged too"
    if result["lost"] or unknown:
        parts.append(f"{result['lost']:,} {'is' if result['lost'] == 1 else 'are'} lost{unknown}")
    return Finding(
        "salvage", "ok" if len(parts) == 1 else "warning", f"The database was damaged: {', '.join(parts)}.",
        f"It is kept as {result['kept']}: delete that file when you no longer need it.",
    )  # fmt: skip


def reindex(
    app: Application, progress: Callable[[str], Progress] = lambda _: ignore_progress
) -> ReindexResult:
    """Compute missing embeddings and write every index anew; do nothing if no data exist.

    Raises:
        StorageError: the data cannot be used, or another process is in the way for too long.
    """
    embedder = app.model.get()
    identity = embedder.identity if embedder else None
    done = total = 0
    if app.config.database or _is_anything_stored(app.file.path):
        app.rebuild_indexes(progress)
        with app.storage.read() as session:
            model_key = session.embeddings.model_key(identity.fingerprint) if identity else None
            done, total = session.embeddings.count_embedded(model_key)
    return build_result(
        ReindexResult, model=identity.name if identity else None, passages=total, embedded=done
    )


def _is_anything_stored(database: Path) -> bool:
    return database.is_file() and database.stat().st_size > 0


# --- the model ----------------------------------------------------------------------------------


def _check_model(config: Config, load: Load) -> tuple[Embedder | None, Finding]:
    """Load the model with its files verified anew, and return it.

    It gets an empty data directory, so that no earlier hash of its files is used and none is recorded.
    """
    with tempfile.TemporaryDirectory() as empty:
        try:
            embedder = load(replace(config, data_dir=Path(empty)))
        except ModelUnavailable as error:
            return None, Finding("model", "ok" if config.model == NO_MODEL else "problem", str(error))
        except Exception as error:  # noqa: BLE001  a model's own code may raise anything
            return None, Finding(
                "model", "problem", f"{config.model} fails to load ({type(error).__name__}: {error}).",
                "Install sediment-mcp anew, or set SEDIMENT_MODEL to another model.",
            )  # fmt: skip
    identity = embedder.identity
    return embedder, Finding(
        "model", "ok", f"{identity.name} loads, {identity.dimension} dimensions, its files are sound."
    )


def _check_reranker(config: Config) -> Finding:
    """Load the configured cross-encoder, and score with it."""
    try:
        load_scorer(config)
    except ModelUnavailable as error:
        return Finding("reranker", "problem", str(error))
    except Exception as error:  # noqa: BLE001  a model's own code may raise anything
        return Finding(
            "reranker", "problem", f"{config.reranker} fails to load ({type(error).__name__}: {error}).",
            "Set SEDIMENT_RERANKER to another cross-encoder, or unset it.",
        )  # fmt: skip
    return Finding("reranker", "ok", f"{config.reranker} loads and scores.")


# --- the database -------------------------------------------------------------------------------


def _check_data(
    config: Config, encryption: DirectoryEncryption, embedder: Embedder | None, now: datetime
) -> Iterator[Finding]:
    path = config.store_dir / DATABASE
    findings = list(_check_database(path, encryption))
    yield from findings
    if len(findings) == 1 or find_worst_state(findings) != "ok":  # nothing is stored, or it is damaged
        return
    with open_unchanged(path, encryption) as session, session.snapshot():
        yield from _check_content(session, config, encryption, embedder, now)


def _check_shared(
    config: Config,
    encryption: DirectoryEncryption,
    embedder: Embedder | None,
    now: datetime,
    *,
    is_safe: bool,
) -> Iterator[Finding]:
    """Check the server that holds the memories, then what it holds and the indexes here."""
    findings, is_readable = check_server(config)
    yield from findings
    if not (is_readable and is_safe):
        return
    with tempfile.TemporaryDirectory() as empty:  # of a machine without indexes, which nothing is to change
        has_cache = (config.store_dir / CACHE_ID).exists()
        place = config if has_cache else replace(config, data_dir=Path(empty))
        storage = build_storage(place)
        try:
            with storage.read() as session:
                yield from _check_content(session, config, encryption, embedder, now)
        except StorageError as error:
            yield Finding("memories", "problem", str(error))
        finally:
            storage.close()
    yield check_cache(config.store_dir)


def _check_content(
    session: ReadSession,
    config: Config,
    encryption: DirectoryEncryption,
    embedder: Embedder | None,
    now: datetime,
) -> Iterator[Finding]:
    yield _count_memories(session, now)
    if hint := find_language_hint(session, config.model, now):
        yield Finding("languages", "warning", hint["sentence"], hint["remedy"])
    yield from check_embeddings(session, embedder.identity if embedder else None)
    yield from check_token_vectors(session, embedder.token_identity if embedder else None)
    yield check_text_index(session, config, encryption)
    yield from check_vector_indexes(session, config, embedder.identity if embedder else None, encryption)


def _check_database(path: Path, encryption: DirectoryEncryption) -> Iterator[Finding]:
    """Check the database file.

    Yields one finding if there is nothing to read, otherwise two: the file, and whether it is sound.
    """
    if not _is_anything_stored(path):
        yield Finding("database", "ok", "Nothing is stored yet.")
        return
    try:
        with open_unchanged(path, encryption) as session:
            database = session.database
            (schema, known), faults = database.schema(), database.integrity_faults()
            wrong = count_wrong_rows(database) if schema == known and not faults else 0
    except NewerDatabase as error:
        yield Finding("database", "problem", str(error))
    except StorageError as error:
        yield Finding("database", "problem", f"It cannot be read ({_format_cause(error)}).", RECOVER)
    else:
        if schema < known:
            yield Finding("database", "ok", f"Schema {schema}: the next use brings it to {known}.")
            return
        yield Finding(
            "database",
            "ok",
            f"{format_bytes(path.stat().st_size)}, log {_format_log_size(path)}, schema {schema}.",
        )
        if faults:
            yield Finding("integrity", "problem", f"Damaged: {'; '.join(faults[:3])}.", RECOVER)
        elif wrong:
            what = "memory is not what was stored" if wrong == 1 else "memories are not what was stored"
            yield Finding("integrity", "problem", f"Damaged: {wrong:,} {what}.", RECOVER)
        else:
            yield Finding(
                "integrity", "ok", "SQLite finds nothing wrong, and every text agrees with its hash."
            )


def _format_cause(error: StorageError) -> str:
    return str(error.__cause__ or error).rstrip(".")


def _format_log_size(path: Path) -> str:
    log = path.with_name(path.name + "-wal")
    return format_bytes(log.stat().st_size if log.exists() else 0)


def _count_memories(session: ReadSession, now: datetime) -> Finding:
    by_state = session.statistics.states(now)
    counts = [f"{count:,} {state}" for state, count in by_state.items() if state == "live" or count]
    return Finding("memories", "ok", f"{', '.join(counts)}.")
