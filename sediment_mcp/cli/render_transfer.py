"""What came of an export or an import, as a person reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from typing_extensions import TypedDict

from sediment_mcp.cli.terminal import console, put, show_notes, styled

if TYPE_CHECKING:
    from rich.console import Console

    from sediment_mcp.domain.retention import Rule
    from sediment_mcp.transfer.exporter import ExportResult
    from sediment_mcp.transfer.formats.markdown import MarkdownResult
    from sediment_mcp.transfer.importer import Report

SHOWN = 10  # of what was skipped, and of what was noted


class Remark(TypedDict):
    """Where something stood, and what is to be said of it."""

    place: str
    reason: str


class ImportResult(TypedDict):
    """``known`` were there already; ``joined`` said what another memory says, and became its history.
    ``seconds`` is the whole time, in which ``embedded`` passages were embedded."""

    dry_run: bool
    imported: int
    updated: int
    known: int
    joined: int
    retention: list[str]
    skipped: list[Remark]
    notes: list[Remark]
    conflicts: list[str]
    embedded: int
    seconds: float


def exported(result: ExportResult) -> str:
    rules = f" and {_many(result['rules'], 'rule')} of retention" if result["rules"] else ""
    model = f", with the embeddings of {result['model']}" if result["model"] else ""
    return f"{_many(result['memories'], 'memory')}{rules} exported{model}."


def show_exported(result: ExportResult, file: str) -> None:
    out = console()
    put(out, styled((exported(result), "bold green"), (file, "")))


def show_markdown(result: MarkdownResult, folder: str) -> None:
    told = f"{_many(result['memories'], 'memory')} in {_many(result['files'], 'file')}:"
    put(console(), styled((told, "bold green"), (folder, "")))


def result_of(report: Report, dry: bool, embedded: int, seconds: float) -> ImportResult:
    return ImportResult(
        dry_run=dry,
        imported=report.imported,
        updated=report.updated,
        known=report.known,
        joined=report.joined,
        retention=[_described(rule) for rule in report.rules],
        skipped=[Remark(place=place, reason=reason) for place, reason in report.skipped],
        notes=[Remark(place=place, reason=reason) for place, reason in report.notes],
        conflicts=report.conflicts,
        embedded=embedded,
        seconds=round(seconds, 3),
    )


def interrupted(report: Report) -> str:
    count, verb = _many(report.imported, "memory"), "is" if report.imported == 1 else "are"
    return f"Interrupted: {count} {verb} new here; run the same again, and it goes on."


def show_imported(result: ImportResult) -> None:
    out = console()
    if result["dry_run"]:
        put(out, styled(("Nothing was changed. This would be the result:", "yellow")))
    put(out, styled((f"{_many(result['imported'], 'memory')} imported,", "bold green"), (_rest(result), "")))
    if not result["dry_run"]:
        put(out, styled((_rate(result), "dim")))
    for rule in result["retention"]:
        put(out, f"Rule of retention: {rule}. sediment-mcp retention preview shows what it removes.")
    _show_remarks(out, "Skipped", result["skipped"])
    _show_remarks(out, "Noted", result["notes"])
    show_notes(out, result["conflicts"])


def _rest(result: ImportResult) -> str:
    joined = f", {result['joined']:,} the same as another" if result["joined"] else ""
    return f"{result['updated']:,} updated, {result['known']:,} known already{joined}."


def _rate(result: ImportResult) -> str:
    seconds = max(result["seconds"], 0.001)
    count = result["imported"] + result["updated"] + result["known"]
    embedded = f"{_many(result['embedded'], 'passage')} embedded, " if result["embedded"] else ""
    return f"{embedded}{seconds:.1f} seconds in all: {count / seconds:,.0f} memories a second."


def _show_remarks(out: Console, word: str, remarks: Sequence[Remark]) -> None:
    for remark in remarks[:SHOWN]:
        put(out, styled((f"{word}:", "yellow"), (remark["place"], "cyan"), (remark["reason"], "")))
    if len(remarks) > SHOWN:
        put(out, styled((f"… and {len(remarks) - SHOWN:,} more; --json lists all", "dim")))


def _described(rule: Rule) -> str:
    age = f"at most {rule.max_age.days} days old" if rule.max_age else ""
    count = f"at most {rule.max_count:,} of them" if rule.max_count else ""
    return f"{rule.subject} {rule.name}: {', '.join(filter(None, (age, count)))}"


def _many(count: int, word: str) -> str:
    many = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{count:,} {word if count == 1 else many}"
