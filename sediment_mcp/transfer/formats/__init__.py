"""Registry of the file formats that can be imported.

`markdown` and `sediment_jsonl` are exported too. A format is a module here with a `Format`, and a line in
`FORMATS`. Of several formats that match a source the first one is taken.
"""

from __future__ import annotations

from sediment_mcp.transfer.formats import (
    lists,
    mcp_memory_service,
    mem0,
    notes,
    sediment_jsonl,
    server_memory,
)
from sediment_mcp.transfer.records import Format

FORMATS: dict[str, Format] = {
    "sediment": sediment_jsonl.FORMAT,
    "mcp-memory-service": mcp_memory_service.FORMAT,
    "mem0": mem0.FORMAT,
    "server-memory": server_memory.FORMAT,
    "list": lists.FORMAT,
    "markdown": notes.FORMAT,
    "text": notes.FORMAT,
}
