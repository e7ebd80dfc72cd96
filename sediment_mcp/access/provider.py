"""What an identity provider publishes about itself: its metadata, and in it the address of its keys."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

from sediment_mcp.config_access import is_safe_url
from sediment_mcp.errors import ProviderUnavailable

TIMEOUT = 4.0  # seconds, for each document as a whole and for each of its packets
MAX_BYTES = 1024 * 1024  # of a document; real ones have some kilobytes
CHUNK_BYTES = 65_536

Fetch = Callable[[str], bytes]


def fetch_document(url: str) -> bytes:
    """Return what stands at an address, which redirects nowhere.

    Raises:
        OSError: it cannot be read in time, or is too long.
    """
    from http.client import HTTPException
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class Refusal(HTTPRedirectHandler):
        def redirect_request(self, *_: Any, **__: Any) -> None:
            return None

    end = time.monotonic() + TIMEOUT
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310  `is_safe_url` has seen it
    data = bytearray()
    try:
        with build_opener(Refusal).open(request, timeout=TIMEOUT) as response:
            while chunk := response.read1(CHUNK_BYTES):
                data += chunk
                if len(data) > MAX_BYTES or time.monotonic() > end:
                    raise OSError("it is too long, or comes too slowly")
    except (HTTPException, ValueError) as error:
        raise OSError(str(error)) from error
    return bytes(data)


def fetch_keys(issuer: str, fetch: Fetch = fetch_document) -> list[object]:
    """Return the keys that a provider publishes, as it publishes them.

    Raises:
        ProviderUnavailable: it does not answer, or its documents do not fit together.
    """
    address = _find_key_address(issuer, fetch)
    keys = _read_object(address, fetch).get("keys")
    if not isinstance(keys, list):
        raise _build_failure(issuer, f"{address} holds no keys")
    return cast("list[object]", keys)


def list_metadata_urls(issuer: str) -> list[str]:
    """Return where a provider's metadata may stand: after its path (OpenID), or before it (RFC 8414)."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    places = (
        f"{path}/.well-known/openid-configuration",
        f"/.well-known/oauth-authorization-server{path}",
        f"/.well-known/openid-configuration{path}",
    )
    return [urlunsplit((parts.scheme, parts.netloc, place, "", "")) for place in dict.fromkeys(places)]


def _find_key_address(issuer: str, fetch: Fetch) -> str:
    failure = _build_failure(issuer, "it publishes no metadata")
    for url in list_metadata_urls(issuer):
        try:
            metadata = _read_object(url, fetch)
        except ProviderUnavailable as error:
            failure = error
            continue
        if metadata.get("issuer") != issuer:
            raise _build_failure(
                issuer, f"it calls itself {metadata.get('issuer')!r}, so SEDIMENT_OIDC_ISSUER must be that"
            )
        address = metadata.get("jwks_uri")
        if not isinstance(address, str) or not is_safe_url(address):
            raise _build_failure(issuer, "its metadata names no https address of keys")
        return address
    raise failure


def _read_object(url: str, fetch: Fetch) -> dict[str, Any]:
    try:
        found: Any = json.loads(fetch(url))
    except (OSError, ValueError, RecursionError) as error:
        raise _build_failure(url, str(error)) from error
    if not isinstance(found, dict):
        raise _build_failure(url, "it is no JSON object")
    return cast("dict[str, Any]", found)


def _build_failure(place: str, reason: str) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"The identity provider's keys could not be fetched ({place}: {reason}): nobody can sign in with it "
        "until they are."
    )
