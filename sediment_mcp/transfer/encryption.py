"""Encryption with a passphrase in the format of age (age-encryption.org/v1): the only module that imports
pyrage. What is sealed here is opened by the `age` program, and the other way round.

The library seals in memory, so that an encrypted export is held there as a whole, but nothing of it reaches
the disk unencrypted.
"""

from __future__ import annotations

from typing import Any, cast

from sediment_mcp.errors import BadArgument

BEGINNINGS = (b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----")
FOR_KEYS = (b"\n-> X25519 ", b"\n-> ssh-", b"\n-> piv-", b"\n-> mlkem")


def is_sealed(head: bytes) -> bool:
    """Whether a file with these first bytes is encrypted."""
    return head.startswith(BEGINNINGS)


def seal(data: bytes, passphrase: str) -> bytes:
    """Encrypt; takes about a second, on purpose, so that guessing is slow."""
    sealed: bytes = _age().passphrase.encrypt(data, passphrase)
    return sealed


def unseal(data: bytes, passphrase: str, name: str) -> bytes:
    """Decrypt what `seal` or age has encrypted.

    Raises:
        BadArgument: the passphrase is wrong, or the file is damaged, or not meant for a passphrase.
    """
    if any(mark in data[:4096] for mark in FOR_KEYS):
        raise BadArgument(
            f"{name} is encrypted for a key and not with a passphrase: decrypt it with age, "
            "and import what comes out with sediment-mcp import -."
        )
    age = _age()
    try:
        plain: bytes = age.passphrase.decrypt(data, passphrase)
    except age.DecryptError:
        raise BadArgument(
            f"{name} does not open: the passphrase is wrong, or the file is damaged; try again."
        ) from None
    return plain


def _age() -> Any:
    import pyrage

    return cast("Any", pyrage)  # it says nothing of its types
