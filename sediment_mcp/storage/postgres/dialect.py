"""How the shared statements become statements of PostgreSQL, each of which names the tenant.

A table of the shared SQL is a common table expression with the tenant's own rows, which the planner puts in
place of the name. What a statement changes names the tenant by `Dialect.own_rows`; without it, the statement
is refused here. Row-level security in the database says the same once more.
"""

from __future__ import annotations

import functools

from sediment_mcp.storage.sql.database import Dialect

SCHEMA = "sediment"
TENANT = "current_setting('sediment.tenant')::integer"
"""The number of the tenant of a transaction, which its first statement sets; an error without one."""
OWN_ROWS = f"tenant = {TENANT}"
FIRST_TABLES = (
    "sequences",
    "counters",
    "memories",
    "tags",
    "chunks",
    "tombstones",
    "erased",
    "models",
    "embeddings",
    "token_models",
    "token_vectors",
    "snapshots",
    "retention",
)
AUDIT_TABLES = ("audit",)
PAIR_TABLES = ("kept_pairs",)
TABLES = (*FIRST_TABLES, *AUDIT_TABLES, *PAIR_TABLES)
"""The tables of which each row belongs to a tenant, all and those of each migration."""
DIALECT = Dialect(
    is_same="IS NOT DISTINCT FROM",
    ordered_join="JOIN",  # the planner knows how many rows there are
    greatest="GREATEST",
    least="LEAST",
    joined_keys="string_agg(number::text, ',')",
    text_value='CAST(? AS TEXT) COLLATE "C"',
    tenant_key="tenant, ",
    own_rows=OWN_ROWS,
    tagged="SELECT memory FROM tags WHERE folded = ?",
    has_tag="folded = ?",
    keeps_folded_tags=True,
)


@functools.cache
def to_statement(sql: str) -> str:
    """Return a shared statement as PostgreSQL takes it, with the tenant's own rows.

    Each ``?`` becomes ``$1``, ``$2``, …, because psycopg would parse ``%s`` anew in each long statement,
    for two milliseconds of a query.
    """
    if sql.startswith(("UPDATE", "DELETE")) and OWN_ROWS not in sql:
        raise RuntimeError(f"A statement must say whose rows it changes: {sql}")
    text = number_values(sql)
    named = [table for table in TABLES if table in sql] if "SELECT" in sql else []
    own = ", ".join(
        f"{table} AS NOT MATERIALIZED (SELECT * FROM {SCHEMA}.{table} WHERE {OWN_ROWS})" for table in named
    )
    return f"WITH {own} {text}" if own else text


def number_values(sql: str) -> str:
    """Return a shared statement with numbers in the place of its question marks.

    All of these stand for a value.
    """
    first, *others = sql.split("?")
    return first + "".join(f"${number}{text}" for number, text in enumerate(others, start=1))
