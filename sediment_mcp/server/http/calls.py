"""Which function answers a request, with the memories of its caller.

The functions are those that answer over stdio; see `server.requests`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

from sediment_mcp.app import Application
from sediment_mcp.config import Config
from sediment_mcp.domain.caller import Caller, use_caller
from sediment_mcp.server.connection import Client
from sediment_mcp.server.http.tenants import Tenants
from sediment_mcp.server.jsonrpc import Message
from sediment_mcp.server.protocol import Params
from sediment_mcp.server.requests import Requests

MAX_CONVERSATIONS = 1_000  # of which is known what they were told
MAX_CLIENT_CHARS = 100  # of the name that a client gives itself

_app: ContextVar[Application] = ContextVar("app")


class HttpClient:
    """A client that cannot be asked for anything; see `connection.Client`."""

    has_roots = False

    def __init__(self, name: str) -> None:
        self.name = name

    def ask(self, method: str, timeout: float) -> Message | None:
        """Return None: over HTTP no client is asked."""
        return None


class GivenProject:
    """The project that a request names; see `server.project_resolver.ProjectResolver`."""

    def __init__(self, project: str | None) -> None:
        self._project = project

    def resolve(self, client: Client) -> str | None:
        """Return the project, or None if none is named."""
        return self._project

    def forget_roots(self) -> None:
        """Do nothing: no roots were asked for."""


class _TenantParts:
    """The application of the tenant whose call runs; see `recall.listener.Parts`."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants

    @property
    def app(self) -> Application:
        return _app.get()

    def start_model(self) -> None:
        self._tenants.start_model()


class Calls:
    """Answers requests in the threads that call it."""

    def __init__(self, config: Config, tenants: Tenants) -> None:
        self._config = config
        self._tenants = tenants
        self._parts = _TenantParts(tenants)
        self._lock = threading.Lock()
        self._conversations: OrderedDict[tuple[str, ...], Requests] = OrderedDict()

    def answer(
        self, method: str, params: Params, client_name: str, caller: Caller | None, project: str | None
    ) -> Message:
        """Answer a request; without a ``caller`` it is of the local user.

        Raises:
            ProtocolError: it is wrong, or it failed and has no other way to say so.
        """
        requests = self._find_requests(client_name, caller, project)
        if method in requests.light:
            return requests.light[method](params)
        with self._use_app(caller):
            return requests.heavy[method](HttpClient(client_name), params)

    @contextmanager
    def _use_app(self, caller: Caller | None) -> Generator[None]:
        config = self._find_config(caller)
        with use_caller(caller), self._tenants.use(config.tenant, config.team) as app:
            token = _app.set(app)
            try:
                yield
            finally:
                _app.reset(token)

    def _find_config(self, caller: Caller | None) -> Config:
        """Return the settings with the tenant and the team of a caller."""
        if caller is None:
            return self._config
        return replace(self._config, tenant=caller.tenant, team=caller.team or "")

    def _find_requests(self, client_name: str, caller: Caller | None, project: str | None) -> Requests:
        """Return the functions for a caller, a client and a project, which know what they were told."""
        who = ("", "") if caller is None else (caller.tenant, caller.name)
        key = (*who, client_name[:MAX_CLIENT_CHARS], project or "")
        with self._lock:
            found = self._conversations.pop(key, None)
            if found is None:
                found = Requests(self._find_config(caller), self._parts, GivenProject(project))
            self._conversations[key] = found
            if len(self._conversations) > MAX_CONVERSATIONS:
                self._conversations.popitem(last=False)
            return found
