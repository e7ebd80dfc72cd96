"""The command that manages retention rules: retention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Literal

import click

from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import (
    MAX_COUNT,
    WholeNumber,
    command,
    kind_option,
    list_kinds,
    pass_invocation,
)
from sediment_mcp.cli.values import parse_value
from sediment_mcp.domain.retention import MAX_RULE_DAYS, Rule
from sediment_mcp.errors import BadArgument

DEFAULT_PREVIEW = 20  # memories


@dataclass(frozen=True)
class _Options:
    kind: str | None
    tag: str | None
    max_age: int | None
    max_count: int | None
    limit: int | None


def _preview(invocation: Invocation, options: _Options) -> int:
    from sediment_mcp.cli import render
    from sediment_mcp.operations import retention_rules

    app = invocation.app
    result = retention_rules.preview_retention(app, options.limit or DEFAULT_PREVIEW, invocation.project)
    return invocation.print_result(result, lambda: render.show_retention_preview(result))


def _run(invocation: Invocation, options: _Options) -> int:
    from sediment_mcp.cli import render, terminal
    from sediment_mcp.operations import retention_rules

    invocation.load_model()  # so that embeddings of other models can be removed
    app = invocation.app
    with terminal.show_spinner("Removing what has ended"):
        result = retention_rules.run_retention(app)
    return invocation.print_result(result, lambda: render.show_retention_run(result))


def _show(invocation: Invocation, options: _Options) -> int:
    from sediment_mcp.cli import render
    from sediment_mcp.operations import retention_rules

    app = invocation.app
    result = retention_rules.list_rules(app)
    return invocation.print_result({"rules": result}, lambda: render.show_rules(result))


def _set(invocation: Invocation, options: _Options) -> int:
    from sediment_mcp.cli import render
    from sediment_mcp.operations import retention_rules

    app = invocation.app
    result = retention_rules.set_rule(app, _build_rule(options))
    return invocation.print_result({"rules": [result]}, lambda: render.show_rules([result]))


def _clear(invocation: Invocation, options: _Options) -> int:
    """Clear the rule for the kind or tag; without either, all rules."""
    from sediment_mcp.cli import render
    from sediment_mcp.operations import retention_rules

    app = invocation.app
    cleared = retention_rules.clear_rules(app, *_parse_subject(options))
    return invocation.print_result({"cleared": cleared}, lambda: render.show_cleared(len(cleared)))


ACTIONS: dict[str, tuple[Callable[[Invocation, _Options], int], tuple[str, ...]]] = {
    "preview": (_preview, ("limit",)),
    "run": (_run, ()),
    "show": (_show, ()),
    "set": (_set, ("kind", "tag", "max_age", "max_count")),
    "clear": (_clear, ("kind", "tag")),
}
"""Action → the function that carries it out, and the options that it takes."""


@command(
    "retention",
    "sediment-mcp retention set --kind episodic --max-age 365",
    "sediment-mcp retention preview",
)
@click.argument("action", metavar="ACTION", type=click.Choice(tuple(ACTIONS)), help=", ".join(ACTIONS))
@kind_option
@click.option("--tag", metavar="TAG", help="the tag that a rule is for")
@click.option(
    "--max-age", metavar="DAYS", type=WholeNumber(1, MAX_RULE_DAYS), help="older ones go to the trash"
)
@click.option(
    "--max-count",
    metavar="N",
    type=WholeNumber(1, MAX_COUNT),
    help="the oldest beyond so many go to the trash",
)
@click.option(
    "--limit",
    metavar="N",
    type=WholeNumber(1, MAX_COUNT),
    help=f"how many a preview shows, {DEFAULT_PREVIEW} by default",
)
@pass_invocation
def retention(
    invocation: Invocation,
    *,
    action: str,
    kind: str | None,
    tag: str | None,
    max_age: int | None,
    max_count: int | None,
    limit: int | None,
) -> int:
    """Manage retention rules, preview or run a clean-up."""
    options = _Options(kind, tag, max_age, max_count, limit)
    run_action, accepted = ACTIONS[action]
    for field in fields(options):
        if getattr(options, field.name) is not None and field.name not in accepted:
            flag = f"--{field.name.replace('_', '-')}"
            raise BadArgument(f"{flag} says nothing to retention {action}: leave it out.")
    return run_action(invocation, options)


# --- rules --------------------------------------------------------------------------------------


def _build_rule(options: _Options) -> Rule:
    subject, name = _parse_subject(options)
    if subject is None:
        raise BadArgument("retention set needs --kind or --tag: say which memories the rule is for.")
    if options.max_age is None and options.max_count is None:
        raise BadArgument("retention set needs --max-age DAYS, --max-count N, or both.")
    max_age = None if options.max_age is None else timedelta(days=options.max_age)
    return Rule(subject, name, max_age, options.max_count)


def _parse_subject(options: _Options) -> tuple[Literal["kind", "tag"] | None, str]:
    """Return what a rule is for: ("kind" or "tag", its name); (None, "") if neither is given.

    A tag is checked as the tags of a memory are.
    """
    if options.kind is not None and options.tag is not None:
        raise BadArgument(
            "A rule is for a kind or for a tag: give --kind or --tag, and set two rules for both."
        )
    if options.kind is not None:
        kinds, kind = tuple(list_kinds()), options.kind.strip().lower()
        if kind not in kinds:
            raise BadArgument(f"kind {options.kind} does not exist: use one of {', '.join(kinds)}.")
        return "kind", kind
    if options.tag is not None:
        from sediment_mcp.operations.arguments import TAGS

        tags = parse_value("tags", TAGS, [options.tag])
        if len(tags) != 1:
            raise BadArgument(f"--tag names {len(tags)} tags, and a rule is for one: set a rule for each.")
        return "tag", tags[0]
    return None, ""
