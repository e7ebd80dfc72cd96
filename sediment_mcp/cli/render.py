"""Show the results of the operations to a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sediment_mcp.cli.terminal import (
    INDENT,
    format_details,
    format_local_time,
    hang,
    list_facts,
    open_console,
    put,
    show_body,
    show_memory,
    show_notes,
    style_words,
)
from sediment_mcp.domain.retention import describe_limits
from sediment_mcp.operations.results import stored_at
from sediment_mcp.operations.signals import SIGNALS
from sediment_mcp.system.text import format_count

if TYPE_CHECKING:
    from rich.console import Console

    from sediment_mcp.operations import results
    from sediment_mcp.operations.results import (
        HistoryResult,
        RetentionPreview,
        RetentionResult,
        RevertResult,
        RuleResult,
    )

MAX_HISTORIES = 3  # memories whose history is named after a delete
MAX_IDS = 100  # in one command that is shown
BRIEF_SIGNALS = ("semantic", "tokens", "lexical", "date")


# --- store, query and list ----------------------------------------------------------------------


def show_stored(result: results.StoreResult) -> None:
    """Show the result of a store."""
    out = open_console()
    words = {"stored": "Stored", "duplicate": "Known already", "merged": "Stored, merged with an older one"}
    put(out, style_words((words[result["status"]], "bold green"), ("as", ""), (result["id"], "cyan")))
    if "superseded" in result:
        put(out, style_words(("It replaces", ""), (", ".join(result["superseded"]), "cyan")))
    if "expires_at" in result:
        put(out, style_words(("Forgotten after", ""), (format_local_time(result["expires_at"]), "")))
    for similar in result.get("similar", []):
        put(
            out,
            style_words(
                ("Similar:", "yellow"), (similar["id"], "cyan"), (f"{similar['similarity']:.2f}", "dim")
            ),
        )
        show_body(out, similar["content"])
    show_notes(out, result.get("warnings", []))


def show_results(result: results.QueryResult, *, explain: bool = False) -> None:
    """Show what was found; with ``explain``, why each result stands where it does."""
    out = open_console()
    results = result["results"]
    if not results:
        put(out, "Nothing found.")
    elif all(found["match"] == "weak" for found in results):
        put(out, style_words(("Nothing really fits. The nearest:", "yellow")))
        put(out, "")
    for rank, found in enumerate(results, start=1):
        _show_ranked(out, rank, found, explain)
    show_notes(out, result.get("notes", []))


def _show_ranked(out: Console, rank: int, found: results.RankedResult, explain: bool) -> None:
    weak = [("weak", "yellow")] if found["match"] == "weak" else []
    score = (f"{found['score']:.2f}", "bold")
    facts = style_words(score, *weak, *list_facts(found), gap="  ")
    put(out, hang(out, [(f"{rank}.".ljust(INDENT - 1), "dim"), (found["id"], "cyan")], facts))
    show_body(out, found["content"], cut=found.get("truncated", False))
    signals = found.get("signals", {})
    for line in _explain_signals(signals) if explain else [_summarize_signals(signals)]:
        show_body(out, style_words((line, "dim")))
    put(out, "")


def _summarize_signals(signals: dict[str, float]) -> str:
    values = [(SIGNALS[name][0], signals.get(name, 0.0)) for name in BRIEF_SIGNALS]
    return " · ".join(f"{word} {value:.2f}" for word, value in values if value >= 0.005)


def _explain_signals(signals: dict[str, float]) -> list[str]:
    return [
        f"{word:<11}{signals[name]:5.2f}   {meaning}"
        for name, (word, meaning) in SIGNALS.items()
        if name in signals
    ]


def show_page(result: results.ListResult, *, whole: bool) -> None:
    """Show a page of memories; ``whole`` shows everything of those that were asked for by id."""
    out = open_console()
    memories = result["memories"]
    for memory in memories:
        show_memory(out, memory)
        if "related" in memory:
            show_body(out, style_words((memory["related"], "dim")))
        if whole:
            show_body(out, style_words((format_details(memory), "dim")))
        put(out, "")
    if not memories:
        put(out, "Nothing found.")
    else:
        _show_missing(out, result.get("not_found", []), "No such memory:")
    if memories and not whole:
        put(out, style_words((f"{len(memories)} of {result['total']:,}", "dim")))
    show_notes(out, result.get("notes", []))
    if "next_cursor" in result:
        put(out, style_words((f"More: the same with --cursor {result['next_cursor']}", "dim")))


def show_trash(result: results.TrashResult) -> None:
    """Show what can be restored."""
    out = open_console()
    for memory in result["memories"]:
        _show_deleted(out, memory)
    if result["memories"]:
        put(
            out,
            style_words(
                (f"{len(result['memories'])} of {result['total']:,}; sediment-mcp restore ID", "dim")
            ),
        )
    else:
        put(out, "Nothing is deleted.")


def _show_deleted(out: Console, memory: results.DeletedMemory) -> None:
    show_memory(out, memory)
    deleted, until = format_local_time(memory["deleted_at"]), format_local_time(memory["recoverable_until"])
    show_body(out, style_words((f"deleted {deleted} · can be restored until {until}", "dim")))
    put(out, "")


# --- delete, restore and versions ---------------------------------------------------------------


def show_deletion_preview(shown: Sequence[results.MemoryResult], total: int) -> None:
    """Show what a filter has found, before it is deleted: its newest, and how many there are."""
    out = open_console(stderr=True)
    for memory in shown:
        show_memory(out, memory)
    if total > len(shown):
        put(out, style_words((f"… and {total - len(shown):,} more", "dim")))


def show_deleted(result: results.DeleteResult, before: Mapping[str, str], *, permanent: bool) -> None:
    """Show what was deleted and how it comes back.

    ``before`` maps each deleted memory that had replaced others to the version before it.
    """
    out = open_console()
    if result["deleted"]:
        word = "Erased for good:" if permanent else "Deleted:"
        put(out, style_words((word, "bold"), (", ".join(result["deleted"]), "cyan")))
    elif "not_found" not in result:
        put(out, "Nothing matches.")
    if "recoverable_until" in result:
        comes = "it comes" if len(result["deleted"]) == 1 else "they come"
        until = f"Until {format_local_time(result['recoverable_until'])} {comes} back with:"
        put(out, style_words((until, "dim"), (_format_restore_command(result["deleted"]), "")))
    for memory_id, older in list(before.items())[:MAX_HISTORIES]:
        put(out, f"What {memory_id} had replaced stays history. To revive it: sediment-mcp revert {older}")
    if len(before) > MAX_HISTORIES:
        put(out, f"So does what {len(before) - MAX_HISTORIES} more of them had replaced.")
    _show_missing(out, result.get("not_found", []), "No such memory:")


def _format_restore_command(ids: Sequence[str]) -> str:
    return f"sediment-mcp restore {' '.join(ids[:MAX_IDS])}{' …' if len(ids) > MAX_IDS else ''}"


def show_restored(result: results.UndeleteResult) -> None:
    """Show what was restored."""
    out = open_console()
    if result["restored"]:
        put(out, style_words(("Restored:", "bold green"), (", ".join(result["restored"]), "cyan")))
    _show_missing(out, result.get("not_found", []), "Not among the deleted:")


def _show_missing(out: Console, ids: Sequence[str], words: str) -> None:
    if ids:
        put(out, style_words((words, "yellow"), (", ".join(ids), "")))


def show_history(result: HistoryResult) -> None:
    """Show the versions of a memory."""
    out = open_console()
    for version in result["versions"]:
        state = (version["state"], "bold green" if version["id"] == result.get("current") else "yellow")
        facts = style_words(
            (f"stored {format_local_time(stored_at(version))}", ""), state, *list_facts(version), gap="  "
        )
        put(out, hang(out, [(version["id"], "cyan")], facts))
        if "deleted_at" in version:
            show_body(out, style_words((f"deleted {format_local_time(version['deleted_at'])}", "dim")))
        show_body(out, version["content"])
        put(out, "")
    if len(result["versions"]) > 1:
        put(out, style_words(("sediment-mcp revert ID makes an old text the current one again", "dim")))


def show_reverted(result: RevertResult) -> None:
    """Show which memory is current after a revert."""
    text = f"is current, with the text of {result['reverted_to']}"
    put(open_console(), style_words((result["id"], "cyan"), (text, "")))


# --- retention ----------------------------------------------------------------------------------


def show_retention_preview(result: RetentionPreview) -> None:
    """Show what a clean-up would remove."""
    out = open_console()
    words = {"erase": "will be erased for good", "trash": "will go to the trash for 30 days"}
    for memory in result["memories"]:
        show_memory(out, memory)
        show_body(out, style_words((f"{words[memory['action']]} ({memory['reason']})", "yellow")))
        put(out, "")
    if result["total"]:
        put(out, style_words((f"{len(result['memories'])} of {result['total']:,} that would go now", "dim")))
    else:
        put(out, "Nothing has ended.")


def show_retention_run(result: RetentionResult) -> None:
    """Show how many memories a clean-up has removed."""
    erased, trashed = len(result["erased"]), len(result["trashed"])
    put(open_console(), f"{erased:,} erased for good, {trashed:,} put into the trash.")


def show_rules(rules: Sequence[RuleResult]) -> None:
    """Show retention rules, and what ends without a rule."""
    out = open_console()
    for rule in rules:
        whose = f"kind {rule['kind']}" if "kind" in rule else f"tag {rule.get('tag')}"
        put(
            out,
            style_words(
                (f"{whose}:", "bold"), (describe_limits(rule.get("max_age"), rule.get("max_count")), "")
            ),
        )
    put(out, "Besides: what says when it expires, 7 days after; what was deleted, 30 days after.")
    put(out, "What has importance 1 stays. See what would go: sediment-mcp retention preview")


def show_cleared(count: int) -> None:
    """Show how many rules were cleared."""
    put(open_console(), f"{format_count(count, 'rule')} cleared; what is deleted stays so.")
