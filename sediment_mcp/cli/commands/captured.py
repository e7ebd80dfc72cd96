"""The command that looks through captured turns, and switches capture: captured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import click

from sediment_mcp.cli.confirm import FAILED, confirm_yes, say
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import command, pass_invocation, session_option, yes_option
from sediment_mcp.cli.values import parse_arguments
from sediment_mcp.errors import BadArgument

SWITCHED_OFF = "Capture is off. What was captured stays until its end; `captured drop --all` takes it away."


@dataclass(frozen=True)
class _Options:
    ids: tuple[str, ...]
    session: str | None
    limit: str | None
    text: str | None
    all: bool
    yes: bool

    def refuse(self, action: str, **given: object) -> None:
        """Refuse what says nothing to an action.

        Raises:
            BadArgument: something of it was given.
        """
        names = {"ids": "an ID"}
        for name, value in given.items():
            if value:
                raise BadArgument(
                    f"{names.get(name, '--' + name)} says nothing to captured {action}: leave it out."
                )


def _list(invocation: Invocation, options: _Options) -> int:
    from sediment_mcp.cli import render
    from sediment_mcp.operations.arguments import ListMemories
    from sediment_mcp.operations.captured import list_captured

    options.refuse("list", ids=options.ids, text=options.text, all=options.all)
    given = {name: value for name in ("session", "limit") if (value := getattr(options, name)) is not None}
    arguments = parse_arguments(ListMemories, given)
    result = list_captured(invocation.app, arguments, invocation.project)
    if not _is_on(invocation):
        say("Capture is off: `sediment-mcp install HOST --capture` writes hooks and begins.")
    return invocation.print_result(result, lambda: render.show_page(result, whole=False))


def _keep(invocation: Invocation, options: _Options) -> int:
    from sediment_mcp.cli import render
    from sediment_mcp.operations.captured import keep_captured

    options.refuse("keep", session=options.session, limit=options.limit, all=options.all)
    ids = _parse_ids(options.ids)
    if options.text is not None and len(ids) != 1:
        raise BadArgument("--text says one fact, so it goes with one ID.")
    changes = {"content": options.text} if options.text is not None else {}
    kept = keep_captured(invocation.app, ids, **changes)

    def show() -> None:
        for one in kept:
            render.show_stored(one)

    return invocation.print_result({"kept": kept}, show)


def _drop(invocation: Invocation, options: _Options) -> int:
    from sediment_mcp.cli import render
    from sediment_mcp.operations.captured import drop_captured

    options.refuse("drop", limit=options.limit, text=options.text)
    ids = _choose_all(invocation, options) if options.all or options.session else _parse_ids(options.ids)
    if ids is None:
        say("Nothing was dropped.")
        return FAILED
    result = drop_captured(invocation.app, ids)
    return invocation.print_result(result, lambda: render.show_deleted(result, {}, permanent=False))


def _choose_all(invocation: Invocation, options: _Options) -> list[str] | None:
    """Return the ids of all captured turns, or of a session; None if the person says no."""
    from sediment_mcp.operations.captured import list_all_captured
    from sediment_mcp.system.text import format_count

    if options.ids:
        raise BadArgument("Ids, and all or a session, do not go together: give the one or the other.")
    ids = list_all_captured(invocation.app, options.session)
    if not ids or options.yes:
        return ids
    question = f"Drop {format_count(len(ids), 'captured turn')}?"
    return ids if confirm_yes(question, "Nobody is here to be asked: add --yes.") else None


def _parse_ids(ids: tuple[str, ...]) -> list[str]:
    from sediment_mcp.operations.arguments import DeleteMemory

    if not ids:
        raise BadArgument("No ID: `sediment-mcp captured` shows those of the captured turns.")
    return list(dict.fromkeys(parse_arguments(DeleteMemory, {"ids": ids}).ids))


def switch_capture_on(invocation: Invocation) -> None:
    """Capture from now on, as `install --capture` does: without it hooks find nothing to do."""
    _switch(invocation, on=True)
    say("Capture is on: hooks that `install --capture` writes keep what is said, for 30 days.")


def _switch_on(invocation: Invocation, options: _Options) -> int:
    _refuse_all(options, "on")
    if invocation.json:
        _switch(invocation, on=True)
    else:
        switch_capture_on(invocation)
    return invocation.print_result({"capture": "on"}, lambda: None)


def _switch_off(invocation: Invocation, options: _Options) -> int:
    _refuse_all(options, "off")
    _switch(invocation, on=False)
    return invocation.print_result({"capture": "off"}, lambda: say(SWITCHED_OFF))


def _refuse_all(options: _Options, action: str) -> None:
    options.refuse(action, ids=options.ids, session=options.session, limit=options.limit, text=options.text)


def _switch(invocation: Invocation, *, on: bool) -> None:
    from sediment_mcp.operations.capture_state import switch_capture

    app = invocation.app
    app.storage.open()
    switch_capture(app.config.store_dir, app.encryption, on=on, now=app.now())


def _is_on(invocation: Invocation) -> bool:
    from sediment_mcp.operations.capture_state import read_state

    return read_state(invocation.config.store_dir, invocation.app.encryption).since is not None


ACTIONS: dict[str, Callable[[Invocation, _Options], int]] = {
    "list": _list,
    "keep": _keep,
    "drop": _drop,
    "on": _switch_on,
    "off": _switch_off,
}


@command(
    "captured",
    "sediment-mcp captured",
    'sediment-mcp captured keep k3m9p2qrstvw --text "Releases go out on Tuesdays."',
    "sediment-mcp captured drop --session 4f1c --yes",
    "sediment-mcp captured on",
)
@click.argument(
    "action",
    metavar="[ACTION]",
    required=False,
    default="list",
    type=click.Choice(tuple(ACTIONS)),
    help=", ".join(ACTIONS),
)
@click.argument("ids", metavar="[ID]...", nargs=-1, help="of the captured turns to keep or to drop")
@session_option
@click.option("--limit", metavar="N", help="so many a page, 20 by default")
@click.option("--text", metavar="TEXT", help="keep the turn in these words")
@click.option("--all", is_flag=True, help="drop all")
@yes_option
@pass_invocation
def captured(
    invocation: Invocation,
    *,
    action: str,
    ids: tuple[str, ...],
    session: str | None,
    limit: str | None,
    text: str | None,
    all: bool,
    yes: bool,
) -> int:
    """Show what was captured of your sessions, keep it as a fact or drop it.

    Nothing is captured until it is switched on, here or with `install --capture`.
    """
    return ACTIONS[action](invocation, _Options(ids, session, limit, text, all, yes))
