"""The commands about encryption at rest: encrypt, decrypt, key."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

import click

from sediment_mcp.cli.confirm import FAILED, confirm_yes, say
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import command, complete_words, pass_invocation, yes_option
from sediment_mcp.errors import BadArgument

if TYPE_CHECKING:
    from sediment_mcp.hosts.install_plan import HostStatus
    from sediment_mcp.maintenance.directory_conversion import ConversionReport
    from sediment_mcp.maintenance.encryption import EncryptionPlan
    from sediment_mcp.system.data_key import DataKey
    from sediment_mcp.system.directory_encryption import Marker
    from sediment_mcp.system.key_sources import KeySource

SOURCES = ("keychain", "file", "command")
ACTIONS = ("where", "show", "restore", "new")
STATES = {
    "encrypted": "The data directory is encrypted.",
    "encrypting": "The data directory is not wholly encrypted yet: run `sediment-mcp encrypt` again.",
    "decrypting": "The data directory is not wholly decrypted yet: run `sediment-mcp decrypt` again.",
}
TRIES = 3  # at typing two groups of the recovery code
CODE_WIDTH = 7  # groups of the recovery code on a line


# --- encrypt and decrypt ----------------------------------------------------------------------------


@command("encrypt", "sediment-mcp encrypt", "sediment-mcp encrypt --key file --yes > recovery-code.txt")
@click.option(
    "--key",
    "source",
    metavar="SOURCE",
    type=click.Choice(SOURCES),
    shell_complete=complete_words(lambda: SOURCES),
    help="where the key is kept: keychain, file, or command; else the first that there is",
)
@click.option("--yes", is_flag=True, help="print the recovery code to standard output, and ask nothing")
@pass_invocation
def encrypt(invocation: Invocation, source: str | None, yes: bool) -> int:
    """Encrypt the data directory, with its backups, while servers are running.

    Run again, it goes on with what was interrupted, and encrypts what an earlier version has written since.
    """
    plan, report = run_encryption(invocation, cast("KeySource | None", source), yes=yes)
    result = describe_report(report) | {"key": plan.source}
    if plan.is_new and yes and invocation.json:
        result["recovery_code"] = plan.key.recovery_code
    invocation.print_result(result, lambda: _show_encrypted(plan, report, code=plan.is_new and yes))
    say_what_remains(report)
    say_which_hosts_lack_the_extra(invocation)
    return 0


def run_encryption(
    invocation: Invocation, source: KeySource | None = None, *, yes: bool
) -> tuple[EncryptionPlan, ConversionReport]:
    """Encrypt the data directory, once a person has written its new recovery code down.

    Raises:
        BadArgument: it cannot be encrypted, or nobody has written the code down.
        StorageError: see `maintenance.encryption.encrypt_directory`.
    """
    from sediment_mcp.cli.terminal import show_progress, show_spinner
    from sediment_mcp.maintenance import encryption

    with show_spinner("Looking at the data directory"):
        plan = encryption.plan_encryption(invocation.config, source)
    if plan.is_new and not yes:
        _confirm_recovery_code(plan.key)
    with show_progress() as progress:
        return plan, encryption.encrypt_directory(invocation.config, plan, progress("encrypting"))


def _confirm_recovery_code(key: DataKey) -> None:
    """Show a recovery code, and go on once two of its groups were typed back.

    Raises:
        BadArgument: nobody is here, or they were not.
    """
    from secrets import SystemRandom

    if not sys.stdin.isatty():
        raise BadArgument(
            "The recovery code has to be written down, and nobody is here to be asked: add --yes, which "
            "prints it to standard output."
        )
    groups = key.recovery_code.split("-")
    lines = [groups[start : start + CODE_WIDTH] for start in range(0, len(groups), CODE_WIDTH)]
    sys.stderr.write(
        "The recovery code of your memories. Without the key it is the only way to read them: write it down "
        "on paper, now.\n\n" + "".join(f"    {' '.join(line)}\n" for line in lines) + "\n"
    )
    for number in sorted(SystemRandom().sample(range(len(groups)), 2)):
        if not any(_type_group(number) == groups[number] for _ in range(TRIES)):
            raise BadArgument(
                "That is not in the code: nothing was changed, run `sediment-mcp encrypt` again."
            )


def _type_group(number: int) -> str:
    sys.stderr.write(f"Group {number + 1} of it: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().upper()


def describe_report(report: ConversionReport) -> dict[str, Any]:
    """Return what was done, for programs."""
    return {
        "files": report.files,
        "bytes": report.bytes,
        "unknown": report.unknown,
        "unopened": report.unopened,
    }


def _show_encrypted(plan: EncryptionPlan, report: ConversionReport, *, code: bool) -> None:
    from sediment_mcp.cli.terminal import open_console, put, style_words
    from sediment_mcp.system.key_sources import describe_source

    out = open_console(stderr=code)  # standard output has the code alone
    put(out, style_words(("Encrypted:", "bold green"), (_count_files(report), "")))
    put(out, f"The key is kept in {describe_source(plan.source, plan.key.id)}.")
    if code:
        click.echo(plan.key.recovery_code)


def _count_files(report: ConversionReport) -> str:
    from sediment_mcp.system.files import format_bytes
    from sediment_mcp.system.text import format_count

    if not report.files:
        return "everything was already."
    return f"{format_count(report.files, 'file')}, {format_bytes(report.bytes)}."


def say_what_remains(report: ConversionReport) -> None:
    """Name the files that were left as they are."""
    if report.unknown:
        say(
            f"Not from sediment-mcp, so left as they are, in plain text: {', '.join(report.unknown)}. "
            "Move them away or delete them."
        )
    if report.unopened:
        say(f"Damaged, so left as they are, encrypted: {', '.join(report.unopened)}.")


def say_which_hosts_lack_the_extra(invocation: Invocation) -> None:
    """Name the hosts whose servers could not open an encrypted directory, and the remedy."""
    lacking = _find_hosts_without_extra(invocation)
    if lacking:
        names = ", ".join(status.target.host.title for status in lacking)
        hosts = " ".join(dict.fromkeys(status.target.host.name for status in lacking))
        say(
            f"{names}: the entry starts sediment-mcp without what reads encrypted memories. "
            f"Run `sediment-mcp install {hosts}` with the options you gave then, and restart the host."
        )


def _find_hosts_without_extra(invocation: Invocation) -> list[HostStatus]:
    from sediment_mcp.cli.host_machine import detect_machine
    from sediment_mcp.config import ENCRYPT_EXTRA
    from sediment_mcp.hosts.install_plan import find_targets, inspect_target
    from sediment_mcp.hosts.launch_command import build_launch_command, detect_installation
    from sediment_mcp.hosts.server_entry import lacks_extra

    machine = detect_machine()
    installation = detect_installation(machine, sys.argv[0])
    try:
        command = build_launch_command(installation, (), extra=ENCRYPT_EXTRA)
    except BadArgument:
        return []
    found = [inspect_target(target, command) for target in find_targets(machine)]
    return [status for status in found if lacks_extra(status.entry, ENCRYPT_EXTRA)]


@command("decrypt", "sediment-mcp decrypt", "sediment-mcp decrypt --yes")
@yes_option
@pass_invocation
def decrypt(invocation: Invocation, yes: bool) -> int:
    """Take the encryption back: all files are plain again, and the key stays where it is kept."""
    from sediment_mcp.cli.terminal import open_console, put, show_progress, style_words
    from sediment_mcp.maintenance import encryption

    refusal = (
        "Everybody who reads the disk could read the memories, and nobody is here to be asked: add --yes."
    )
    if not (yes or confirm_yes("Write all memories and backups as plain files again?", refusal)):
        say("Nothing was changed.")
        return FAILED
    with show_progress() as progress:
        report = encryption.decrypt_directory(invocation.config, progress("decrypting"))

    def show() -> None:
        put(open_console(), style_words(("Decrypted:", "bold green"), (_count_files(report), "")))

    invocation.print_result(describe_report(report), show)
    say_what_remains(report)
    return 0


# --- key --------------------------------------------------------------------------------------------


@command(
    "key",
    "sediment-mcp key where",
    "sediment-mcp key show",
    "sediment-mcp key restore < recovery-code.txt",
    "sediment-mcp key new",
)
@click.argument("action", metavar="ACTION", type=click.Choice(ACTIONS), help=", ".join(ACTIONS))
@pass_invocation
def key(invocation: Invocation, action: str) -> int:
    """Say where the key of the memories is, show its recovery code, or bring it back from that.

    restore reads the code from standard input. new prints the code of a new key, for a command of your own
    to print (SEDIMENT_KEY_COMMAND).
    """
    actions = {"where": _say_where, "show": _show_key, "restore": _restore_key, "new": _make_key}
    return actions[action](invocation)


def _make_key(invocation: Invocation) -> int:
    from sediment_mcp.system.data_key import generate_key

    code = generate_key().recovery_code
    return invocation.print_result({"recovery_code": code}, lambda: click.echo(code))


def _show_key(invocation: Invocation) -> int:
    from sediment_mcp.maintenance.encryption import find_key

    code = find_key(invocation.config).recovery_code
    return invocation.print_result({"recovery_code": code}, lambda: click.echo(code))


def _say_where(invocation: Invocation) -> int:
    from sediment_mcp.maintenance.encryption import find_marker

    marker = find_marker(invocation.config)
    result = _describe_marker(marker)
    line = f"{STATES[marker.state]} Its key {marker.key_id} is kept in {result['place']}."
    return invocation.print_result(result, lambda: click.echo(line))


def _describe_marker(marker: Marker) -> dict[str, str]:
    from sediment_mcp.system.key_sources import describe_source

    place = describe_source(marker.source, marker.key_id)
    return {"source": marker.source, "place": place, "id": marker.key_id, "state": marker.state}


def _restore_key(invocation: Invocation) -> int:
    from sediment_mcp.maintenance.encryption import restore_key
    from sediment_mcp.system.data_key import parse_recovery_code

    if sys.stdin.isatty():
        sys.stderr.write("Recovery code: ")
        sys.stderr.flush()
        text = sys.stdin.readline()
    else:
        text = sys.stdin.read()
    marker = restore_key(invocation.config, parse_recovery_code(text))
    result = _describe_marker(marker)
    return invocation.print_result(
        result, lambda: click.echo(f"The key is kept again, in {result['place']}.")
    )
