"""The open tenants of a server: opened when asked for, closed least recently used first."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sediment_mcp.app import Application
from sediment_mcp.config import Config
from sediment_mcp.embeddings.loader import ModelLoader, load_embedder
from sediment_mcp.server.http.caches import (
    choose_surplus,
    list_caches,
    note_use,
    remove_set_aside,
    set_aside,
)
from sediment_mcp.server.http.settings import DEFAULT_CACHE
from sediment_mcp.sync.automatic import synchronize_automatically

MEBIBYTE = 1024 * 1024
SETTLE_SECONDS = 2.0  # before background work begins, so that it does not slow the call that opens a tenant
TRIM_SECONDS = 60.0  # at least, between two looks at the size of all caches

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Key:
    """Whose memories, and the team that shares its own with them; or those of a team itself."""

    tenant: str
    team: str = ""
    is_team: bool = False


@dataclass(slots=True)
class _OpenTenant:
    """An application, how many calls use it, and how many open tenants it is the team of."""

    app: Application
    team: _OpenTenant | None
    calls: int = 0
    members: int = 0


class Tenants:
    """The applications of the tenants, by name; may be used from any thread.

    All share one embedding model, and the members of a team its application. At most ``limit`` are open, or
    as many as are in use at once, if that is more. The one that was used longest ago is closed first, and
    none that is in use. Over a database elsewhere, the caches of those that are closed take at most
    ``cache_mb`` together with the others.
    """

    def __init__(
        self,
        config: Config,
        limit: int,
        *,
        cache_mb: int = DEFAULT_CACHE,
        build: Callable[..., Application] = Application,
    ) -> None:
        self._config = config
        self._limit = limit
        self._max_cache_bytes = cache_mb * MEBIBYTE
        self._build = build
        self._model = ModelLoader(lambda: load_embedder(config))
        self._changing = threading.Condition()  # guards what follows
        self._open: OrderedDict[_Key, _OpenTenant] = OrderedDict()
        self._trimmed_at = 0.0

    @contextmanager
    def use(self, tenant: str, team: str | None = None) -> Generator[Application]:
        """Give the application of a tenant, which stays open for the block."""
        with self._changing:
            surplus: list[Application] = []
            taken = self._take(_Key(tenant, team or ""), surplus)
            taken.calls += 1
        try:
            if surplus:
                _close(surplus)
                self._trim_if_due()
            yield taken.app
        finally:
            with self._changing:
                taken.calls -= 1
                self._changing.notify_all()

    def start_model(self) -> None:
        """Start to load the embedding model."""
        self._model.start()

    @property
    def count(self) -> int:
        """How many tenants are open, teams among them."""
        return len(self._open)

    def close(self, timeout: float) -> None:
        """Wait at most ``timeout`` seconds until none is in use, and close all."""
        with self._changing:
            self._changing.wait_for(lambda: not any(one.calls for one in self._open.values()), timeout)
            closing = sorted(
                self._open.items(), key=lambda item: item[0].is_team
            )  # teams after their members
            self._open.clear()
        _close([one.app for _, one in closing])

    def trim_caches(self) -> None:
        """Drop the caches that were used longest ago, until all together are within the limit."""
        remove_set_aside(self._config)
        caches = list_caches(self._config)
        with self._changing:
            open_tenants = {key.tenant for key in self._open}
            for cache in choose_surplus(caches, self._max_cache_bytes, open_tenants):
                set_aside(cache)
        remove_set_aside(self._config)

    # --- under the lock ---------------------------------------------------------------------------

    def _take(self, key: _Key, surplus: list[Application]) -> _OpenTenant:
        """Return an open tenant; adds to ``surplus`` the applications that are to be closed for it."""
        found = self._open.get(key)
        if found is None:
            team = self._take(_Key(key.team, is_team=True), surplus) if key.team else None
            if team is not None:
                team.members += 1  # from here on, so that it is not closed for its own member
            surplus += self._remove_unused(len(self._open) + 1 - self._limit)
            found = self._open[key] = _OpenTenant(self._build_app(key, team), team)
        elif found.team is not None:
            self._open.move_to_end(_Key(key.team, is_team=True))
        self._open.move_to_end(key)
        return found

    def _build_app(self, key: _Key, team: _OpenTenant | None) -> Application:
        tuning = replace(self._config.tuning, settle_seconds=SETTLE_SECONDS)
        config = replace(self._config, tenant=key.tenant, team=key.team, tuning=tuning)
        if config.database:
            note_use(config)
        shared = None if team is None else team.app
        app = self._build(config, model=self._model, is_team=key.is_team, team=shared)
        synchronize_automatically(app)
        return app

    def _remove_unused(self, count: int) -> list[Application]:
        removed: list[Application] = []
        while len(removed) < count:
            key = next((key for key, one in self._open.items() if not one.calls and not one.members), None)
            if key is None:
                break
            one = self._open.pop(key)
            if one.team is not None:
                one.team.members -= 1
            removed.append(one.app)
        return removed

    def _trim_if_due(self) -> None:
        """Look at the caches in a thread, unless that was done a short while ago."""
        with self._changing:
            now = time.monotonic()
            if not self._config.database or now - self._trimmed_at < TRIM_SECONDS:
                return
            self._trimmed_at = now
        threading.Thread(target=self.trim_caches, name="trim caches", daemon=True).start()


def _close(apps: list[Application]) -> None:
    for app in apps:
        try:
            app.close()
        except Exception:
            log.exception("a tenant cannot be closed")
