"""Turn the arguments of a tool into filters; the scope "project" needs a known project."""

from __future__ import annotations

from typing import NoReturn

from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import TEAM
from sediment_mcp.errors import BadArgument, NoProject
from sediment_mcp.operations.arguments import ListMemories, QueryMemory
from sediment_mcp.system.timestamps import isoformat


def raise_no_project(remedy: str) -> NoReturn:
    """Raise `NoProject`, with ``remedy`` for what to do instead.

    Raises:
        NoProject: always.
    """
    raise NoProject(f"No project is known here: {remedy}, or name the project with SEDIMENT_PROJECT.")


def to_filters(arguments: QueryMemory | ListMemories, project: str | None) -> Filters:
    """Return the filters that the arguments describe, within the stores of their scope.

    Raises:
        NoProject: only the project's memories are asked for, and no project is known.
        BadArgument: ``since`` is later than ``until``.
    """
    since, until = arguments.since, arguments.until
    if since and until and since > until:
        raise BadArgument(
            f"since ({isoformat(since)}) is after until ({isoformat(until)}): swap them, or leave one out."
        )
    if arguments.scope == "project" and project is None:
        raise_no_project("use scope all or global")
    return Filters(
        scope="all" if arguments.scope == TEAM else arguments.scope,
        project=project,
        kind=arguments.kind,
        session=arguments.session,
        tags=tuple(arguments.tags),
        since=since,
        until=until,
        include_superseded=arguments.include_superseded,
    )
