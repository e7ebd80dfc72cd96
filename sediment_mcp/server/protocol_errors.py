"""Failures as errors of the protocol.

A host is told nothing of the internals, and no failure ends the process.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator

from sediment_mcp.errors import BadArgument, SedimentError
from sediment_mcp.server.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS
from sediment_mcp.server.protocol import ProtocolError
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
        ProtocolError: the block has failed.
    """
    try:
        yield
    except SedimentError as error:
        code = INVALID_PARAMS if isinstance(error, BadArgument) else INTERNAL_ERROR
        raise ProtocolError(code, valid_text(str(error)), data or None) from error
    except BaseException as error:  # a panic in a Rust extension is no Exception
        log.exception("a request failed")
        raise ProtocolError(INTERNAL_ERROR, INTERNAL_FAILURE) from error


def refuse_cursor(listed: str, cursor: object) -> None:
    """Refuse a cursor where what is listed always fits on one page.

    Raises:
        ProtocolError: a cursor was sent.
    """
    if cursor not in (None, ""):
        raise ProtocolError(INVALID_PARAMS, f"There is one page of {listed} only: leave cursor out.")
