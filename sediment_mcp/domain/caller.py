"""Who calls: known where a server has several users, for its audit and its log."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from sediment_mcp.errors import NotAllowed

LOCAL = "local"
"""The name of the local user, over stdio or the command line, in an audit."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what of the server's memories is theirs.

    ``name`` says who in an audit; ``team`` is the tenant of a team, or None.
    """

    name: str
    tenant: str
    team: str | None = None
    may_write: bool = True


_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


def current_caller() -> Caller | None:
    """Return who calls; None for the local user, over stdio or the command line."""
    return _caller.get()


@contextmanager
def use_caller(caller: Caller | None) -> Generator[None]:
    """Let everything inside be done for a caller."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def assert_may_write() -> None:
    """Check that whoever calls may change memories.

    Raises:
        NotAllowed: they may only read.
    """
    caller = _caller.get()
    if caller is not None and not caller.may_write:
        raise NotAllowed(
            "You may read memories here, but not change them: ask whoever runs this server for a token that "
            "may write."
        )
