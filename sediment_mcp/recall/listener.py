"""The thread of a server that answers hooks, one after the other.

Of all servers on a data directory one listens: the one that holds a lock. The others wait for the lock in the
kernel, so that the next one takes over as soon as the holder ends, however it ends. A hook is answered at
once or not at all: while the model is not there yet it is only told so, and the model is loaded for the next
one.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from sediment_mcp.config import NO_MODEL, Config
from sediment_mcp.errors import SedimentError
from sediment_mcp.recall.reading import has_memories
from sediment_mcp.system.locks import locked

if TYPE_CHECKING:
    from sediment_mcp.app import Application

LOCK = "recall.lock"
LOOK_AGAIN = 2.0  # seconds, for the first memory of all
PATIENCE = 1.0  # seconds in which a hook must have sent its message and taken its answer

log = logging.getLogger(__name__)


class Parts(Protocol):
    """What answers a request or a hook, once it is there."""

    @property
    def app(self) -> Application:
        """The application."""
        ...

    def start_model(self) -> None:
        """Start to load the embedding model, because it is needed."""
        ...


class Listener:
    """Answers the hooks of a data directory while no other process does."""

    def __init__(self, config: Config, parts: Parts) -> None:
        self._config = config
        self._parts = parts
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Start to listen, or to wait for the turn, as soon as there are memories."""
        threading.Thread(target=self._run, name="answer hooks", daemon=True).start()

    def close(self) -> None:
        """Remove the socket, if this process listens, so that no hook asks it any more."""
        if self._socket is not None:
            from sediment_mcp.recall.local_socket import remove_socket

            remove_socket(self._config.store_dir)

    def _run(self) -> None:
        from sediment_mcp.recall.local_socket import can_listen, listen

        directory = self._config.store_dir
        if not can_listen(directory):
            log.debug("Hooks are not answered: no socket can lie in %s", directory)
            return
        while not has_memories(self._config):  # nobody has stored anything yet: there is nothing to recall
            time.sleep(LOOK_AGAIN)
        try:
            with locked(directory / LOCK, threading.TIMEOUT_MAX), listen(directory) as listener:
                self._socket = listener
                self._answer_all(listener)
        except (SedimentError, OSError) as error:
            log.debug("Hooks are not answered: %s", error)

    def _answer_all(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        from sediment_mcp.recall.local_socket import receive, send

        end = time.monotonic() + PATIENCE
        try:
            message = receive(connection, end)
            send(connection, self._find(message), end)
        except (OSError, ValueError, SedimentError) as error:
            log.debug("A hook was not answered: %s", error)
        except BaseException:  # a panic in a Rust extension is no Exception
            log.exception("A hook was not answered")

    def _find(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return the memories that a message calls for; nothing while they cannot be found at once."""
        from sediment_mcp.recall.asked_text import MAX_ASKED_CHARS

        asked, project = message.get("asked"), message.get("project")
        if not isinstance(asked, str) or not isinstance(project, str | None):
            raise ValueError("The message asks nothing.")
        self._parts.start_model()
        app = self._parts.app
        embedder = app.model.ready
        if embedder is None and app.config.model != NO_MODEL:
            return {}
        from sediment_mcp.operations.stores import list_stores
        from sediment_mcp.recall.finding import SearchedStore, find_memories

        identity = None if embedder is None else embedder.identity
        stores = [
            SearchedStore(store.retriever, store.storage.read, store.is_team) for store in list_stores(app)
        ]
        found = find_memories(stores, identity, asked[:MAX_ASKED_CHARS], project)
        return {"found": [memory.to_fields() for memory in found]}
