"""How connecting hosts looks: the list, the changes, the check, and what to do next."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sediment_mcp.cli.terminal import console, put, show_body, styled

if TYPE_CHECKING:
    from rich.console import Console

    from sediment_mcp.hosts.install_plan import Change, Look
    from sediment_mcp.hosts.launch_command import Command
    from sediment_mcp.hosts.registry import Host
    from sediment_mcp.hosts.smoke_test import Trial

STYLES = {"installed": "green", "another command": "yellow", "unusable": "bold red"}
SAID = {
    "added": ("added to", "green"),
    "replaced": ("replaced in", "green"),
    "unchanged": ("is there already, in", "green"),
    "removed": ("removed from", "green"),
    "not there": ("was not there, in", ""),
}
TRY_IT = "Then say: “Remember that I take my coffee black.” In a new conversation, ask how you take it."
PASTE = "Paste this into Settings → Tools → AI Assistant → Model Context Protocol (MCP) → Add → As JSON:"


def look_as_json(look: Look) -> dict[str, Any]:
    return {
        "host": look.target.host.name,
        "title": look.target.host.title,
        "path": str(look.target.path),
        "state": look.state,
        "entry": look.entry,
        "problem": look.problem,
    }


def changes_as_json(changes: Sequence[Change]) -> dict[str, Any]:
    return {
        "changes": [
            {
                "host": change.target.host.name,
                "path": str(change.target.path),
                "outcome": change.outcome,
                "diff": change.diff,
                "problem": change.problem,
            }
            for change in changes
        ]
    }


def trial_as_json(trial: Trial | None) -> dict[str, Any] | None:
    return asdict(trial) if trial else None


def show_looks(looks: Sequence[Look]) -> None:
    out = console()
    for look in looks:
        host = look.target.host
        put(
            out,
            styled(
                (host.name, "bold"), (look.state, STYLES.get(look.state, "")), (str(look.target.path), "dim")
            ),
        )
        if look.state == "another command":
            show_body(out, line_of(look.entry))
        if look.problem:
            show_body(out, look.problem)
    if looks:
        put(out, "Connect one with `sediment-mcp install HOST`, or all of them with --all.")
    else:
        put(out, "No host was found here. Name the one you will use: `sediment-mcp install cursor`.")


def show_installed(
    changes: Sequence[Change],
    command: Command,
    by_hand: Mapping[str, Any],
    trial: Trial | None,
    *,
    dry: bool,
) -> None:
    out = console()
    for change in changes:
        _show_change(out, change, dry)
        if change.outcome == "kept":
            show_body(
                out, f"There: {line_of(change.entry)}\n--force replaces it by: {shlex.join(command.line)}"
            )
        elif change.outcome != "unusable" and not dry:
            show_body(out, f"{change.target.host.then}.")
    for config in by_hand.values():
        put(out, PASTE)
        put(out, json.dumps(config, ensure_ascii=False, indent=2))
    if trial is not None:
        _show_trial(out, trial, command)


def show_uninstalled(changes: Sequence[Change], by_hand: Sequence[Host], *, dry: bool) -> None:
    out = console()
    for change in changes:
        _show_change(out, change, dry)
    for host in by_hand:
        put(out, f"{host.title} keeps its servers itself: remove “sediment” in its settings.")
    if not dry:
        put(out, "Your memories stay: `sediment-mcp --version` shows where they are.")


def line_of(entry: Any) -> str:
    """What an entry starts, as one would type it; whatever else stands there as JSON."""
    try:
        return shlex.join([entry["command"], *entry.get("args", [])])
    except (AttributeError, KeyError, TypeError):
        return json.dumps(entry, ensure_ascii=False)


def _show_change(out: Console, change: Change, dry: bool) -> None:
    title, path = change.target.host.title, str(change.target.path)
    if change.outcome == "unusable":
        put(out, styled((title, "bold"), ("left as it is:", "bold red"), (change.problem, "")))
    elif change.outcome == "kept":
        put(out, styled((title, "bold"), ("starts something else as “sediment”:", "yellow"), (path, "dim")))
    elif dry and change.changes:
        put(out, styled((change.diff, "")))
    else:
        words, style = SAID[change.outcome]
        put(out, styled((title, "bold"), (words, style), (path, "dim")))


def _show_trial(out: Console, trial: Trial, command: Command) -> None:
    line = shlex.join(command.line)
    if trial.problem:
        put(out, styled(("It does not start:", "bold red"), (line, ""), (trial.problem, "")))
        put(out, "Run that line in a terminal to see why; --uninstall takes the entry out again.")
        return
    put(
        out,
        styled(
            ("It works:", "green"),
            (f"{len(trial.tools)} tools after {trial.seconds:.1f} s, by", ""),
            (line, "dim"),
        ),
    )
    put(out, TRY_IT)
