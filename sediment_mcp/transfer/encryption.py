"""Encrypt and decrypt, by passphrase or key, in the format of age (age-encryption.org/v1).

The `age` program decrypts what is encrypted here, and the other way round. pyrage works in memory: an
encrypted export is held there as a whole, and nothing of it reaches the disk unencrypted.
"""

from __future__ import annotations

from typing import Any, cast

from sediment_mcp.errors import BadArgument

AGE_HEADERS = (b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----")
KEY_STANZAS = (b"\n-> X25519 ", b"\n-> ssh-", b"\n-> piv-", b"\n-> mlkem")
STANZAS_BYTES = 4096  # at a file's beginning, which hold the keys that it is encrypted for


def is_encrypted(head: bytes) -> bool:
    """Return True if a file with these first bytes is encrypted."""
    return head.startswith(AGE_HEADERS)


def encrypt(data: bytes, passphrase: str) -> bytes:
    """Encrypt data; takes about a second, on purpose, so that guessing is slow."""
    encrypted: bytes = _load_pyrage().passphrase.encrypt(data, passphrase)
    return encrypted


def decrypt(data: bytes, passphrase: str, name: str) -> bytes:
    """Decrypt what `encrypt` or age has encrypted.

    Raises:
        BadArgument: the passphrase is wrong, or the file is damaged, or not meant for a passphrase.
    """
    if any(stanza in data[:STANZAS_BYTES] for stanza in KEY_STANZAS):
        raise BadArgument(
            f"{name} is encrypted for a key and not with a passphrase: decrypt it with age, "
            "and import what comes out with sediment-mcp import -."
        )
    pyrage = _load_pyrage()
    try:
        decrypted: bytes = pyrage.passphrase.decrypt(data, passphrase)
    except pyrage.DecryptError:
        raise BadArgument(
            f"{name} does not open: the passphrase is wrong, or the file is damaged; try again."
        ) from None
    return decrypted


def generate_identity() -> str:
    """Return a new X25519 key as age writes it: ``AGE-SECRET-KEY-1…``."""
    return str(_load_pyrage().x25519.Identity.generate())


def parse_identity(text: str) -> str:
    """Return a key in the spelling of age, however it was typed.

    Raises:
        BadArgument: it is none, or has a typing error.
    """
    pyrage = _load_pyrage()
    try:
        return str(pyrage.x25519.Identity.from_str("".join(text.split()).upper()))
    except pyrage.IdentityError:
        raise BadArgument(
            "That is no key of age, or there is a typing error in it: it begins with AGE-SECRET-KEY-1."
        ) from None


def encrypt_to_identity(data: bytes, identity: str) -> bytes:
    """Encrypt data for whoever has this key; takes milliseconds."""
    pyrage = _load_pyrage()
    recipient = pyrage.x25519.Identity.from_str(identity).to_public()
    encrypted: bytes = pyrage.encrypt(data, [recipient])
    return encrypted


def decrypt_with_identity(data: bytes, identity: str) -> bytes | None:
    """Return what was encrypted for this key; None if it is not whole, or for another."""
    pyrage = _load_pyrage()
    try:
        decrypted: bytes = pyrage.decrypt(data, [pyrage.x25519.Identity.from_str(identity)])
    except pyrage.DecryptError:
        return None
    return decrypted


def _load_pyrage() -> Any:
    import pyrage

    return cast("Any", pyrage)  # pyrage has no type annotations
