"""The storage of those who may call: the tokens of all tenants.

It stands beside the tenants' memories, because whose memories are meant is known only once a token is found.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from sediment_mcp.domain.access_token import StoredToken


class TokenStorage(Protocol):
    """The tokens of all tenants.

    May be used from any thread and by any number of processes: what one of them changes counts for the others
    at once.
    """

    def find(self, token_hash: bytes) -> StoredToken | None:
        """Return the token with this hash, whatever its state.

        Raises:
            StorageError: the storage cannot be read.
        """
        ...

    def list_all(self) -> list[StoredToken]:
        """Return all tokens, the expired and revoked ones too, by name."""
        ...

    def add(self, token: StoredToken) -> bool:
        """Add a token; return False if there is one of this name already."""
        ...

    def revoke(self, name: str, now: datetime) -> bool:
        """Revoke the token of this name; return False if there is none."""
        ...

    def note_use(self, token_hash: bytes, day: datetime) -> None:
        """Note the day on which a token was used."""
        ...

    def close(self) -> None:
        """Close the storage."""
        ...
