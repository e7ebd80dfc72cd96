"""Who calls: the bearer token of a request, as the SDK's transport asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

from sediment_mcp.domain.caller import Caller

MAX_CHECKS = 8  # of tokens at the same time, each in a thread
MAX_TOKEN_CHARS = 16_384
READ, WRITE = "memory:read", "memory:write"


class Authenticator(Protocol):
    """Knows whose a bearer token is."""

    def authenticate(self, bearer: str) -> Caller | None:
        """Return the caller, or None if the token is not good."""
        ...


class CallerToken(AccessToken):
    """The SDK's token, with the caller; the secret itself is not kept."""

    caller: Caller


class CallerVerifier:
    """Gives the SDK the caller of a token; see its ``TokenVerifier``."""

    def __init__(self, authenticator: Authenticator, resource: str | None) -> None:
        """Accept what the authenticator does; it has checked that a token is for ``resource``."""
        self._authenticator = authenticator
        self._resource = resource
        self._checks = CapacityLimiter(MAX_CHECKS)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the token with its caller, or None."""
        if len(token) > MAX_TOKEN_CHARS:
            return None
        caller = await run_sync(self._authenticator.authenticate, token, limiter=self._checks)
        if caller is None:
            return None
        return CallerToken(
            token="",
            client_id=caller.name,
            subject=caller.tenant,
            scopes=[READ, WRITE] if caller.may_write else [READ],
            resource=self._resource,
            caller=caller,
        )


def find_caller(scope: Mapping[str, Any]) -> Caller | None:
    """Return the caller of an authenticated request; None without authentication."""
    user = scope.get("user")
    token = user.access_token if isinstance(user, AuthenticatedUser) else None
    return token.caller if isinstance(token, CallerToken) else None
