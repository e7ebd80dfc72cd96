"""Signed tokens (JWT) of an identity provider: checked, and turned into a caller.

pyjwt checks signature, times, issuer and audience; here stands which tokens are considered at all, and what
their claims mean. The algorithm is one of those that count for the very key, never what the token asks for.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any, cast

from sediment_mcp.access.provider_keys import ProviderKeys
from sediment_mcp.config import TENANT_NAME
from sediment_mcp.domain.caller import Caller

READ_SCOPE, WRITE_SCOPE = "memory:read", "memory:write"
SCOPES = (READ_SCOPE, WRITE_SCOPE)
LEEWAY_SECONDS = 30  # by which clocks may differ
REQUIRED = ("exp", "iat", "iss", "aud", "sub")
TYPES = (None, "jwt", "at+jwt", "application/at+jwt")  # RFC 9068; others are no access tokens
MAX_KEY_ID_CHARS = 256
MAX_SUBJECT_CHARS = 255  # OpenID Connect Core, section 2
NAME_PREFIX = "oidc:"
"""Before the subject in a caller's name; no name of a static token has a colon."""

logger = logging.getLogger(__name__)


class _Refused(Exception):
    """A token lets nobody in; the message says why, without the token."""


class SignedTokens:
    """The tokens of one provider that are meant for this server."""

    def __init__(
        self, keys: ProviderKeys, *, issuer: str, audience: str, tenant_claim: str = "", team_claim: str = ""
    ) -> None:
        """Keep what is checked; without a ``tenant_claim`` each user is a tenant of their own."""
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._tenant_claim = tenant_claim
        self._team_claim = team_claim

    def find_caller(self, bearer: str) -> Caller | None:
        """Return who calls with a signed token; None if it lets nobody in.

        Raises:
            ProviderUnavailable: the keys of the provider cannot be had.
        """
        try:
            return self._build_caller(self._verify(bearer))
        except _Refused as reason:
            logger.info("A signed token was refused: %s", reason)
            return None

    def _verify(self, bearer: str) -> Mapping[str, Any]:
        """Return the claims of a token that is sound and meant for this server."""
        import jwt

        try:
            header = jwt.get_unverified_header(bearer)
            key, algorithm = self._find_key(header)
            claims: Mapping[str, Any] = jwt.decode(
                bearer,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": [*REQUIRED]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError, OverflowError) as error:
            raise _Refused(type(error).__name__) from None
        for name in ("exp", "iat", "nbf"):
            if isinstance(claims.get(name, 0), bool) or not isinstance(claims.get(name, 0), int | float):
                raise _Refused(f"{name} is no number")
        return claims

    def _find_key(self, header: Mapping[str, Any]) -> tuple[Any, str]:
        kind, key_id, algorithm = header.get("typ"), header.get("kid"), header.get("alg")
        if (kind.lower() if isinstance(kind, str) else kind) not in TYPES:
            raise _Refused("it is no access token")
        if "crit" in header or header.get("b64") is not None:
            raise _Refused("it demands extensions")
        if not isinstance(key_id, str | None) or len(key_id or "") > MAX_KEY_ID_CHARS:
            raise _Refused("its key has no proper name")
        for key in self._keys.find(key_id):
            if algorithm in key.algorithms:
                return key.key, key.algorithms[key.algorithms.index(algorithm)]
        raise _Refused("its key is not the provider's, or not for its algorithm")

    def _build_caller(self, claims: Mapping[str, Any]) -> Caller:
        scopes = _read_scopes(claims)
        if READ_SCOPE not in scopes:
            raise _Refused(f"the scope {READ_SCOPE} is missing")
        subject = claims["sub"]
        if not 0 < len(subject) <= MAX_SUBJECT_CHARS or not subject.isprintable():
            raise _Refused("its subject is no name")
        if self._tenant_claim:
            tenant = _read_tenant(claims, self._tenant_claim)
        else:
            tenant = name_tenant(self._issuer, subject)
        if tenant is None:
            raise _Refused(f"the claim {self._tenant_claim} is missing")
        team = _read_tenant(claims, self._team_claim) if self._team_claim else None
        return Caller(
            name=f"{NAME_PREFIX}{subject}",
            tenant=tenant,
            team=None if team == tenant else team,
            may_write=WRITE_SCOPE in scopes,
        )


def name_tenant(issuer: str, subject: str) -> str:
    """Return the tenant of a user: the same at each sign-in, and nobody else's."""
    identity = json.dumps([issuer, subject], ensure_ascii=True)
    return f"u-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"


def _read_scopes(claims: Mapping[str, Any]) -> set[str]:
    """Return the scopes: words of ``scope`` (RFC 8693), or of ``scp``, which some providers have."""
    found: object = claims.get("scope", claims.get("scp"))
    if isinstance(found, str):
        return set(found.split())
    items = cast("list[object]", found) if isinstance(found, list) else []
    return {item for item in items if isinstance(item, str)}


def _read_tenant(claims: Mapping[str, Any], claim: str) -> str | None:
    """Return the tenant that a claim names, alone or as the one item of a list; None without the claim."""
    found: object = claims.get(claim)
    if found is None or found == []:
        return None
    if isinstance(found, list) and len(cast("list[object]", found)) == 1:
        (found,) = cast("list[object]", found)
    if not isinstance(found, str) or not TENANT_NAME.fullmatch(found):
        raise _Refused(f"the claim {claim} is no name of one tenant")
    return found
