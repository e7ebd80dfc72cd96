"""The server's start: what is imported before the first answers, and what behind them."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {
    "numpy",
    "tantivy",
    "usearch",
    "onnxruntime",
    "sqlite3",
    "asyncio",
    "pydantic",
    "mcp",
    "click",
    "platformdirs",
}

PROGRAM = """
import json, sys
import sediment_mcp.cli.main, sediment_mcp.server.run

started = sorted(sys.modules)
from sediment_mcp.server.tools import list_tools

list_tools()
listed = sorted(sys.modules)
import sediment_mcp.server.handlers

print(json.dumps([started, listed, sorted(sys.modules)]))
"""


def run_python(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout


def test_the_first_answers_need_nothing_heavy() -> None:
    started, listed, handling = map(set, json.loads(run_python(PROGRAM)))
    assert started & HEAVY == set()
    assert {
        name for name in started if name.startswith(("sediment_mcp.operations.", "sediment_mcp.storage."))
    } == set()
    assert listed & (HEAVY - {"platformdirs"}) == set()
    assert {name for name in listed if name.startswith("sediment_mcp.storage.")} == set()
    assert "sediment_mcp.operations.query_memory" in handling
    assert {"numpy", "tantivy", "usearch", "onnxruntime", "detect_secrets"} & handling == set()


def test_what_keeps_stdout_clean_is_imported_without_the_protocol() -> None:
    output = run_python("import sys, sediment_mcp.server.stdio; print(*sys.modules)")
    assert {"sediment_mcp.server.connection", "sediment_mcp.config"} & set(output.split()) == set()
    assert HEAVY & set(output.split()) == set()


def test_no_answer_is_made_with_the_sdk() -> None:
    program = (
        "import sys, sediment_mcp.server.run, sediment_mcp.server.handlers, sediment_mcp.embeddings.minilm; "
        "import sediment_mcp.background.services; print(*sys.modules)"
    )
    assert {"mcp", "mcp_types", "anyio", "starlette"} & set(run_python(program).split()) == set()
