"""The commands about the life of memories: delete, restore, history, revert, retention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, get_args

from sediment_mcp.cli.confirm import answer, confirmed, load_model, parsed, project, say
from sediment_mcp.errors import BadArgument

if TYPE_CHECKING:
    from sediment_mcp.app import Library
    from sediment_mcp.cli.options import Chosen
    from sediment_mcp.domain.retention import Rule
    from sediment_mcp.operations.arguments import ListMemories, MemoryResult

SHOWN = 10  # memories of a preview before a delete
LISTED = 20  # memories of a preview of retention, unless --limit says otherwise
MOST_DAYS = 36_500
FILTERS = ("scope", "kind", "tags", "session", "before", "include_superseded")
MOMENT = timedelta(microseconds=1)  # what "before" is earlier than "until"


# --- delete and restore -------------------------------------------------------------------------


def delete(chosen: Chosen, library: Library) -> int:
    """Delete by id, or all that a filter finds; asks first where there is no way back, or no list of ids."""
    from sediment_mcp.cli import render
    from sediment_mcp.operations import trash
    from sediment_mcp.operations.arguments import DeleteMemory
    from sediment_mcp.operations.history import left_behind

    permanent = bool(chosen.permanent)
    if given := {name for name in FILTERS if getattr(chosen, name)}:
        ids = _chosen_by_filter(chosen, library, given)
    elif chosen.ids:
        ids = parsed(DeleteMemory, chosen).ids
        if permanent and not chosen.yes and not _may_erase(len(ids)):
            ids = None
    else:
        raise BadArgument("Nothing says what to delete: give an ID, or a filter such as --tag or --before.")
    if ids is None:
        say("Nothing was erased." if permanent else "Nothing was deleted.")
        return 1
    before = left_behind(library, ids)
    result = trash.delete(library, ids, permanent=permanent)
    answer(chosen, result, lambda: render.show_deleted(result, before, permanent=permanent))
    return 1 if result["not_found"] else 0


def _may_erase(count: int) -> bool:
    return confirmed(
        f"Erase {_memories(count)} for good? [y/N] ",
        ("y", "yes"),
        "--permanent erases for good, and nobody is here to be asked: add --yes.",
    )


def _chosen_by_filter(chosen: Chosen, library: Library, given: set[str]) -> list[str] | None:
    """The ids of what the filter finds, shown and confirmed; None if the person says no."""
    from sediment_mcp.cli import render
    from sediment_mcp.operations import tools

    if chosen.ids:
        raise BadArgument("Ids and filters do not go together: give the one or the other.")
    if given <= {"include_superseded"} | ({"scope"} if chosen.scope == "all" else set[str]()):
        raise BadArgument("That would be everything: say which memories, such as --tag or --before.")
    found = tools.matching(library, _filters(chosen), project(library.config))
    if not found or chosen.yes:
        return [memory["id"] for memory in found]
    render.show_doomed(found[:SHOWN], len(found))
    return [memory["id"] for memory in found] if _is_count_confirmed(chosen, found) else None


def _filters(chosen: Chosen) -> ListMemories:
    from sediment_mcp.operations.arguments import ListMemories

    chosen.until, chosen.ids = chosen.before, []
    arguments = parsed(ListMemories, chosen)
    earlier = arguments.until and arguments.until - MOMENT
    return arguments.model_copy(update={"until": earlier})


def _is_count_confirmed(chosen: Chosen, found: Sequence[MemoryResult]) -> bool:
    act = "erase them for good" if chosen.permanent else "delete them"
    return confirmed(
        f"Type {len(found)} to {act}: ",
        (str(len(found)),),
        f"{_memories(len(found))} would go, and nobody is here to be asked: add --yes.",
    )


def _memories(count: int) -> str:
    return f"{count} {'memory' if count == 1 else 'memories'}"


def restore(chosen: Chosen, library: Library) -> int:
    from sediment_mcp.cli import render
    from sediment_mcp.operations import trash
    from sediment_mcp.operations.arguments import DeleteMemory

    ids = list(dict.fromkeys(parsed(DeleteMemory, chosen).ids))
    restored, not_found = trash.restore_memories(library, ids)
    result = {"restored": restored, "not_found": not_found}
    answer(chosen, result, lambda: render.show_restored(restored, not_found))
    return 1 if not_found else 0


# --- versions -----------------------------------------------------------------------------------


def history(chosen: Chosen, library: Library) -> int:
    from sediment_mcp.cli import render
    from sediment_mcp.operations import history

    result = history.history(library, _identity(chosen))
    return answer(chosen, result, lambda: render.show_history(result))


def revert(chosen: Chosen, library: Library) -> int:
    from sediment_mcp.cli import render
    from sediment_mcp.operations import history

    result = history.revert(library, _identity(chosen))
    return answer(chosen, result, lambda: render.show_reverted(result))


def _identity(chosen: Chosen) -> str:
    from sediment_mcp.operations.arguments import DeleteMemory

    return parsed(DeleteMemory, chosen).ids[0]


# --- retention ----------------------------------------------------------------------------------


def retention(chosen: Chosen, library: Library) -> int:
    allowed = {
        "set": ("kind", "tag", "max_age", "max_count"),
        "clear": ("kind", "tag"),
        "preview": ("limit",),
    }
    for name in ("kind", "tag", "max_age", "max_count", "limit"):
        if getattr(chosen, name) is not None and name not in allowed.get(chosen.action, ()):
            raise BadArgument(
                f"--{name.replace('_', '-')} says nothing to retention {chosen.action}: leave it out."
            )
    return ACTIONS[chosen.action](chosen, library)


def _preview(chosen: Chosen, library: Library) -> int:
    from sediment_mcp.cli import render
    from sediment_mcp.operations import trash

    limit = LISTED if chosen.limit is None else _number("--limit", chosen.limit)
    result = trash.preview_retention(library, limit)
    return answer(chosen, result, lambda: render.show_upcoming(result))


def _run(chosen: Chosen, library: Library) -> int:
    from sediment_mcp.cli import render, terminal
    from sediment_mcp.operations import trash

    load_model(library)  # it says whose vectors are still wanted
    with terminal.waiting("Removing what has ended"):
        result = trash.run_retention(library)
    return answer(chosen, result, lambda: render.show_removed(result))


def _show(chosen: Chosen, library: Library) -> int:
    from sediment_mcp.cli import render
    from sediment_mcp.operations import trash

    result = trash.retention_rules(library)
    return answer(chosen, {"rules": result}, lambda: render.show_rules(result))


def _set(chosen: Chosen, library: Library) -> int:
    from sediment_mcp.cli import render
    from sediment_mcp.operations import trash

    rule = _rule(chosen)
    result = trash.set_rule(library, rule)
    return answer(chosen, {"rules": [result]}, lambda: render.show_rules([result]))


def _rule(chosen: Chosen) -> Rule:
    from sediment_mcp.domain.retention import Rule

    subject, name = _subject(chosen)
    if subject is None:
        raise BadArgument("retention set needs --kind or --tag: say which memories the rule is for.")
    if chosen.max_age is None and chosen.max_count is None:
        raise BadArgument("retention set needs --max-age DAYS, --max-count N, or both.")
    days = None if chosen.max_age is None else _number("--max-age", chosen.max_age, MOST_DAYS)
    count = None if chosen.max_count is None else _number("--max-count", chosen.max_count)
    return Rule(subject, name, None if days is None else timedelta(days=days), count)


def _clear(chosen: Chosen, library: Library) -> int:
    """Without --kind or --tag all rules go."""
    from sediment_mcp.cli import render
    from sediment_mcp.operations import trash

    cleared = trash.clear_rules(library, *_subject(chosen))
    answer(chosen, {"cleared": cleared}, lambda: render.show_cleared(len(cleared)))
    return 0


def _subject(chosen: Chosen) -> tuple[Literal["kind", "tag"] | None, str]:
    """Whom a rule is for; a tag goes through the check of the tools, as a memory's own tags did."""
    from sediment_mcp.domain.memory import Kind
    from sediment_mcp.operations.arguments import ListMemories

    if chosen.kind is not None and chosen.tag is not None:
        raise BadArgument(
            "A rule is for a kind or for a tag: give --kind or --tag, and set two rules for both."
        )
    if chosen.kind is not None:
        if chosen.kind not in get_args(Kind):
            raise BadArgument(f"kind {chosen.kind} does not exist: use one of {', '.join(get_args(Kind))}.")
        return "kind", chosen.kind
    if chosen.tag is not None:
        chosen.tags, chosen.kind, chosen.limit = [chosen.tag], None, None
        return "tag", parsed(ListMemories, chosen).tags[0]
    return None, ""


def _number(flag: str, text: str, most: int = 1_000_000_000) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    if not 1 <= number <= most:
        raise BadArgument(f"{flag} is {text!r}: give a whole number from 1 to {most}.")
    return number


ACTIONS: dict[str, Callable[[Chosen, Library], int]] = {
    "preview": _preview,
    "run": _run,
    "show": _show,
    "set": _set,
    "clear": _clear,
}
