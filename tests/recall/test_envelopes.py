"""Each host gets text in the form that it reads, and no host gets too much."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.hooks import call_of

from sediment_mcp.recall.envelopes import ENVELOPES, MAX_OUTPUT_CHARS, wrap_text


def nested(name: str) -> dict[str, Any]:
    return {"hookSpecificOutput": {"hookEventName": name, "additionalContext": "text"}}


def both(name: str) -> dict[str, Any]:
    """Return what two hosts find in one answer, each in its own place."""
    return {"additionalContext": "text", **nested(name)}


@pytest.mark.parametrize(
    ("host", "event", "fields", "expected"),
    [
        ("claude-code", "session-start", {}, nested("SessionStart")),
        ("claude-code", "prompt", {}, nested("UserPromptSubmit")),
        ("codex", "prompt", {}, nested("UserPromptSubmit")),
        ("gemini", "session-start", {}, nested("SessionStart")),
        ("gemini", "prompt", {}, nested("BeforeAgent")),
        ("vscode", "prompt", {"hookEventName": "UserPromptSubmit"}, both("UserPromptSubmit")),
        ("copilot-cli", "session-start", {}, both("SessionStart")),
        ("copilot-cli", "prompt", {"hook_event_name": "UserPromptSubmit"}, both("UserPromptSubmit")),
        ("cursor", "session-start", {}, {"additional_context": "text"}),
        ("cursor", "prompt", {}, {"continue": True, "additional_context": "text"}),
    ],
)
def test_text_reaches_a_host_in_its_own_envelope(
    tmp_path: Path, host: str, event: str, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert json.loads(wrap_text(call_of(tmp_path, event, host, **fields), "text")) == expected


@pytest.mark.parametrize("host", ENVELOPES)
def test_an_output_that_a_host_would_cut_is_not_written(tmp_path: Path, host: str) -> None:
    call = call_of(tmp_path, "prompt", host)
    assert wrap_text(call, "x" * MAX_OUTPUT_CHARS) == ""
    assert len(wrap_text(call, "x" * (MAX_OUTPUT_CHARS - 200))) <= MAX_OUTPUT_CHARS
