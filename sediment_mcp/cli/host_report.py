"""What `install` tells of hosts and of their files, as JSON and as text for a terminal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from sediment_mcp.hosts.install_plan import HostStatus, PlannedChange, Target
    from sediment_mcp.hosts.launch_command import LaunchCommand
    from sediment_mcp.hosts.registry import Host
    from sediment_mcp.hosts.remote_server import RemoteServer
    from sediment_mcp.hosts.smoke_test import SmokeTestResult

STYLES = {"installed": "green", "remote": "green", "another command": "yellow", "unusable": "bold red"}
OUTCOMES = {
    "added": ("added to", "green"),
    "replaced": ("replaced in", "green"),
    "unchanged": ("is there already, in", "green"),
    "removed": ("removed from", "green"),
    "not there": ("was not there, in", ""),
}
HOOK_OUTCOMES = {
    "added": ("hooks added to", "green"),
    "replaced": ("hooks replaced in", "green"),
    "unchanged": ("hooks are there already, in", "green"),
    "removed": ("hooks removed from", "green"),
    "not there": ("hooks were not there, in", ""),
}
TRY_IT = "Then say: “Remember that I take my coffee black.” In a new conversation, ask how you take it."


def describe_status(status: HostStatus) -> dict[str, Any]:
    """Return how a host stands."""
    return {
        "host": status.target.host.name,
        "title": status.target.host.title,
        "path": str(status.target.path),
        "state": status.state,
        "name": status.name,
        "entry": _mask_entry(status.entry),
        "problem": status.problem,
    }


def describe_changes(changes: Sequence[PlannedChange]) -> list[dict[str, Any]]:
    """Return what was changed, or would be."""
    return [
        {
            "host": change.target.host.name,
            "path": str(change.target.path),
            "outcome": change.outcome,
            "name": change.name,
            "other_names": list(change.other_names),
            "diff": change.diff,
            "problem": change.problem,
        }
        for change in changes
    ]


def show_statuses(statuses: Sequence[HostStatus]) -> None:
    """Print how each host stands."""
    from sediment_mcp.cli.terminal import open_console, put, show_body, style_words

    out = open_console()
    for status in statuses:
        host = status.target.host
        put(
            out,
            style_words(
                (host.name, "bold"),
                (f"{status.state}{_name_entry(status.name)}", STYLES.get(status.state, "")),
                (str(status.target.path), "dim"),
            ),
        )
        if status.state in ("another command", "remote"):
            show_body(out, _format_entry(status.entry))
        if status.problem:
            show_body(out, status.problem)
    if statuses:
        put(out, "Connect one with `sediment-mcp install HOST`, or all of them with --all.")
    else:
        put(out, "No host was found here. Name the one you will use: `sediment-mcp install cursor`.")


def show_installed(
    changes: Sequence[PlannedChange],
    hook_changes: Sequence[PlannedChange],
    command: LaunchCommand,
    test: SmokeTestResult | None,
    *,
    dry_run: bool,
) -> None:
    """Print what was installed, and what is to be done next."""
    from sediment_mcp.cli.terminal import open_console, put, show_body
    from sediment_mcp.hosts.server_entry import is_switched_off

    out = open_console()
    for change in changes:
        _show_change(out, change, dry_run)
        if change.outcome == "kept":
            show_body(
                out,
                f"There: {_format_entry(change.entry)}\n--force replaces it by: {shlex.join(command.argv)}",
            )
        elif change.outcome == "unchanged" and is_switched_off(change.entry):
            show_body(out, f"It is switched off there: switch it on in {change.target.host.title}.")
        elif change.outcome != "unusable" and not dry_run:
            show_body(out, f"{change.target.host.next_step}.")
    for change in hook_changes:
        _show_hook_change(out, change, dry_run)
    if test is not None:
        _show_smoke_test(out, test, shlex.join(command.argv))
    if changes and not any(change.has_hooks for change in hook_changes) and _may_have_hooks(changes):
        put(out, "With --hooks, a host brings memories into conversations without being asked.")


def show_connected(
    changes: Sequence[PlannedChange], server: RemoteServer, test: SmokeTestResult | None, *, dry_run: bool
) -> None:
    """Print which hosts were connected to a server, and where its token lies."""
    from sediment_mcp.cli.terminal import open_console, show_body
    from sediment_mcp.hosts.config_file import holds_token

    out = open_console()
    for change in changes:
        _show_change(out, change, dry_run)
        if change.outcome == "kept":
            show_body(
                out, f"There: {_format_entry(change.entry)}\n--force connects it to {server.url} instead."
            )
        elif change.outcome != "unusable" and not dry_run:
            show_body(out, f"{change.target.host.next_step}.")
            if server.token_variable:
                show_body(out, f"It reads the token from {server.token_variable}: set that where it starts.")
            elif holds_token(change.after):
                show_body(out, "The token lies in that file, which you alone can read.")
    if test is not None:
        _show_smoke_test(out, test, server.url)


def show_by_hand(configs: Mapping[str, Any]) -> None:
    """Print what is to be pasted into hosts whose files nobody else can write."""
    from sediment_mcp.cli.terminal import open_console, put
    from sediment_mcp.hosts.registry import find_host

    out = open_console()
    for name, config in configs.items():
        host = find_host(name)
        assert host is not None
        put(out, f"{host.title}: paste this into {host.next_step}:")
        put(out, json.dumps(config, ensure_ascii=False, indent=2))


def show_uninstalled(
    changes: Sequence[PlannedChange],
    hook_changes: Sequence[PlannedChange],
    by_hand: Sequence[Host],
    *,
    dry_run: bool,
) -> None:
    """Print what was removed, and what stays."""
    from sediment_mcp.cli.terminal import open_console, put, show_body

    out = open_console()
    for change in changes:
        _show_change(out, change, dry_run)
        if change.outcome == "kept":
            show_body(out, f"There: {_format_entry(change.entry)}\nIt stays; --force removes it.")
    for change in hook_changes:
        _show_hook_change(out, change, dry_run)
    for host in by_hand:
        put(out, f"{host.title} keeps its servers itself: remove “sediment” in its settings.")
    if not dry_run:
        put(out, "Your memories stay: `sediment-mcp --version` shows where they are.")


def _may_have_hooks(changes: Sequence[PlannedChange]) -> bool:
    return any(change.target.host.hooks is not None for change in changes)


def _format_entry(entry: Any) -> str:
    """Return the command line of an entry; JSON if the entry holds no command."""
    try:
        return shlex.join([entry["command"], *entry.get("args", [])])
    except (AttributeError, KeyError, TypeError):
        return json.dumps(_mask_entry(entry), ensure_ascii=False)


def _mask_entry(entry: Any) -> Any:
    """Return an entry as it may be shown."""
    from sediment_mcp.hosts.config_file import mask_tokens

    return json.loads(mask_tokens(json.dumps(entry)))


def _show_change(out: Console, change: PlannedChange, dry_run: bool) -> None:
    from sediment_mcp.cli.terminal import put, show_body, style_words

    title, path = change.target.host.title, str(change.target.path)
    if change.outcome == "unusable":
        _show_unusable(out, change.target, change.problem)
    elif change.outcome == "kept":
        put(out, style_words((title, "bold"), (_describe_kept(change), "yellow"), (path, "dim")))
    elif dry_run and change.has_effect:
        put(out, style_words((change.diff, "")))
    else:
        words, style = OUTCOMES[change.outcome]
        put(out, style_words((title, "bold"), (words, style), (f"{path}{_name_entry(change.name)}", "dim")))
    if change.other_names:
        names = ", ".join(f"“{name}”" for name in change.other_names)
        show_body(out, f"It also starts this program as {names}: one entry is enough, remove the rest.")


def _show_hook_change(out: Console, change: PlannedChange, dry_run: bool) -> None:
    from sediment_mcp.cli.terminal import put, show_body, style_words

    host, path = change.target.host, str(change.target.path)
    if change.outcome == "unusable":
        _show_unusable(out, change.target, change.problem)
    elif dry_run and change.has_effect:
        put(out, style_words((change.diff, "")))
    elif change.outcome != "not there":
        words, style = HOOK_OUTCOMES[change.outcome]
        put(out, style_words((host.title, "bold"), (words, style), (path, "dim")))
        if change.has_hooks and host.hooks is not None and host.hooks.next_step:
            show_body(out, f"{host.hooks.next_step}.")


def _show_unusable(out: Console, target: Target, problem: str) -> None:
    from sediment_mcp.cli.terminal import put, style_words

    put(out, style_words((target.host.title, "bold"), ("left as it is:", "bold red"), (problem, "")))


def _describe_kept(change: PlannedChange) -> str:
    from sediment_mcp.hosts.server_entry import starts_this_program

    if starts_this_program(change.entry):
        return f"starts this program as “{change.name}”, in another way:"
    return f"starts something else as “{change.name}”:"


def _name_entry(name: str) -> str:
    """Return a remark on an entry that is ours, but not under our name."""
    from sediment_mcp.hosts.registry import SERVER_NAME

    return "" if name == SERVER_NAME else f", as “{name}”"


def _show_smoke_test(out: Console, test: SmokeTestResult, line: str) -> None:
    """Print how the test of a command line, or of a URL, went."""
    from sediment_mcp.cli.terminal import put, style_words

    if test.problem and "://" in line.partition(" ")[0]:
        put(out, style_words(("It does not answer:", "bold red"), (test.problem, "")))
        return
    if test.problem:
        put(out, style_words(("It does not start:", "bold red"), (line, ""), (test.problem, "")))
        put(out, "Run that line in a terminal to see why; --uninstall takes the entry out again.")
        return
    put(
        out,
        style_words(
            ("It works:", "green"),
            (f"{len(test.tools)} tools after {test.seconds:.1f} s, by", ""),
            (line, "dim"),
        ),
    )
    put(out, TRY_IT)
