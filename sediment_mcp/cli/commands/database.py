"""The command by which an operator makes and upgrades the tables in PostgreSQL: database."""

from __future__ import annotations

import sys

import click

from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import command, pass_invocation

ACTIONS = ("upgrade",)


@command(
    "database",
    "sediment-mcp database upgrade --database postgresql://owner@db.example.com/memory --role sediment",
    "sediment-mcp database upgrade --print --role sediment",
)
@click.argument("action", metavar="ACTION", type=click.Choice(ACTIONS), help=", ".join(ACTIONS))
@click.option(
    "--role", metavar="NAME", default="", help="the role of the servers, which may then use the tables"
)
@click.option(
    "--print", "is_printed", is_flag=True, help="print the SQL for an empty database, and run nothing"
)
@pass_invocation
def database(invocation: Invocation, action: str, role: str, is_printed: bool) -> int:
    """Make the tables in a PostgreSQL database, or bring them up to date, as the role that owns it.

    A server whose own role owns the database does this by itself.
    """
    from sediment_mcp.app import require_postgres
    from sediment_mcp.errors import BadArgument

    require_postgres()
    from sediment_mcp.storage.postgres import migrations

    if is_printed:
        sys.stdout.write(migrations.list_statements(role))
        return 0
    url = invocation.config.database
    if not url:
        raise BadArgument("No database is named: give it as --database postgresql://owner@host/database.")
    before, after = migrations.upgrade(url, role)
    result = {"schema_before": before, "schema": after, "role": role}
    return invocation.print_result(result, lambda: _show(before, after, role))


def _show(before: int, after: int, role: str) -> None:
    from sediment_mcp.cli.terminal import open_console, put

    done = "were made" if before == 0 else f"were brought from schema {before} to {after}"
    same = f"are up to date (schema {after})"
    out = open_console()
    put(out, f"The tables {done if before < after else same}.")
    if role:
        put(out, f"The role {role} may read and write them, each tenant's rows apart.")
