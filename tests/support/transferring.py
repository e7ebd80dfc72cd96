"""Export to memory, import from it, and compare all that is stored: for the tests of both."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from sediment_mcp.transfer.exporter import write_export
from sediment_mcp.transfer.formats import sediment_jsonl
from sediment_mcp.transfer.import_report import ImportReport
from sediment_mcp.transfer.importer import import_memories
from sediment_mcp.transfer.opening import EXPORT, open_items
from sediment_mcp.transfer.prepare import ImportOptions
from sediment_mcp.transfer.records import ALL_MEMORIES, Selection
from sediment_mcp.transfer.source import DEFAULT_LIMITS, ReadLimits, wrap_bytes
from sediment_mcp.transfer.turns import WhichTurns
from support.host import Host

EVERYTHING = Selection()


def export(host: Host, selection: Selection = EVERYTHING, **options: Any) -> bytes:
    """Return an export of the host's memories."""
    out = io.BytesIO()
    write_export(host.app, out, selection, **options)
    return out.getvalue()


def import_export(
    host: Host, data: bytes, *, limits: ReadLimits = DEFAULT_LIMITS, **options: Any
) -> ImportReport:
    """Import the lines of an export of the user's own; ``options`` are those of `ImportOptions`."""
    report = ImportReport()
    options = {"trusted": True, "rules": True, **options}
    items = sediment_jsonl.read(wrap_bytes(data, "export"), limits)
    import_memories(host.app, items, ImportOptions(**options), report)
    return report


def state(host: Host) -> dict[str, dict[str, Any]]:
    """Return everything about every memory, by id; tags in no order."""
    with host.app.storage.read() as session:
        memories = [
            sediment_jsonl.encode_memory(memory)
            for memory in session.bulk.memories(ALL_MEMORIES, include_deleted=True)
        ]
    return {memory["id"]: {**memory, "tags": set(memory["tags"])} for memory in memories}


def refuse_passphrase() -> str:
    """Fail: nothing that a test imports without a passphrase is encrypted."""
    raise AssertionError("nothing here is encrypted")


def import_place(
    host: Host,
    place: Path,
    format_name: str | None = None,
    *,
    limits: ReadLimits = DEFAULT_LIMITS,
    which: WhichTurns = "user",
    **options: Any,
) -> ImportReport:
    """Import a file or a folder; ``options`` are those of `ImportOptions`."""
    report = ImportReport()
    options = {"trusted": format_name == EXPORT, **options}
    opened = open_items(place, format_name, refuse_passphrase, which=which, limits=limits)
    import_memories(host.app, opened.items, ImportOptions(**options), report, position=opened.position)
    done, total = opened.position()
    assert done == total
    return report


def write_file(folder: Path, content: bytes | str, name: str = "given.json") -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def memories_by_content(host: Host) -> dict[str, dict[str, Any]]:
    """Return everything about every memory, by its text."""
    return {memory["content"]: memory for memory in state(host).values()}
