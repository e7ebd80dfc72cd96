"""The commands about those who call a server: token, audit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from sediment_mcp.cli.confirm import say
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import command, pass_invocation
from sediment_mcp.cli.values import parse_value
from sediment_mcp.errors import BadArgument

if TYPE_CHECKING:
    from datetime import datetime

    from sediment_mcp.domain.access_token import StoredToken
    from sediment_mcp.storage.access_protocols import TokenStorage

ACTIONS = ("create", "list", "revoke")


# --- token --------------------------------------------------------------------------------------


@command(
    "token",
    "sediment-mcp token create anna-laptop --tenant anna",
    "sediment-mcp token create reports --tenant anna --read-only --expires 2027-01-01",
    "sediment-mcp token list",
    "sediment-mcp token revoke anna-laptop",
)
@click.argument("action", metavar="ACTION", type=click.Choice(ACTIONS), help=", ".join(ACTIONS))
@click.argument("name", metavar="[NAME]", required=False, help="for create and revoke: what it is called")
@click.option("--read-only", is_flag=True, help="for create: it may not change memories")
@click.option("--expires", metavar="TIME", help="for create: its end; a date includes that day")
@pass_invocation
def token(invocation: Invocation, action: str, name: str | None, read_only: bool, expires: str | None) -> int:
    """Make, list or revoke the tokens that let somebody into a server.

    A new one is for the tenant and team of --tenant and --team. It is printed once, to standard output alone;
    only its hash is kept. A revoked one is refused at once.
    """
    from contextlib import closing
    from datetime import UTC, datetime

    from sediment_mcp.access.tokens import open_tokens

    if action != "create" and (read_only or expires is not None):
        raise BadArgument(f"--read-only and --expires say nothing to token {action}: leave them out.")
    if (action == "list") != (name is None):
        raise BadArgument(
            "token list takes no name: it shows every token."
            if name is not None
            else f"token {action} needs the name of a token: give it after the word {action}."
        )
    now = datetime.now(UTC)
    with closing(open_tokens(invocation.config)) as tokens:
        if name is None:
            return _list(invocation, tokens, now)
        if action == "revoke":
            return _revoke(invocation, tokens, name, now)
        return _create(invocation, tokens, name, now, may_write=not read_only, expires=expires)


def _create(
    invocation: Invocation,
    tokens: TokenStorage,
    name: str,
    now: datetime,
    *,
    may_write: bool,
    expires: str | None,
) -> int:
    from sediment_mcp.access.tokens import create_token
    from sediment_mcp.operations.arguments import EXPIRY

    config = invocation.config
    expires_at = None if expires is None else parse_value("--expires", EXPIRY, expires)
    made = create_token(
        tokens,
        name,
        tenant=config.tenant,
        team=config.team or None,
        may_write=may_write,
        expires_at=expires_at,
        now=now,
    )
    may = "read and change" if may_write else "read"
    say(f"{name} may {may} the memories of {config.tenant}. The token is shown this once:")
    return invocation.print_result({"name": name, "token": made}, lambda: click.echo(made))


def _revoke(invocation: Invocation, tokens: TokenStorage, name: str, now: datetime) -> int:
    from sediment_mcp.access.tokens import revoke_token

    revoke_token(tokens, name, now)
    return invocation.print_result({"revoked": name}, lambda: click.echo(f"Revoked {name}."))


def _list(invocation: Invocation, tokens: TokenStorage, now: datetime) -> int:
    found = [_describe(token, now) for token in tokens.list_all()]
    return invocation.print_result({"tokens": found}, lambda: _show(found))


def _describe(token: StoredToken, now: datetime) -> dict[str, Any]:
    """Describe a token by all that is kept of it but its hash."""
    from sediment_mcp.system.timestamps import isoformat_to_second

    return {
        "name": token.name,
        "state": token.state(now),
        "tenant": token.tenant,
        "team": token.team,
        "read_only": not token.may_write,
        "created_at": isoformat_to_second(token.created_at),
        "last_used": None if token.used_at is None else f"{token.used_at:%Y-%m-%d}",
        "expires_at": isoformat_to_second(token.expires_at),
        "revoked_at": isoformat_to_second(token.revoked_at),
    }


def _show(found: Sequence[dict[str, Any]]) -> None:
    from sediment_mcp.cli.terminal import format_local_time, open_console, put, style_words

    out = open_console()
    if not found:
        put(out, "There are no tokens.")
    styles = {"valid": "green", "expired": "yellow", "revoked": "red"}
    for one in found:
        facts = [
            (one["name"], "cyan"),
            (one["state"], styles[one["state"]]),
            (f"tenant {one['tenant']}", "blue"),
        ]
        facts += [(f"team {one['team']}", "blue")] if one["team"] else []
        facts += [("read-only", "magenta")] if one["read_only"] else []
        facts.append((f"created {format_local_time(one['created_at'])}", "dim"))
        facts.append((f"last used {one['last_used'] or 'never'}", "dim"))
        for word, key in (("until", "expires_at"), ("revoked", "revoked_at")):
            facts += [(f"{word} {format_local_time(one[key])}", "yellow")] if one[key] else []
        put(out, style_words(*facts, gap="  "))
