"""Load a model when it is first needed, once, in a thread of its own.

No call waits longer than its timeout, because memories can be stored and found without the model meanwhile.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sediment_mcp.errors import ModelUnavailable
from sediment_mcp.system.garbage_collection import loading

logger = logging.getLogger(__name__)

LoadedT = TypeVar("LoadedT")


@dataclass(frozen=True, slots=True)
class LoadMessages:
    """What users read of a model: while it loads, after it failed, and what is done without it."""

    loading: str
    failed: str
    without: str


class BackgroundLoader(Generic[LoadedT]):
    """Loads a model when it is first needed; any thread may use it."""

    def __init__(self, load: Callable[[], LoadedT], timeout: float, messages: LoadMessages) -> None:
        """Keep ``load``, which loads the model, for the first call that needs it.

        ``timeout`` is how long, in seconds, a call waits for the model if it gives no timeout itself.
        """
        self._load = load
        self._timeout = timeout
        self._messages = messages
        self._begun = threading.Lock()
        self._finished = threading.Event()
        self._loaded: LoadedT | None = None
        self._problem = messages.loading

    def start(self) -> None:
        """Start loading, unless that has been started already; do not wait for it."""
        if self._begun.acquire(blocking=False):
            threading.Thread(target=self._run, name="load model", daemon=True).start()

    def get(self, timeout: float | None = None) -> LoadedT | None:
        """Return the model, or None if it is not loaded after ``timeout`` seconds.

        `problem` then says why.
        """
        self.start()
        self._finished.wait(self._timeout if timeout is None else timeout)
        return self._loaded

    @property
    def ready(self) -> LoadedT | None:
        """The model if it is loaded, otherwise None; reading this does not start loading it."""
        return self._loaded

    @property
    def problem(self) -> str:
        """Why there is no model; empty once it is loaded."""
        return self._problem

    def _run(self) -> None:
        try:
            with loading():
                self._loaded = self._load()
            self._problem = ""
        except ModelUnavailable as error:
            self._problem = str(error)
            logger.warning("%s %s", error, self._messages.without)
        except Exception:
            self._problem = self._messages.failed
            logger.exception("A model failed to load")
        finally:
            self._finished.set()
