"""Access tokens: make, list and revoke them, and find whom one belongs to.

Nothing is cached: a token is looked up in the storage at each call, so that a revoked one is refused at
once by every server.
"""

from __future__ import annotations

import hmac
import logging
import re
from datetime import datetime, timedelta

from sediment_mcp.config import DATABASE, POSTGRES_EXTRA, Config
from sediment_mcp.domain.access_token import StoredToken, hash_token, is_token, make_token
from sediment_mcp.domain.caller import LOCAL, Caller
from sediment_mcp.errors import BadArgument, StorageError
from sediment_mcp.storage.access_protocols import TokenStorage
from sediment_mcp.storage.sqlite.tokens import SqliteTokens
from sediment_mcp.system.directory_encryption import find_encryption
from sediment_mcp.system.extras import check_module

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._-]{0,62}")  # no colon: that is in the names of signed tokens
DAY = timedelta(days=1)

logger = logging.getLogger(__name__)


def open_tokens(config: Config) -> TokenStorage:
    """Return the storage of all tenants' tokens; nothing is opened before its first use.

    Raises:
        BadArgument: it is in PostgreSQL, and the extra for that is not installed.
    """
    if not config.database:
        return SqliteTokens(config.data_dir, find_encryption(config))
    check_module("psycopg", POSTGRES_EXTRA, DATABASE)
    from sediment_mcp.storage.postgres.tokens import PostgresTokens

    return PostgresTokens(config.database)


def create_token(
    tokens: TokenStorage,
    name: str,
    *,
    tenant: str,
    team: str | None,
    may_write: bool,
    expires_at: datetime | None,
    now: datetime,
) -> str:
    """Keep a new token, and return it: it is known to nobody else, and cannot be shown again.

    Raises:
        BadArgument: the name is none or taken, or the token would be expired or its team be its tenant.
    """
    if not NAME.fullmatch(name) or name == LOCAL:
        raise BadArgument(
            f"{name!r} is no name of a token: write at most 63 letters, digits and @ . _ -, but not {LOCAL}."
        )
    if expires_at is not None and expires_at <= now:
        raise BadArgument("--expires lies in the past: give a later time, or none for a token without end.")
    if team == tenant:
        raise BadArgument(f"{team} is tenant and team at once: leave the team out, or name another.")
    token = make_token()
    stored = StoredToken(name, hash_token(token), tenant, team, may_write, now, expires_at)
    if not tokens.add(stored):
        raise BadArgument(
            f"There is a token {name} already, and an audit must tell the two apart: choose another name."
        )
    return token


def revoke_token(tokens: TokenStorage, name: str, now: datetime) -> None:
    """Revoke a token: from now on no server lets it in.

    Raises:
        BadArgument: there is no token of this name.
    """
    if not tokens.revoke(name, now):
        raise BadArgument(f"There is no token {name!r}: `sediment-mcp token list` shows which there are.")


def find_caller(tokens: TokenStorage, bearer: str, now: datetime) -> Caller | None:
    """Return whom a token belongs to; None if it is none, expired or revoked.

    Raises:
        StorageError: the storage cannot be read.
    """
    if not is_token(bearer):
        return None
    token_hash = hash_token(bearer)
    found = tokens.find(token_hash)
    if found is None or not hmac.compare_digest(found.hash, token_hash) or found.state(now) != "valid":
        return None
    _note_use(tokens, found, now)
    return Caller(found.name, found.tenant, found.team, found.may_write)


def _note_use(tokens: TokenStorage, token: StoredToken, now: datetime) -> None:
    """Note the day of use, once a day: to know more of somebody's habits serves nobody."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if token.used_at is not None and today <= token.used_at:
        return
    try:
        tokens.note_use(token.hash, today)
    except StorageError as error:  # such as a full disk, which is no reason to keep somebody out
        logger.warning("When the token %s was last used could not be noted: %s", token.name, error)
