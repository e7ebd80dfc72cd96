"""What every answer of the page is made from, and the arguments that come with a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sediment_mcp.app import Library
from sediment_mcp.operations.arguments import DeleteMemory, parse

Asked = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Desk:
    """``project`` is the one that the page was opened in, None if there is none."""

    library: Library
    project: str | None


Job = Callable[[Desk, Asked], Any]


def project_of(desk: Desk, asked: Asked) -> str | None:
    """The project that a request is about: the one that it names, else the page's own; taken out of it."""
    named = asked.pop("project", None)
    return named if isinstance(named, str) and named else desk.project


def ids_of(asked: Asked) -> list[str]:
    """The ids in a request, checked as the tools check them."""
    return parse(DeleteMemory, {"ids": asked.get("ids")}).ids


def id_of(asked: Asked) -> str:
    return ids_of({"ids": [asked["id"]] if asked.get("id") else None})[0]
