"""Addresses → functions, and the page's own files. The only module that imports starlette."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sediment_mcp.errors import BadArgument, SedimentError, StorageError, UnknownMemory
from sediment_mcp.web.mutations import CHANGES
from sediment_mcp.web.queries import READINGS
from sediment_mcp.web.request import Asked, Desk, Job

logger = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "static"
MOST_BYTES = 2_000_000  # of one request; the longest memory with its metadata takes less than half
FAILED = (
    "Something went wrong in sediment-mcp ui: its terminal says what. Try again, or run sediment-mcp doctor."
)
NO_JSON = "The page sent something that cannot be read: reload it."


def site(desk: Desk, place: str) -> Starlette:
    """The application: ``place``/api/… answers with JSON, all else below ``place`` is the page's files."""
    api = [Route(f"/{name}", _reading(desk, job), methods=["GET"]) for name, job in READINGS.items()]
    api += [Route(f"/{name}", _change(desk, job), methods=["POST"]) for name, job in CHANGES.items()]
    inner = [Mount("/api", routes=api), Mount("/", app=StaticFiles(directory=PAGE, html=True))]
    return Starlette(routes=[Mount(place, routes=inner)], max_body_size=MOST_BYTES)


def _reading(desk: Desk, job: Job) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        return await _done(desk, job, request.query_params.get("with") or "{}")

    return answer


def _change(desk: Desk, job: Job) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        return await _done(desk, job, await request.body())

    return answer


async def _done(desk: Desk, job: Job, text: str | bytes) -> Response:
    """Do the job in a thread of its own, so that the page's other requests are answered meanwhile."""
    try:
        return JSONResponse(await run_in_threadpool(job, desk, _object(text)))
    except SedimentError as error:
        return JSONResponse({"error": str(error)}, _status(error))
    except Exception:
        logger.exception("A request of the page failed")
        return JSONResponse({"error": FAILED}, 500)


def _object(text: str | bytes) -> Asked:
    try:
        asked: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise BadArgument(NO_JSON) from None
    if not isinstance(asked, Mapping):
        raise BadArgument(NO_JSON)
    return dict(asked)  # pyright: ignore[reportUnknownArgumentType] - keys in JSON are strings


def _status(error: SedimentError) -> int:
    if isinstance(error, UnknownMemory):
        return 404
    return 503 if isinstance(error, StorageError) else 400
