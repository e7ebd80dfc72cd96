"""How each host takes text from a hook: the JSON that it reads on standard output.

From the hosts' own documentation in November 2026: code.claude.com/docs (Claude Code), the generated schemas
in openai/codex (Codex), code.visualstudio.com/docs (VS Code), docs.github.com/copilot and the issues of
github/copilot-cli (Copilot CLI), cursor.com/docs and its forum (Cursor), geminicli.com/docs (Gemini CLI).
Claude Code drops an ``additionalContext`` that stands outside ``hookSpecificOutput`` without a word, and
shows only the beginning of an output that is longer than `MAX_OUTPUT_CHARS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sediment_mcp.recall.hook_call import HookCall

MAX_OUTPUT_CHARS = 10_000  # of the whole output of a hook
Envelope = Callable[[HookCall, str], Mapping[str, Any]]

CLAUDE_EVENTS = {
    "session-start": "SessionStart",
    "prompt": "UserPromptSubmit",
    "stop": "Stop",
    "pre-compact": "PreCompact",
    "session-end": "SessionEnd",
}
"""Our name of an event → that of Claude Code, which most hosts have taken over."""
GEMINI_EVENTS = {**CLAUDE_EVENTS, "prompt": "BeforeAgent", "stop": "AfterAgent", "pre-compact": "PreCompress"}


def _wrap_nested(names: Mapping[str, str]) -> Envelope:
    def wrap(call: HookCall, text: str) -> Mapping[str, Any]:
        return {"hookSpecificOutput": {"hookEventName": names[call.event], "additionalContext": text}}

    return wrap


def _wrap_for_copilot(call: HookCall, text: str) -> Mapping[str, Any]:
    """Wrap text for VS Code and Copilot CLI, which share their hook files.

    VS Code reads what Claude Code reads, Copilot CLI the top level alone; nothing in the input tells which.
    """
    return {"additionalContext": text, **_wrap_nested(CLAUDE_EVENTS)(call, text)}


def _wrap_for_cursor(call: HookCall, text: str) -> Mapping[str, Any]:
    proceed = {"continue": True} if call.event == "prompt" else {}
    return {**proceed, "additional_context": text}


ENVELOPES: Mapping[str, Envelope] = {
    **dict.fromkeys(("claude-code", "codex", "droid", "qwen"), _wrap_nested(CLAUDE_EVENTS)),
    **dict.fromkeys(("copilot-cli", "vscode"), _wrap_for_copilot),
    "cursor": _wrap_for_cursor,
    "gemini": _wrap_nested(GEMINI_EVENTS),
}
"""Host → how it takes text."""
DEFAULT_HOST = "claude-code"


def wrap_text(call: HookCall, text: str) -> str:
    """Return the text in the host's envelope, as JSON; empty if it would be too long."""
    from sediment_mcp.system.text import to_json

    output = to_json(ENVELOPES[call.host](call, text))
    return output if len(output) <= MAX_OUTPUT_CHARS else ""
