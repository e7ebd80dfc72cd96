"""Which function answers which request, and for which project.

Nothing here is imported that the handshake and the list of tools can do without.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from sediment_mcp.config import Config
from sediment_mcp.server.client_zone import find_client_zone
from sediment_mcp.server.connection import Client
from sediment_mcp.server.jsonrpc import Message
from sediment_mcp.server.project_resolver import ProjectResolver
from sediment_mcp.server.protocol import Params
from sediment_mcp.server.protocol_errors import refuse_cursor

if TYPE_CHECKING:
    from sediment_mcp.recall.digest import DigestTurn
    from sediment_mcp.recall.listener import Parts

CLIENT_INFO = "io.modelcontextprotocol/clientInfo"  # in the envelope of a request
NEED_MODEL = frozenset({"store_memory", "query_memory"})


class ProjectSource(Protocol):
    """Knows the project of a call."""

    def resolve(self, client: Client) -> str | None:
        """Return the project, or None if there is none."""
        ...

    def forget_roots(self) -> None:
        """Forget the client's roots."""
        ...


class Requests:
    """The functions that answer requests; see `connection.Handlers`."""

    def __init__(self, config: Config, parts: Parts, project: ProjectSource | None = None) -> None:
        """Answer with the application of ``parts``; without a source, look for the project here."""
        self._parts = parts
        self._zone = config.zone
        self._has_team = config.of_team is not None
        self._project = project or ProjectResolver(config.project)
        self._told_names: set[str] = set()
        self._digest_turn: DigestTurn | None = None
        self.light: Mapping[str, Callable[[Params], Message]] = {"tools/list": self._list_tools}
        self.heavy: Mapping[str, Callable[[Client, Params], Message]] = {
            "completion/complete": self._complete,
            "prompts/get": self._get_prompt,
            "prompts/list": self._list_prompts,
            "resources/list": self._list_resources,
            "resources/read": self._read_resource,
            "resources/templates/list": self._list_templates,
            "tools/call": self._call_tool,
        }

    def forget_roots(self) -> None:
        """Forget the client's roots, because they have changed."""
        self._project.forget_roots()

    # --- tools ------------------------------------------------------------------------------------

    def _list_tools(self, params: Params) -> Message:
        from sediment_mcp.server.tools import list_tools

        refuse_cursor("tools", params.get("cursor"))
        return list_tools(has_team=self._has_team)

    def _call_tool(self, client: Client, params: Params) -> Message:
        if params["name"] in NEED_MODEL:
            self._parts.start_model()
        app = self._parts.app
        from sediment_mcp.server.handlers import call_tool, find_tool

        tool = find_tool(params["name"])
        project = self._project.resolve(client)
        is_digest_due = params["name"] == "query_memory" and self._take_digest_turn(client, params)
        with self._use_zone(params):
            return call_tool(
                app, tool, params.get("arguments"), project, self._told_names, with_digest=is_digest_due
            )

    def _take_digest_turn(self, client: Client, params: Params) -> bool:
        """Return whether a query is to be answered with a digest of what is known."""
        if self._digest_turn is None:
            from sediment_mcp.recall.digest import DigestTurn

            self._digest_turn = DigestTurn()
        meta: dict[str, Any] = params.get("_meta") or {}
        info: dict[str, Any] = meta.get(CLIENT_INFO) or {}
        return self._digest_turn.take(info.get("name") or client.name)

    # --- resources --------------------------------------------------------------------------------

    def _list_resources(self, client: Client, params: Params) -> Message:
        app = self._parts.app
        from sediment_mcp.server.handlers import list_resources

        return list_resources(app, self._project.resolve(client), params.get("cursor"))

    def _list_templates(self, _: Client, params: Params) -> Message:
        refuse_cursor("resource templates", params.get("cursor"))
        from sediment_mcp.server.handlers import TEMPLATES

        return TEMPLATES

    def _read_resource(self, client: Client, params: Params) -> Message:
        app = self._parts.app
        from sediment_mcp.server.handlers import read_resource

        return read_resource(app, params["uri"], self._project.resolve(client))

    # --- prompts ----------------------------------------------------------------------------------

    def _list_prompts(self, client: Client, params: Params) -> Message:
        refuse_cursor("prompts", params.get("cursor"))
        from sediment_mcp.server.handlers import list_prompts

        return list_prompts(has_project=self._project.resolve(client) is not None)

    def _get_prompt(self, client: Client, params: Params) -> Message:
        app = self._parts.app
        from sediment_mcp.server.handlers import get_prompt

        project = self._project.resolve(client)
        with self._use_zone(params):
            return get_prompt(app, params["name"], params.get("arguments") or {}, project)

    def _complete(self, _: Client, params: Params) -> Message:
        app = self._parts.app
        from sediment_mcp.server.handlers import complete

        return complete(app, params["argument"]["name"], params["argument"]["value"])

    @contextmanager
    def _use_zone(self, params: Params) -> Generator[None]:
        from sediment_mcp.system.time_zone import use_zone

        with use_zone(find_client_zone(params.get("_meta")) or self._zone):
            yield
