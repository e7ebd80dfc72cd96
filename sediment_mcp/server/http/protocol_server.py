"""The SDK's server over the functions that answer requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from mcp import MCPError, types
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from pydantic import BaseModel

from sediment_mcp.server.http.calls import Calls
from sediment_mcp.server.http.exchange import Exchange, get_exchange
from sediment_mcp.server.http.settings import MAX_THREADS
from sediment_mcp.server.protocol import CACHE_HINTS, INSTRUCTIONS, SERVER, ProtocolError
from sediment_mcp.server.request_shapes import PROTOCOL_METHODS
from sediment_mcp.server.tool_calls import WRAPPED
from sediment_mcp.server.tools import TOOLS, list_tools

Context = ServerRequestContext[Any, Any]

FORMS: dict[str, tuple[type[BaseModel], type[BaseModel]]] = {
    "completion/complete": (types.CompleteRequestParams, types.CompleteResult),
    "prompts/get": (types.GetPromptRequestParams, types.GetPromptResult),
    "prompts/list": (types.PaginatedRequestParams, types.ListPromptsResult),
    "resources/list": (types.PaginatedRequestParams, types.ListResourcesResult),
    "resources/read": (types.ReadResourceRequestParams, types.ReadResourceResult),
    "resources/templates/list": (types.PaginatedRequestParams, types.ListResourceTemplatesResult),
    "tools/call": (types.CallToolRequestParams, types.CallToolResult),
    "tools/list": (types.PaginatedRequestParams, types.ListToolsResult),
}
"""The methods of `Calls.answer`, with the SDK's classes of their parameters and results."""

_TOOL_NAMES = frozenset(tool.name for tool in TOOLS)


def build_protocol_server(calls: Calls) -> Server[Any]:
    """Build the SDK's server; requests are answered in at most `MAX_THREADS` threads."""
    schemas = {tool["name"]: tool["inputSchema"] for tool in list_tools()["tools"]}
    hints = {
        method: CacheHint(ttl_ms=hint["ttlMs"], scope=hint["cacheScope"])
        for method, hint in CACHE_HINTS.items()
    }
    server = Server[Any](
        SERVER["name"],
        version=SERVER["version"],
        title=SERVER["title"],
        icons=[types.Icon.model_validate(icon) for icon in SERVER["icons"]],
        instructions=INSTRUCTIONS,
        cache_hints=cast("Any", hints),
        get_tool_input_schema=schemas.get,  # otherwise the SDK lists the tools at every call
    )
    threads = CapacityLimiter(MAX_THREADS)
    for method, (params, result) in FORMS.items():
        server.add_request_handler(method, params, _build_handler(calls, threads, result))
    server.middleware.append(_note_request)
    server.middleware.append(_mend_arguments)
    return server


def _build_handler(calls: Calls, threads: CapacityLimiter, result: type[BaseModel]) -> Any:
    async def answer(context: Context, _: BaseModel) -> HandlerResult:
        exchange = _get_exchange(context)
        client = context.session.client_params
        run = partial(
            calls.answer,
            context.method,
            context.params or {},
            client.client_info.name if client is not None else "",
            exchange.caller,
            exchange.project,
        )
        exchange.hold()
        try:
            return result.model_validate(await run_sync(run, limiter=threads))
        except ProtocolError as error:
            raise MCPError(error.code, str(error), error.data) from None
        finally:
            exchange.release()

    return answer


async def _note_request(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Note the method and the tool of a request for its log line, and how it went."""
    exchange = _get_exchange(ctx)
    exchange.method = ctx.method if ctx.method in _KNOWN_METHODS else "other"
    exchange.tool = _name_tool(ctx)
    exchange.outcome = "error"
    result = await call_next(ctx)
    failed = isinstance(result, Mapping) and result.get("isError") is True
    exchange.outcome = "tool_error" if failed else "ok"
    return result


async def _mend_arguments(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Wrap the arguments of a tool that are no object, which the SDK would refuse.

    Some models send JSON text; `operations.arguments` reads it.
    """
    params = ctx.params or {}
    arguments = params.get("arguments")
    if ctx.method == "tools/call" and not isinstance(arguments, Mapping | None):
        ctx = replace(ctx, params={**params, "arguments": {WRAPPED: arguments}})
    return await call_next(ctx)


_KNOWN_METHODS = PROTOCOL_METHODS | {"notifications/initialized", "notifications/cancelled"}


def _name_tool(context: Context) -> str:
    if context.method != "tools/call":
        return ""
    name = (context.params or {}).get("name")
    return name if name in _TOOL_NAMES else "other"


def _get_exchange(context: Context) -> Exchange:
    assert context.request is not None, "every message comes by an HTTP request"
    return get_exchange(context.request.scope)
