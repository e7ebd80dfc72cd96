"""The skill: how an agent uses this memory, in one text for resources, prompts and packages.

Hosts that load skills take it from a plugin; others read it as the resource or choose it as a prompt.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sediment_mcp.server.jsonrpc import Message

NAME = "sediment-memory"
URI = f"skill://{NAME}/SKILL.md"
MARKDOWN = "text/markdown"
RESOURCE: Message = {
    "description": "What belongs into this memory, and when to query and store.",
    "mimeType": MARKDOWN,
    "name": NAME,
    "title": "How to use this memory",
    "uri": URI,
}


@cache
def read_skill() -> str:
    """Return the text of SKILL.md, with its front matter."""
    return Path(__file__).with_name("SKILL.md").read_text(encoding="utf-8")


def read_instructions() -> str:
    """Return the text of SKILL.md without its front matter."""
    return read_skill().split("---\n", 2)[2].lstrip()
