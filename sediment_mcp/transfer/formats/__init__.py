"""Registry of the file formats that can be imported.

`markdown` and `sediment_jsonl` are exported too. A format is a module here with a `Format`, and a line in
`FORMATS`; one of conversations has a `TranscriptFormat`, and a line in `TRANSCRIPTS`. Of several formats that
match a source the first one is taken.
"""

from __future__ import annotations

from sediment_mcp.transfer.formats import (
    chatgpt_export,
    claude_code,
    claude_export,
    claude_mem,
    claude_projects,
    codex,
    copilot,
    cursor,
    gemini_cli,
    lists,
    mcp_memory_service,
    mem0,
    notes,
    sediment_jsonl,
    server_memory,
)
from sediment_mcp.transfer.records import Format, TranscriptFormat

FORMATS: dict[str, Format] = {
    "sediment": sediment_jsonl.FORMAT,
    "mcp-memory-service": mcp_memory_service.FORMAT,
    "mem0": mem0.FORMAT,
    "server-memory": server_memory.FORMAT,
    "claude-mem": claude_mem.FORMAT,
    "claude-projects": claude_projects.FORMAT,
    "list": lists.FORMAT,
    "markdown": notes.FORMAT,
    "text": notes.FORMAT,
}

TRANSCRIPTS: dict[str, TranscriptFormat] = {
    "claude-code": claude_code.FORMAT,
    "codex": codex.FORMAT,
    "copilot": copilot.FORMAT,
    "gemini-cli": gemini_cli.FORMAT,
    "cursor": cursor.FORMAT,
    "claude-export": claude_export.FORMAT,
    "chatgpt-export": chatgpt_export.FORMAT,
}
