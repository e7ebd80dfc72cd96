"""Decrypt and encrypt single pages of an encrypted database, as SQLCipher 4 does.

SQLCipher itself gives up a connection at the first page that is not what was written; salvage has to go on.
The format is that of SQLCipher 4 with a raw key: a page ends with an initialization vector and an
HMAC-SHA512 over what it holds and its number; the first 16 bytes of the first page are the salt, from which,
with the key, that of the HMAC is derived. The salt has no part in the encryption itself.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Any

from sediment_mcp.system.database_files import SQLITE_MAGIC

PAGE_BYTES = 4096
SALT_BYTES = 16  # in the place of what an unencrypted file begins with
IV_BYTES, MAC_BYTES = 16, 64  # an initialization vector and an HMAC-SHA512, at the end of each page
IV_START, MAC_START = PAGE_BYTES - MAC_BYTES - IV_BYTES, PAGE_BYTES - MAC_BYTES
SALT_MASK = 0x3A
MAC_KEY_ROUNDS, MAC_KEY_BYTES = 2, 32


class PageCipher:
    """The cipher of the pages of one file, by its key of 32 bytes and its salt."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        """Derive the key of the HMAC."""
        self.salt = salt
        self._key = key
        masked = bytes(byte ^ SALT_MASK for byte in salt)
        self._mac_key = hashlib.pbkdf2_hmac("sha512", key, masked, MAC_KEY_ROUNDS, MAC_KEY_BYTES)

    def stands(self, page: bytes, number: int) -> bool:
        """Return whether a page is what was written as the page of this number, from 1."""
        return len(page) == PAGE_BYTES and hmac.compare_digest(
            self._compute_mac(page, number), page[MAC_START:]
        )

    def authenticate(self, page: bytes, number: int) -> bytes:
        """Return an encrypted page with the HMAC, and on the first page the salt, of this file."""
        salted = self.salt + page[SALT_BYTES:] if number == 1 else page
        return salted[:MAC_START] + self._compute_mac(salted, number)

    def decrypt(self, page: bytes, number: int) -> bytes:
        """Return what a page holds, whether it stands or not, with zeros for its last 80 bytes."""
        start = _find_start(number)
        decryptor = self._build_cipher(page[IV_START:MAC_START]).decryptor()
        content: bytes = decryptor.update(page[start:IV_START]) + decryptor.finalize()
        return SQLITE_MAGIC[:start] + content + bytes(PAGE_BYTES - IV_START)

    def encrypt(self, page: bytes, number: int) -> bytes:
        """Return the encrypted page that holds what `decrypt` would give."""
        start, iv = _find_start(number), os.urandom(IV_BYTES)
        encryptor = self._build_cipher(iv).encryptor()
        content: bytes = encryptor.update(page[start:IV_START]) + encryptor.finalize()
        return self.authenticate(bytes(start) + content + iv + bytes(MAC_BYTES), number)

    def _compute_mac(self, page: bytes, number: int) -> bytes:
        signed = page[_find_start(number) : MAC_START] + number.to_bytes(4, "little")
        return hmac.digest(self._mac_key, signed, "sha512")

    def _build_cipher(self, iv: bytes) -> Any:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        return Cipher(algorithms.AES(self._key), modes.CBC(iv))


def _find_start(number: int) -> int:
    return SALT_BYTES if number == 1 else 0
