"""The command that connects hosts: install, which also lists them and takes our entry out again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sediment_mcp.cli.confirm import answer, say

if TYPE_CHECKING:
    from sediment_mcp.app import Library
    from sediment_mcp.cli.options import Chosen
    from sediment_mcp.hosts.install_plan import Change
    from sediment_mcp.hosts.launch_command import Command
    from sediment_mcp.hosts.registry import Host, Machine
    from sediment_mcp.hosts.smoke_test import Trial

FAILED = ("kept", "unusable")


def install(chosen: Chosen, library: Library) -> int:
    from sediment_mcp.hosts.launch_command import command_of, this_installation

    machine = _machine()
    hosts = _hosts(chosen.hosts)
    if chosen.uninstall and (hosts or chosen.all):
        return _uninstall(chosen, machine, hosts)
    command = command_of(this_installation(machine, sys.argv[0]), _server_arguments(chosen))
    if not hosts and not chosen.all:
        return _list(chosen, machine, command)
    return _install(chosen, machine, hosts, command)


def _list(chosen: Chosen, machine: Machine, command: Command) -> int:
    from sediment_mcp.cli import render_install as shown
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts.install_plan import found_targets, look

    if chosen.uninstall or chosen.force or chosen.dry_run:
        raise BadArgument(
            "Name the hosts, or give --all for those that are here: see `sediment-mcp install`."
        )
    looks = [look(target, command) for target in found_targets(machine)]
    return answer(
        chosen, {"hosts": [shown.look_as_json(one) for one in looks]}, lambda: shown.show_looks(looks)
    )


def _install(chosen: Chosen, machine: Machine, hosts: Sequence[Host], command: Command) -> int:
    from sediment_mcp.cli import render_install as shown
    from sediment_mcp.hosts.install_plan import plan_install, to_paste

    changes = [
        plan_install(target, command, force=chosen.force) for target in _targets(chosen, machine, hosts)
    ]
    changes = _carried_out(chosen, changes)
    by_hand = {host.name: to_paste(host, command) for host in hosts if not host.places}
    trial = None if chosen.no_check or chosen.dry_run else _tried_out(command, machine)
    result = shown.changes_as_json(changes) | {"by_hand": by_hand, "check": shown.trial_as_json(trial)}
    answer(chosen, result, lambda: shown.show_installed(changes, command, by_hand, trial, dry=chosen.dry_run))
    _say_what_hosts_do_not_see(chosen, machine)
    return 1 if _failed(changes) or (trial and trial.problem) else 0


def _uninstall(chosen: Chosen, machine: Machine, hosts: Sequence[Host]) -> int:
    from sediment_mcp.cli import render_install as shown
    from sediment_mcp.hosts.install_plan import plan_removal

    changes = [plan_removal(target) for target in _targets(chosen, machine, hosts)]
    changes = _carried_out(chosen, changes)
    by_hand = [host for host in hosts if not host.places]
    answer(
        chosen,
        shown.changes_as_json(changes),
        lambda: shown.show_uninstalled(changes, by_hand, dry=chosen.dry_run),
    )
    return 1 if _failed(changes) else 0


# --- pieces -------------------------------------------------------------------------------------


def _machine() -> Machine:
    from pathlib import Path

    from sediment_mcp.config import environment
    from sediment_mcp.hosts.registry import Machine

    return Machine(sys.platform, Path.home(), environment())


def _hosts(names: Sequence[str]) -> list[Host]:
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts.registry import HOSTS, host_named

    hosts = [host_named(name) for name in dict.fromkeys(names)]
    if None in hosts:
        unknown = names[hosts.index(None)]
        known = ", ".join(host.name for host in HOSTS)
        raise BadArgument(f"{unknown!r} is no host that is known here: take one of {known}.")
    return [host for host in hosts if host]


def _targets(chosen: Chosen, machine: Machine, hosts: Sequence[Host]) -> list[Any]:
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.hosts.install_plan import found_targets, targets_of

    if not chosen.all:
        return [target for host in hosts for target in targets_of(host, machine)]
    if hosts:
        raise BadArgument("--all means all hosts that are here: name none besides.")
    if not (found := found_targets(machine)):
        raise BadArgument(
            "No host was found here: name the one you will use, as in `sediment-mcp install cursor`."
        )
    return found


def _carried_out(chosen: Chosen, changes: Sequence[Change]) -> list[Change]:
    """What became of the changes; one that cannot be written does not keep the others back."""
    from dataclasses import replace

    from sediment_mcp.errors import UnusableFile
    from sediment_mcp.hosts.install_plan import carry_out

    done: list[Change] = []
    for change in changes:
        try:
            if not chosen.dry_run:
                carry_out(change)
            done.append(change)
        except UnusableFile as problem:
            done.append(replace(change, outcome="unusable", problem=str(problem)))
    return done


def _tried_out(command: Command, machine: Machine) -> Trial:
    from sediment_mcp.cli.terminal import waiting
    from sediment_mcp.hosts.smoke_test import try_out

    with waiting("Starting what was written"):
        return try_out(command, machine.environment, machine.home)


def _failed(changes: Sequence[Change]) -> bool:
    return any(change.outcome in FAILED for change in changes)


def _server_arguments(chosen: Chosen) -> list[str]:
    """The global flags that were given, for the server; folders become absolute, hosts start it anywhere."""
    from sediment_mcp.cli.options import FLAGS, flags
    from sediment_mcp.config import DATA_DIR, MODEL, PROJECT

    arguments: list[str] = []
    for variable, value in flags(chosen).items():
        if value is not None:
            is_folder = variable in (DATA_DIR, PROJECT) or (variable == MODEL and _is_directory(value))
            arguments += [FLAGS[variable][0], _absolute(value) if is_folder and value else value]
    return arguments


def _is_directory(value: str) -> bool:
    from pathlib import Path

    return Path(value).expanduser().is_dir()


def _absolute(value: str) -> str:
    from pathlib import Path

    return str(Path(value).expanduser().absolute())


def _say_what_hosts_do_not_see(chosen: Chosen, machine: Machine) -> None:
    """Without a word the host would open another memory than the shell does."""
    from sediment_mcp.cli.options import FLAGS, flags
    from sediment_mcp.config import LOG_LEVEL

    for variable, value in flags(chosen).items():
        if variable != LOG_LEVEL and value is None and machine.environment.get(variable):
            flag = FLAGS[variable][0]
            say(f"{variable} is set in this shell, but a host does not see it: give it as {flag} to install.")
