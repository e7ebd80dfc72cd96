"""The log over HTTP: a JSON object a line, without anything that a client has written."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any

from sediment_mcp.server.http.exchange import EXCHANGE, AsgiApp, Exchange, Receive, Scope, Send
from sediment_mcp.server.http.metrics import Metrics

REQUEST_ID_HEADER = b"x-request-id"
LIBRARIES = ("mcp", "sse_starlette", "uvicorn", "asyncio")
"""Loggers whose messages may repeat what a client has sent."""

log = logging.getLogger(__name__)


class JsonFormatter(logging.Formatter):
    """Writes a record as JSON; of the libraries' records only where they come from.

    Their messages and the texts of their exceptions repeat headers and bodies.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
        }
        kind = record.exc_info[0] if record.exc_info else None
        if record.name.partition(".")[0] in LIBRARIES:
            line["where"] = f"{record.name}:{record.funcName}:{record.lineno}"
            line |= {} if kind is None else {"error": kind.__name__}
        elif isinstance(record.args, dict) and record.name == log.name:
            line |= record.args
        else:
            line["message"] = record.getMessage()
            line |= {} if kind is None else {"error": self.formatException(record.exc_info)}  # type: ignore[arg-type]
        return json.dumps(line, ensure_ascii=False)


def log_as_json(level: str) -> None:
    """Log the package's messages from ``level`` on, and libraries' warnings, as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("sediment_mcp").setLevel(level)


class AccessLog:
    """Begins the exchange of each request; logs and counts it when it is over."""

    def __init__(self, app: AsgiApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and log and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = scope[EXCHANGE] = Exchange()
        began, status = time.perf_counter(), 0

        async def note_status(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (REQUEST_ID_HEADER, exchange.id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            exchange.release()
            seconds = time.perf_counter() - began
            self._metrics.count(exchange, scope["method"], status, seconds)
            log.info("%s", _describe(exchange, scope["method"], status, seconds))


def _describe(exchange: Exchange, http_method: str, status: int, seconds: float) -> dict[str, Any]:
    """Return the fields of a line; status 0 says that the client has left before the answer."""
    caller = exchange.caller
    fields = {
        "request": exchange.id,
        "http": http_method if http_method in ("GET", "POST", "DELETE") else "other",
        "status": status,
        "method": exchange.method,
        "tool": exchange.tool,
        "outcome": exchange.outcome,
        "refusal": exchange.refusal,
        "ms": round(seconds * 1000, 1),
        "caller": caller.name if caller is not None else "",
        "tenant": caller.tenant if caller is not None else "",
    }
    return {name: value for name, value in fields.items() if value != ""}
