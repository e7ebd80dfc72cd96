"""Our own format: lines of JSON that carry everything, so that an export is a complete copy.

The first line names the format and its version, then come the rules of retention, then the memories in the
order in which they were stored. A reader needs no line but the one it reads: what is lost of a file loses
only itself.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sediment_mcp.domain.chunking import split
from sediment_mcp.domain.memory import Memory
from sediment_mcp.domain.retention import Rule
from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.arguments import Id, StoreMemory, Time, parse
from sediment_mcp.operations.results import iso, written
from sediment_mcp.server.jsonrpc import to_json
from sediment_mcp.transfer.records import Item, Problem, Record, RuleRecord
from sediment_mcp.transfer.source import Source

FORMAT = "sediment-mcp export"
VERSION = 2  # 1 did not say when a memory was last changed
MAX_LINE = 16 * 1024 * 1024  # characters; the longest memory with its vectors takes a tenth
ID = re.compile(r"[0-9A-Za-z_-]{1,16}")
MOST_DAYS = 36_500


class ExportedMemory(StoreMemory):
    """A memory as a line of an export. ``project`` null is global; ``passages`` are spans of the text, and
    ``vectors`` their float16 embeddings, one after the other in base64, by the model's fingerprint."""

    id: Id
    project: str | None = None
    created_at: Time
    superseded_by: Id | None = None
    deleted_at: Time | None = None
    restored_at: Time | None = None
    changed_at: Time | None = None
    passages: tuple[tuple[int, int], ...] = ()
    vectors: Mapping[str, str] | None = None


# --- writing ------------------------------------------------------------------------------------


def header(now: datetime, model: ModelIdentity | None) -> str:
    """The first line; ``model`` is the one whose embeddings follow."""
    head: dict[str, Any] = {"format": FORMAT, "version": VERSION, "exported_at": written(now)}
    if model is not None:
        head["model"] = {"name": model.name, "fingerprint": model.fingerprint, "dimension": model.dimension}
    return to_json(head)


def rule_line(rule: Rule) -> str:
    days = None if rule.max_age is None else rule.max_age.days
    return to_json(
        {
            "type": "retention",
            "subject": rule.subject,
            "name": rule.name,
            "max_age": days,
            "max_count": rule.max_count,
        }
    )


def memory_line(memory: Memory, embedded: Mapping[str, Any]) -> str:
    """``embedded`` is what `passages` gives, or nothing."""
    return to_json({"type": "memory", **described(memory), **embedded})


def described(memory: Memory) -> dict[str, Any]:
    """Everything that is known of a memory."""
    return {
        "id": memory.id,
        "content": memory.content,
        "kind": memory.kind,
        "tags": list(memory.tags),
        "project": memory.project,
        "session": memory.session,
        "importance": memory.importance,
        "metadata": dict(memory.metadata),
        "occurred_at": written(memory.occurred_at),
        "created_at": written(memory.created_at),
        "expires_at": iso(memory.expires_at),
        "superseded_by": memory.superseded_by,
        "deleted_at": iso(memory.deleted_at),
        "restored_at": iso(memory.restored_at),
        "changed_at": written(memory.changed_at),
    }


def embedded(spans: Sequence[tuple[int, int]], vectors: Sequence[bytes], fingerprint: str) -> dict[str, Any]:
    """What a line says of a memory's passages and their embeddings."""
    return {
        "passages": [list(span) for span in spans],
        "vectors": {fingerprint: base64.b64encode(b"".join(vectors)).decode()},
    }


# --- reading ------------------------------------------------------------------------------------


def read(source: Source) -> Iterator[Item]:
    """Everything in a file of ours.

    Raises:
        BadArgument: a newer version of this package wrote it.
    """
    for number, line in source.lines(MAX_LINE):
        place = f"line {number}"
        if line is None:
            yield Problem(place, f"is longer than {MAX_LINE:,} characters, which no memory of an export is.")
        elif line.strip():
            item = _item(place, line)
            if item is not None:
                yield item


def _item(place: str, line: str) -> Item | None:
    try:
        value = json.loads(line)
        if not isinstance(value, dict):
            return Problem(place, "is no JSON object: each line of an export is one.")
        fields = cast("dict[str, Any]", value)
        if "format" in fields:
            return _check_header(fields)
        if fields.get("type") == "retention":
            return RuleRecord(place, _rule(fields))
        return Record(place, exported(fields))
    except (ValueError, RecursionError):
        return Problem(place, "is no JSON: it may have been cut off or edited.")
    except _Newer as error:
        raise BadArgument(str(error)) from None
    except BadArgument as error:
        return Problem(place, str(error))


class _Newer(Exception):
    """The header names a version of the format that is unknown here."""


def _check_header(fields: Mapping[str, Any]) -> None:
    version = fields.get("version")
    if fields["format"] != FORMAT or not isinstance(version, int):
        raise BadArgument("names another format than this one's: choose it with --format.")
    if version > VERSION:
        raise _Newer(
            f"This export was written by a newer sediment-mcp (format {version}, this one knows {VERSION}): "
            "update sediment-mcp."
        )


def exported(fields: Mapping[str, Any]) -> ExportedMemory:
    """Check what a line says of a memory.

    Raises:
        BadArgument: something in it is missing or wrong.
    """
    memory = parse(ExportedMemory, {name: value for name, value in fields.items() if name != "type"})
    for identity in filter(None, (memory.id, memory.superseded_by)):
        if not ID.fullmatch(identity):
            raise BadArgument(f"{identity!r} is no id: ids have up to 16 letters and digits.")
    return memory


def _rule(fields: Mapping[str, Any]) -> Rule:
    subject, name = fields.get("subject"), fields.get("name")
    days, count = (_positive(fields.get(limit)) for limit in ("max_age", "max_count"))
    if subject not in ("kind", "tag") or not isinstance(name, str) or not (days or count):
        raise BadArgument("is no rule of retention: it needs a subject, a name and a limit.")
    return Rule(subject, name, timedelta(days=min(days, MOST_DAYS)) if days else None, count)


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**62 else None


def vectors_of(memory: ExportedMemory, model: ModelIdentity) -> list[bytes] | None:
    """The embeddings of the memory's passages for this model; None where the line has none, or none that can
    be used: they must be unit vectors of the passages that the text is cut into here."""
    from sediment_mcp.indexes.vector_search import are_unit_vectors

    packed = (memory.vectors or {}).get(model.fingerprint)
    spans = split(memory.content)
    if packed is None or list(memory.passages) != spans:
        return None
    try:
        data = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        return None
    size = 2 * model.dimension  # bytes of a float16 vector
    if len(data) != size * len(spans):
        return None
    vectors = [data[start : start + size] for start in range(0, len(data), size)]
    return vectors if are_unit_vectors(vectors) else None
