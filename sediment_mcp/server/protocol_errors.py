"""Failures as errors of the protocol.

A host is told nothing of the internals, and no failure ends the process.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator

from mcp import types
from mcp.shared.exceptions import MCPError

from sediment_mcp.errors import BadArgument, SedimentError
from sediment_mcp.system.text import valid_text

INTERNAL_FAILURE = (
    "Something went wrong inside sediment-mcp, and not because of the arguments: "
    "run `sediment-mcp doctor`, and look into this server's log."
)

log = logging.getLogger(__name__)


@contextlib.contextmanager
def raise_protocol_errors(**data: str) -> Generator[None]:
    """Turn every failure of the block into a protocol error of one sentence.

    It carries ``data``. This is for requests that have no other way to report a failure; a tool reports it in
    its result.

    Raises:
        MCPError: the block has failed.
    """
    try:
        yield
    except SedimentError as error:
        code = types.INVALID_PARAMS if isinstance(error, BadArgument) else types.INTERNAL_ERROR
        raise MCPError(code, valid_text(str(error)), data or None) from error
    except BaseException as error:  # a panic in a Rust extension is no Exception
        log.exception("a request failed")
        raise MCPError(types.INTERNAL_ERROR, INTERNAL_FAILURE) from error


def refuse_cursor(listed: str, params: types.PaginatedRequestParams | None) -> None:
    """Refuse a cursor where what is listed always fits on one page.

    Raises:
        MCPError: a cursor was sent.
    """
    if params and params.cursor:
        raise MCPError(types.INVALID_PARAMS, f"There is one page of {listed} only: leave cursor out.")
