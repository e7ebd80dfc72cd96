"""The results of the operations as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sediment_mcp.cli.terminal import (
    INDENT,
    console,
    details_of,
    facts_of,
    hanging,
    moment,
    put,
    show_body,
    show_memory,
    show_notes,
    styled,
)

if TYPE_CHECKING:
    from rich.console import Console

    from sediment_mcp.maintenance.doctor import Reindexed
    from sediment_mcp.maintenance.environment import Finding
    from sediment_mcp.operations import arguments
    from sediment_mcp.operations.history import HistoryResult, RevertResult
    from sediment_mcp.operations.trash import Removed, RuleResult, Upcoming

NAMED = 3  # memories whose history is told after a delete
MOST_IDS = 100  # in one command that is shown
STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}
SIGNALS = {
    "semantic": ("meaning", "cosine of the question and the best passage"),
    "lexical": ("words", "BM25 of that passage, as a share of the highest"),
    "date": ("date", "1: of a day that the question names"),
    "context": ("session", "share of the relevance that its neighbours in the session lend"),
    "relevance": ("relevance", "all of these together, as a share of the most relevant"),
    "recency": ("recency", "factor: the newer, the nearer to 1"),
    "importance": ("importance", "factor: the more important, the nearer to 1"),
    "project": ("project", "factor: below 1 for another project's"),
}
IN_BRIEF = ("semantic", "lexical", "date", "context")


def show_stored(result: arguments.StoreResult) -> None:
    out = console()
    words = {"stored": "Stored", "duplicate": "Known already", "merged": "Stored, merged with an older one"}
    put(out, styled((words[result["status"]], "bold green"), ("as", ""), (result["id"], "cyan")))
    if result["superseded"]:
        put(out, styled(("It replaces", ""), (", ".join(result["superseded"]), "cyan")))
    if result["expires_at"]:
        put(out, styled(("Forgotten after", ""), (moment(result["expires_at"]), "")))
    for similar in result["similar"]:
        put(
            out,
            styled(("Similar:", "yellow"), (similar["id"], "cyan"), (f"{similar['similarity']:.2f}", "dim")),
        )
        show_body(out, similar["content"])
    show_notes(out, result["warnings"])


def show_found(result: arguments.QueryResult, *, explain: bool = False) -> None:
    """What was found; ``explain`` says of each result why it stands where it does."""
    out = console()
    results = result["results"]
    if not results:
        put(out, "Nothing found.")
    elif all(found["match"] == "weak" for found in results):
        put(out, styled(("Nothing really fits. The nearest:", "yellow")))
        put(out, "")
    for rank, found in enumerate(results, start=1):
        _show_ranked(out, rank, found, explain)
    show_notes(out, result["notes"])


def _show_ranked(out: Console, rank: int, found: arguments.RankedResult, explain: bool) -> None:
    weak = [("weak", "yellow")] if found["match"] == "weak" else []
    score = (f"{found['score']:.2f}", "bold")
    facts = styled(score, *weak, *facts_of(found), gap="  ")
    put(out, hanging(out, [(f"{rank}.".ljust(INDENT - 1), "dim"), (found["id"], "cyan")], facts))
    show_body(out, found["content"], cut=found["truncated"])
    for line in _explanations(found["signals"]) if explain else [_reasons(found["signals"])]:
        show_body(out, styled((line, "dim")))
    put(out, "")


def _reasons(signals: dict[str, float]) -> str:
    told = [(SIGNALS[name][0], signals.get(name, 0.0)) for name in IN_BRIEF]
    return " · ".join(f"{word} {value:.2f}" for word, value in told if value >= 0.005)


def _explanations(signals: dict[str, float]) -> list[str]:
    return [
        f"{word:<11}{signals[name]:5.2f}   {meaning}"
        for name, (word, meaning) in SIGNALS.items()
        if name in signals
    ]


def show_listed(result: arguments.ListResult, *, whole: bool) -> None:
    """A page of memories; ``whole`` says that they were asked for by id, so everything of them is shown."""
    out = console()
    memories = result["memories"]
    for memory in memories:
        show_memory(out, memory)
        if whole:
            show_body(out, styled((details_of(memory), "dim")))
        put(out, "")
    if not memories:
        put(out, "Nothing found.")
    elif not whole:
        put(out, styled((f"{len(memories)} of {result['total']:,}", "dim")))
    if "next_cursor" in result:
        put(out, styled((f"More: the same with --cursor {result['next_cursor']}", "dim")))


def show_trash(result: arguments.TrashResult) -> None:
    out = console()
    for memory in result["memories"]:
        _show_deleted(out, memory)
    if result["memories"]:
        put(
            out, styled((f"{len(result['memories'])} of {result['total']:,}; sediment-mcp restore ID", "dim"))
        )
    else:
        put(out, "Nothing is deleted.")


def _show_deleted(out: Console, memory: arguments.DeletedMemory) -> None:
    show_memory(out, memory)
    deleted, until = moment(memory["deleted_at"]), moment(memory["recoverable_until"])
    show_body(out, styled((f"deleted {deleted} · can be restored until {until}", "dim")))
    put(out, "")


def show_doomed(shown: Sequence[arguments.MemoryResult], total: int) -> None:
    """What a filter has found, before it is deleted: its newest, and how many there are."""
    out = console(stderr=True)
    for memory in shown:
        show_memory(out, memory)
    if total > len(shown):
        put(out, styled((f"… and {total - len(shown):,} more", "dim")))


def show_deleted(result: arguments.DeleteResult, before: Mapping[str, str], *, permanent: bool) -> None:
    """``before`` names, for each deleted memory that had replaced others, the version before it."""
    out = console()
    if result["deleted"]:
        word = "Erased for good:" if permanent else "Deleted:"
        put(out, styled((word, "bold"), (", ".join(result["deleted"]), "cyan")))
    elif not result["not_found"]:
        put(out, "Nothing matches.")
    if result["recoverable_until"]:
        until = f"Until {moment(result['recoverable_until'])} they come back with:"
        put(out, styled((until, "dim"), (_restoring(result["deleted"]), "")))
    for identity, older in list(before.items())[:NAMED]:
        put(out, f"What {identity} had replaced stays history. To revive it: sediment-mcp revert {older}")
    if len(before) > NAMED:
        put(out, f"So does what {len(before) - NAMED} more of them had replaced.")
    _show_missing(out, result["not_found"], "No such memory:")


def _restoring(ids: Sequence[str]) -> str:
    return f"sediment-mcp restore {' '.join(ids[:MOST_IDS])}{' …' if len(ids) > MOST_IDS else ''}"


def show_restored(restored: Sequence[str], not_found: Sequence[str]) -> None:
    out = console()
    if restored:
        put(out, styled(("Restored:", "bold green"), (", ".join(restored), "cyan")))
    _show_missing(out, not_found, "Not among the deleted:")


def _show_missing(out: Console, ids: Sequence[str], words: str) -> None:
    if ids:
        put(out, styled((words, "yellow"), (", ".join(ids), "")))


def show_history(result: HistoryResult) -> None:
    out = console()
    for version in result["versions"]:
        state = (version["state"], "bold green" if version["id"] == result["current"] else "yellow")
        facts = styled((f"stored {moment(version['created_at'])}", ""), state, *facts_of(version), gap="  ")
        put(out, hanging(out, [(version["id"], "cyan")], facts))
        if version["deleted_at"]:
            show_body(out, styled((f"deleted {moment(version['deleted_at'])}", "dim")))
        show_body(out, version["content"])
        put(out, "")
    if len(result["versions"]) > 1:
        put(out, styled(("sediment-mcp revert ID makes an old text the current one again", "dim")))


def show_reverted(result: RevertResult) -> None:
    text = f"is current, with the text of {result['reverted_to']}"
    put(console(), styled((result["id"], "cyan"), (text, "")))


def show_upcoming(result: Upcoming) -> None:
    out = console()
    words = {"erase": "will be erased for good", "trash": "will go to the trash for 30 days"}
    for memory in result["memories"]:
        show_memory(out, memory)
        show_body(out, styled((f"{words[memory['action']]} ({memory['reason']})", "yellow")))
        put(out, "")
    if result["total"]:
        put(out, styled((f"{len(result['memories'])} of {result['total']:,} that would go now", "dim")))
    else:
        put(out, "Nothing has ended.")


def show_removed(result: Removed) -> None:
    erased, trashed = len(result["erased"]), len(result["trashed"])
    put(console(), f"{erased:,} erased for good, {trashed:,} put into the trash.")


def show_rules(rules: Sequence[RuleResult]) -> None:
    out = console()
    for rule in rules:
        whose = f"kind {rule['kind']}" if rule["kind"] else f"tag {rule['tag']}"
        age = f"at most {rule['max_age']} days old" if rule["max_age"] else ""
        count = f"at most {rule['max_count']:,} of them" if rule["max_count"] else ""
        put(out, styled((f"{whose}:", "bold"), (", ".join(filter(None, (age, count))), "")))
    put(out, "Besides: what says when it expires, 7 days after; what was deleted, 30 days after.")
    put(out, "What has importance 1 stays. See what would go: sediment-mcp retention preview")


def show_cleared(count: int) -> None:
    put(console(), f"{count} {'rule' if count == 1 else 'rules'} cleared; what is deleted stays so.")


def show_findings(findings: Sequence[Finding]) -> None:
    out = console()
    for finding in findings:
        state = (f"{finding.state:<8}", STYLES[finding.state])
        put(out, hanging(out, [state, (f"{finding.name:<15}", "bold")], styled((finding.sentence, ""))))
        if finding.remedy:
            put(out, hanging(out, [(" " * 8, ""), (f"{'':<13}→", "bold")], styled((finding.remedy, ""))))


def show_reindexed(result: Reindexed) -> None:
    passages = f"{result['passages']:,} passages"
    by_meaning = f"by meaning ({result['model']})" if result["embedded"] else ""
    kinds = " and ".join(["by words", by_meaning] if by_meaning else ["by words"])
    put(console(), f"{passages} are indexed {kinds}." if result["passages"] else "Nothing is stored yet.")
