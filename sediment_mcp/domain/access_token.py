"""Access tokens: what one looks like, and what is kept of it.

A token is random, so a plain hash hides it as well as a slow one would: nobody can guess 256 bits. Its prefix
is for scanners that look for secrets in texts and repositories.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

PREFIX = "sed_"
RANDOM_CHARS = 43  # of 62 each: 256 bits
ALPHABET = string.ascii_letters + string.digits
SHAPE = re.compile(rf"{PREFIX}[A-Za-z0-9]{{{RANDOM_CHARS}}}", re.ASCII)

TokenState = Literal["valid", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class StoredToken:
    """What is kept of a token, which is not the token itself.

    ``team`` is the tenant of a team, or None. ``used_at`` is the beginning of the day on which it was last
    used.
    """

    name: str
    hash: bytes
    tenant: str
    team: str | None
    may_write: bool
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    used_at: datetime | None = None

    def state(self, now: datetime) -> TokenState:
        """Return whether it is valid, or why it is not."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


def make_token() -> str:
    """Return a new token."""
    return PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARS))


def is_token(text: str) -> bool:
    """Return True if the text has the shape of a token."""
    return SHAPE.fullmatch(text) is not None


def hash_token(token: str) -> bytes:
    """Return the SHA-256 hash by which a token is known."""
    return hashlib.sha256(token.encode()).digest()
