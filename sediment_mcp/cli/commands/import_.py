"""The command that reads memories from elsewhere, and offers what lies here: import."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from sediment_mcp.cli.confirm import FAILED, confirm_yes, read_passphrase, say
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import (
    STREAM,
    command,
    complete_file,
    dry_run_option,
    encoding_option,
    pass_invocation,
    passphrase_option,
    scope_option,
    tags_option,
    yes_option,
)
from sediment_mcp.cli.values import parse_value
from sediment_mcp.errors import BadArgument

if TYPE_CHECKING:
    from rich.console import Console

    from sediment_mcp.operations.arguments import OwnScope
    from sediment_mcp.system.progress import Progress
    from sediment_mcp.transfer.discovery import Found
    from sediment_mcp.transfer.import_report import ImportReport
    from sediment_mcp.transfer.opening import OpenedItems
    from sediment_mcp.transfer.prepare import ImportOptions
    from sediment_mcp.transfer.turns import WhichTurns

MAX_REMARKS = 10  # shown of each list: what was skipped, and what was noted
TURNS = ("user", "answers")


class Remark(TypedDict):
    """A sentence about an item, and the location of that item in the source."""

    place: str
    reason: str


class ImportResult(TypedDict):
    """What an import has done.

    ``known`` were there already; ``joined`` said what another memory says, and became its history.
    ``seconds`` is the whole time, in which ``embedded`` passages were embedded.
    """

    dry_run: bool
    imported: int
    updated: int
    known: int
    joined: int
    retention: list[str]
    retention_left: int
    skipped: list[Remark]
    notes: list[Remark]
    conflicts: list[str]
    embedded: int
    seconds: float


@command(
    "import",
    "sediment-mcp import memories.jsonl",
    "sediment-mcp import ~/notes --tag notes --dry-run",
    "sediment-mcp import --found",
)
@click.argument(
    "file",
    metavar="[FILE]",
    required=False,
    shell_complete=complete_file,
    help="a file, a folder of notes or transcripts, an export's ZIP, or - for standard input",
)
@click.option("--found", is_flag=True, help="what other assistants have left on this machine")
@click.option("--format", "format_name", metavar="NAME", help="what it is, where the content does not tell")
@click.option(
    "--turns",
    type=click.Choice(TURNS),
    default="user",
    help="of conversations: what you said (user), or the answers too (answers)",
)
@encoding_option
@scope_option("make all of it belong to: project, global or team", "project", "global", "team")
@tags_option
@click.option("--rules", is_flag=True, help="take over its retention rules too")
@dry_run_option
@yes_option
@passphrase_option
@pass_invocation
def import_(
    invocation: Invocation,
    *,
    file: str | None,
    found: bool,
    turns: WhichTurns,
    format_name: str | None,
    encoding: str | None,
    scope: str | None,
    tags: tuple[str, ...],
    rules: bool,
    dry_run: bool,
    yes: bool,
    passphrase_file: str | None,
) -> int:
    """Import memories from an export, notes, or another program.

    All is stored first, then embedded; an interrupt at any moment leaves what was reported. What cannot be
    taken is listed and the rest goes on; the exit status is 1 if nothing could be taken.
    """
    from sediment_mcp.transfer.opening import EXPORT, open_items
    from sediment_mcp.transfer.prepare import ImportOptions

    scope_of_all, tags_for_all = _parse_scope(invocation, scope), tuple(_parse_tags(tags))
    options = ImportOptions(
        invocation.project,
        scope_of_all,
        tags_for_all,
        dry_run=dry_run,
        trusted=format_name == EXPORT,
        rules=rules,
    )
    if found == (file is not None):
        raise BadArgument("Nothing to import, or two things: give a FILE, or --found for what lies here.")
    if file is None:
        return _import_found(invocation, options, turns, yes=yes)
    path_or_stream = sys.stdin.buffer if file == STREAM else Path(file)
    opened = open_items(
        path_or_stream,
        format_name,
        lambda: read_passphrase(passphrase_file),
        which=turns,
        encoding=encoding,
    )
    return _import_and_report(invocation, opened, options)


def import_everything(invocation: Invocation, file: str, passphrase_file: str | None) -> int:
    """Take over what an export of one's own holds, rules included; return the exit status."""
    from sediment_mcp.transfer.opening import EXPORT, open_items
    from sediment_mcp.transfer.prepare import ImportOptions

    opened = open_items(Path(file).expanduser(), EXPORT, lambda: read_passphrase(passphrase_file))
    return _import_and_report(invocation, opened, ImportOptions(invocation.project, trusted=True, rules=True))


def _import_and_report(invocation: Invocation, opened: OpenedItems, options: ImportOptions) -> int:
    """Import and print the result; return the exit status."""
    from sediment_mcp.transfer.import_report import ImportReport

    report, began = ImportReport(), time.monotonic()
    try:
        embedded = _import(invocation, opened, options, report)
    except KeyboardInterrupt:
        say(_format_interrupted(report))
        raise
    if options.scope == "project" and report.known:
        say("What is known already stays where it belongs: `sediment-mcp project move OLD NEW` moves it.")
    result = _build_result(report, options.dry_run, embedded, time.monotonic() - began)
    invocation.print_result(result, lambda: _show_imported(result))
    return FAILED if report.is_failure else 0


def _import(invocation: Invocation, opened: OpenedItems, options: ImportOptions, report: ImportReport) -> int:
    """Store everything and embed it; return how many passages were embedded."""
    from sediment_mcp.cli import terminal
    from sediment_mcp.operations.stores import choose_store
    from sediment_mcp.transfer.importer import import_memories

    app, counter = choose_store(invocation.app, options.scope), _EmbeddedCounter()
    with terminal.show_progress() as bars:
        import_memories(
            app,
            opened.items,
            options,
            report,
            position=opened.position,
            progress=bars("import"),
        )
        if not options.dry_run:
            invocation.load_model()
            app.catch_up(lambda name: counter.watch(bars(name), name))
    return counter.count


# --- what lies on this machine ------------------------------------------------------------------


def offer_import(invocation: Invocation) -> None:
    """Offer to import what other assistants have left here.

    Where nobody can be asked, it is only said. `install` calls this when it is done.
    """
    from sediment_mcp.transfer.prepare import ImportOptions

    found = _find_here()
    if not found:
        return
    shown = ", ".join(one.describe() for one in found)
    if not sys.stdin.isatty() or invocation.json:
        say(f"Found here: {shown}. `sediment-mcp import --found` brings them in.")
    elif confirm_yes(f"Found here: {shown}. Bring in what you said there?", ""):
        _import_and_report(invocation, _open_found(found, "user"), ImportOptions(invocation.project))


def _import_found(invocation: Invocation, options: ImportOptions, which: WhichTurns, *, yes: bool) -> int:
    """Import what is found and, unless nobody is to be asked, wanted; return the exit status."""
    found = _find_here()
    if not found:
        say("Nothing was found here: name a file, such as the ZIP of an export, or a folder.")
        return FAILED
    refusal = "Nobody is here to be asked: add --yes to bring in all of it, or --dry-run to look."
    say(f"Found here: {', '.join(one.describe() for one in found)}.")
    if not (yes or options.dry_run):
        found = [one for one in found if confirm_yes(f"Bring in {one.describe()}?", refusal)]
    if not found:
        say("Nothing was brought in.")
        return 0
    return _import_and_report(invocation, _open_found(found, which), options)


def _find_here() -> list[Found]:
    from sediment_mcp.config import environment
    from sediment_mcp.config_paths import find_home
    from sediment_mcp.transfer.discovery import find_transcripts

    try:
        return find_transcripts(find_home(), environment())
    except BadArgument:  # no home directory, so nothing lies there
        return []


def _open_found(found: Sequence[Found], which: WhichTurns) -> OpenedItems:
    from sediment_mcp.transfer.opening import open_files

    return open_files([file for one in found for file in one.files], which)


# --- options ------------------------------------------------------------------------------------


def _parse_scope(invocation: Invocation, scope: str | None) -> OwnScope | None:
    """Return the scope for all memories, checked as a store checks it."""
    from sediment_mcp.operations.arguments import OWN_SCOPE
    from sediment_mcp.operations.stores import choose_store

    parsed = parse_value("scope", OWN_SCOPE, scope) if scope else None
    choose_store(invocation.app, parsed)  # refused before anything is read
    return parsed


def _parse_tags(tags: Sequence[str]) -> list[str]:
    """Return the tags for all memories, checked as a store checks them."""
    from sediment_mcp.operations.arguments import TAGS

    return parse_value("tags", TAGS, tags) if tags else []


class _EmbeddedCounter:
    """Counts the passages that the last stage has embedded."""

    def __init__(self) -> None:
        self.count = 0

    def watch(self, progress: Progress, name: str) -> Progress:
        """Return a progress that counts, if the stage is the one that embeds."""
        if name != "embeddings":
            return progress
        first: int | None = None

        def watch(done: int, total: int) -> None:
            nonlocal first
            first = done if first is None else first
            self.count = max(self.count, done - first)
            progress(done, total)

        return watch


def _build_result(report: ImportReport, dry_run: bool, embedded: int, seconds: float) -> ImportResult:
    from sediment_mcp.domain.retention import describe_rule

    return ImportResult(
        dry_run=dry_run,
        imported=report.imported,
        updated=report.updated,
        known=report.known,
        joined=report.merged,
        retention=[describe_rule(rule) for rule in report.rules],
        retention_left=report.rules_left,
        skipped=[Remark(place=place, reason=reason) for place, reason in report.skipped],
        notes=[Remark(place=place, reason=reason) for place, reason in report.notes],
        conflicts=report.conflicts,
        embedded=embedded,
        seconds=round(seconds, 3),
    )


# --- how results look ---------------------------------------------------------------------------


def _format_interrupted(report: ImportReport) -> str:
    from sediment_mcp.system.text import format_subject

    imported = f"{format_subject(report.imported, 'memory')} new here"
    return f"Interrupted: {imported}; run the same again, and it goes on."


def _show_imported(result: ImportResult) -> None:
    from sediment_mcp.cli.terminal import open_console, put, show_notes, style_words
    from sediment_mcp.system.text import format_count

    out = open_console()
    if result["dry_run"]:
        put(out, style_words(("Nothing was changed. This would be the result:", "yellow")))
    imported = f"{format_count(result['imported'], 'memory')} imported,"
    put(out, style_words((imported, "bold green"), (_format_rest(result), "")))
    if not result["dry_run"]:
        put(out, style_words((_format_rate(result), "dim")))
    for rule in result["retention"]:
        put(out, f"Rule of retention: {rule}. sediment-mcp retention preview shows what it removes.")
    if result["retention_left"]:
        left = format_count(result["retention_left"], "rule")
        put(out, style_words(("Note:", "yellow"), (f"{left} of retention left out; --rules takes over.", "")))
    _show_remarks(out, "Skipped", result["skipped"])
    _show_remarks(out, "Noted", result["notes"])
    show_notes(out, result["conflicts"])


def _format_rest(result: ImportResult) -> str:
    joined = f", {result['joined']:,} the same as another" if result["joined"] else ""
    return f"{result['updated']:,} updated, {result['known']:,} known already{joined}."


def _format_rate(result: ImportResult) -> str:
    from sediment_mcp.system.text import format_count

    seconds = max(result["seconds"], 0.001)
    count = result["imported"] + result["updated"] + result["known"]
    embedded = f"{format_count(result['embedded'], 'passage')} embedded, " if result["embedded"] else ""
    return (
        f"{embedded}{seconds:.1f} seconds in all: {format_count(round(count / seconds), 'memory')} a second."
    )


def _show_remarks(out: Console, word: str, remarks: Sequence[Remark]) -> None:
    from sediment_mcp.cli.terminal import put, style_words

    for remark in remarks[:MAX_REMARKS]:
        put(out, style_words((f"{word}:", "yellow"), (remark["place"], "cyan"), (remark["reason"], "")))
    if len(remarks) > MAX_REMARKS:
        more = len(remarks) - MAX_REMARKS
        put(out, style_words((f"… and {more:,} more; --json lists all", "dim")))
