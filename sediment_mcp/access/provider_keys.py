"""The public keys of an identity provider: found by its address, kept, and fetched anew when they change.

A signed token names its key. One that is not known may be new, so the keys are fetched again, but not more
often than `RETRY_SECONDS`, whatever anybody sends: made-up names must not become requests to the provider.
One thread fetches at a time, and callers wait for it no longer than `WAIT_SECONDS`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sediment_mcp.access.provider import fetch_keys
from sediment_mcp.errors import ProviderUnavailable

KEEP_SECONDS = 600.0  # between two looks for new keys while the old ones do
RETRY_SECONDS = 30.0  # between two looks for a key that is not known
FIRST_RETRY_SECONDS = 5.0  # as long as there are no keys at all
MAX_AGE_SECONDS = 24 * 3600.0  # how long keys count while the provider cannot be reached
WAIT_SECONDS = 5.0
MIN_RSA_BITS = 2048
MAX_KEYS = 100  # of a provider; it has a few

ALGORITHMS: Mapping[tuple[str, str | None], tuple[str, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""By key type and curve, the algorithms for which such a key counts: asymmetric ones alone."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """A public key, and the algorithms for which it counts."""

    key: Any
    algorithms: tuple[str, ...]


Keys = Mapping[str | None, list[ProviderKey]]


class ProviderKeys:
    """The keys of a provider; may be used from any thread."""

    def __init__(
        self,
        issuer: str,
        fetch: Callable[[str], list[object]] = fetch_keys,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._changed = threading.Condition()
        self._keys: Keys | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._is_fetching = False

    def find(self, key_id: str | None) -> list[ProviderKey]:
        """Return the keys of this name; those without one, or the only key there is, for None.

        Raises:
            ProviderUnavailable: there are no keys, or none that are recent enough.
        """
        with self._changed:
            self._fetch_if_due(key_id)
            end = time.monotonic() + WAIT_SECONDS
            while self._is_fetching and not self._is_known(key_id):
                if not self._changed.wait(end - time.monotonic()):
                    break
            if self._keys is None or self._age() > MAX_AGE_SECONDS:
                raise ProviderUnavailable(
                    "The identity provider does not answer, so its tokens cannot be checked: try again later."
                )
            return _select(self._keys, key_id)

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    def _is_known(self, key_id: str | None) -> bool:
        return self._keys is not None and bool(_select(self._keys, key_id)) and self._age() <= MAX_AGE_SECONDS

    def _fetch_if_due(self, key_id: str | None) -> None:
        if self._is_known(key_id):
            interval = KEEP_SECONDS
        else:
            interval = FIRST_RETRY_SECONDS if self._keys is None else RETRY_SECONDS
        if self._is_fetching or self._clock() - self._tried_at < interval:
            return
        self._is_fetching, self._tried_at = True, self._clock()
        threading.Thread(target=self._run_fetch, name="fetch provider keys", daemon=True).start()

    def _run_fetch(self) -> None:
        keys: Keys | None = None
        try:
            keys = _read_keys(self._fetch(self._issuer))
        except ProviderUnavailable as error:
            logger.warning("%s", error)
        finally:
            with self._changed:
                if keys is not None:
                    self._keys, self._fetched_at = keys, self._clock()
                self._is_fetching = False
                self._changed.notify_all()


def _select(keys: Keys, key_id: str | None) -> list[ProviderKey]:
    if key_id is not None:
        return keys.get(key_id, [])
    every = [key for named in keys.values() for key in named]
    return every if len(every) == 1 else keys.get(None, [])


def _read_keys(published: list[object]) -> Keys:
    """Return the usable keys by their names; a key that is none is left out."""
    found: dict[str | None, list[ProviderKey]] = {}
    for one in published[:MAX_KEYS]:
        if not isinstance(one, dict):
            continue
        entry = cast("dict[str, Any]", one)
        key, key_id = _read_key(entry), entry.get("kid")
        if key is not None and isinstance(key_id, str | None):
            found.setdefault(key_id, []).append(key)
    return found


def _read_key(entry: dict[str, Any]) -> ProviderKey | None:
    from jwt import PyJWK
    from jwt.exceptions import PyJWTError

    operations: object = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    kind, curve, own = entry.get("kty"), entry.get("crv"), entry.get("alg")
    allowed = ALGORITHMS.get((str(kind), None if kind == "RSA" else str(curve)))
    algorithms = tuple(name for name in allowed or () if own in (None, name))
    if not algorithms:
        return None
    try:
        key: Any = PyJWK(entry, algorithms[0]).key
    except (PyJWTError, ValueError, TypeError):
        return None
    if kind == "RSA" and key.key_size < MIN_RSA_BITS:
        logger.warning("A key of the identity provider is shorter than %d bits, and not used.", MIN_RSA_BITS)
        return None
    return ProviderKey(_take_public(key), algorithms)


def _take_public(key: Any) -> Any:
    """Return the public half, should a provider publish both."""
    return key.public_key() if hasattr(key, "public_key") else key
