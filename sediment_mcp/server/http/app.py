"""The ASGI application: which path is answered by what, and what stands before it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, cast

from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.routing import BaseRoute, Route

from sediment_mcp.access.authenticator import Authenticator
from sediment_mcp.config import Config
from sediment_mcp.server.http.access_log import AccessLog
from sediment_mcp.server.http.authentication import READ, WRITE, CallerVerifier, refuse_unknown
from sediment_mcp.server.http.calls import Calls
from sediment_mcp.server.http.exchange import AsgiApp, Receive, Scope, Send
from sediment_mcp.server.http.health import Readiness, answer_alive, check_database
from sediment_mcp.server.http.limits import CallLimits
from sediment_mcp.server.http.metrics import Metrics
from sediment_mcp.server.http.middleware import (
    Drain,
    DrainMiddleware,
    LimitMiddleware,
    ProjectMiddleware,
    takes_json_only,
)
from sediment_mcp.server.http.protocol_server import build_protocol_server
from sediment_mcp.server.http.settings import MAX_BODY_BYTES, MAX_SESSIONS, SESSION_SECONDS, HttpSettings
from sediment_mcp.server.http.tenants import Tenants

PATHS = ("/mcp", "/projects/{project:path}/mcp")


@dataclass(frozen=True, slots=True)
class HttpParts:
    """What a server over HTTP is made of."""

    app: AsgiApp
    tenants: Tenants
    drain: Drain
    metrics: Metrics


class _Transports:
    """The SDK's transports: one that streams, and one for clients that take JSON alone.

    The latter keeps no sessions: a script can send one request.
    """

    def __init__(self, calls: Calls, settings: HttpSettings) -> None:
        def build(*, is_json: bool) -> StreamableHTTPSessionManager:
            return StreamableHTTPSessionManager(
                build_protocol_server(calls),
                json_response=is_json,
                stateless=is_json or settings.is_stateless,
                security_settings=TransportSecuritySettings(
                    allowed_hosts=settings.allowed_hosts(), allowed_origins=settings.allowed_origins()
                ),
                session_idle_timeout=SESSION_SECONDS,
                max_request_body_size=MAX_BODY_BYTES,
                max_sessions=MAX_SESSIONS,
            )

        self._streaming, self._json = build(is_json=False), build(is_json=True)

    @contextlib.asynccontextmanager
    async def run(self, _: Any) -> AsyncGenerator[None]:
        async with self._streaming.run(), self._json.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = self._json if takes_json_only(scope) else self._streaming
        await transport.handle_request(scope, receive, send)


def build_http_parts(
    config: Config, settings: HttpSettings, authenticator: Authenticator | None, issuer: str = ""
) -> HttpParts:
    """Build the application and what it is made of.

    Without an ``authenticator`` all requests are of the local user. ``issuer`` is the URL of the identity
    provider whose tokens are taken; empty: none, so that no client is sent to one.
    """
    tenants = Tenants(config, settings.open_tenants, cache_mb=settings.cache_mb)
    limits, drain, metrics = CallLimits(settings), Drain(), Metrics()
    metrics.watch("sediment_open_tenants", "Tenants whose indexes are open.", lambda: tenants.count)
    metrics.watch("sediment_running_calls", "Calls that run now.", lambda: drain.running)
    transports = _Transports(Calls(config, tenants), settings)
    endpoint: AsgiApp = ProjectMiddleware(LimitMiddleware(transports, limits))
    routes: list[BaseRoute] = []
    if authenticator is not None:
        endpoint, routes = _protect(endpoint, authenticator, settings, issuer)
    readiness = Readiness(lambda: check_database(config), drain)
    starlette = Starlette(
        routes=[
            Route("/healthz", answer_alive),
            Route("/readyz", readiness.answer),
            *routes,
            *(Route(path, _AsgiEndpoint(DrainMiddleware(endpoint, drain))) for path in PATHS),
        ],
        lifespan=transports.run,
    )
    return HttpParts(AccessLog(cast("AsgiApp", starlette), metrics), tenants, drain, metrics)


class _AsgiEndpoint:
    """An ASGI application as an endpoint; a route would take a bare function for a view."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _protect(
    endpoint: AsgiApp, authenticator: Authenticator, settings: HttpSettings, issuer: str
) -> tuple[AsgiApp, list[BaseRoute]]:
    """Return the endpoint behind authentication, and the routes of its metadata (RFC 9728)."""
    resource = AnyHttpUrl(settings.public_url) if settings.public_url and issuer else None
    verifier = CallerVerifier(authenticator, None if resource is None else str(resource))
    metadata_url = None if resource is None else build_resource_metadata_url(resource)
    required = RequireAuthMiddleware(endpoint, [READ], metadata_url)
    protected = AuthenticationMiddleware(
        cast("Any", required), BearerAuthBackend(verifier, resource_server_url=resource), refuse_unknown
    )
    routes: list[BaseRoute] = []
    if resource is not None:
        routes += create_protected_resource_routes(resource, [AnyHttpUrl(issuer)], [READ, WRITE])
    return cast("AsgiApp", protected), routes
