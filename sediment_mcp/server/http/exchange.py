"""One HTTP request: what its log line, its limits and its answers need to know of it.

It holds nothing that a client has written: names of methods and tools are those of this server.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse, Response

from sediment_mcp.domain.caller import Caller
from sediment_mcp.server.jsonrpc import build_error

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

EXCHANGE = "sediment.exchange"
"""The member of an ASGI scope that holds the exchange."""

REFUSED = -32000
"""The error code of a request that was refused before it was read."""


@dataclass(slots=True)
class Exchange:
    """A request and what became of it.

    ``outcome`` is empty until the protocol has answered, then ``ok``, ``tool_error`` or ``error``;
    ``refusal`` says which limit has refused it.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    caller: Caller | None = None
    project: str | None = None
    method: str = ""
    tool: str = ""
    outcome: str = ""
    refusal: str = ""
    releases: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    _holders: int = 1

    def hold(self) -> None:
        """Count one more piece of work that belongs to this request."""
        self._holders += 1

    def release(self) -> None:
        """Count one less; with the last one, give back what was taken for the request.

        A thread may still work when the client has left and the response is over.
        """
        self._holders -= 1
        if not self._holders:
            while self.releases:
                self.releases.pop()()


def get_exchange(scope: Mapping[str, Any]) -> Exchange:
    """Return the exchange of a request."""
    return scope[EXCHANGE]


def build_refusal(
    status: int, sentence: str, *, retry_after: int | None = None, code: int = REFUSED
) -> Response:
    """Return the answer to a request that is not carried out."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse(build_error(None, code, sentence), status, headers)
