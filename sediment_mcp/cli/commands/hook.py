"""The command that hosts run at certain moments of a session: hook."""

from __future__ import annotations

import click

from sediment_mcp.cli import HOOK
from sediment_mcp.cli.hooks import EVENTS, HOST_FLAG, run_hook
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import command, complete_words, pass_invocation
from sediment_mcp.recall.envelopes import DEFAULT_HOST, ENVELOPES


@command(
    HOOK,
    "sediment-mcp hook session-start",
    "sediment-mcp hook prompt --host cursor",
    prints_json=False,
    uses_config=False,
)
@click.argument(
    "event",
    metavar="EVENT",
    help=", ".join(EVENTS),
    shell_complete=complete_words(lambda: EVENTS),
)
@click.option(
    HOST_FLAG,
    metavar="HOST",
    default=DEFAULT_HOST,
    help=f"{', '.join(ENVELOPES)}; {DEFAULT_HOST} by default",
    shell_complete=complete_words(lambda: ENVELOPES),
)
@pass_invocation
def hook(invocation: Invocation, event: str, host: str) -> int:
    """Answer a hook of a host: recall what matters to it.

    The host's JSON is read from standard input, and the answer is in the form that the host reads. The status
    is always 0, and nothing is written where there is nothing to say.
    """
    return run_hook([event, HOST_FLAG, host], invocation.flags, seconds=None)
