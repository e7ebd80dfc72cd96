"""Who calls: the one place where a bearer token becomes a caller."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from sediment_mcp.access.provider_keys import ProviderKeys
from sediment_mcp.access.signed_tokens import SCOPES, SignedTokens
from sediment_mcp.access.tokens import find_caller, open_tokens
from sediment_mcp.config import Config
from sediment_mcp.config_access import OIDC_AUDIENCE
from sediment_mcp.domain.access_token import PREFIX
from sediment_mcp.domain.caller import Caller
from sediment_mcp.errors import BadArgument

MAX_BEARER_CHARS = 16_384  # of a signed token; a proxy refuses longer headers


class Authenticator(Protocol):
    """What a server needs to know whose call it is."""

    def authenticate(self, bearer: str) -> Caller | None:
        """Return who calls with this bearer token; None if it lets nobody in.

        Raises:
            StorageError, ProviderUnavailable: it cannot be told now, so the call may be tried again.
        """
        ...


class Access:
    """`Authenticator` over the tokens of a database or directory, and an identity provider if there is one.

    May be used from any thread; it may wait for a database or a provider, so not in an event loop.
    """

    def __init__(
        self,
        config: Config,
        *,
        public_url: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare what it works with; nothing is opened, and no provider asked, before the first call.

        ``public_url`` is the server's own address, for which tokens must be meant unless an audience is
        configured.

        Raises:
            BadArgument: a provider is configured, and neither an audience nor ``public_url`` is known.
        """
        self._tokens = open_tokens(config)
        self._now = clock
        self.issuer = config.oidc_issuer
        """The identity provider, as its tokens and the metadata of RFC 9728 name it; empty: none."""
        self.scopes = SCOPES
        """The scopes of signed tokens, for the same metadata."""
        self.audience = config.oidc_audience or public_url
        """For whom signed tokens must be meant."""
        self._signed = self._open_signed(config) if config.oidc_issuer else None

    def _open_signed(self, config: Config) -> SignedTokens:
        if not self.audience:
            raise BadArgument(
                "An identity provider is set, but not for whom its tokens must be meant: set "
                f"{OIDC_AUDIENCE}, or the server's public address."
            )
        return SignedTokens(
            ProviderKeys(self.issuer),
            issuer=self.issuer,
            audience=self.audience,
            tenant_claim=config.oidc_tenant_claim,
            team_claim=config.oidc_team_claim,
        )

    def authenticate(self, bearer: str) -> Caller | None:
        """Return who calls with this bearer token; see `Authenticator`."""
        if len(bearer) > MAX_BEARER_CHARS or not bearer.isascii():
            return None
        if bearer.startswith(PREFIX):
            return find_caller(self._tokens, bearer, self._now())
        return self._signed.find_caller(bearer) if self._signed else None

    def has_callers(self) -> bool:
        """Return True if anybody could be let in: a token is valid, or a provider is configured.

        Raises:
            StorageError: the storage cannot be read.
        """
        now = self._now()
        return self._signed is not None or any(
            token.state(now) == "valid" for token in self._tokens.list_all()
        )

    def close(self) -> None:
        """Close the storage."""
        self._tokens.close()
