"""Web application: which function answers which address, and the page's own files."""

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
from sediment_mcp.system.text import valid_text
from sediment_mcp.system.time_zone import use_zone
from sediment_mcp.web.mutations import MUTATIONS
from sediment_mcp.web.queries import QUERIES
from sediment_mcp.web.request import RequestArguments, RequestContext, RequestHandler

logger = logging.getLogger(__name__)

STATIC_FOLDER = Path(__file__).parent / "static"
MAX_REQUEST_BYTES = 2_000_000  # the longest memory with its metadata takes less than half
UNEXPECTED = (
    "Something went wrong in sediment-mcp ui: its terminal says what. Try again, or run sediment-mcp doctor."
)
NOT_JSON = "The page sent something that cannot be read: reload it."


def build_app(context: RequestContext, mount_path: str) -> Starlette:
    """Return the application.

    Addresses below ``mount_path``/api are answered with JSON, all others below ``mount_path`` are files.
    """
    api = [Route(f"/{name}", _answer_query(context, run), methods=["GET"]) for name, run in QUERIES.items()]
    api += [
        Route(f"/{name}", _answer_mutation(context, run), methods=["POST"]) for name, run in MUTATIONS.items()
    ]
    routes = [Mount("/api", routes=api), Mount("/", app=StaticFiles(directory=STATIC_FOLDER, html=True))]
    return Starlette(routes=[Mount(mount_path, routes=routes)], max_body_size=MAX_REQUEST_BYTES)


def _answer_query(context: RequestContext, handler: RequestHandler) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        return await _respond(context, handler, request.query_params.get("with") or "{}")

    return answer


def _answer_mutation(context: RequestContext, handler: RequestHandler) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        return await _respond(context, handler, await request.body())

    return answer


async def _respond(context: RequestContext, handler: RequestHandler, text: str | bytes) -> Response:
    """Run the handler in a worker thread, and return its result or its error as JSON.

    So the page's other requests are answered while it runs.
    """
    try:
        with use_zone(context.app.config.zone):
            return JSONResponse(await run_in_threadpool(handler, context, _parse_arguments(text)))
    except SedimentError as error:
        return JSONResponse({"error": str(error)}, _get_status(error))
    except Exception:
        logger.exception("A request of the page failed")
        return JSONResponse({"error": UNEXPECTED}, 500)


def _parse_arguments(text: str | bytes) -> RequestArguments:
    try:
        arguments: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise BadArgument(NOT_JSON) from None
    if not isinstance(arguments, Mapping):
        raise BadArgument(NOT_JSON)
    arguments = json.loads(valid_text(json.dumps(arguments, ensure_ascii=False)))
    return dict(arguments)  # pyright: ignore[reportUnknownArgumentType] - keys in JSON are strings


def _get_status(error: SedimentError) -> int:
    if isinstance(error, UnknownMemory):
        return 404
    return 503 if isinstance(error, StorageError) else 400
