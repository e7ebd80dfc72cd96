"""Plan which hooks of ours a host runs: those of recall, those of capture, on request.

What a request leaves open stays as it is in the host's file; hooks that are there are brought into today's
command.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sediment_mcp.errors import UnusableFile
from sediment_mcp.hosts import config_file
from sediment_mcp.hosts.hook_file import (
    CAPTURE_EVENTS,
    RECALL_EVENTS,
    HookFile,
    build_hook_command,
)
from sediment_mcp.hosts.install_plan import Outcome, PlannedChange, find_original
from sediment_mcp.hosts.jsonc import InvalidJson
from sediment_mcp.hosts.launch_command import LaunchCommand
from sediment_mcp.hosts.locations import Machine, resolve_location
from sediment_mcp.hosts.registry import Host

Handlers = Mapping[str, Any]
"""Our event → the handler that a host's file holds for it."""


@dataclass(frozen=True, slots=True)
class HookRequest:
    """Which hooks are asked for: all, none, or (None) those that are there already."""

    recall: bool | None = None
    capture: bool | None = None


@dataclass(frozen=True, slots=True)
class HookTarget:
    """The file in which a host keeps its hooks."""

    host: Host
    path: Path
    file: HookFile

    @contextlib.contextmanager
    def report_unusable_file(self) -> Generator[None]:
        """Turn `InvalidJson` into `UnusableFile`, whose sentence names the file and a remedy."""
        try:
            yield
        except InvalidJson as problem:
            raise UnusableFile(
                f"{self.path} {problem}: mend it in {self.host.title}, then try again."
            ) from None


def find_hook_target(host: Host, machine: Machine) -> HookTarget | None:
    """Return the file of a host's hooks; None where the host runs none."""
    if host.hooks is None:
        return None
    return HookTarget(host, resolve_location(host.hooks.location, machine), host.hooks)


def has_hooks(target: HookTarget) -> bool:
    """Return whether hooks of ours are in the file; never raises."""
    try:
        with target.report_unusable_file():
            return bool(target.file.read_handlers(config_file.read_text(target.path)))
    except UnusableFile:
        return False


def plan_hooks(
    target: HookTarget, command: LaunchCommand, request: HookRequest, machine: Machine
) -> PlannedChange:
    """Return what has to change so that the host runs the hooks that are asked for."""
    return _plan(target, lambda found: _choose_handlers(target.file, command, request, found, machine))


def plan_hook_removal(target: HookTarget) -> PlannedChange:
    """Return what has to change so that the host runs no hook of ours.

    If nothing else has changed since we wrote the file, it gets back exactly its bytes from before.
    """
    return _plan(target, lambda found: {})


def _plan(target: HookTarget, choose: Callable[[Handlers], Handlers]) -> PlannedChange:
    """Return what has to change; ``choose`` tells from the handlers there which are to be."""
    try:
        with target.report_unusable_file():
            text = config_file.read_text(target.path)
            found = target.file.read_handlers(text)
            wanted = choose(found)
            is_ours, original = find_original(target.path, text, lambda before: _add(target, before, found))
            is_ours = is_ours and bool(found)
            after = _edit(target.file, original if is_ours else text, wanted)
    except UnusableFile as problem:
        return PlannedChange(target, "unusable", problem=str(problem))
    commands = {event: handler["command"] for event, handler in found.items()}
    outcome = _name_outcome(found, wanted, text == after)
    return PlannedChange(target, outcome, text, after, commands, is_renewal=is_ours)


def _choose_handlers(
    file: HookFile, command: LaunchCommand, request: HookRequest, found: Handlers, machine: Machine
) -> Handlers:
    """Return the handlers that are to be in the file."""
    chosen: list[str] = []
    for events, is_asked in ((RECALL_EVENTS, request.recall), (CAPTURE_EVENTS, request.capture)):
        own = [event for event in events if event in file.events]
        if is_asked or (is_asked is None and any(event in found for event in own)):
            chosen += own
    argv = [*_set_variables(command, machine), *command.argv]
    return {
        event: found.get(event, {}) | file.build_handler(build_hook_command(argv, event, file.host, machine))
        for event in chosen
    }


def _set_variables(command: LaunchCommand, machine: Machine) -> list[str]:
    """Return the words that set a command's variables, where the shell is known to have any."""
    if not command.environment or machine.platform == "win32":
        return []
    return ["env", *(f"{name}={value}" for name, value in command.environment.items())]


def _edit(file: HookFile, text: str | None, wanted: Handlers) -> str | None:
    """Return the text with these handlers of ours and no others."""
    for event in file.events:
        if event in wanted:
            text = file.put_handler(text, event, wanted[event])
        elif text is not None:
            text = file.take_handlers(text, event)
    return text


def _add(target: HookTarget, before: str | None, handlers: Handlers) -> str | None:
    """Return ``before`` with the handlers; None if some were there, or cannot be added."""
    try:
        if target.file.read_handlers(before):
            return None
        return _edit(target.file, before, handlers)
    except InvalidJson:
        return None


def _name_outcome(found: Handlers, wanted: Handlers, is_same: bool) -> Outcome:
    if is_same:
        return "unchanged" if wanted else "not there"
    if not wanted:
        return "removed"
    return "replaced" if found else "added"
