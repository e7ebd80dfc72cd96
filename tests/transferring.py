"""What the tests of export and import share: an export in memory, an import of it, and all that is there."""

from __future__ import annotations

import io
from typing import Any

from conftest import Host

from sediment_mcp import archive
from sediment_mcp.transfer import lines
from sediment_mcp.transfer.arrivals import Choices
from sediment_mcp.transfer.exporting import EVERYTHING, Selection, write_export
from sediment_mcp.transfer.importing import Report
from sediment_mcp.transfer.importing import take_in as take_in_items
from sediment_mcp.transfer.sources import held

ALL = Selection()


def export(host: Host, selection: Selection = ALL, **options: Any) -> bytes:
    out = io.BytesIO()
    write_export(host.library, out, selection, **options)
    return out.getvalue()


def take_in(host: Host, data: bytes, **choices: Any) -> Report:
    report = Report()
    take_in_items(host.library, lines.read(held(data, "export")), Choices(**choices), report)
    return report


def state(host: Host) -> dict[str, dict[str, Any]]:
    """Everything about every memory, by id; tags in no order."""
    with host.library.read() as store:
        memories = [lines.described(memory) for memory in archive.memories(store, EVERYTHING, trash=True)]
    return {memory["id"]: {**memory, "tags": set(memory["tags"])} for memory in memories}
