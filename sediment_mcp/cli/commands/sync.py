"""The command that keeps several devices at the same memories: sync."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sediment_mcp.cli.confirm import read_passphrase, say
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import (
    MAX_COUNT,
    WholeNumber,
    command,
    complete_directory,
    pass_invocation,
    passphrase_option,
)
from sediment_mcp.errors import BadArgument

if TYPE_CHECKING:
    from sediment_mcp.sync.report import SyncReport
    from sediment_mcp.sync.results import DeviceStatus, SharedProject, SyncStatus

DEFAULT_SECONDS = 30  # between two looks of --watch
LEFT_OUT = {
    "--device": "init and join",
    "--passphrase-file": "init and join",
    "--every": "--watch",
    "--remove-files": "leave",
}


@dataclass(frozen=True)
class _SyncOptions:
    device: str | None
    passphrase_file: str | None
    watch: bool
    every: int | None
    remove_files: bool


@command(
    "sync",
    "sediment-mcp sync init ~/Dropbox/sediment",
    "sediment-mcp sync join ~/Dropbox/sediment",
    "sediment-mcp sync",
    "sediment-mcp sync --watch",
    "sediment-mcp sync on",
    "sediment-mcp sync status",
    "sediment-mcp sync project git:github.com/ann/shop ~/code/shop",
)
@click.argument(
    "words",
    metavar="[ACTION] [FOLDER]",
    nargs=-1,
    shell_complete=complete_directory,
    help="init, join, status, on, off, project, leave; without one: synchronize once",
)
@click.option("--device", metavar="NAME", help="for init and join: what this one is called")
@click.option("--watch", is_flag=True, help="synchronize again and again, until it is ended")
@click.option(
    "--every",
    metavar="SECONDS",
    type=WholeNumber(1, MAX_COUNT),
    help=f"for --watch: how often, {DEFAULT_SECONDS} by default",
)
@click.option("--remove-files", is_flag=True, help="for leave: this device's files in the folder, too")
@passphrase_option
@pass_invocation
def sync(invocation: Invocation, words: tuple[str, ...], **options: Any) -> int:
    """Keep devices at the same memories through a folder that something else carries.

    init makes such a folder, on the first device; join lets another take part. on lets running servers
    synchronize by themselves. All in it is encrypted; the passphrase is asked for, or piped in.
    """
    chosen = _SyncOptions(**options)
    action = words[0] if words and words[0] in ACTIONS else ""
    _check_options(action, chosen)
    least, most, run = ACTIONS[action]
    rest = words[1:] if action else words
    if not least <= len(rest) <= most:
        raise BadArgument(_explain_words(action, rest))
    return run(invocation, rest, chosen)


def _check_options(action: str, options: _SyncOptions) -> None:
    """Refuse options that say nothing to the action.

    Raises:
        BadArgument: there are some.
    """
    if options.watch and action:
        raise BadArgument(f"--watch synchronizes and does no {action}: leave one of them out.")
    given = {
        "--device": options.device is not None and action not in ("init", "join"),
        "--passphrase-file": options.passphrase_file is not None and action not in ("init", "join"),
        "--every": options.every is not None and not options.watch,
        "--remove-files": options.remove_files and action != "leave",
    }
    for name, is_wrong in given.items():
        if is_wrong:
            raise BadArgument(f"{name} is for {LEFT_OUT[name]}: leave it out.")


def _explain_words(action: str, rest: Sequence[str]) -> str:
    if action in ("init", "join"):
        return f"sync {action} needs one folder: name it after the word {action}."
    if action == "project":
        return "sync project takes a shared name and a folder, or nothing: it lists both then."
    if action:
        return f"sync {action} takes nothing else: leave {' '.join(rest)} out."
    return "sync takes one folder at most, or an action: init, join, status, on, off, project or leave."


# --- the actions --------------------------------------------------------------------------------


def _init(invocation: Invocation, words: Sequence[str], options: _SyncOptions) -> int:
    from sediment_mcp.sync import setup
    from sediment_mcp.sync.settings import read_settings

    app, folder = invocation.app, Path(words[0])
    setup.check_new_folder(app, folder)
    passphrase = read_passphrase(options.passphrase_file, twice=True, is_piped=True)
    code = setup.create(app, folder, options.device or "", passphrase)
    settings = read_settings(app)
    assert settings is not None, "it was set a moment ago"
    say(
        "The recovery code is shown this once. Write it down: with it every file opens, also when the "
        "passphrase is lost."
    )
    result = {"folder": str(settings.folder), "device": settings.device, "recovery_code": code}
    invocation.print_result(result, lambda: click.echo(code))
    return _run_first(invocation, settings.device)


def _join(invocation: Invocation, words: Sequence[str], options: _SyncOptions) -> int:
    from sediment_mcp.sync import setup

    app, folder = invocation.app, Path(words[0])
    setup.check_joined_folder(app, folder)
    secret = read_passphrase(options.passphrase_file, name="Passphrase or recovery code", is_piped=True)
    setup.join(app, folder, options.device or "", secret)
    settings = setup.require_settings(app)
    result = {"folder": str(settings.folder), "device": settings.device}
    invocation.print_result(result, lambda: None)
    return _run_first(invocation, settings.device)


def _run_first(invocation: Invocation, device: str) -> int:
    """Synchronize for the first time; what is printed besides goes to stderr."""
    report = _run_engine(invocation)
    say(f"This device is {device}. {_format_report(report)}")
    say("From now on: sediment-mcp sync, or sediment-mcp sync on for servers that do it by themselves.")
    return 0


def _run(invocation: Invocation, words: Sequence[str], options: _SyncOptions) -> int:
    from sediment_mcp.sync.setup import require_settings, use_folder

    app = invocation.app
    if words:
        use_folder(app, Path(words[0]))
    else:
        require_settings(app)
    if options.watch:
        return _watch(invocation, options.every or DEFAULT_SECONDS)
    report = _run_engine(invocation)
    return invocation.print_result(_describe(report), lambda: _show_report(report))


def _run_engine(invocation: Invocation) -> SyncReport:
    from sediment_mcp.cli import terminal
    from sediment_mcp.sync.engine import SyncEngine

    with terminal.show_progress() as bars:
        return SyncEngine(invocation.app).run(bars("sync"))


def _watch(invocation: Invocation, seconds: int) -> int:
    import signal
    import threading

    from sediment_mcp.sync.watch import watch

    ended = threading.Event()

    def end(*_: object) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    say(f"Synchronizing every {seconds} seconds, until Ctrl-C.")

    def show(report: SyncReport) -> None:
        if report.has_changes:
            invocation.print_result(_describe(report), lambda: _show_report(report))
            sys.stdout.flush()

    watch(invocation.app, seconds, ended, show, say)
    return 0


def _status(invocation: Invocation, words: Sequence[str], options: _SyncOptions) -> int:
    from sediment_mcp.sync.status import read_status

    status = read_status(invocation.app)
    return invocation.print_result(status, lambda: _show_status(status))


def _switch(invocation: Invocation, *, is_on: bool) -> int:
    from sediment_mcp.sync.setup import set_automatic

    settings = set_automatic(invocation.app, is_automatic=is_on)
    done = (
        f"Servers synchronize by themselves through {settings.folder}, those that run within a minute."
        if is_on
        else "Servers no longer synchronize: sediment-mcp sync does."
    )
    return invocation.print_result({"automatic": is_on}, lambda: click.echo(done))


def _project(invocation: Invocation, words: Sequence[str], options: _SyncOptions) -> int:
    from sediment_mcp.sync.project_identity import list_shared_projects, map_project
    from sediment_mcp.sync.setup import require_settings

    app = invocation.app
    require_settings(app)
    if len(words) == 1:
        raise BadArgument(_explain_words("project", words))
    if words:
        mapped = map_project(app, *words)
        return invocation.print_result(mapped, lambda: _show_projects([mapped]))
    projects = list_shared_projects(app)
    return invocation.print_result({"projects": projects}, lambda: _show_projects(projects))


def _leave(invocation: Invocation, words: Sequence[str], options: _SyncOptions) -> int:
    from sediment_mcp.sync.setup import leave

    settings = leave(invocation.app, remove_files=options.remove_files)
    own = settings.folder / settings.device
    files = f"{own} was removed" if options.remove_files else f"{own} stays, for the others"
    done = f"This device no longer synchronizes: {files}. All that is here stays here."
    return invocation.print_result(
        {"left": str(settings.folder), "removed": options.remove_files}, lambda: click.echo(done)
    )


Run = Callable[[Invocation, Sequence[str], _SyncOptions], int]

ACTIONS: dict[str, tuple[int, int, Run]] = {
    "": (0, 1, _run),
    "init": (1, 1, _init),
    "join": (1, 1, _join),
    "status": (0, 0, _status),
    "on": (0, 0, lambda invocation, _, __: _switch(invocation, is_on=True)),
    "off": (0, 0, lambda invocation, _, __: _switch(invocation, is_on=False)),
    "project": (0, 2, _project),
    "leave": (0, 0, _leave),
}
"""By action: how many words follow it, at least and at most, and what it does."""


# --- how results look ---------------------------------------------------------------------------


def _describe(report: SyncReport) -> dict[str, Any]:
    waiting = [{"device": device, "reason": reason} for device, reason in report.waiting]
    return {**asdict(report), "waiting": waiting}


def _format_report(report: SyncReport) -> str:
    from sediment_mcp.system.text import format_count

    parts = [
        f"{format_count(report.taken, 'memory')} taken over" if report.taken else "",
        f"{format_count(report.given, 'memory')} given" if report.given else "",
        f"{report.erased:,} erased for good" if report.erased else "",
        f"{format_count(report.rules, 'rule')} of retention changed" if report.rules else "",
        f"{format_count(report.kept_pairs, 'kept pair')} added" if report.kept_pairs else "",
    ]
    said = ", ".join(part for part in parts if part)
    return f"{said[0].upper()}{said[1:]}." if said else "Nothing is new."


def _show_report(report: SyncReport) -> None:
    from sediment_mcp.cli.terminal import open_console, put, show_notes, style_words

    out = open_console()
    put(out, style_words((_format_report(report), "bold green" if report.has_changes else "")))
    notes = [f"{device} waits: its next file {reason}." for device, reason in report.waiting]
    if report.new_name:
        notes.append(
            "The files of this device were another's, as after a backup came back: it is called "
            f"{report.new_name} from now on."
        )
    show_notes(out, notes)


def _show_status(status: SyncStatus) -> None:
    from sediment_mcp.cli.terminal import open_console, put, show_notes, style_words
    from sediment_mcp.sync.findings import check_status
    from sediment_mcp.system.files import format_bytes

    out = open_console()
    automatic = "servers synchronize by themselves" if status["automatic"] else "sediment-mcp sync does it"
    put(out, style_words((status["folder"], "cyan"), (format_bytes(status["bytes"]), "dim"), (automatic, "")))
    for device in status["devices"]:
        put(out, style_words(*_list_facts(device), gap="  "))
    notes = [f"{finding.sentence} {finding.remedy}" for finding in check_status(status) if finding.remedy]
    ignored = list(status.get("ignored", []))
    for device in status["devices"]:
        ignored += [f"{device['name']}/{name}" for name in device.get("ignored", [])]
    if ignored:
        notes.append(f"Ignored, for they are none of ours: {', '.join(ignored)}.")
    show_notes(out, notes)


def _list_facts(device: DeviceStatus) -> list[tuple[str, str]]:
    """Return what is shown of a device, with its styles."""
    from sediment_mcp.cli.terminal import format_local_time
    from sediment_mcp.system.files import format_bytes
    from sediment_mcp.system.text import format_count, format_subject

    size = f"{format_count(device['files'], 'file')}, {format_bytes(device['bytes'])}"
    facts = [(device["name"], "bold"), ("this one" if device["is_own"] else "", "green"), (size, "dim")]
    if "seen_at" in device:
        facts.append((f"wrote {format_local_time(device['seen_at'])}", ""))
    if device["waiting"]:
        facts.append((f"{format_subject(device['waiting'], 'file')} waiting", "yellow"))
    if "reason" in device:
        facts.append((device["reason"], "yellow"))
    return [fact for fact in facts if fact[0]]


def _show_projects(projects: Sequence[SharedProject]) -> None:
    from sediment_mcp.cli.terminal import open_console, put, style_words
    from sediment_mcp.system.text import format_count

    out = open_console()
    for one in projects:
        place = one["project"] or "no folder here: sediment-mcp sync project NAME FOLDER"
        style = "blue" if one["project"] else "yellow"
        count = format_count(one["memories"], "memory")
        put(out, style_words((one["name"], "cyan"), (place, style), (count, "dim"), gap="  "))
    if not projects:
        put(out, "No project is shared yet.")
