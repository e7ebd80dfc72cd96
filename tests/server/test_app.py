"""The server's start: what is imported before the handshake, and what by the first request."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, sys
import sediment_mcp.server.run

started = sorted(sys.modules)
import sediment_mcp.server.handlers

print(json.dumps([started, sorted(sys.modules)]))
"""


def test_the_operations_are_imported_with_the_first_request_and_not_before() -> None:
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True
    ).stdout
    started, after_request = map(set, json.loads(output))
    assert {name for name in started if name.startswith("sediment_mcp.operations.")} == set()
    assert "sediment_mcp.operations.arguments" in after_request
    assert {"numpy", "tantivy", "onnxruntime", "detect_secrets"} & after_request == set()


def test_what_keeps_stdout_clean_is_imported_without_the_protocol() -> None:
    program = "import sys, sediment_mcp.server.stdio; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    assert {"mcp", "anyio", "pydantic"} & set(output.split()) == set()
