"""Who calls: known where a server has several users, for its audit and its log."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


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
