"""What the doctor finds of the indexes on this machine: sound, complete, and not far behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sediment_mcp.config import Config
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.maintenance.findings import Finding
from sediment_mcp.storage.model_protocols import StoredModel
from sediment_mcp.storage.protocols import ReadSession
from sediment_mcp.storage.sqlite.read_only import is_read_only
from sediment_mcp.storage.sqlite.storage import DATABASE
from sediment_mcp.system.directory_encryption import DirectoryEncryption
from sediment_mcp.system.text import format_count, format_subject

if TYPE_CHECKING:
    from sediment_mcp.indexes.protocols import Snapshot

MAX_COUNTED = 10_000_000  # changed chunks; a greater number is given as this one
LAG_FACTOR = 4  # a memtable this many times the usual size means that no index is being written
REBUILD = "sediment-mcp doctor --fix writes it anew."


def check_text_index(session: ReadSession, config: Config, encryption: DirectoryEncryption) -> Finding:
    """Check the text index."""
    from sediment_mcp.indexes.text_files import TextWriter

    writer, limit = TextWriter(config.store_dir, encryption), config.tuning.text_memtable_limit
    if not writer.has_snapshot():
        chunks = session.changes.count_chunks_until(session.changes.seq())
        return _describe_missing("text index", chunks, limit, "searched directly, no index is needed yet")
    if is_read_only(config.store_dir / DATABASE):
        return Finding("text index", "ok", "It can only be used where it can be written: all is read.")
    try:
        index = writer.open()
        writer.verify()
    except DamagedSnapshot as error:
        return _describe_damaged("text index", error)
    if not session.snapshots.knows(writer.name, index.snapshot):
        return _describe_foreign("text index")
    seq = index.snapshot.seq
    expected = session.changes.count_chunks_until(seq)
    unindexed = session.changes.count_chunks_since(seq, MAX_COUNTED)
    return _compare_index(
        "text index", index, session.changes.seq(), expected=expected, unindexed=unindexed, usual_behind=limit
    )


def check_vector_indexes(
    session: ReadSession, config: Config, model: ModelIdentity | None, encryption: DirectoryEncryption
) -> Iterator[Finding]:
    """Check the index of the model in use; without a model, those of all models."""
    for stored in session.embeddings.models():
        if model is None or stored.model.fingerprint == model.fingerprint:
            yield _check_vector_index(session, config, stored, encryption)


def _check_vector_index(
    session: ReadSession, config: Config, stored: StoredModel, encryption: DirectoryEncryption
) -> Finding:
    from sediment_mcp.indexes.quantized_index import QuantizedWriter

    model, tuning = stored.model, config.tuning
    writer = QuantizedWriter(config.store_dir, model.fingerprint, model.dimension, encryption)
    if not writer.exists():
        how = "compared one by one, which is exact and quick for so few"
        return _describe_missing("vector index", stored.count, tuning.exact_search_limit, how)
    try:
        index = writer.open()
        index.verify()
    except DamagedSnapshot as error:
        return _describe_damaged("vector index", error)
    if not session.snapshots.knows(writer.name, index.snapshot):
        return _describe_foreign("vector index")
    seq, model_key = index.snapshot.seq, session.embeddings.model_key(model.fingerprint) or 0
    expected = session.embeddings.count_until(model_key, seq)
    unindexed = session.embeddings.count_since(model_key, seq, MAX_COUNTED)
    usual = tuning.vector_memtable_limit
    return _compare_index(
        "vector index",
        index,
        session.changes.seq(),
        expected=expected,
        unindexed=unindexed,
        usual_behind=usual,
    )


def _describe_missing(name: str, chunks: int, usual: int, how: str) -> Finding:
    passages = format_subject(chunks, "passage")
    if chunks >= LAG_FACTOR * usual:
        return Finding(
            name, "warning", f"There is none, and {passages} searched without.",
            f"A running server writes it; {REBUILD}",
        )  # fmt: skip
    return Finding(name, "ok", f"{passages} {how}.")


def _describe_damaged(name: str, error: DamagedSnapshot) -> Finding:
    sentence = str(error).removesuffix(": it is rebuilt.")
    return Finding(name, "problem", f"{sentence}.", REBUILD)


def _describe_foreign(name: str) -> Finding:
    return Finding(name, "problem", "It belongs to another database, such as one before a backup.", REBUILD)


def _compare_index(
    name: str, index: Snapshot, newest: int, *, expected: int, unindexed: int, usual_behind: int
) -> Finding:
    """Compare an index with the database.

    At least ``expected`` chunks must be in it; ``unindexed`` chunks were changed since it was written.
    """
    held = format_count(len(index), "passage")
    behind = f"change {index.snapshot.seq:,} of {newest:,}, {held}, {unindexed:,} in the tail"
    if len(index) < expected:
        missing = expected - len(index)
        sentence = f"{format_subject(missing, 'passage')} missing ({behind})."
        return Finding(name, "problem", sentence, REBUILD)
    if unindexed >= LAG_FACTOR * usual_behind:
        remedy = f"A running server catches up; {REBUILD}"
        return Finding(name, "warning", f"It lags far behind ({behind}).", remedy)
    return Finding(name, "ok", f"Sound: {behind}.")
