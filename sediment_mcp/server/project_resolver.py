"""The project that the calls of a client belong to."""

from __future__ import annotations

import logging
from pathlib import Path

import anyio
from anyio.to_thread import run_sync
from mcp import types
from mcp.server.session import ServerSession
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from sediment_mcp.system.project_root import find_project, find_project_of_roots, normalize_project

ROOTS_TIMEOUT = 1.0  # seconds that the first call waits for the client to name its roots

log = logging.getLogger(__name__)


class ProjectResolver:
    """Finds the project of a call.

    It is looked for at the first call, so that the start stays fast.

    It is what the user has configured, else the client's root, else the git work tree around the working
    directory.
    """

    def __init__(self, configured: str | None) -> None:
        self._configured = configured
        self._lock = anyio.Lock()
        self._has_roots = self._has_work_tree = False
        self._named: str | None = None
        self._root: str | None = None
        self._work_tree: str | None = None

    async def resolve(self, session: ServerSession) -> str | None:
        """Return the project, or None if there is none."""
        async with self._lock:
            if self._configured is not None:
                if self._named is None and self._configured:
                    self._named = await run_sync(normalize_project, self._configured)
                return self._named
            if not self._has_roots:
                self._has_roots = True
                self._root = await _request_root(session)
            if self._root is None and not self._has_work_tree:
                self._work_tree = await run_sync(find_project, Path())
                self._has_work_tree = True
            return self._root or self._work_tree

    def invalidate_roots(self) -> None:
        """Ask the client for its roots again at the next call, because they have changed."""
        self._has_roots = False


async def _request_root(session: ServerSession) -> str | None:
    """Ask the client for its roots; return the project of them, or None.

    Only a client that has declared roots in its handshake is asked. One that does not answer in time counts
    as one without roots.
    """
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
    return await run_sync(find_project_of_roots, [str(root.uri) for root in answer.roots])
