"""The open tenants of one server: opened when they are asked for, closed least recently used first."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sediment_mcp.app import Application
from sediment_mcp.config import Config
from sediment_mcp.embeddings.loader import ModelLoader, load_embedder

log = logging.getLogger(__name__)

Key = tuple[str, str]  # a tenant, and the team whose memories it shares, or ""


@dataclass(slots=True)
class _OpenTenant:
    """An application, and how many calls use it."""

    app: Application
    users: int = 0


class Tenants:
    """The applications of the tenants, by name; may be used from any thread.

    All share one embedding model. At most ``limit`` are open, or as many as are in use at once, if that is
    more. The one that was used longest ago is closed first, and none that is in use.
    """

    def __init__(
        self, config: Config, limit: int, *, build: Callable[..., Application] = Application
    ) -> None:
        self._config = config
        self._limit = limit
        self._build = build
        self._model = ModelLoader(lambda: load_embedder(config))
        self._changing = threading.Condition()  # guards what follows
        self._open: OrderedDict[Key, _OpenTenant] = OrderedDict()

    @contextmanager
    def use(self, tenant: str, team: str | None = None) -> Generator[Application]:
        """Give the application of a tenant, which stays open for the block."""
        taken, surplus = self._take((tenant, team or ""))
        try:
            _close(surplus)
            yield taken.app
        finally:
            with self._changing:
                taken.users -= 1
                self._changing.notify_all()

    def start_model(self) -> None:
        """Start to load the embedding model."""
        self._model.start()

    @property
    def count(self) -> int:
        """How many tenants are open."""
        return len(self._open)

    def close(self, timeout: float) -> None:
        """Wait at most ``timeout`` seconds until none is in use, and close all."""
        with self._changing:
            self._changing.wait_for(lambda: not any(one.users for one in self._open.values()), timeout)
            closing = [one.app for one in self._open.values()]
            self._open.clear()
        _close(closing)

    def _take(self, key: Key) -> tuple[_OpenTenant, list[Application]]:
        """Return the tenant, counted as in use, and the applications that are to be closed for it."""
        with self._changing:
            taken = self._open.get(key)
            surplus: list[Application] = []
            if taken is None:
                surplus = self._remove_unused(len(self._open) + 1 - self._limit)
                tenant, team = key
                config = replace(self._config, tenant=tenant, team=team)
                taken = self._open[key] = _OpenTenant(self._build(config, model=self._model))
            self._open.move_to_end(key)
            taken.users += 1
            return taken, surplus

    def _remove_unused(self, count: int) -> list[Application]:
        unused = [key for key, one in self._open.items() if not one.users]
        return [self._open.pop(key).app for key in unused[: max(0, count)]]


def _close(apps: list[Application]) -> None:
    for app in apps:
        try:
            app.close()
        except Exception:
            log.exception("a tenant cannot be closed")
