"""Settings of those who sign in to a server, as users write them: an identity provider, and its claims."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from sediment_mcp.errors import BadArgument

OIDC_ISSUER = "SEDIMENT_OIDC_ISSUER"
OIDC_AUDIENCE = "SEDIMENT_OIDC_AUDIENCE"
OIDC_TENANT_CLAIM = "SEDIMENT_OIDC_TENANT_CLAIM"
OIDC_TEAM_CLAIM = "SEDIMENT_OIDC_TEAM_CLAIM"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
MAX_URL_CHARS = 2048
MAX_CLAIM_CHARS = 256
_PLAIN = re.compile(r"[!-~]+")  # ASCII that is seen


def is_safe_url(url: str) -> bool:
    """Return True if an address is one of https, or of this machine, without a password in it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if len(url) > MAX_URL_CHARS or not _PLAIN.fullmatch(url) or not host or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)


def parse_issuer(value: str, name: str) -> str:
    """Return the address by which an identity provider calls itself; an empty one stays empty.

    Raises:
        BadArgument: it is no such address.
    """
    if value and (not is_safe_url(value) or "?" in value or "#" in value):
        raise BadArgument(
            f"{name} is no issuer of an identity provider: write its address as the provider itself does, "
            "with https, such as https://login.example.com/realms/team."
        )
    return value


def parse_audience(value: str, name: str) -> str:
    """Return for whom signed tokens are meant; an empty one stays empty.

    Raises:
        BadArgument: it could not be an audience.
    """
    if value and (len(value) > MAX_URL_CHARS or not _PLAIN.fullmatch(value)):
        raise BadArgument(f"{name} is no audience: write it as the tokens have it, without spaces.")
    return value


def parse_claim(value: str, name: str) -> str:
    """Return the name of a claim; an empty one stays empty.

    Raises:
        BadArgument: it could not be one.
    """
    if len(value) > MAX_CLAIM_CHARS:
        raise BadArgument(f"{name} is longer than {MAX_CLAIM_CHARS} characters: write the name of a claim.")
    return value
