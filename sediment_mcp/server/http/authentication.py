"""Who calls: the bearer token of a request, as the SDK's transport asks for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.authentication import AuthenticationError
from starlette.requests import HTTPConnection
from starlette.responses import Response

from sediment_mcp.access.authenticator import Authenticator
from sediment_mcp.domain.caller import Caller
from sediment_mcp.errors import SedimentError
from sediment_mcp.server.http.exchange import build_refusal

MAX_CHECKS = 8  # of tokens at the same time, each in a thread
READ, WRITE = "memory:read", "memory:write"

log = logging.getLogger(__name__)


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
        """Return the token with its caller, or None.

        Raises:
            AuthenticationError: whose it is cannot be told now.
        """
        try:
            caller = await run_sync(self._authenticator.authenticate, token, limiter=self._checks)
        except SedimentError as error:
            log.warning("Whose a token is could not be told: %s", error)
            raise AuthenticationError from error
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


def refuse_unknown(_: HTTPConnection, __: AuthenticationError) -> Response:
    """Return the answer to a request of which cannot be told now whose it is."""
    sentence = "Whose this token is cannot be told now: try again soon."
    return build_refusal(HTTPStatus.SERVICE_UNAVAILABLE, sentence, retry_after=5)
