"""The job of writing an export: all as of one moment, memory by memory, whatever is stored meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, BinaryIO

from typing_extensions import TypedDict

from sediment_mcp.domain.memory import Filters, Memory
from sediment_mcp.errors import BadArgument
from sediment_mcp.storage.sql import bulk
from sediment_mcp.system.progress import Progress, unwatched
from sediment_mcp.transfer.formats import sediment_jsonl

if TYPE_CHECKING:
    from sediment_mcp.app import Library
    from sediment_mcp.embeddings.protocols import ModelIdentity
    from sediment_mcp.storage.sql.memories import Store

BATCH = 200  # memories whose passages are read at a time
EVERYTHING = Filters(include_superseded=True)


@dataclass(frozen=True, slots=True)
class Selection:
    """What of the memories is exported; by default everything, ``trash`` says whether the deleted too."""

    filters: Filters = EVERYTHING
    trash: bool = True

    @property
    def is_everything(self) -> bool:
        return self == Selection()


class ExportResult(TypedDict):
    """What an export holds; ``rules`` of retention only go with everything."""

    memories: int
    rules: int
    model: str | None


def write_export(
    library: Library,
    out: BinaryIO,
    selection: Selection,
    *,
    embeddings: bool = False,
    progress: Progress = unwatched,
) -> ExportResult:
    """Write the selected memories as lines of JSON, with ``embeddings`` those of the model in use too.

    Raises:
        BadArgument: embeddings are asked for, and there is no model.
        Stopped: ``progress`` asked for it.
    """
    model = _model(library) if embeddings else None
    with library.read() as store:
        rules = store.ages.rules() if selection.is_everything else []
        total = bulk.count(store, selection.filters, trash=selection.trash)
        _write(
            out,
            [
                sediment_jsonl.header(library.now(), model),
                *(sediment_jsonl.rule_line(rule) for rule in rules),
            ],
        )
        chosen = bulk.memories(store, selection.filters, trash=selection.trash)
        for done, batch in batches(chosen):
            _write(out, _memory_lines(store, batch, model))
            progress(done, total)
    return ExportResult(memories=total, rules=len(rules), model=model.name if model else None)


def _model(library: Library) -> ModelIdentity:
    embedder = library.embedder()
    if embedder is None:
        raise BadArgument(f"{library.model_problem} Without a model there are no embeddings to export.")
    return embedder.identity


def batches(memories: Iterable[Memory]) -> Iterator[tuple[int, list[Memory]]]:
    """(how many there were with this one, a batch)."""
    done = 0
    for _, group in groupby(enumerate(memories), key=lambda numbered: numbered[0] // BATCH):
        batch = [memory for _, memory in group]
        done += len(batch)
        yield done, batch


def _memory_lines(store: Store, batch: list[Memory], model: ModelIdentity | None) -> Iterator[str]:
    passages = _passages(store, batch, model) if model else {}
    return (sediment_jsonl.memory_line(memory, passages.get(memory.number, {})) for memory in batch)


def _passages(store: Store, batch: list[Memory], model: ModelIdentity) -> dict[int, dict[str, object]]:
    """By the memory's number, for each that is embedded whole."""
    number = store.embeddings.number_of(model.fingerprint)
    chunks = sorted(store.chunks_of([memory.number for memory in batch]), key=lambda chunk: chunk.number)
    vectors = store.embeddings.of(number, [chunk.number for chunk in chunks]) if number is not None else {}
    found: dict[int, dict[str, object]] = {}
    for memory in batch:
        own = [chunk for chunk in chunks if chunk.memory == memory.number]
        if own and all(chunk.number in vectors for chunk in own):
            spans = [(chunk.start, chunk.end) for chunk in own]
            found[memory.number] = sediment_jsonl.embedded(
                spans, [vectors[chunk.number] for chunk in own], model.fingerprint
            )
    return found


def _write(out: BinaryIO, written: Iterable[str]) -> None:
    out.writelines(f"{line}\n".encode() for line in written)
