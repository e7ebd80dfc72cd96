"""Backends of keyring for tests: a keychain in a file, and one that is locked.

A process is told by ``PYTHON_KEYRING_BACKEND=support.keychain.FileKeychain`` and `PLACE`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Generator
from pathlib import Path

import keyring
from keyring.backend import KeyringBackend
from keyring.compat import properties
from keyring.errors import KeyringLocked

PLACE = "TEST_KEYCHAIN"
"""The variable that names the file of a `FileKeychain`."""


class FileKeychain(KeyringBackend):
    """A keychain that keeps its passwords in a file that all processes of a test share."""

    @properties.classproperty
    def priority(cls) -> float:  # noqa: N805  a property of the class
        """Return how much it is wanted; without a file of its own it is no keychain at all."""
        if PLACE not in os.environ:
            raise RuntimeError(f"{PLACE} names no file")
        return 1

    def get_password(self, service: str, username: str) -> str | None:
        """Return a password; None if there is none."""
        return self._read().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep a password."""
        path = Path(os.environ[PLACE])
        path.write_text(json.dumps({**self._read(), f"{service}/{username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        """Forget a password."""
        passwords = self._read()
        del passwords[f"{service}/{username}"]
        Path(os.environ[PLACE]).write_text(json.dumps(passwords))

    def _read(self) -> dict[str, str]:
        path = Path(os.environ[PLACE])
        return json.loads(path.read_text()) if path.exists() else {}


class LockedKeychain(FileKeychain):
    """A keychain whose owner has not unlocked it."""

    def get_password(self, service: str, username: str) -> str | None:
        """Refuse.

        Raises:
            KeyringLocked: always.
        """
        raise KeyringLocked("locked")


@contextlib.contextmanager
def use_keychain(backend: KeyringBackend) -> Generator[None]:
    """Let this process have a keychain."""
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    try:
        yield
    finally:
        keyring.set_keyring(before)
