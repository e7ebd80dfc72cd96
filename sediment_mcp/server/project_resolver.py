"""The project that the calls of a client belong to."""

from __future__ import annotations

import threading
from pathlib import Path

from sediment_mcp.server.connection import Client
from sediment_mcp.server.protocol import LIST_ROOTS
from sediment_mcp.server.request_shapes import is_list_of_roots

ROOTS_TIMEOUT = 1.0  # seconds that the first call waits for the client to name its roots


class ProjectResolver:
    """Finds the project of a call.

    It is looked for at the first call, so that the start stays fast.

    It is what the user has configured, else the client's root, else the git work tree around the working
    directory.
    """

    def __init__(self, configured: str | None) -> None:
        self._configured = configured
        self._lock = threading.Lock()
        self._has_roots = self._has_work_tree = False
        self._named: str | None = None
        self._root: str | None = None
        self._work_tree: str | None = None

    def resolve(self, client: Client) -> str | None:
        """Return the project, or None if there is none."""
        from sediment_mcp.system.project_root import find_project, normalize_project

        with self._lock:
            if self._configured is not None:
                if self._named is None and self._configured:
                    self._named = normalize_project(self._configured)
                return self._named
            if not self._has_roots:
                self._has_roots = True
                self._root = _request_root(client)
            if self._root is None and not self._has_work_tree:
                self._work_tree = find_project(Path())
                self._has_work_tree = True
            return self._root or self._work_tree

    def forget_roots(self) -> None:
        """Ask the client for its roots again at the next call, because they have changed."""
        self._has_roots = False


def _request_root(client: Client) -> str | None:
    """Ask the client for its roots; return the project of them, or None.

    Only a client that has declared roots in its handshake is asked. One that does not answer in time, or with
    something else, counts as one without roots.
    """
    from sediment_mcp.system.project_root import find_project_of_roots

    answer = client.ask(LIST_ROOTS, ROOTS_TIMEOUT) if client.has_roots else None
    if answer is None or not is_list_of_roots(answer):
        return None
    uris = [root["uri"].replace("\\", "/") for root in answer["roots"]]  # as some hosts on Windows write
    return find_project_of_roots(uris)
