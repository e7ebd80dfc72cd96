"""The MCP server without a transport.

It says which function answers which request, and for which project.

Error results carry no structured content: hosts that enforce output schemas exempt them (the specification
binds results only, and both official clients follow it).
"""

from __future__ import annotations

import functools
from typing import Any

from anyio.to_thread import run_sync
from mcp import types
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server

from sediment_mcp import __version__
from sediment_mcp.app import Application
from sediment_mcp.config import Config
from sediment_mcp.server.client_zone import find_client_zone
from sediment_mcp.server.project_resolver import ProjectResolver
from sediment_mcp.server.protocol_errors import refuse_cursor
from sediment_mcp.system.garbage_collection import loading
from sediment_mcp.system.time_zone import use_zone

INSTRUCTIONS = (
    "A memory that outlives this conversation and is shared by all of the user's hosts. Query it before you "
    "answer from scratch, store what you learn as soon as you learn it, and correct instead of repeating."
)
ONE_HOUR = CacheHint(ttl_ms=3_600_000, scope="public")
CACHED = ("tools/list", "resources/templates/list")

Context = ServerRequestContext[Any, Any]
Paging = types.PaginatedRequestParams | None


def build_server(config: Config, app: Application) -> Server[Any]:
    """Build a server that answers every request from the application, always in a worker thread."""
    requests = _Requests(config, app)
    server = Server[Any](
        "sediment-mcp",
        version=__version__,
        title="Sediment",
        instructions=INSTRUCTIONS,
        cache_hints=dict.fromkeys(CACHED, ONE_HOUR),
        on_list_tools=requests.list_tools,
        on_call_tool=requests.call_tool,
        on_list_resources=requests.list_resources,
        on_list_resource_templates=requests.list_templates,
        on_read_resource=requests.read_resource,
        on_list_prompts=requests.list_prompts,
        on_get_prompt=requests.get_prompt,
        on_completion=requests.complete,
    )
    server.add_notification_handler(
        "notifications/roots/list_changed", types.NotificationParams, requests.roots_changed
    )
    return server


@functools.cache
def _import_handlers():
    """Import the functions that answer requests, when the first request arrives.

    So the handshake is answered before the operations, and all that they need, are imported. No other
    import of the server is delayed.
    """
    with loading():
        from sediment_mcp.server import handlers

    return handlers


class _Requests:
    """One method for each kind of request, as the SDK calls it, in the event loop."""

    def __init__(self, config: Config, app: Application) -> None:
        self._app = app
        self._zone = config.zone
        self._project = ProjectResolver(config.project)
        self._told_names: set[str] = set()

    async def list_tools(self, _: Context, params: Paging) -> types.ListToolsResult:
        refuse_cursor("tools", params)
        return _import_handlers().list_tools()

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        handlers = _import_handlers()
        tool = handlers.find_tool(params.name)
        project = await self._project.resolve(context.session)
        arguments = params.arguments or {}
        with use_zone(find_client_zone(context.meta) or self._zone):
            return await run_sync(handlers.call_tool, self._app, tool, arguments, project, self._told_names)

    async def list_resources(self, context: Context, params: Paging) -> types.ListResourcesResult:
        project = await self._project.resolve(context.session)
        cursor = params.cursor if params else None
        return await run_sync(_import_handlers().list_resources, self._app, project, cursor)

    async def list_templates(self, _: Context, params: Paging) -> types.ListResourceTemplatesResult:
        refuse_cursor("resource templates", params)
        return _import_handlers().list_templates()

    async def read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        project = await self._project.resolve(context.session)
        return await run_sync(_import_handlers().read_resource, self._app, params.uri, project)

    async def list_prompts(self, context: Context, params: Paging) -> types.ListPromptsResult:
        refuse_cursor("prompts", params)
        return _import_handlers().list_prompts(await self._project.resolve(context.session))

    async def get_prompt(
        self, context: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult:
        project = await self._project.resolve(context.session)
        values = params.arguments or {}
        with use_zone(find_client_zone(context.meta) or self._zone):
            return await run_sync(_import_handlers().get_prompt, self._app, params.name, values, project)

    async def complete(self, _: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        return await run_sync(_import_handlers().complete, self._app, params)

    async def roots_changed(self, _: Context, __: types.NotificationParams) -> None:
        self._project.invalidate_roots()
