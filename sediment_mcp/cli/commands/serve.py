"""The command that hosts start: serve."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from sediment_mcp.cli.invocation import Invocation, write_utf8
from sediment_mcp.cli.launcher import start_server
from sediment_mcp.cli.options import MAX_PORT, WholeNumber, combine_options, command, pass_invocation
from sediment_mcp.errors import BadArgument

if TYPE_CHECKING:
    from sediment_mcp.server.http.settings import HttpSettings

MOST_TENANTS, MOST_CALLS, MOST_CACHE = 100_000, 10_000, 10_000_000

_http_options = combine_options(
    click.option("--http", "is_http", is_flag=True, help="serve over HTTP, to several users"),
    click.option("--host", metavar="ADDRESS", help="with --http: where to listen; 127.0.0.1 by default"),
    click.option(
        "--port", metavar="N", type=WholeNumber(0, MAX_PORT), help="8787 by default; 0 takes a free one"
    ),
    click.option("--public-url", metavar="URL", help="how clients reach it, behind a proxy that has TLS"),
    click.option("--metrics", metavar="[HOST:]PORT", help="answer Prometheus there; nowhere by default"),
    click.option(
        "--open-tenants",
        metavar="N",
        type=WholeNumber(1, MOST_TENANTS),
        help="users whose indexes are kept open; 64 by default",
    ),
    click.option(
        "--rate",
        metavar="N",
        type=WholeNumber(0, MOST_CALLS),
        help="calls a second of a caller; 50, 0 for any",
    ),
    click.option(
        "--calls-at-once", metavar="N", type=WholeNumber(1, MOST_CALLS), help="of one caller; 16 by default"
    ),
    click.option(
        "--cache-mb",
        metavar="N",
        type=WholeNumber(1, MOST_CACHE),
        help="of indexes on disk, with --database; 4096 by default",
    ),
    click.option(
        "--stateless",
        "is_stateless",
        is_flag=True,
        default=None,
        help="keep no sessions, for several servers behind one address",
    ),
)


@command(
    "serve",
    "sediment-mcp",
    "sediment-mcp serve --project ~/code/shop",
    "sediment-mcp serve --http --public-url https://memory.example.com",
    prints_json=False,
    uses_config=False,
)
@_http_options
@pass_invocation
def serve(invocation: Invocation, is_http: bool, **options: Any) -> int:
    """Serve MCP over stdin and stdout (the default), or over HTTP."""
    given = {name: value for name, value in options.items() if value is not None}
    if is_http:
        _serve_http(invocation, given)
    if given:
        flag = next(iter(given)).removeprefix("is_").replace("_", "-")
        raise BadArgument(f"--{flag} is for the server over HTTP: add --http, or leave it out.")
    return start_server(invocation.flags)


def _serve_http(invocation: Invocation, given: dict[str, Any]) -> NoReturn:
    from sediment_mcp.config import environment, load_config
    from sediment_mcp.server.http.run import serve_http

    write_utf8()
    config = load_config(environment(), invocation.flags)
    serve_http(config, _build_settings(given), _announce)


def _build_settings(given: dict[str, Any]) -> HttpSettings:
    from sediment_mcp.server.http.settings import HttpSettings, parse_metrics_address, parse_public_url

    parsers = {"public_url": parse_public_url, "metrics": parse_metrics_address}
    parsed: dict[str, Any] = {name: parsers[name](given[name]) for name in parsers.keys() & given.keys()}
    return HttpSettings(**given | parsed)


def _announce(address: str) -> None:
    sys.stdout.write(f"Serving MCP at {address}/mcp. Ctrl-C ends it.\n")
    sys.stdout.flush()
