"""The official SDK's server over the same functions that answer: what the protocol edge is compared with."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import anyio
from anyio.from_thread import run as run_in_loop
from anyio.to_thread import run_sync
from mcp import MCPError, types
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.message import SessionMessage
from pydantic import BaseModel, ValidationError

from sediment_mcp.server.connection import Connection, Handlers
from sediment_mcp.server.jsonrpc import Message, is_request, is_response
from sediment_mcp.server.protocol import INSTRUCTIONS, SERVER, Params, ProtocolError

Context = ServerRequestContext[Any, Any]
Replies = Callable[[Message], Message | None]
"""What the client answers to a request of the server; None: nothing."""

ONE_HOUR = CacheHint(ttl_ms=3_600_000, scope="public")
LIMIT = 20.0  # seconds in which an answer must come
RESULTS: dict[str, tuple[str, type[BaseModel]]] = {
    "completion/complete": ("on_completion", types.CompleteResult),
    "prompts/get": ("on_get_prompt", types.GetPromptResult),
    "prompts/list": ("on_list_prompts", types.ListPromptsResult),
    "resources/list": ("on_list_resources", types.ListResourcesResult),
    "resources/read": ("on_read_resource", types.ReadResourceResult),
    "resources/templates/list": ("on_list_resource_templates", types.ListResourceTemplatesResult),
    "tools/call": ("on_call_tool", types.CallToolResult),
    "tools/list": ("on_list_tools", types.ListToolsResult),
}


class SdkClient:
    """The client of a request, as the SDK's session reaches it; see `connection.Client`."""

    def __init__(self, context: Context) -> None:
        self._session = context.session

    @property
    def has_roots(self) -> bool:
        capabilities = self._session.client_capabilities
        declared = capabilities is not None and capabilities.roots is not None
        return declared and self._session.can_send_request

    @property
    def name(self) -> str:
        client = self._session.client_params
        return client.client_info.name if client is not None else ""

    def ask(self, method: str, timeout: float) -> Message | None:
        assert method == "roots/list"
        try:
            answer = run_in_loop(self._ask, timeout)
        except (MCPError, ValidationError):
            return None
        return answer.model_dump(by_alias=True, mode="json", exclude_none=True)

    async def _ask(self, timeout: float) -> types.ListRootsResult:
        return await self._session.send_request(
            types.ListRootsRequest(), types.ListRootsResult, request_read_timeout_seconds=timeout
        )


def build_sdk_server(handlers: Handlers) -> Server[Any]:
    """Build the SDK's server; each method is answered by the function that answers it at the edge."""
    functions: dict[str, Callable[[SdkClient, Params], Message]] = {
        **{method: _leave_out_client(light) for method, light in handlers.light.items()},
        **handlers.heavy,
    }
    assert functions.keys() == RESULTS.keys()
    options = {name: _answer(functions[method], result) for method, (name, result) in RESULTS.items()}
    server = Server[Any](
        SERVER["name"],
        version=SERVER["version"],
        title=SERVER["title"],
        instructions=INSTRUCTIONS,
        cache_hints={"tools/list": ONE_HOUR, "resources/templates/list": ONE_HOUR},
        **cast("Any", options),
    )

    async def forget_roots(_: Context, __: types.NotificationParams) -> None:
        handlers.forget_roots()

    server.add_notification_handler(
        "notifications/roots/list_changed", types.NotificationParams, forget_roots
    )
    return server


def _leave_out_client(light: Callable[[Params], Message]) -> Callable[[SdkClient, Params], Message]:
    return lambda _, params: light(params)


def _answer(function: Callable[[SdkClient, Params], Message], result: type[BaseModel]) -> Any:
    async def answer(context: Context, _: object) -> BaseModel:
        try:
            found = await run_sync(function, SdkClient(context), context.params or {})
        except ProtocolError as error:
            raise MCPError(error.code, str(error), error.data) from None
        return result.model_validate(found)

    return answer


# --- whole exchanges ----------------------------------------------------------------------------


def ask_sdk(handlers: Handlers, messages: Sequence[Message], reply: Replies) -> list[Message]:
    """Send the messages one after the other, each when the one before is answered; return what came back."""

    async def exchange() -> list[Message]:
        to_server, from_client = anyio.create_memory_object_stream[SessionMessage | Exception](math.inf)
        to_client, from_server = anyio.create_memory_object_stream[SessionMessage](math.inf)
        server = build_sdk_server(handlers)
        options = server.create_initialization_options()
        session = asyncio.create_task(server.run(from_client, to_client, options))
        received: list[Message] = []
        for message in messages:
            await to_server.send(SessionMessage(to_sdk_message(message)))
            if not is_request(message):
                await anyio.wait_all_tasks_blocked()
                continue
            while True:
                item = await asyncio.wait_for(from_server.receive(), LIMIT)
                received.append(item.message.model_dump(by_alias=True, exclude_unset=True))
                if is_response(received[-1]):
                    break
                if (answer := reply(received[-1])) is not None:
                    await to_server.send(SessionMessage(to_sdk_message(answer)))
        await to_server.aclose()
        await session
        return received

    return asyncio.run(exchange())


def ask_edge(handlers: Handlers, messages: Sequence[Message], reply: Replies) -> list[Message]:
    """Do the same with the protocol edge, in this thread."""
    received: list[Message] = []

    def send(message: Message) -> None:
        received.append(message)
        if is_request(message) and (answer := reply(message)) is not None:
            connection.receive(answer)

    connection = Connection(handlers, send, lambda call: call())
    for message in messages:
        connection.receive(message)
    return received


def to_sdk_message(message: Message) -> types.JSONRPCMessage:
    """Return the message in the SDK's class for its kind."""
    if is_request(message):
        return types.JSONRPCRequest.model_validate(_repair_params(message))
    if not is_response(message):
        return types.JSONRPCNotification.model_validate(message)
    response_type = types.JSONRPCError if "error" in message else types.JSONRPCResponse
    return response_type.model_validate(message)


def _repair_params(message: Message) -> Message:
    """Return a request with arguments and a cursor of the types that the SDK demands.

    It refuses others with an error that says nothing; the edge answers them in a sentence, on purpose.
    """
    params = message.get("params")
    if not isinstance(params, dict):
        return message
    fields = cast("dict[str, Any]", params)
    arguments, cursor = fields.get("arguments"), fields.get("cursor")
    if message["method"] == "tools/call" and not isinstance(arguments, dict | None):
        return message | {"params": fields | {"arguments": {"arguments": arguments}}}
    if message["method"].endswith("/list") and not isinstance(cursor, str | None):
        return message | {"params": fields | {"cursor": "no text"}}
    return message
