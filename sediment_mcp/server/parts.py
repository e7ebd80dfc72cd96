"""The parts of the process that are imported behind the first answer, and built once.

A host waits for the answers to its first messages, and many a server is started and never asked anything. So
nothing is imported before the first answer that it does not need, one thread imports the rest afterwards in
the order in which the first call needs it, and the embedding model is loaded when a call needs it: a server
that is never asked stays small.
"""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from sediment_mcp.config import DEFAULT_MODEL, Config
from sediment_mcp.system.garbage_collection import loading

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.embeddings.loader import ModelLoader
    from sediment_mcp.recall.listener import Listener

QUIET_TIME = 0.2  # seconds after the first answer, in which most hosts ask for the tools
SWITCH_INTERVAL = 0.0005  # seconds; an import gives way to an answer so much sooner than by default (0.005)

log = logging.getLogger(__name__)


class LateParts:
    """The application and its model, imported in the background, built at the first use."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._is_started = False
        self._is_awaited = threading.Event()
        self._is_imported = threading.Event()
        self._needs_model = False
        self._app: Application | None = None
        self._listener: Listener | None = None

    def import_soon(self) -> None:
        """Start to import what answers calls: in a while, or at once when a call needs it."""
        with self._lock:
            is_first, self._is_started = not self._is_started, True
        if is_first:
            threading.Thread(target=self._import, name="import", daemon=True).start()

    def start_model(self) -> None:
        """Start to load the embedding model, because a call needs it."""
        self._needs_model = True
        self._model.start()

    @property
    def app(self) -> Application:
        """The application; until it is imported, a caller waits."""
        self.import_soon()
        self._is_awaited.set()
        self._is_imported.wait()
        with self._lock:
            if self._app is None:
                from sediment_mcp.app import Application
                from sediment_mcp.sync.automatic import synchronize_automatically

                self._app = Application(self._config, model=self._model)
                synchronize_automatically(self._app)
            return self._app

    @cached_property
    def _model(self) -> ModelLoader:
        from sediment_mcp.embeddings.loader import ModelLoader, load_embedder

        return ModelLoader(lambda: load_embedder(self._config))

    def close(self) -> None:
        """Close the application, if it was built, and stop to answer hooks."""
        with self._lock:
            app = self._app
        if self._listener is not None:
            self._listener.close()
        if app is not None:
            app.close()

    # --- in the background ------------------------------------------------------------------------

    def _import(self) -> None:
        self._is_awaited.wait(QUIET_TIME)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        try:
            with loading():
                self._import_in_order()
        except Exception:  # the call that needs it fails in the same way, and says so
            log.exception("a part cannot be imported")
        finally:
            self._is_imported.set()
            sys.setswitchinterval(interval)

    def _import_in_order(self) -> None:
        if self._needs_model:  # once this is imported, it loads beside the other imports
            self._import_runtime()
        import_module("sediment_mcp.server.handlers")
        import_module("sediment_mcp.app")
        import_module("sediment_mcp.sync.automatic")
        self._is_imported.set()
        import_module("sediment_mcp.background.services")
        self._import_runtime()
        self._answer_hooks()

    def _answer_hooks(self) -> None:
        """Answer the hooks of this data directory from now on."""
        from sediment_mcp.recall.listener import Listener

        self._listener = Listener(self._config, self)
        self._listener.start()

    def _import_runtime(self) -> None:
        """Import what runs the default model.

        Other models have runtimes too large to import unasked.
        """
        if self._config.model == DEFAULT_MODEL:
            with suppress(ImportError, OSError):  # loading the model says what is wrong with it
                import_module("sediment_mcp.embeddings.minilm")
