"""The MCP edge: translates between the protocol and what the package does, and nothing else.

The only room that imports `mcp`. What it adds of its own is which project a call belongs to, and that
no failure's internals reach a host. Error results carry no structured content: hosts that enforce output
schemas exempt them (the specification binds results only, and both official clients follow it).
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import Any

import anyio.to_thread
from mcp import types
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from sediment_mcp import __version__
from sediment_mcp.app import Library
from sediment_mcp.config import Config, unknown_variables
from sediment_mcp.server import reading, tools
from sediment_mcp.server.project_resolver import CallersProject
from sediment_mcp.server.sdk_streams import Incoming, Outgoing
from sediment_mcp.server.stdio import StdioTransport, Wire, leave_at_the_latest, protect_stdout

INSTRUCTIONS = (
    "A memory that outlives this conversation and is shared by all of the user's hosts. Query it before you "
    "answer from scratch, store what you learn as soon as you learn it, and correct instead of repeating."
)
AN_HOUR = CacheHint(ttl_ms=3_600_000, scope="public")

log = logging.getLogger(__name__)

Context = ServerRequestContext[Any, Any]
Paging = types.PaginatedRequestParams | None


def serve(config: Config) -> int:
    """Serve MCP over stdio until the client leaves or a signal comes; the process's exit status."""
    wire = protect_stdout()
    _log_to_stderr(config)
    return asyncio.run(_serve(config, wire))


def build_server(config: Config, library: Library) -> Server[Any]:
    """The protocol's side of everything, without a transport. Whatever touches the library does so in a
    worker thread."""
    project = CallersProject(config.project)

    async def list_tools(_: Context, params: Paging) -> types.ListToolsResult:
        _one_page("tools", params)
        return types.ListToolsResult(tools=tools.listing())

    async def call_tool(context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = tools.named(params.name)
        where = await project.of(context.session)
        return await anyio.to_thread.run_sync(tools.call, library, tool, params.arguments or {}, where)

    async def list_resources(context: Context, params: Paging) -> types.ListResourcesResult:
        where = await project.of(context.session)
        cursor = params.cursor if params else None
        return await anyio.to_thread.run_sync(reading.resources, library, where, cursor)

    async def list_templates(_: Context, params: Paging) -> types.ListResourceTemplatesResult:
        _one_page("resource templates", params)
        return reading.templates()

    async def read_resource(
        context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        where = await project.of(context.session)
        return await anyio.to_thread.run_sync(reading.resource, library, params.uri, where)

    async def list_prompts(_: Context, params: Paging) -> types.ListPromptsResult:
        _one_page("prompts", params)
        return reading.prompts()

    async def get_prompt(context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        where = await project.of(context.session)
        return await anyio.to_thread.run_sync(
            reading.prompt, library, params.name, params.arguments or {}, where
        )

    async def complete(_: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        return await anyio.to_thread.run_sync(reading.completion, library, params)

    async def roots_changed(_: Context, __: types.NotificationParams) -> None:
        project.forget_roots()

    server = Server[Any](
        "sediment-mcp",
        version=__version__,
        title="Sediment",
        instructions=INSTRUCTIONS,
        cache_hints={
            "tools/list": AN_HOUR,
            "prompts/list": AN_HOUR,
            "resources/templates/list": AN_HOUR,
        },
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
    )
    server.add_notification_handler(
        "notifications/roots/list_changed", types.NotificationParams, roots_changed
    )
    return server


def _one_page(of_what: str, params: Paging) -> None:
    if params and params.cursor:
        raise MCPError(types.INVALID_PARAMS, f"There is one page of {of_what} only: leave cursor out.")


async def _serve(config: Config, wire: Wire) -> int:
    library = Library(config)
    server = build_server(config, library)
    transport = StdioTransport(wire)
    options = server.create_initialization_options()
    session = asyncio.create_task(server.run(Incoming(transport), Outgoing(transport), options))
    session.add_done_callback(lambda _: transport.finish())
    transport.start()
    await transport.ended()
    leave_at_the_latest(transport.time_left())
    await asyncio.wait({session}, timeout=transport.time_left() / 4)  # a call that hangs keeps it from ending
    library.close()
    transport.flush()
    if not session.done():
        os._exit(0)  # a thread cannot be stopped, and `asyncio.run` would wait for it
    if error := session.exception():
        log.error("the session has failed", exc_info=error)
        return 1
    return 0


def _log_to_stderr(config: Config) -> None:
    form = "sediment-mcp %(levelname)s: %(message)s"
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format=form)
    logging.getLogger("sediment_mcp").setLevel(config.log_level)
    for warning in unknown_variables():
        log.warning(warning)
