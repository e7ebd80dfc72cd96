"""Which project the calls belong to."""

from __future__ import annotations

import logging
from pathlib import Path

import anyio
import anyio.to_thread
from mcp import types
from mcp.server.session import ServerSession
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from sediment_mcp.server.jsonrpc import valid_text

ROOTS_TIMEOUT = 1.0
"""Seconds that the first call waits for the client to name its roots."""

log = logging.getLogger(__name__)


class CallersProject:
    """Which project the calls belong to: what the user has set, else the client's root, else the git work
    tree around the working directory. Found at the first call, because starting must cost nothing."""

    def __init__(self, given: str | None) -> None:
        self._given = given
        self._lock = anyio.Lock()
        self._roots_asked = self._tree_sought = False
        self._root: str | None = None
        self._tree: str | None = None

    async def of(self, session: ServerSession) -> str | None:
        from sediment_mcp.system.project_root import project_of_folder

        if self._given is not None:
            return valid_text(self._given) or None
        async with self._lock:
            if not self._roots_asked:
                self._roots_asked = True
                self._root = await _ask_for_root(session)
            if self._root is None and not self._tree_sought:
                self._tree = await anyio.to_thread.run_sync(project_of_folder, Path())
                self._tree_sought = True
            return self._root or self._tree

    def forget_roots(self) -> None:
        self._roots_asked = False


async def _ask_for_root(session: ServerSession) -> str | None:
    """Ask a client of the handshake era that says it has roots; one that stays mute has none."""
    from sediment_mcp.system.project_root import project_of_roots

    capabilities = session.client_capabilities
    if capabilities is None or capabilities.roots is None or not session.can_send_request:
        return None
    try:
        answer = await session.send_request(
            types.ListRootsRequest(), types.ListRootsResult, request_read_timeout_seconds=ROOTS_TIMEOUT
        )
    except (MCPError, ValidationError) as error:
        log.debug("the client names no roots: %s", error)
        return None
    uris = [str(root.uri) for root in answer.roots]
    return await anyio.to_thread.run_sync(project_of_roots, uris)
