"""The command that connects hosts, lists them and disconnects them: install."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from sediment_mcp.cli.commands.import_ import offer_import
from sediment_mcp.cli.confirm import FAILED, say
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import FLAGS, command, complete_words, dry_run_option, pass_invocation

if TYPE_CHECKING:
    from rich.console import Console

    from sediment_mcp.hosts.install_plan import HostStatus, PlannedChange
    from sediment_mcp.hosts.launch_command import LaunchCommand
    from sediment_mcp.hosts.registry import Host, Machine
    from sediment_mcp.hosts.smoke_test import SmokeTestResult

FAILURES = ("kept", "unusable")
STYLES = {"installed": "green", "another command": "yellow", "unusable": "bold red"}
OUTCOMES = {
    "added": ("added to", "green"),
    "replaced": ("replaced in", "green"),
    "unchanged": ("is there already, in", "green"),
    "removed": ("removed from", "green"),
    "not there": ("was not there, in", ""),
}
TRY_IT = "Then say: “Remember that I take my coffee black.” In a new conversation, ask how you take it."
PASTE = "Paste this into Settings → Tools → AI Assistant → Model Context Protocol (MCP) → Add → As JSON:"


def _list_host_names() -> Iterable[str]:
    from sediment_mcp.hosts.registry import HOSTS

    return [host.name for host in HOSTS]


@dataclass(frozen=True)
class _Options:
    all: bool
    uninstall: bool
    dry_run: bool
    force: bool
    no_check: bool


@command(
    "install",
    "sediment-mcp install",
    "sediment-mcp install --all",
    "sediment-mcp install cursor --data-dir ~/memories --dry-run",
    "sediment-mcp install cursor --uninstall",
)
@click.argument(
    "hosts",
    metavar="[HOST]...",
    nargs=-1,
    shell_complete=complete_words(_list_host_names),
    help="such as claude-desktop, cursor or vscode",
)
@click.option("--all", is_flag=True, help="all hosts that are found here")
@click.option("--uninstall", is_flag=True, help="take our entry out again")
@dry_run_option
@click.option("--force", is_flag=True, help="replace or remove an entry that starts something else")
@click.option("--no-check", is_flag=True, help="do not start what was written")
@pass_invocation
def install(invocation: Invocation, hosts: tuple[str, ...], **options: bool) -> int:
    """Connect hosts; without a name, list those that are here."""
    from sediment_mcp.config import MODEL
    from sediment_mcp.hosts import launch_command

    chosen, machine = _Options(**options), _detect_machine()
    named = _find_hosts(hosts)
    if chosen.uninstall and (named or chosen.all):
        return _uninstall(invocation, chosen, machine, named)
    needs_extra = MODEL in invocation.flags and launch_command.needs_extra(invocation.config.model)
    installation = launch_command.detect_installation(machine, sys.argv[0])
    arguments = _build_server_arguments(invocation)
    command = launch_command.build_launch_command(installation, arguments, needs_extra=needs_extra)
    if not named and not chosen.all:
        return _list(invocation, chosen, machine, command)
    if needs_extra and not command.brings_extra:
        launch_command.check_extra(invocation.config.model)
    return _install(invocation, chosen, machine, named, command)


def _list(invocation: Invocation, options: _Options, machine: Machine, command: LaunchCommand) -> int:
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts.install_plan import find_targets, inspect_target

    if options.uninstall or options.force or options.dry_run:
        raise BadArgument(
            "Name the hosts, or give --all for those that are here: see `sediment-mcp install`."
        )
    statuses = [inspect_target(target, command) for target in find_targets(machine)]
    result = {"hosts": [_describe_status(status) for status in statuses]}
    return invocation.print_result(result, lambda: _show_statuses(statuses))


def _install(
    invocation: Invocation, options: _Options, machine: Machine, hosts: Sequence[Host], command: LaunchCommand
) -> int:
    from sediment_mcp.hosts.install_plan import build_config, plan_install

    planned = [
        plan_install(target, command, force=options.force)
        for target in _choose_targets(options, machine, hosts)
    ]
    changes = _apply_changes(planned, dry_run=options.dry_run)
    by_hand = {host.name: build_config(host, command) for host in hosts if not host.locations}
    test = None if options.no_check or options.dry_run else _run_smoke_test(command, machine)
    result = _describe_changes(changes) | {"by_hand": by_hand, "check": asdict(test) if test else None}
    invocation.print_result(
        result, lambda: _show_installed(changes, command, by_hand, test, dry_run=options.dry_run)
    )
    _warn_of_shell_variables(invocation, machine)
    if not options.dry_run:
        offer_import(invocation)
    return FAILED if _has_failed(changes) or (test and test.problem) else 0


def _uninstall(invocation: Invocation, options: _Options, machine: Machine, hosts: Sequence[Host]) -> int:
    from sediment_mcp.hosts.install_plan import plan_removal

    planned = [
        plan_removal(target, force=options.force) for target in _choose_targets(options, machine, hosts)
    ]
    changes = _apply_changes(planned, dry_run=options.dry_run)
    by_hand = [host for host in hosts if not host.locations]
    invocation.print_result(
        _describe_changes(changes),
        lambda: _show_uninstalled(changes, by_hand, dry_run=options.dry_run),
    )
    return FAILED if _has_failed(changes) else 0


# --- hosts and their files ----------------------------------------------------------------------


def _detect_machine() -> Machine:
    from sediment_mcp.config import NO_HOME, environment, find_home
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts.registry import Machine

    try:
        return Machine(sys.platform, find_home(), environment())
    except BadArgument:
        raise BadArgument(
            f"The files of hosts cannot be found, because {NO_HOME}: set HOME to your home directory."
        ) from None


def _find_hosts(names: Sequence[str]) -> list[Host]:
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts.registry import HOSTS, find_host

    hosts = [find_host(name) for name in dict.fromkeys(names)]
    if None in hosts:
        unknown = names[hosts.index(None)]
        known = ", ".join(host.name for host in HOSTS)
        raise BadArgument(f"{unknown!r} is no host that is known here: take one of {known}.")
    return [host for host in hosts if host]


def _choose_targets(options: _Options, machine: Machine, hosts: Sequence[Host]) -> list[Any]:
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts.install_plan import find_targets, list_targets

    if not options.all:
        return [target for host in hosts for target in list_targets(host, machine)]
    if hosts:
        raise BadArgument("--all means all hosts that are here: name none besides.")
    if not (found := find_targets(machine)):
        raise BadArgument(
            "No host was found here: name the one you will use, as in `sediment-mcp install cursor`."
        )
    return found


def _apply_changes(changes: Sequence[PlannedChange], *, dry_run: bool) -> list[PlannedChange]:
    """Apply the changes and return the outcome of each; a failure does not stop the others."""
    from dataclasses import replace

    from sediment_mcp.errors import UnusableFile
    from sediment_mcp.hosts.install_plan import apply_change

    done: list[PlannedChange] = []
    for change in changes:
        try:
            if not dry_run:
                apply_change(change)
            done.append(change)
        except UnusableFile as problem:
            done.append(replace(change, outcome="unusable", problem=str(problem)))
    return done


def _run_smoke_test(command: LaunchCommand, machine: Machine) -> SmokeTestResult:
    from sediment_mcp.cli.terminal import show_spinner
    from sediment_mcp.hosts.smoke_test import run_smoke_test

    with show_spinner("Starting what was written"):
        return run_smoke_test(command, machine.environment, machine.home)


def _has_failed(changes: Sequence[PlannedChange]) -> bool:
    return any(change.outcome in FAILURES for change in changes)


def _build_server_arguments(invocation: Invocation) -> list[str]:
    """Return the global flags for the server, with absolute paths: hosts start it anywhere."""
    from pathlib import Path

    from sediment_mcp.config import DATA_DIR, MODEL, PROJECT

    config, arguments = invocation.config, list[str]()
    values = {DATA_DIR: str(config.data_dir), PROJECT: invocation.project or "", MODEL: config.model}
    if Path(config.model).is_dir():
        values[MODEL] = str(Path(config.model).absolute())
    for variable, (flag, _, _) in FLAGS.items():
        if value := invocation.flags.get(variable):
            arguments += [flag, values.get(variable, value)]
        elif value is not None:
            arguments += [flag, value]
    return arguments


def _warn_of_shell_variables(invocation: Invocation, machine: Machine) -> None:
    """Warn of variables that this shell sets and a host does not see."""
    from sediment_mcp.config import LOG_LEVEL

    for variable, (flag, _, _) in FLAGS.items():
        is_given = variable == LOG_LEVEL or variable in invocation.flags
        if not is_given and machine.environment.get(variable):
            say(f"{variable} is set in this shell, but a host does not see it: give it as {flag} to install.")


# --- how results look ---------------------------------------------------------------------------


def _describe_status(status: HostStatus) -> dict[str, Any]:
    return {
        "host": status.target.host.name,
        "title": status.target.host.title,
        "path": str(status.target.path),
        "state": status.state,
        "name": status.name,
        "entry": status.entry,
        "problem": status.problem,
    }


def _describe_changes(changes: Sequence[PlannedChange]) -> dict[str, Any]:
    return {
        "changes": [
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
    }


def _show_statuses(statuses: Sequence[HostStatus]) -> None:
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
        if status.state == "another command":
            show_body(out, _format_entry(status.entry))
        if status.problem:
            show_body(out, status.problem)
    if statuses:
        put(out, "Connect one with `sediment-mcp install HOST`, or all of them with --all.")
    else:
        put(out, "No host was found here. Name the one you will use: `sediment-mcp install cursor`.")


def _show_installed(
    changes: Sequence[PlannedChange],
    command: LaunchCommand,
    by_hand: Mapping[str, Any],
    test: SmokeTestResult | None,
    *,
    dry_run: bool,
) -> None:
    from sediment_mcp.cli.terminal import open_console, put, show_body
    from sediment_mcp.hosts.launch_command import is_switched_off

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
    for config in by_hand.values():
        put(out, PASTE)
        put(out, json.dumps(config, ensure_ascii=False, indent=2))
    if test is not None:
        _show_smoke_test(out, test, command)


def _show_uninstalled(changes: Sequence[PlannedChange], by_hand: Sequence[Host], *, dry_run: bool) -> None:
    from sediment_mcp.cli.terminal import open_console, put, show_body

    out = open_console()
    for change in changes:
        _show_change(out, change, dry_run)
        if change.outcome == "kept":
            show_body(out, f"There: {_format_entry(change.entry)}\nIt stays; --force removes it.")
    for host in by_hand:
        put(out, f"{host.title} keeps its servers itself: remove “sediment” in its settings.")
    if not dry_run:
        put(out, "Your memories stay: `sediment-mcp --version` shows where they are.")


def _format_entry(entry: Any) -> str:
    """Return the command line of an entry; JSON if the entry holds no command."""
    try:
        return shlex.join([entry["command"], *entry.get("args", [])])
    except (AttributeError, KeyError, TypeError):
        return json.dumps(entry, ensure_ascii=False)


def _show_change(out: Console, change: PlannedChange, dry_run: bool) -> None:
    from sediment_mcp.cli.terminal import put, show_body, style_words

    title, path = change.target.host.title, str(change.target.path)
    if change.outcome == "unusable":
        put(out, style_words((title, "bold"), ("left as it is:", "bold red"), (change.problem, "")))
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


def _describe_kept(change: PlannedChange) -> str:
    from sediment_mcp.hosts.launch_command import starts_this_program

    if starts_this_program(change.entry):
        return f"starts this program as “{change.name}”, in another way:"
    return f"starts something else as “{change.name}”:"


def _name_entry(name: str) -> str:
    """Return a remark on an entry that is ours, but not under our name."""
    from sediment_mcp.hosts.registry import SERVER_NAME

    return "" if name == SERVER_NAME else f", as “{name}”"


def _show_smoke_test(out: Console, test: SmokeTestResult, command: LaunchCommand) -> None:
    from sediment_mcp.cli.terminal import put, style_words

    line = shlex.join(command.argv)
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
