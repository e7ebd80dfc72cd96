"""Hook files: where a host keeps the commands of its events, and how ours are edited.

All four hosts have JSON with a list of handlers for each event; Claude Code and Codex put each handler into a
group, which could have a matcher. Ours have none: some editions of the hosts name their events otherwise than
documented, and a matcher would miss them.

Sources: code.claude.com/docs (hooks), developers.openai.com/codex/hooks, code.visualstudio.com/docs (agent
hooks), docs.github.com/copilot (hooks reference), cursor.com/docs (hooks).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from sediment_mcp.hosts import jsonc
from sediment_mcp.hosts.locations import (
    WINDOWS,
    ConfigLocation,
    LocationsByPlatform,
    Machine,
    locate_everywhere,
)

SESSION_START, PROMPT = "session-start", "prompt"
STOP, PRE_COMPACT, SESSION_END = "stop", "pre-compact", "session-end"

RECALL_EVENTS = (SESSION_START, PROMPT)
"""The events at which memories are brought into a conversation."""

CAPTURE_EVENTS = (STOP, PRE_COMPACT, SESSION_END)
"""The events at which what was said is kept."""

TIMEOUT_SECONDS = 10  # after which a host goes on without an answer

_HOOKS = "hooks"
_EMPTY_OBJECT = "{}\n"
_OWN_EVENT = re.compile(rf"\shook\s+({'|'.join((*RECALL_EVENTS, *CAPTURE_EVENTS))})(?![\w-])")
_OWN_PROGRAM = re.compile(r"(^|[\s\"'/\\])sediment[-_]mcp(\.exe)?[\"']?(@\S+)?\s")


@dataclass(frozen=True, slots=True)
class HookFile:
    """What is special to the file in which a host keeps its hooks."""

    host: str
    """What `sediment-mcp hook --host` is told, which answers in this host's form."""
    location: ConfigLocation
    events: Mapping[str, str]
    """Our event → the host's name for it."""
    is_grouped: bool = False
    """Whether handlers stand in groups, which have a list of them."""
    handler_fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    new_file: str = _EMPTY_OBJECT
    """What a file must hold that is made by us."""
    next_step: str = ""
    """What the user has to do before the host runs them."""

    @property
    def locations(self) -> LocationsByPlatform:
        """The file, on each platform."""
        return locate_everywhere(self.location)

    def build_handler(self, command: str) -> dict[str, Any]:
        """Return the handler that runs a command."""
        return {**self.handler_fields, "command": command, "timeout": TIMEOUT_SECONDS}

    def read_handlers(self, text: str | None) -> dict[str, Any]:
        """Return our handlers by our names of their events; of several for one event the first one.

        Raises:
            InvalidJson: The text is no such file.
        """
        if text is None or not text.strip():
            return {}
        document = jsonc.parse(text)
        found = {event: self._find(document, event) for event in self.events}
        return {event: jsonc.get_member(document, path) for event, path in found.items() if path}

    def put_handler(self, text: str | None, event: str, handler: Mapping[str, Any]) -> str:
        """Return the text with a handler for an event, replaced or added as the last one.

        Raises:
            InvalidJson: The text is no such file.
        """
        text = text if text and text.strip() else self.new_file
        document = jsonc.parse(text)
        if path := self._find(document, event):
            return jsonc.put_member(text, path, dict(handler))
        place = (_HOOKS, self.events[event])
        number = len(_to_list(jsonc.get_member(document, place)))
        value = {_HOOKS: [dict(handler)]} if self.is_grouped else dict(handler)
        return jsonc.put_member(text, (*place, number), value)

    def take_handlers(self, text: str, event: str) -> str:
        """Return the text without our handlers for an event, and without a list that then is empty.

        Raises:
            InvalidJson: The text is no such file.
        """
        if not text.strip():
            return text
        while path := self._find(jsonc.parse(text), event):
            while len(path) > 1 and _is_alone(jsonc.parse(text), path):
                path = path[:-1]
            text = jsonc.remove_member(text, path)
        return text

    def _find(self, document: Any, event: str) -> tuple[jsonc.Step, ...]:
        """Return the path to our first handler for an event; empty where there is none."""
        place: tuple[jsonc.Step, ...] = (_HOOKS, self.events[event])
        for path, handler in self._list_handlers(jsonc.get_member(document, place), place):
            command = (jsonc.to_object(handler) or {}).get("command")
            if isinstance(command, str) and is_own_hook(command):
                return path
        return ()

    def _list_handlers(
        self, items: Any, place: tuple[jsonc.Step, ...]
    ) -> Iterator[tuple[tuple[jsonc.Step, ...], Any]]:
        for number, item in enumerate(_to_list(items)):
            if not self.is_grouped:
                yield (*place, number), item
                continue
            inner = (jsonc.to_object(item) or {}).get(_HOOKS)
            for position, handler in enumerate(_to_list(inner)):
                yield (*place, number, _HOOKS, position), handler


def build_hook_command(argv: list[str], event: str, host: str, machine: Machine) -> str:
    """Return the line that a host's shell runs at an event.

    On Windows it is written so that cmd, PowerShell and bash read it alike: slashes, and quotes only where a
    part has a space.
    """
    words = [*argv, "hook", event, "--host", host]
    if machine.platform != WINDOWS:
        return shlex.join(words)
    words[0] = words[0].replace("\\", "/")
    return " ".join(f'"{word}"' if re.search(r"[\s&|;]", word) or not word else word for word in words)


def is_own_hook(command: str) -> bool:
    """Return True if a command line runs a hook of this program."""
    return bool(_OWN_EVENT.search(command) and _OWN_PROGRAM.search(command))


def _is_alone(document: Any, path: tuple[jsonc.Step, ...]) -> bool:
    """Return whether the list or object around the end of a path holds nothing else."""
    around = jsonc.get_member(document, path[:-1])
    return len(cast("list[Any]", around)) == 1


def _to_list(value: Any) -> list[Any]:
    """Return a list of handlers; raise where something else stands in its place."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise jsonc.InvalidJson(f"holds no list of hooks in “{_HOOKS}”")
    return cast("list[Any]", value)


_IN_CLAUDE_CODE = {SESSION_START: "SessionStart", PROMPT: "UserPromptSubmit"}
_IN_CODEX = _IN_CLAUDE_CODE | {STOP: "Stop", PRE_COMPACT: "PreCompact"}
_COMMAND = {"type": "command"}
_VERSION_1 = '{\n  "version": 1\n}\n'

CLAUDE_CODE_HOOKS = HookFile(
    "claude-code",
    ConfigLocation("{CLAUDE_SETTINGS}/settings.json"),
    _IN_CODEX | {SESSION_END: "SessionEnd"},
    is_grouped=True,
    handler_fields=_COMMAND,
)
CODEX_HOOKS = HookFile(
    "codex",
    ConfigLocation("{CODEX_HOME}/hooks.json"),
    _IN_CODEX,
    is_grouped=True,
    handler_fields=_COMMAND,
    next_step="Codex runs a hook only after you have trusted it: type /hooks in Codex",
)
COPILOT_HOOKS = HookFile(
    "vscode",
    # VS Code and Copilot CLI both read every file of this folder.
    ConfigLocation("{COPILOT_HOME}/hooks/sediment-memory.json"),
    _IN_CODEX,
    handler_fields=_COMMAND,
    new_file=_VERSION_1,
)
CURSOR_HOOKS = HookFile(
    "cursor",
    ConfigLocation("~/.cursor/hooks.json"),
    {
        SESSION_START: "sessionStart",
        PROMPT: "beforeSubmitPrompt",
        STOP: "stop",
        PRE_COMPACT: "preCompact",
        SESSION_END: "sessionEnd",
    },
    new_file=_VERSION_1,
)
