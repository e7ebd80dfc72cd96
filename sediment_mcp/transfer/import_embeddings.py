"""Take over the embeddings and token vectors that an export brings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from sediment_mcp.transfer.formats.sediment_jsonl import (
    ExportedMemory,
    decode_embeddings,
    decode_token_vectors,
)

if TYPE_CHECKING:
    from sediment_mcp.domain.memory import Chunk, Memory
    from sediment_mcp.embeddings.protocols import Embedder, ModelIdentity
    from sediment_mcp.storage.model_protocols import ModelTable
    from sediment_mcp.storage.protocols import WriteSession
    from sediment_mcp.transfer.prepare import PreparedMemory


def add_embeddings(
    session: WriteSession, embedder: Embedder, known: Mapping[str, Memory], prepared: Sequence[PreparedMemory]
) -> None:
    """Add what comes of the model in use and is not here.

    The rest is left to the embedding queue.
    ``known`` are the memories that are stored, by id: those that have come now, and those that were here.
    """
    brought = {
        memory.key: incoming.exported
        for incoming in prepared
        if incoming.exported and incoming.exported.vectors and (memory := known.get(incoming.id))
        if memory.content == incoming.exported.content
    }
    chunks = sorted(session.chunks_of(list(brought)), key=lambda chunk: chunk.id)
    _add_missing(session.embeddings, embedder.identity, decode_embeddings, brought, chunks)
    if embedder.token_identity:
        _add_missing(session.token_vectors, embedder.token_identity, decode_token_vectors, brought, chunks)


def _add_missing(
    table: ModelTable,
    model: ModelIdentity,
    decode: Callable[[ExportedMemory, ModelIdentity], list[bytes] | None],
    brought: Mapping[int, ExportedMemory],
    chunks: Sequence[Chunk],
) -> None:
    """Add what a model has made of chunks of which nothing is kept.

    ``brought`` is by a memory's key.
    """
    model_key = table.model_key(model.fingerprint)
    kept = table.get(model_key, [chunk.id for chunk in chunks]) if model_key is not None else {}
    lacking: dict[int, list[Chunk]] = defaultdict(list)
    for chunk in chunks:
        if chunk.id not in kept:
            lacking[chunk.memory_key].append(chunk)
    vectors: list[tuple[int, bytes]] = []
    for key, own in lacking.items():
        made = decode(brought[key], model)
        if made and [(chunk.start, chunk.end) for chunk in own] == brought[key].passages:
            vectors += zip((chunk.id for chunk in own), made, strict=True)
    if vectors:
        table.add(table.register(model), vectors)
