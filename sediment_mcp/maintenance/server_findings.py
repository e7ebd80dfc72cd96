"""What the doctor finds on a PostgreSQL server: whether it answers, and keeps tenants apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.config import Config
from sediment_mcp.errors import SedimentError
from sediment_mcp.maintenance.findings import Finding
from sediment_mcp.system.files import format_bytes

if TYPE_CHECKING:
    from sediment_mcp.storage.postgres.inspection import ServerFacts

MOST_CLOCK_DIFFERENCE = 5.0  # seconds, above which ages and the order of changes are told wrongly
SLOW_ANSWER = 0.02  # seconds; a query waits for several
BUSY_SHARE = 0.8  # of the connections that the server has
UPGRADE = "sediment-mcp database upgrade, with the role that owns the database, makes them."
REPLACED = (
    "The server's own business, not looked at from here: pg_amcheck looks for damage there, and its backups "
    "(pg_dump, or archived logs for any moment) take the place of salvage."
)


def check_server(config: Config) -> tuple[list[Finding], bool]:
    """Return the findings, and whether there are memories of the tenant that can be read."""
    from sediment_mcp.app import require_postgres

    try:
        require_postgres()
        from sediment_mcp.storage.postgres.inspection import inspect_server

        facts = inspect_server(config.database, config.tenant)
    except SedimentError as error:
        return [Finding("server", "problem", str(error))], False
    findings = [
        _check_answer(facts),
        _check_encryption(facts),
        _check_schema(facts),
        _check_role(facts),
        *([_check_row_security(facts)] if facts.schema else []),
        _check_clock(facts),
        _check_connections(facts),
        Finding("integrity", "ok", REPLACED),
    ]
    is_readable = facts.schema == facts.known and facts.has_tenant and not facts.is_unbound
    if facts.schema == facts.known and not facts.has_tenant:
        findings.append(Finding("tenant", "ok", f"{config.tenant}: nothing is stored yet."))
    return findings, is_readable


def check_backups(config: Config) -> Finding:
    """Say who makes backups of a database on a server."""
    return Finding(
        "backups", "ok",
        "None are made here: the server's operator makes them, with pg_dump or archived logs. "
        f"`sediment-mcp backup FILE` writes an export of the tenant {config.tenant}.",
    )  # fmt: skip


def check_cache(directory: Path) -> Finding:
    """Say how large the indexes of this machine are."""
    files = [path for path in directory.rglob("*") if path.is_file()] if directory.is_dir() else []
    size = format_bytes(sum(path.stat().st_size for path in files))
    return Finding("cache", "ok", f"The indexes on this machine take {size}; they are made anew if deleted.")


def _check_answer(facts: ServerFacts) -> Finding:
    standby = ", a standby, which may only be read" if facts.is_standby else ""
    said = f"PostgreSQL {facts.version}{standby}, answers in {1000 * facts.answers_in:.1f} ms"
    if not facts.is_supported:
        return Finding("server", "problem", f"{said}.", "Versions 14 and later are supported: upgrade it.")
    if facts.answers_in > SLOW_ANSWER:
        remedy = "A query waits for several answers: run sediment-mcp nearer to the database."
        return Finding("server", "warning", f"{said}.", remedy)
    return Finding("server", "ok", f"{said}; the tables of all tenants take {format_bytes(facts.bytes)}.")


def _check_encryption(facts: ServerFacts) -> Finding:
    if facts.encryption:
        return Finding("encryption", "ok", f"The connection is encrypted ({facts.encryption}).")
    if facts.is_local:
        return Finding("encryption", "ok", "None, and the server is on this machine.")
    return Finding(
        "encryption", "warning", "The memories cross the network unencrypted.",
        "Add sslmode=verify-full to the URL, once the server has a certificate.",
    )  # fmt: skip


def _check_schema(facts: ServerFacts) -> Finding:
    if facts.schema == facts.known:
        return Finding("schema", "ok", f"Schema {facts.schema}.")
    state = (
        f"Schema {facts.schema}, and this version needs {facts.known}" if facts.schema else "No tables yet"
    )
    if facts.may_create and not facts.is_unbound:
        return Finding("schema", "ok", f"{state}: the next use makes them.")
    return Finding("schema", "problem", f"{state}, which the role {facts.role} may not make.", UPGRADE)


def _check_role(facts: ServerFacts) -> Finding:
    if facts.is_unbound:
        return Finding(
            "role", "problem",
            f"{facts.role} could read the memories of every tenant, as a superuser or by BYPASSRLS.",
            "Give servers a role of their own, as by CREATE ROLE sediment LOGIN, and name it in the URL.",
        )  # fmt: skip
    return Finding("role", "ok", f"{facts.role} is bound to the rows of a tenant.")


def _check_row_security(facts: ServerFacts) -> Finding:
    if facts.unprotected:
        return Finding(
            "row security", "problem", f"It is off for {', '.join(facts.unprotected)}.",
            "As their owner: ALTER TABLE … ENABLE ROW LEVEL SECURITY, and FORCE ROW LEVEL SECURITY.",
        )  # fmt: skip
    return Finding("row security", "ok", f"It is on and forced for all {facts.tables} tables of memories.")


def _check_clock(facts: ServerFacts) -> Finding:
    difference = abs(facts.clock_ahead)
    if difference <= MOST_CLOCK_DIFFERENCE:
        return Finding("clock", "ok", f"It agrees with the server's to {difference:.1f} s.")
    side = "behind" if facts.clock_ahead > 0 else "ahead of"
    return Finding(
        "clock", "warning", f"This machine's clock is {difference:,.0f} s {side} the server's.",
        "Let both follow a time server: of two changes, the one with the later time counts.",
    )  # fmt: skip


def _check_connections(facts: ServerFacts) -> Finding:
    said = f"{facts.connections} of {facts.most_connections} connections of the server are in use"
    if facts.connections > BUSY_SHARE * facts.most_connections:
        remedy = "Raise max_connections, or put a pooler in front of it."
        return Finding("connections", "warning", f"{said}.", remedy)
    return Finding("connections", "ok", f"{said}; each process here takes 16 at most.")
