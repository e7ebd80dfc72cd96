"""Access tokens in SQL: the statements that engines share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sediment_mcp.domain.access_token import StoredToken
from sediment_mcp.storage.sql.database import Database, placeholders
from sediment_mcp.system.timestamps import from_micros, to_micros

COLUMNS = "name, hash, tenant, team, may_write, created_at, expires_at, revoked_at, used_at"


class SqlTokens:
    """The table ``tokens`` of one connection; what changes it needs a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, token_hash: bytes) -> StoredToken | None:
        """Return the token with this hash."""
        rows = self._database.rows(f"SELECT {COLUMNS} FROM tokens WHERE hash = ?", (token_hash,))
        return _decode(rows[0]) if rows else None

    def list_all(self) -> list[StoredToken]:
        """Return all tokens by name."""
        return [*map(_decode, self._database.rows(f"SELECT {COLUMNS} FROM tokens ORDER BY name"))]

    def add(self, token: StoredToken) -> bool:
        """Add a token; return False if there is one of this name already."""
        values = (
            token.name,
            token.hash,
            token.tenant,
            token.team,
            int(token.may_write),
            *map(to_micros, (token.created_at, token.expires_at, token.revoked_at, token.used_at)),
        )
        return bool(
            self._database.rows(
                f"INSERT INTO tokens ({COLUMNS}) VALUES ({placeholders(values)}) "
                "ON CONFLICT DO NOTHING RETURNING name",
                values,
            )
        )

    def revoke(self, name: str, now: datetime) -> bool:
        """Revoke a token, which keeps the time at which it first was; return False if there is none."""
        return bool(
            self._database.rows(
                "UPDATE tokens SET revoked_at = COALESCE(revoked_at, ?) WHERE name = ? RETURNING name",
                (to_micros(now), name),
            )
        )

    def note_use(self, token_hash: bytes, day: datetime) -> None:
        """Note the day on which a token was used."""
        self._database.execute("UPDATE tokens SET used_at = ? WHERE hash = ?", (to_micros(day), token_hash))


def _decode(row: tuple[Any, ...]) -> StoredToken:
    name, token_hash, tenant, team, may_write, *times = row
    return StoredToken(name, bytes(token_hash), tenant, team, bool(may_write), *map(from_micros, times))
