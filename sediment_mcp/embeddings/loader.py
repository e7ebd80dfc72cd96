"""The model, when it is needed: loaded once, in a thread of its own, on first demand.

Nothing here waits longer than it is asked to, because memories are stored and found by words meanwhile.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sediment_mcp.embeddings.protocols import Embedder
from sediment_mcp.errors import ModelUnavailable

logger = logging.getLogger(__name__)

LOADING = "The embedding model is still loading: ask again in a few seconds to search by meaning too."


class WarmUp:
    """Loads an embedder with ``load`` when it is first asked for. May be used from any thread."""

    def __init__(self, load: Callable[[], Embedder]) -> None:
        self._load = load
        self._begun = threading.Lock()
        self._finished = threading.Event()
        self._embedder: Embedder | None = None
        self._problem = LOADING

    def embedder(self, patience: float) -> Embedder | None:
        """The embedder, or None if it is not there within ``patience`` seconds; `problem` then says why."""
        if self._begun.acquire(blocking=False):
            threading.Thread(target=self._run, name="load model", daemon=True).start()
        self._finished.wait(patience)
        return self._embedder

    @property
    def ready(self) -> Embedder | None:
        """The embedder if it is there; asking does not start loading it."""
        return self._embedder

    @property
    def problem(self) -> str:
        """Why there is no embedder; empty once there is one."""
        return self._problem

    def _run(self) -> None:
        try:
            self._embedder = self._load()
            self._problem = ""
        except ModelUnavailable as error:
            self._problem = str(error)
            logger.warning("%s Memories are found by their words alone.", error)
        except Exception:
            self._problem = "The embedding model failed to load: run `sediment-mcp doctor` to see why."
            logger.exception("The embedding model failed to load")
        finally:
            self._finished.set()
