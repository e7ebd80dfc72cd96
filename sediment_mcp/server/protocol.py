"""The Model Context Protocol's revisions, its two eras, and its errors.

The client's first request fixes the era of a connection: one that carries the envelope (`_meta` with the
revision) begins the envelope's era, every other one that of the handshake (``initialize``). Each era has its
own methods; within an era all revisions are answered alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sediment_mcp import __version__
from sediment_mcp.server.icon import ICON, ICONS
from sediment_mcp.server.jsonrpc import INVALID_PARAMS, INVALID_REQUEST, Id, Message, build_error

HANDSHAKE_REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
ENVELOPE_REVISIONS = ("2026-07-28",)
"""Revisions of each era, oldest first; the last one is offered to a client that asks for an unknown one."""

REVISION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
SERVER_KEY = "io.modelcontextprotocol/serverInfo"
"""Keys of `_meta` that the envelope's era reserves."""

INITIALIZE, DISCOVER, PING = "initialize", "server/discover", "ping"
INITIALIZED, CANCELLED = "notifications/initialized", "notifications/cancelled"
ROOTS_CHANGED = "notifications/roots/list_changed"
LIST_ROOTS = "roots/list"

MAX_QUOTED_CHARS = 100  # of a revision that an error repeats

METHOD_NOT_FOUND = -32601
UNSUPPORTED_REVISION = -32022

SERVER: dict[str, Any] = {
    "name": "sediment-mcp",
    "title": "Sediment",
    "version": __version__,
    "icons": [ICON],
}
CAPABILITIES: dict[str, Any] = {
    "completions": {},
    "prompts": {"listChanged": False},
    "resources": {"listChanged": False, "subscribe": False},
    "tools": {"listChanged": False},
}
INSTRUCTIONS = (
    "A memory that outlives this conversation and is shared by all of the user's hosts. Query it before you "
    "answer from scratch, store what you learn as soon as you learn it, and correct instead of repeating."
)

_ONE_HOUR = 3_600_000  # milliseconds
_FOR_AN_HOUR = {"cacheScope": "public", "ttlMs": _ONE_HOUR}
_NOT_AT_ALL = {"cacheScope": "private", "ttlMs": 0}
CACHE_HINTS: dict[str, dict[str, Any]] = {
    "prompts/list": _NOT_AT_ALL,
    "resources/list": _NOT_AT_ALL,
    "resources/read": _NOT_AT_ALL,
    "resources/templates/list": _FOR_AN_HOUR,
    "server/discover": _NOT_AT_ALL,
    "tools/list": _FOR_AN_HOUR,
}
"""How long a client of the envelope's era may keep a result, for each method whose results say so."""

Params = Mapping[str, Any]


class ProtocolError(Exception):
    """A request that is answered with an error; ``data`` of None is left out."""

    def __init__(self, code: int, sentence: str, data: Any = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.data = data

    def answer(self, id: Id) -> Message:
        """Return the response to the request of this id."""
        return build_error(id, self.code, str(self), self.data)


def refuse_method(method: str) -> ProtocolError:
    """Return the error that says that there is no such method."""
    return ProtocolError(METHOD_NOT_FOUND, "Method not found", method)


def refuse_params() -> ProtocolError:
    """Return the error that says that parameters have the wrong form."""
    return ProtocolError(INVALID_PARAMS, "Invalid request parameters", "")


def build_text(text: str) -> Message:
    """Return the content of a result that is one text."""
    return {"text": text, "type": "text"}


# --- the handshake's era ------------------------------------------------------------------------


def negotiate_revision(requested: str) -> str:
    """Return the revision that the handshake settles on."""
    return requested if requested in HANDSHAKE_REVISIONS else HANDSHAKE_REVISIONS[-1]


def build_handshake(revision: str) -> Message:
    """Return the result of ``initialize``."""
    return {
        "capabilities": CAPABILITIES,
        "instructions": INSTRUCTIONS,
        "protocolVersion": revision,
        "serverInfo": dict(sorted({**SERVER, "icons": ICONS}.items())),
    }


def refuse_envelope(params: Params) -> None:
    """Refuse a request with an envelope after a handshake.

    Raises:
        ProtocolError: it has one.
    """
    if has_envelope(params):
        raise ProtocolError(
            INVALID_REQUEST,
            "this connection serves the handshake protocol era; "
            f"requests carrying the {ENVELOPE_REVISIONS[-1]} envelope are not accepted on it",
        )


# --- the envelope's era -------------------------------------------------------------------------


def has_envelope(params: Params) -> bool:
    """Return whether a request's parameters carry the envelope, complete or not."""
    meta: object = params.get("_meta")
    return isinstance(meta, dict) and REVISION_KEY in meta


def check_envelope(params: Params) -> None:
    """Check the envelope of a request.

    Raises:
        ProtocolError: the envelope is missing or incomplete, or names a revision that is not served.
    """
    meta: object = params.get("_meta")
    if not isinstance(meta, dict):
        raise ProtocolError(
            INVALID_PARAMS,
            f"params._meta must be an object carrying the required {REVISION_KEY!r} and "
            f"{CAPABILITIES_KEY!r} envelope keys",
        )
    fields = cast("dict[str, Any]", meta)
    if missing := [key for key in (REVISION_KEY, CAPABILITIES_KEY) if key not in fields]:
        sentence = f"params._meta is missing the required envelope key(s): {', '.join(missing)}"
        raise ProtocolError(INVALID_PARAMS, sentence)
    revision = fields[REVISION_KEY]
    if not isinstance(revision, str):
        raise ProtocolError(INVALID_PARAMS, "the protocol-version envelope value must be a string")
    if revision not in ENVELOPE_REVISIONS:
        raise ProtocolError(UNSUPPORTED_REVISION, "Unsupported protocol version", _list_supported(revision))


def refuse_handshake(params: Params) -> ProtocolError:
    """Return the error that answers ``initialize`` in the envelope's era."""
    requested: object = params.get("protocolVersion")
    return ProtocolError(
        UNSUPPORTED_REVISION,
        f"connection is serving the {ENVELOPE_REVISIONS[-1]} protocol; "
        "the initialize handshake is not accepted",
        _list_supported(requested if isinstance(requested, str) else None),
    )


def _list_supported(requested: str | None = None) -> dict[str, Any]:
    supported = {"supported": list(ENVELOPE_REVISIONS)}
    return supported if requested is None else supported | {"requested": requested[:MAX_QUOTED_CHARS]}


def build_discovery() -> Message:
    """Return the result of ``server/discover``."""
    return {
        "capabilities": CAPABILITIES,
        "instructions": INSTRUCTIONS,
        "supportedVersions": list(ENVELOPE_REVISIONS),
    }


def stamp_result(method: str, result: Message) -> Message:
    """Return a result with what the envelope's era adds to it: type, age and server."""
    stamped = result | {"resultType": "complete"} | CACHE_HINTS.get(method, {})
    return dict(sorted(stamped.items())) | {"_meta": {SERVER_KEY: SERVER}}
