"""The command that connects hosts, lists them and disconnects them: install."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from sediment_mcp.cli.commands.captured import switch_capture_on
from sediment_mcp.cli.commands.import_ import offer_import
from sediment_mcp.cli.confirm import FAILED, confirm_yes, read_token, say
from sediment_mcp.cli.flags import FLAGS
from sediment_mcp.cli.host_machine import detect_machine
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import command, complete_words, dry_run_option, pass_invocation

if TYPE_CHECKING:
    from sediment_mcp.hosts.hook_plan import HookRequest, HookTarget
    from sediment_mcp.hosts.install_plan import ConfigTarget, PlannedChange
    from sediment_mcp.hosts.launch_command import LaunchCommand
    from sediment_mcp.hosts.locations import Machine
    from sediment_mcp.hosts.registry import Host
    from sediment_mcp.hosts.remote_server import RemoteServer
    from sediment_mcp.hosts.server_entry import Connection
    from sediment_mcp.hosts.smoke_test import SmokeTestResult


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
    hooks: bool | None
    capture: bool | None
    encrypt: bool
    url: str | None
    token_env: str | None
    token_stdin: bool


@command(
    "install",
    "sediment-mcp install",
    "sediment-mcp install --all --hooks",
    "sediment-mcp install cursor --data-dir ~/memories --dry-run",
    "sediment-mcp install cursor codex --url https://memory.example.com/mcp --token-env MEMORY_TOKEN",
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
@click.option("--url", metavar="URL", help="connect them to this server instead of starting one here")
@click.option("--token-env", metavar="NAME", help="the variable in which they find its token")
@click.option("--token-stdin", is_flag=True, help="read its token from standard input; else asked for")
@click.option("--uninstall", is_flag=True, help="take our entry and our hooks out again")
@click.option(
    "--hooks/--no-hooks",
    default=None,
    help="let hosts bring memories into conversations by themselves; else as it is, or asked",
)
@click.option(
    "--capture/--no-capture",
    default=None,
    help="let hosts keep what is said, for 30 days; else as it is, or asked",
)
@click.option("--encrypt", is_flag=True, help="encrypt the memories, as the command encrypt does")
@dry_run_option
@click.option("--force", is_flag=True, help="replace or remove an entry that starts something else")
@click.option("--no-check", is_flag=True, help="do not start what was written")
@pass_invocation
def install(invocation: Invocation, hosts: tuple[str, ...], **options: Any) -> int:
    """Connect hosts; without a name, list those that are here."""
    from sediment_mcp.config import MODEL, RERANKER
    from sediment_mcp.hosts import launch_command

    chosen, machine = _Options(**options), detect_machine()
    named = _find_hosts(hosts)
    _check_remote(chosen)
    if chosen.uninstall and (named or chosen.all):
        return _uninstall(invocation, chosen, machine, named)
    if chosen.url is not None and (named or chosen.all):
        return _install_remote(invocation, chosen, machine, named)
    models = {MODEL: invocation.config.model, RERANKER: invocation.config.reranker}
    given = [models[variable] for variable in models if variable in invocation.flags]
    installation = launch_command.detect_installation(machine, sys.argv[0])
    arguments = _build_server_arguments(invocation)
    extra = launch_command.find_extra(given, is_encrypted=chosen.encrypt or _is_encrypted(invocation))
    command = launch_command.build_launch_command(installation, arguments, extra=extra)
    if not named and not chosen.all:
        return _list(invocation, chosen, machine, command)
    if not command.brings_extra:
        launch_command.check_extra(given)
    if chosen.encrypt and not chosen.dry_run:
        _encrypt(invocation)
    return _install(invocation, chosen, machine, named, command)


def _is_encrypted(invocation: Invocation) -> bool:
    from sediment_mcp.system.directory_encryption import DirectoryEncryption

    return DirectoryEncryption(invocation.config.data_dir).marker is not None


def _encrypt(invocation: Invocation) -> None:
    """Encrypt the memories, before a server stores the first one."""
    from sediment_mcp.cli.commands.encryption import run_encryption, say_what_remains

    _, report = run_encryption(invocation, yes=False)
    say_what_remains(report)


def _list(invocation: Invocation, options: _Options, machine: Machine, command: LaunchCommand) -> int:
    from sediment_mcp.cli.host_report import describe_status, show_statuses
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts.install_plan import find_targets, inspect_target

    is_change = options.uninstall or options.force or options.dry_run or options.encrypt
    is_change = is_change or options.url is not None
    if is_change or options.hooks is not None or options.capture is not None:
        raise BadArgument(
            "Name the hosts, or give --all for those that are here: see `sediment-mcp install`."
        )
    statuses = [inspect_target(target, command) for target in find_targets(machine)]
    result = {"hosts": [describe_status(status) for status in statuses]}
    return invocation.print_result(result, lambda: show_statuses(statuses))


def _install(
    invocation: Invocation, options: _Options, machine: Machine, hosts: Sequence[Host], command: LaunchCommand
) -> int:
    from sediment_mcp.cli.host_report import describe_changes, show_by_hand, show_installed
    from sediment_mcp.hosts.hook_plan import plan_hooks
    from sediment_mcp.hosts.install_plan import build_config, plan_install

    targets = _choose_targets(options, machine, hosts)
    planned = [plan_install(target, command, force=options.force) for target in targets]
    hook_targets = _list_hook_targets(targets, machine)
    request = _choose_hooks(invocation, options, hook_targets)
    planned_hooks = [plan_hooks(target, command, request, machine) for target in hook_targets]
    changes = _apply_changes(planned, dry_run=options.dry_run)
    hook_changes = _apply_changes(planned_hooks, dry_run=options.dry_run)
    by_hand = {host.name: build_config(host, command) for host in hosts if not host.locations}
    test = None if options.no_check or options.dry_run else _run_smoke_test(command, machine)

    def show() -> None:
        show_installed(changes, hook_changes, command, test, dry_run=options.dry_run)
        show_by_hand(by_hand)

    result = {"changes": describe_changes(changes), "hooks": describe_changes(hook_changes)}
    invocation.print_result(
        result | {"by_hand": by_hand, "check": asdict(test) if test else None},
        show,
    )
    _warn_of_shell_variables(invocation, machine)
    if not options.dry_run:
        if request.capture:
            switch_capture_on(invocation)
        offer_import(invocation)
    return FAILED if _has_failed([*changes, *hook_changes]) or (test and test.problem) else 0


# --- a server elsewhere ---------------------------------------------------------------------------


def _check_remote(options: _Options) -> None:
    from sediment_mcp.errors import BadArgument

    if options.url is None and (options.token_env or options.token_stdin):
        raise BadArgument("A token is for a server elsewhere: name that one with --url.")
    if options.token_env and options.token_stdin:
        raise BadArgument("--token-env and --token-stdin exclude each other: the token is in one place.")
    if options.url is not None and options.uninstall:
        raise BadArgument("--uninstall takes our entry out whatever it connects to: leave --url away.")
    if options.encrypt and (options.url is not None or options.uninstall):
        raise BadArgument(
            "--encrypt is for memories of this machine that a host is being connected to: leave it out."
        )
    if options.url is not None and (options.hooks or options.capture):
        raise BadArgument(
            "Hooks recall and keep memories of this machine, and --url connects to another one: "
            "leave --hooks and --capture away."
        )


def _install_remote(
    invocation: Invocation, options: _Options, machine: Machine, hosts: Sequence[Host]
) -> int:
    """Connect hosts to a server with a URL, those that cannot reach one by a bridge."""
    from sediment_mcp.cli.host_report import describe_changes, show_by_hand, show_connected
    from sediment_mcp.config import PROJECT
    from sediment_mcp.hosts.install_plan import build_config, plan_install
    from sediment_mcp.hosts.launch_command import detect_installation
    from sediment_mcp.hosts.remote_server import RemoteServer, check_server

    project = invocation.project or "" if PROJECT in invocation.flags else ""
    server = check_server(RemoteServer(options.url or "", "", options.token_env or "", project))
    targets = _choose_targets(options, machine, hosts)
    token = "" if options.token_env else read_token(is_piped=options.token_stdin)
    server = check_server(RemoteServer(server.url, token, server.token_variable, project))
    installation = detect_installation(machine, sys.argv[0])

    def connect(host: Host) -> Connection:
        from sediment_mcp.hosts.launch_command import build_bridge_command

        can_be_told = host.remote and (host.remote.reads_variables or not server.token_variable)
        return server if can_be_told else build_bridge_command(installation, server, host.name)

    planned = [plan_install(target, connect(target.host), force=options.force) for target in targets]
    changes = _apply_changes(planned, dry_run=options.dry_run)
    by_hand = {host.name: build_config(host, connect(host)) for host in hosts if not host.locations}
    test = None if options.no_check or options.dry_run else _test_remote(server, machine)

    def show() -> None:
        show_connected(changes, server, test, dry_run=options.dry_run)
        show_by_hand(by_hand)

    invocation.print_result(
        {"changes": describe_changes(changes), "by_hand": by_hand, "check": asdict(test) if test else None},
        show,
    )
    return FAILED if _has_failed(changes) or (test and test.problem) else 0


def _test_remote(server: RemoteServer, machine: Machine) -> SmokeTestResult | None:
    """Ask the server for its tools; None if this shell does not have its token."""
    from sediment_mcp.hosts.launch_command import build_bridge_command, detect_installation

    if server.token_variable and not machine.environment.get(server.token_variable):
        say(f"{server.token_variable} is not set in this shell, so the connection was not tried.")
        return None
    command = build_bridge_command(detect_installation(machine, sys.argv[0]), server, "install")
    return _run_smoke_test(command, machine)


def _uninstall(invocation: Invocation, options: _Options, machine: Machine, hosts: Sequence[Host]) -> int:
    from sediment_mcp.cli.host_report import describe_changes, show_uninstalled
    from sediment_mcp.hosts.hook_plan import plan_hook_removal
    from sediment_mcp.hosts.install_plan import plan_removal

    targets = _choose_targets(options, machine, hosts)
    planned = [plan_removal(target, force=options.force) for target in targets]
    planned_hooks = [plan_hook_removal(target) for target in _list_hook_targets(targets, machine)]
    changes = _apply_changes(planned, dry_run=options.dry_run)
    hook_changes = _apply_changes(planned_hooks, dry_run=options.dry_run)
    by_hand = [host for host in hosts if not host.locations]
    invocation.print_result(
        {"changes": describe_changes(changes), "hooks": describe_changes(hook_changes)},
        lambda: show_uninstalled(changes, hook_changes, by_hand, dry_run=options.dry_run),
    )
    return FAILED if _has_failed([*changes, *hook_changes]) else 0


# --- hooks --------------------------------------------------------------------------------------


def _list_hook_targets(targets: Sequence[ConfigTarget], machine: Machine) -> list[HookTarget]:
    """Return the files for hooks of these hosts, each once."""
    from sediment_mcp.hosts.hook_plan import find_hook_target

    found = [find_hook_target(target.host, machine) for target in targets]
    by_path = {target.path: target for target in reversed(found) if target}
    return list(reversed(by_path.values()))


def _choose_hooks(invocation: Invocation, options: _Options, targets: Sequence[HookTarget]) -> HookRequest:
    """Return which hooks are asked for; a person at the terminal who has not said so is asked."""
    from sediment_mcp.hosts.hook_plan import HookRequest, has_hooks

    recall, capture = options.hooks, options.capture
    is_new = bool(targets) and not any(map(has_hooks, targets))
    if is_new and recall is None and capture is None and _can_ask(invocation, options):
        titles = ", ".join(target.host.title for target in targets)
        recall = confirm_yes(f"Let {titles} bring memories into conversations without being asked?", "")
        capture = confirm_yes("Let them also keep what is said there, word for word, for 30 days?", "")
    return HookRequest(recall=recall, capture=capture)


def _can_ask(invocation: Invocation, options: _Options) -> bool:
    return not (invocation.json or options.dry_run) and sys.stdin.isatty() and sys.stderr.isatty()


# --- hosts and their files ----------------------------------------------------------------------


def _find_hosts(names: Sequence[str]) -> list[Host]:
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts.registry import HOSTS, find_host

    hosts = [find_host(name) for name in dict.fromkeys(names)]
    if None in hosts:
        unknown = names[hosts.index(None)]
        known = ", ".join(host.name for host in HOSTS)
        raise BadArgument(f"{unknown!r} is no host that is known here: take one of {known}.")
    return [host for host in hosts if host]


def _choose_targets(options: _Options, machine: Machine, hosts: Sequence[Host]) -> list[ConfigTarget]:
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
    return any(change.outcome in ("kept", "unusable") for change in changes)


def _build_server_arguments(invocation: Invocation) -> list[str]:
    """Return the global flags for the server, with absolute paths: hosts start it anywhere."""
    from pathlib import Path

    from sediment_mcp.config import DATA_DIR, MODEL, PROJECT, RERANKER

    config, arguments = invocation.config, list[str]()
    values = {DATA_DIR: str(config.data_dir), PROJECT: invocation.project or ""}
    for variable, name in ((MODEL, config.model), (RERANKER, config.reranker)):
        values[variable] = str(Path(name).absolute()) if Path(name).is_dir() else name
    for variable, (flag, _, _) in FLAGS.items():
        if (value := invocation.flags.get(variable)) is not None:
            arguments += [flag, value and values.get(variable, value)]
    return arguments


def _warn_of_shell_variables(invocation: Invocation, machine: Machine) -> None:
    """Warn of variables that this shell sets and a host does not see."""
    from sediment_mcp.config import LOG_LEVEL

    for variable, (flag, _, _) in FLAGS.items():
        is_given = variable == LOG_LEVEL or variable in invocation.flags
        if not is_given and machine.environment.get(variable):
            say(f"{variable} is set in this shell, but a host does not see it: give it as {flag} to install.")
