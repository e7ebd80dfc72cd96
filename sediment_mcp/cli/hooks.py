"""Run a hook of a host: read its input, answer in its form, end with status 0.

The status is 0 whatever happens. A host waits for a hook before it goes on, may take another status than 0
for a refusal of what the user wants, and hands everything on standard output to the model. So this module
imports no more than a hook needs, nothing is written there but a whole answer, and one line on standard error
says what went wrong.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from sediment_mcp.cli.confirm import say

if TYPE_CHECKING:
    from sediment_mcp.recall.hook_call import HookCall

HOST_FLAG = "--host"


class Event(NamedTuple):
    """What answers an event, as ``module.function``, and how many seconds it has.

    The function takes a `HookCall` and returns the text for the host; an empty one says nothing.
    """

    function: str
    seconds: float


EVENTS: Mapping[str, Event] = {
    "session-start": Event("sediment_mcp.recall.session_start.recall_at_start", 1.0),  # once in a session
    "prompt": Event("sediment_mcp.recall.prompt.recall_for_prompt", 0.3),
    "stop": Event("sediment_mcp.capture.start.start_capture", 1.0),
    "pre-compact": Event("sediment_mcp.capture.start.start_capture", 1.0),
    "session-end": Event("sediment_mcp.capture.start.start_capture", 1.0),
    "capture": Event("sediment_mcp.capture.work.capture_turns", 0),  # what those three start
}
RULES_WRITTEN = ("session-start", "cursor")  # an event, and a host that may lose what is said then


class _Unusable(Exception):
    """What a hook was called with makes no sense; the message says why."""


def start_hook(arguments: Sequence[str]) -> int:
    """Run a hook in a process of its own, and end the process without tidying up; return 0."""
    gc.disable()  # there is nothing to collect in so short a time
    run_hook(arguments, {}, seconds=None)
    sys.stderr.flush()
    os._exit(0)


def run_hook(arguments: Sequence[str], flags: Mapping[str, str], *, seconds: float | None = 0) -> int:
    """Answer the event that the arguments name; return 0, also where that is impossible.

    ``flags`` has names of variables as keys; the arguments may hold more. The process ends after ``seconds``
    (None: as many as the event has; 0: it does not).
    """
    name = arguments[0] if arguments else ""
    try:
        name, host, given = _parse_arguments(arguments)
        limit = EVENTS[name].seconds if seconds is None else seconds
        _answer(name, host, {**flags, **given}, limit)
    except BaseException as error:  # noqa: BLE001 - a panic in a Rust extension is no Exception
        _report(name, str(error) or type(error).__name__)
    return 0


def _answer(name: str, host: str, flags: Mapping[str, str], seconds: float) -> None:
    from sediment_mcp.recall.deadline import Deadline

    deadline = Deadline(seconds, lambda: _report(name, f"not ready within {seconds} s")) if seconds else None
    call = _build_call(name, host, flags)
    module, _, function = EVENTS[name].function.rpartition(".")
    answer: Callable[[HookCall], str] = getattr(import_module(module), function)
    text = answer(call)
    if deadline is not None:
        deadline.lift()
    if text:
        from sediment_mcp.recall.envelopes import wrap_text

        _write(wrap_text(call, text))
    if (name, host) == RULES_WRITTEN:
        _write_rules(call, answer)


def _write_rules(call: HookCall, answer: Callable[[HookCall], str]) -> None:
    """Write what a session begins with into the rules of its project, shown before or not."""
    from dataclasses import replace
    from pathlib import Path

    from sediment_mcp.hosts.cursor_rules import write_rules
    from sediment_mcp.system.project_root import find_project_of_folder

    folder = Path(call.folder)
    if find_project_of_folder(call.folder) is not None and folder.is_dir():
        write_rules(folder, answer(replace(call, session="")))


def _build_call(name: str, host: str, flags: Mapping[str, str]) -> HookCall:
    from sediment_mcp.config import environment, load_config
    from sediment_mcp.recall.envelopes import ENVELOPES
    from sediment_mcp.recall.hook_call import build_call, read_input

    if host not in ENVELOPES:
        raise _Unusable(f"Unknown host {host}: use one of {', '.join(ENVELOPES)}.")
    data = b"" if sys.stdin.isatty() else read_input(sys.stdin.buffer)
    return build_call(name, host, load_config(environment(), flags), data)


def _parse_arguments(arguments: Sequence[str]) -> tuple[str, str, dict[str, str]]:
    """Return the event, the host, and the values of flags by variable.

    Raises:
        _Unusable: they make no sense.
    """
    from sediment_mcp.cli.flags import FLAGS
    from sediment_mcp.recall.envelopes import DEFAULT_HOST

    variables = {flag: variable for variable, (flag, _, _) in FLAGS.items()}
    given: dict[str, str] = {}
    names: list[str] = []
    waiting = list(arguments)
    while waiting:
        flag, has_value, value = waiting.pop(0).partition("=")
        if not flag.startswith("-"):
            names.append(flag + has_value + value)
        elif flag != HOST_FLAG and flag not in variables:
            raise _Unusable(f"Unknown option {flag}: see sediment-mcp hook --help.")
        elif not has_value and not waiting:
            raise _Unusable(f"{flag} has no value: give one.")
        else:
            given[variables.get(flag, HOST_FLAG)] = value if has_value else waiting.pop(0)
    if len(names) != 1 or names[0] not in EVENTS:
        raise _Unusable(f"No event of a hook: name one of {', '.join(EVENTS)}.")
    return names[0], given.pop(HOST_FLAG, DEFAULT_HOST), given


def _write(output: str) -> None:
    data = memoryview(output.encode())
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


def _report(name: str, problem: str) -> None:
    """Say in one line what went wrong; where even that is impossible, say nothing."""
    try:
        say(f"hook {name}: {problem}")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # it is closed, or there is none
        return
