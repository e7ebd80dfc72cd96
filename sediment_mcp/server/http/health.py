"""Whether the server lives, and whether it can answer now."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from http import HTTPStatus

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sediment_mcp.config import Config
from sediment_mcp.server.http.middleware import Drain

CHECK_SECONDS = 2.0  # that a look at the database waits for a connection
MAX_AGE = 1.0  # seconds for which the last look at the database counts

log = logging.getLogger(__name__)


async def answer_alive(_: Request) -> Response:
    """Answer that the process lives."""
    return PlainTextResponse("ok\n")


class Readiness:
    """Tells whether the database is reached, and the server is not ending."""

    def __init__(
        self, check: Callable[[], None], drain: Drain, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Ask ``check``, which raises what is wrong."""
        self._check = check
        self._drain = drain
        self._clock = clock
        self._looking = asyncio.Lock()
        self._looked_at = -MAX_AGE
        self._is_ready = False

    async def answer(self, _: Request) -> Response:
        """Answer 200 or 503; why is in the log, as whoever asks is not known."""
        if self._drain.has_begun:
            return PlainTextResponse("ending\n", HTTPStatus.SERVICE_UNAVAILABLE)
        async with self._looking:
            if self._clock() - self._looked_at >= MAX_AGE:
                self._is_ready = await run_sync(self._look)
                self._looked_at = self._clock()
        if self._is_ready:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready\n", HTTPStatus.SERVICE_UNAVAILABLE)

    def _look(self) -> bool:
        try:
            self._check()
        except Exception:
            log.warning("The database cannot be used", exc_info=True)
            return False
        return True


def check_database(config: Config) -> None:
    """Raise what keeps the database from being used.

    Raises:
        OSError: the data directory cannot be written to.
        StorageError: the database cannot be reached, or its schema is another one than this version's.
    """
    if config.database:
        _check_server(config.database)
    config.data_dir.mkdir(parents=True, exist_ok=True)
    if not os.access(config.data_dir, os.W_OK | os.X_OK):
        raise PermissionError(f"{config.data_dir} cannot be written to")


def _check_server(url: str) -> None:
    from sediment_mcp.storage.postgres.connection import translate_postgres_errors
    from sediment_mcp.storage.postgres.migrations import read_version
    from sediment_mcp.storage.postgres.pool import leave_pool, open_pool

    pool = open_pool(url)
    try:
        with translate_postgres_errors(), pool.lend(CHECK_SECONDS) as lease:
            read_version(lease.connection)
    finally:
        leave_pool(pool)
