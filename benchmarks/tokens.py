"""Count what a model pays for: the tools' definitions, and an answer of five short memories.

The tokens are those of o200k_base, by the package bpe-openai, which carries the vocabulary. Hosts of other
models count otherwise; figures of two versions compare.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hosts import SCRIPT
from stdio_client import Server, close_input

QUESTION = "What do I need to know before I release?"
MEMORIES = (
    "Releases go out on Thursdays after the nightly tests have passed.",
    "The test database listens on port 5433, the live one on port 5432.",
    "Maria reviews every change to the billing service before it is merged.",
    "Run make check before a release is tagged, and write the changelog first.",
    "The user prefers short commit messages in the present tense.",
)


def count_tokens(text: str) -> int:
    """Return the number of tokens of a text."""
    from bpe_openai import get_encoding

    return len(get_encoding("o200k_base").encode_ordinary(text))


def describe_tools(tools: Iterable[dict[str, Any]], *fields: str) -> str:
    """Return these fields of each tool as compact JSON, as a request to a model carries them."""
    shown = [{name: tool[name] for name in fields} for tool in tools]
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))


def measure_tokens(command: list[str]) -> dict[str, int]:
    """Ask a server for its tools and for five short memories, and count both."""
    with tempfile.TemporaryDirectory() as directory:
        server = Server(command, Path(directory))
        server.initialize()
        tools = server.request("tools/list", {})[1]["tools"]
        for memory in MEMORIES:
            server.call("store_memory", {"content": memory})
        call = {"name": "query_memory", "arguments": {"query": QUESTION}}
        answer = server.request("tools/call", call)[1]["content"][0]["text"]
        server.end(close_input)
    return {
        "tools, as a model reads them": count_tokens(
            describe_tools(tools, "name", "description", "inputSchema")
        ),
        "tools/list, whole": count_tokens(json.dumps(tools, ensure_ascii=False, separators=(",", ":"))),
        "five short hits": count_tokens(answer),
        "their own text": sum(map(count_tokens, MEMORIES)),
    }


if __name__ == "__main__":
    for what, tokens in measure_tokens(sys.argv[1:] or [str(SCRIPT)]).items():
        print(f"{tokens:>6,}  {what}")
