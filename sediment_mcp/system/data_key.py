"""The key of an encrypted data directory, and the recovery code that a person writes down."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from functools import cached_property

from sediment_mcp.errors import BadArgument

KEY_BYTES = 32
CHECK_BYTES = 3  # of the SHA-256 at the end of a recovery code, so that a slip of the pen is noticed
GROUP_CHARS = 4
ID_CHARS = 16
LOOK_ALIKES = str.maketrans("018", "OIB")  # digits that base 32 has not, and the letters they stand for


@dataclass(frozen=True)
class DataKey:
    """32 random bytes, from which the key of each purpose is derived."""

    secret: bytes = field(repr=False)

    @cached_property
    def id(self) -> str:
        """What tells this key from another one, and nothing about it."""
        return self.derive("id").hex()[:ID_CHARS]

    def derive(self, purpose: str) -> bytes:
        """Return the key of 32 bytes for a purpose (HKDF-Expand of RFC 5869, one block)."""
        return hmac.digest(self.secret, purpose.encode() + b"\x01", "sha256")

    @property
    def recovery_code(self) -> str:
        """The key as groups of letters and digits for paper."""
        check = hashlib.sha256(self.secret).digest()[:CHECK_BYTES]
        code = base64.b32encode(self.secret + check).decode()
        return "-".join(code[start : start + GROUP_CHARS] for start in range(0, len(code), GROUP_CHARS))


def generate_key() -> DataKey:
    """Return a new random key."""
    return DataKey(secrets.token_bytes(KEY_BYTES))


def parse_recovery_code(text: str) -> DataKey:
    """Return the key of a recovery code, however its letters are grouped and written.

    Raises:
        BadArgument: it is none, or has a slip of the pen.
    """
    letters = "".join(text.upper().replace("-", "").split()).translate(LOOK_ALIKES)
    try:
        data = base64.b32decode(letters)
    except binascii.Error:
        data = b""
    key, check = data[:KEY_BYTES], data[KEY_BYTES:]
    if len(key) != KEY_BYTES or check != hashlib.sha256(key).digest()[:CHECK_BYTES]:
        raise BadArgument(
            "This is no recovery code, or a letter of it is wrong: compare it with what was written down, "
            "14 groups of 4."
        )
    return DataKey(key)
