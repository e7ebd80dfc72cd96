"""What a request passes before the protocol reads it: its project, and its caller's limits.

Each is an ASGI application around another one. What they refuse has no effect.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers

from sediment_mcp.server.http.authentication import find_caller
from sediment_mcp.server.http.exchange import (
    AsgiApp,
    Exchange,
    Receive,
    Scope,
    Send,
    build_refusal,
    get_exchange,
)
from sediment_mcp.server.http.limits import CallLimits, Key, Refusal
from sediment_mcp.server.protocol import HANDSHAKE_REVISIONS

PROJECT_HEADER = "Sediment-Project"
SESSION_HEADER = "Mcp-Session-Id"
REVISION_HEADER = "MCP-Protocol-Version"
MAX_PROJECT_CHARS = 500


class Drain:
    """Whether the server is ending, and how many calls run; a stream that listens is none."""

    def __init__(self) -> None:
        self.has_begun = False
        self.running = 0

    def begin(self) -> None:
        """Refuse new calls from now on."""
        self.has_begun = True


class DrainMiddleware:
    """Counts the calls that run, and refuses all requests once the server is ending."""

    def __init__(self, app: AsgiApp, drain: Drain) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        exchange = get_exchange(scope)
        if not self._drain.has_begun:
            if scope["method"] == "POST":
                self._drain.running += 1
                exchange.releases.append(self._forget_call)
            await self._app(scope, receive, send)
            return
        exchange.refusal = "ending"
        sentence = "This server is ending: send the request again, to the one that takes its place."
        await build_refusal(HTTPStatus.SERVICE_UNAVAILABLE, sentence, retry_after=1)(scope, receive, send)

    def _forget_call(self) -> None:
        self._drain.running -= 1


class ProjectMiddleware:
    """Notes the project that the path or the header names."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for the project that it names."""
        named = scope["path_params"].get("project")
        if named is None:
            named = unquote(Headers(scope=scope).get(PROJECT_HEADER, ""))
        if len(named) > MAX_PROJECT_CHARS or not (named.isprintable() and named == named.strip()):
            sentence = (
                f"The project's name is longer than {MAX_PROJECT_CHARS} characters, or has some that nobody "
                f"sees: write it in the path or, percent-encoded, in {PROJECT_HEADER}."
            )
            await build_refusal(HTTPStatus.BAD_REQUEST, sentence)(scope, receive, send)
            return
        get_exchange(scope).project = named or None
        await self._app(scope, receive, send)


class LimitMiddleware:
    """Bounds the calls and sessions of each caller; streams that only listen are no calls."""

    def __init__(self, app: AsgiApp, limits: CallLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        exchange = get_exchange(scope)
        caller = exchange.caller = find_caller(scope)
        key = ("", "") if caller is None else (caller.tenant, caller.name)
        session = Headers(scope=scope).get(SESSION_HEADER)
        refusal = self._limits.start(key) if scope["method"] == "POST" else None
        if refusal is None and scope["method"] == "POST":
            exchange.releases.append(lambda: self._limits.finish(key))
            refusal = self._limits.check_session(key) if _may_open_session(scope) else None
        if refusal is not None:
            await _refuse(exchange, refusal)(scope, receive, send)
            return

        async def note_session(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self._note_session(scope["method"], key, session, message)
            await send(message)

        await self._app(scope, receive, note_session)

    def _note_session(
        self, method: str, key: Key, asked: str | None, message: MutableMapping[str, Any]
    ) -> None:
        """Note which session the response has opened, used or ended."""
        is_refused = message["status"] >= HTTPStatus.BAD_REQUEST
        session = Headers(raw=message["headers"]).get(SESSION_HEADER) or asked
        if session is None:
            return
        if method == "DELETE" or message["status"] == HTTPStatus.NOT_FOUND:
            self._limits.forget_session(key, session)
        elif not is_refused:
            self._limits.note_session(key, session)


def _may_open_session(scope: Scope) -> bool:
    """Return whether a request without a session may be the handshake of one."""
    headers = Headers(scope=scope)
    revision = headers.get(REVISION_HEADER)
    return (
        SESSION_HEADER not in headers
        and not takes_json_only(scope)
        and (revision is None or revision in HANDSHAKE_REVISIONS)
    )


def takes_json_only(scope: Scope) -> bool:
    """Return whether a client wants its answer as JSON and not as a stream; it gets no session."""
    accepted = Headers(scope=scope).get("accept", "").replace(" ", "").lower()
    return scope["method"] == "POST" and accepted == "application/json"


def _refuse(exchange: Exchange, refusal: Refusal) -> Any:
    exchange.refusal = refusal.reason
    return build_refusal(HTTPStatus.TOO_MANY_REQUESTS, refusal.sentence, retry_after=refusal.retry_after)
