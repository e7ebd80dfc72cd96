"""Write and read our own format: JSON lines that carry everything.

An export is a complete copy. The first line names the format and its version, then come the retention rules,
then the memories in the order in which they were stored. Each line can be read without
the others, so a damaged line loses only its own memory or rule.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sediment_mcp.domain.chunking import split_into_chunks
from sediment_mcp.domain.memory import Memory
from sediment_mcp.domain.retention import MAX_RULE_DAYS, Rule
from sediment_mcp.embeddings.codec import are_unit_tokens, are_unit_vectors
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.argument_collections import ListOf, ObjectOf, Pair
from sediment_mcp.operations.argument_types import Integer, Text
from sediment_mcp.operations.arguments import MEMORY_ID, TIME, StoreMemory, parameter, parse_arguments
from sediment_mcp.system.text import format_value, to_json
from sediment_mcp.system.timestamps import isoformat
from sediment_mcp.transfer.json_text import Fragment, split_values
from sediment_mcp.transfer.normalize import add_notes, guard
from sediment_mcp.transfer.records import Format, Item, MemoryRecord, Problem, RuleRecord
from sediment_mcp.transfer.source import DEFAULT_LIMITS, ReadLimits, Source

FORMAT_NAME = "sediment-mcp export"
SYNC_TYPE = "sync"  # of the line of a synchronized log that an import has no use for
FORMAT_VERSION = 2  # 1 did not say when a memory was last changed
MAX_PROJECT_CHARS = 1024
VALID_ID = re.compile(r"[0-9A-Za-z_-]{1,16}")
MAX_INTEGER = 2**62  # what the database keeps in eight bytes, with room
FLOAT16_BYTES = 2


class ExportedMemory(StoreMemory):
    """A memory as a line of an export states it.

    Attributes:
        project: None: it is global.
        passages: (start, end) of each chunk, in characters of the text.
        vectors: by the fingerprint of a model, the float16 embeddings of the chunks one after the other, in
            base64; by that of its token vectors, those of each chunk in base64, with spaces between chunks.
    """

    id: str = parameter(MEMORY_ID)
    project: str | None = parameter(Text(MAX_PROJECT_CHARS), default=None)
    created_at: datetime = parameter(TIME)
    superseded_by: str | None = parameter(MEMORY_ID, default=None)
    deleted_at: datetime | None = parameter(TIME, default=None)
    restored_at: datetime | None = parameter(TIME, default=None)
    changed_at: datetime | None = parameter(TIME, default=None)
    passages: list[tuple[int, int]] = parameter(ListOf(Pair(Integer(-MAX_INTEGER, MAX_INTEGER))), default=[])
    vectors: dict[str, str] = parameter(ObjectOf(Text(min_length=0)), default={})


# --- write --------------------------------------------------------------------------------------


def format_header(now: datetime, model: ModelIdentity | None) -> str:
    """Return the first line; ``model`` is the one whose embeddings follow."""
    head: dict[str, Any] = {"format": FORMAT_NAME, "version": FORMAT_VERSION, "exported_at": isoformat(now)}
    if model is not None:
        head["model"] = {"name": model.name, "fingerprint": model.fingerprint, "dimension": model.dimension}
    return to_json(head)


def format_rule(rule: Rule) -> str:
    """Return the line of a retention rule."""
    fields = {
        "type": "retention",
        "subject": rule.subject,
        "name": rule.name,
        "max_age": None if rule.max_age is None else rule.max_age.days,
        "max_count": rule.max_count,
    }
    return to_json(fields)


def format_memory(memory: Memory, embeddings: Mapping[str, Any]) -> str:
    """Return the line of a memory; ``embeddings`` is what `encode_embeddings` returns, or empty."""
    return to_json({"type": "memory", **encode_memory(memory), **embeddings})


def encode_memory(memory: Memory) -> dict[str, Any]:
    """Return all attributes of a memory as plain JSON."""
    return {
        "id": memory.id,
        "content": memory.content,
        "kind": memory.kind,
        "tags": list(memory.tags),
        "project": memory.project,
        "session": memory.session,
        "importance": memory.importance,
        "metadata": dict(memory.metadata),
        "occurred_at": isoformat(memory.occurred_at),
        "created_at": isoformat(memory.created_at),
        "expires_at": isoformat(memory.expires_at),
        "superseded_by": memory.superseded_by,
        "deleted_at": isoformat(memory.deleted_at),
        "restored_at": isoformat(memory.restored_at),
        "changed_at": isoformat(memory.changed_at),
    }


def encode_embeddings(
    spans: Sequence[tuple[int, int]],
    vectors: Sequence[bytes],
    fingerprint: str,
    tokens: Sequence[bytes],
    token_fingerprint: str,
) -> dict[str, Any]:
    """Return the fields that carry the chunks of a memory and what the model made of them."""
    encoded = {fingerprint: base64.b64encode(b"".join(vectors)).decode()}
    if tokens:
        encoded[token_fingerprint] = " ".join(base64.b64encode(one).decode() for one in tokens)
    return {"passages": [list(span) for span in spans], "vectors": encoded}


# --- read ---------------------------------------------------------------------------------------


def is_line(fields: Mapping[str, Any]) -> bool:
    """Return True if this is a line of an export: its header, a rule or a memory."""
    is_rule = fields.get("type") == "retention" and "subject" in fields
    is_memory = fields.get("type") == "memory" and "content" in fields
    return fields.get("format") == FORMAT_NAME or is_rule or is_memory


def read(source: Source, limits: ReadLimits = DEFAULT_LIMITS) -> Iterator[Item]:
    """Yield every memory and rule of an export; a line that cannot be read is a `Problem`.

    Raises:
        BadArgument: a newer version of this package wrote it.
    """
    limit = limits.max_line_chars
    for number, line in source.lines(limit):
        location = f"line {number}"
        if line is None:
            yield Problem(location, f"is longer than {limit:,} characters, which no memory of an export is.")
        else:
            yield from _read_line(location, line)


FORMAT = Format(read, matches_line=is_line)


def _read_line(location: str, line: str) -> Iterator[Item]:
    for part in split_values(line):
        if isinstance(part, Fragment):
            yield Problem(
                location, f"is no JSON, it may have been cut off or edited: {format_value(part.text)}"
            )
            continue
        yield from add_notes(guard(location, _read_value(location, part.value)), part.notes)


def _read_value(location: str, value: object) -> Iterator[Item]:
    try:
        item = _read_object(location, value)
    except _NewerExport as error:
        raise BadArgument(str(error)) from None
    except BadArgument as error:
        item = Problem(location, str(error))
    if item is not None:
        yield item


def _read_object(location: str, value: object) -> Item | None:
    if not isinstance(value, dict):
        return Problem(location, "is no JSON object: each line of an export is one.")
    fields = cast("dict[str, Any]", value)
    if "format" in fields:
        return _check_header(fields)
    if fields.get("type") == "retention":
        return RuleRecord(location, _decode_rule(fields))
    if fields.get("type") == SYNC_TYPE:
        return None
    return MemoryRecord(location, decode_memory(fields))


class _NewerExport(Exception):
    """The header names a version of the format that is unknown here."""


def _check_header(fields: Mapping[str, Any]) -> None:
    version = fields.get("version")
    if fields["format"] != FORMAT_NAME or not isinstance(version, int):
        raise BadArgument("names another format than this one's: choose it with --format.")
    if version > FORMAT_VERSION:
        raise _NewerExport(
            f"This export was written by a newer sediment-mcp (format {version}, this one knows "
            f"{FORMAT_VERSION}): update sediment-mcp."
        )


def decode_memory(fields: Mapping[str, Any]) -> ExportedMemory:
    """Return the memory that `encode_memory` made these fields of.

    Raises:
        BadArgument: something in them is missing or wrong.
    """
    memory = parse_arguments(
        ExportedMemory, {name: value for name, value in fields.items() if name != "type"}
    )
    for memory_id in filter(None, (memory.id, memory.superseded_by)):
        if not VALID_ID.fullmatch(memory_id):
            raise BadArgument(f"{memory_id!r} is no id: ids have up to 16 letters and digits.")
    if memory.project is not None and not memory.project.isprintable():
        raise BadArgument(
            "project holds control characters or line breaks: a project is the path of a folder."
        )
    return memory


def _decode_rule(fields: Mapping[str, Any]) -> Rule:
    subject, name = fields.get("subject"), fields.get("name")
    days, count = (_parse_positive(fields.get(limit)) for limit in ("max_age", "max_count"))
    if subject not in ("kind", "tag") or not isinstance(name, str) or not (days or count):
        raise BadArgument("is no rule of retention: it needs a subject, a name and a limit.")
    return Rule(subject, name, timedelta(days=min(days, MAX_RULE_DAYS)) if days else None, count)


def _parse_positive(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 < value < MAX_INTEGER else None


def decode_embeddings(memory: ExportedMemory, model: ModelIdentity) -> list[bytes] | None:
    """Return the embeddings of the memory's chunks by this model; None without usable ones.

    They must be unit vectors of the chunks that the text is cut into here.
    """
    data = _decode_parts(memory, model)
    size, count = FLOAT16_BYTES * model.dimension, len(memory.passages)
    if data is None or len(data) != 1 or len(data[0]) != size * count:
        return None
    vectors = [data[0][start : start + size] for start in range(0, size * count, size)]
    return vectors if are_unit_vectors(vectors) else None


def decode_token_vectors(memory: ExportedMemory, model: ModelIdentity) -> list[bytes] | None:
    """Return the token vectors of the memory's chunks by this model; None without usable ones."""
    data = _decode_parts(memory, model)
    if data is None or len(data) != len(memory.passages):
        return None
    return data if all(are_unit_tokens(one, model.dimension) for one in data) else None


def _decode_parts(memory: ExportedMemory, model: ModelIdentity) -> list[bytes] | None:
    """Return the bytes of each part that a model's fingerprint names.

    None if there is nothing, or if it is of other chunks than those that the text is cut into here.
    """
    encoded = memory.vectors.get(model.fingerprint)
    if encoded is None or memory.passages != split_into_chunks(memory.content):
        return None
    try:
        return [base64.b64decode(part, validate=True) for part in encoded.split(" ")]
    except (binascii.Error, ValueError):
        return None
