"""Write an export, memory by memory, in the state of one moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, TypedDict

from sediment_mcp.errors import BadArgument
from sediment_mcp.system.progress import Progress, ignore_progress
from sediment_mcp.transfer.formats import sediment_jsonl
from sediment_mcp.transfer.records import Selection, split_into_batches

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.domain.memory import Memory
    from sediment_mcp.embeddings.protocols import Embedder, ModelIdentity
    from sediment_mcp.storage.model_protocols import ModelTableReader
    from sediment_mcp.storage.protocols import ReadSession

READ_AT_ONCE = 200  # memories whose embeddings are in memory at a time


class ExportResult(TypedDict):
    """What an export holds; it has retention ``rules`` only if everything is exported."""

    memories: int
    rules: int
    model: str | None


def write_export(
    app: Application,
    out: BinaryIO,
    selection: Selection,
    *,
    embeddings: bool = False,
    progress: Progress = ignore_progress,
) -> ExportResult:
    """Write the selected memories as JSON lines.

    With ``embeddings`` the lines carry those of the model in use too, and its token vectors.

    Raises:
        BadArgument: embeddings are asked for, and there is no model.
        Stopped: ``progress`` asked for it.
    """
    embedder = _require_model(app) if embeddings else None
    model = embedder.identity if embedder else None
    app.audit.note("export", ())
    with app.storage.read() as session:
        rules = session.retention.rules() if selection.is_everything else []
        _write_lines(out, [sediment_jsonl.format_header(app.now(), model)])
        _write_lines(out, map(sediment_jsonl.format_rule, rules))
        total = session.bulk.count(selection.filters, include_deleted=selection.include_deleted)
        selected = session.bulk.memories(selection.filters, include_deleted=selection.include_deleted)
        done = 0
        for batch in split_into_batches(selected, READ_AT_ONCE):
            _write_lines(out, format_memories(session, batch, embedder))
            done += len(batch)
            progress(done, total)
    return ExportResult(memories=total, rules=len(rules), model=model.name if model else None)


def _require_model(app: Application) -> Embedder:
    embedder = app.model.get()
    if embedder is None:
        raise BadArgument(f"{app.model.problem} Without a model there are no embeddings to export.")
    return embedder


def format_memories(session: ReadSession, batch: list[Memory], embedder: Embedder | None) -> Iterator[str]:
    """Return the lines of these memories, with what the model has made of them."""
    embeddings = _encode_embeddings(session, batch, embedder) if embedder else {}
    return (sediment_jsonl.format_memory(memory, embeddings.get(memory.key, {})) for memory in batch)


def _encode_embeddings(
    session: ReadSession, batch: list[Memory], embedder: Embedder
) -> dict[int, dict[str, object]]:
    """Return, by the memory's key, the fields of each memory whose chunks are all embedded."""
    chunks = sorted(session.chunks_of([memory.key for memory in batch]), key=lambda chunk: chunk.id)
    chunk_ids = [chunk.id for chunk in chunks]
    vectors = _read(session.embeddings, embedder.identity, chunk_ids)
    tokens = _read(session.token_vectors, embedder.token_identity, chunk_ids)
    encoded: dict[int, dict[str, object]] = {}
    for memory in batch:
        own = [chunk for chunk in chunks if chunk.memory_key == memory.key]
        if own and all(chunk.id in vectors for chunk in own):
            encoded[memory.key] = sediment_jsonl.encode_embeddings(
                [(chunk.start, chunk.end) for chunk in own],
                [vectors[chunk.id] for chunk in own],
                embedder.identity.fingerprint,
                [tokens[chunk.id] for chunk in own] if all(chunk.id in tokens for chunk in own) else [],
                embedder.token_identity.fingerprint if embedder.token_identity else "",
            )
    return encoded


def _read(table: ModelTableReader, model: ModelIdentity | None, chunk_ids: list[int]) -> dict[int, bytes]:
    model_key = table.model_key(model.fingerprint) if model else None
    return table.get(model_key, chunk_ids) if model_key is not None else {}


def _write_lines(out: BinaryIO, lines: Iterable[str]) -> None:
    out.writelines(f"{line}\n".encode() for line in lines)
