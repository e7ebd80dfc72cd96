"""What the tests of export and import share: an export in memory, an import of it, and all that is there."""

from __future__ import annotations

import io
from typing import Any

from sediment_mcp.storage.sql import bulk
from sediment_mcp.transfer.exporter import EVERYTHING, Selection, write_export
from sediment_mcp.transfer.formats import sediment_jsonl
from sediment_mcp.transfer.importer import Report
from sediment_mcp.transfer.importer import take_in as take_in_items
from sediment_mcp.transfer.prepare import Choices
from sediment_mcp.transfer.source import held
from support.host import Host

ALL = Selection()


def export(host: Host, selection: Selection = ALL, **options: Any) -> bytes:
    out = io.BytesIO()
    write_export(host.library, out, selection, **options)
    return out.getvalue()


def take_in(host: Host, data: bytes, **choices: Any) -> Report:
    report = Report()
    take_in_items(host.library, sediment_jsonl.read(held(data, "export")), Choices(**choices), report)
    return report


def state(host: Host) -> dict[str, dict[str, Any]]:
    """Everything about every memory, by id; tags in no order."""
    with host.library.read() as store:
        memories = [
            sediment_jsonl.described(memory) for memory in bulk.memories(store, EVERYTHING, trash=True)
        ]
    return {memory["id"]: {**memory, "tags": set(memory["tags"])} for memory in memories}
