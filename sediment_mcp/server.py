"""The MCP edge: translates between the protocol and the four operations, and nothing else.

The only module that imports `mcp`. What it adds of its own is which project a call belongs to, and that
no failure's internals reach a host. Error results carry no structured content: hosts that enforce output
schemas exempt them (the specification binds results only, and both official clients follow it).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.to_thread
from mcp import types
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.session import ServerSession
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from . import __version__
from .config import Config, unknown_variables
from .errors import SedimentError
from .jsonrpc import INVALID_REQUEST, Message, error_message, is_request, is_response, to_json, valid_text
from .library import Library
from .stdio import StdioTransport, Wire, leave_at_the_latest, protect_stdout

if TYPE_CHECKING:
    from . import contract

INSTRUCTIONS = (
    "A memory that outlives this conversation and is shared by all of the user's hosts. Query it before you "
    "answer from scratch, store what you learn as soon as you learn it, and correct instead of repeating."
)
BROKEN = (
    "Something went wrong inside sediment-mcp, and not because of the arguments: "
    "run `sediment-mcp doctor`, and look into this server's log."
)
ROOTS_TIMEOUT = 1.0
"""Seconds that the first call waits for the client to name its roots."""

log = logging.getLogger(__name__)

Context = ServerRequestContext[Any, Any]


def serve(config: Config) -> int:
    """Serve MCP over stdio until the client leaves or a signal comes; the process's exit status."""
    wire = protect_stdout()
    _log_to_stderr(config)
    return asyncio.run(_serve(config, wire))


def build_server(config: Config, library: Library) -> Server[Any]:
    """The protocol's side of the four tools, without a transport."""
    project = _Project(config.project)

    async def list_tools(_: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        if params and params.cursor:
            raise MCPError(types.INVALID_PARAMS, "There is one page of tools only: leave cursor out.")
        return types.ListToolsResult(tools=_tools())

    async def call_tool(context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = _tool(params.name)
        where = await project.of(context.session)
        return await anyio.to_thread.run_sync(_call, library, tool, params.arguments or {}, where)

    async def roots_changed(_: Context, __: types.NotificationParams) -> None:
        project.forget_roots()

    server = Server[Any](
        "sediment-mcp",
        version=__version__,
        title="Sediment",
        instructions=INSTRUCTIONS,
        cache_hints={"tools/list": CacheHint(ttl_ms=3_600_000, scope="public")},
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    server.add_notification_handler(
        "notifications/roots/list_changed", types.NotificationParams, roots_changed
    )
    return server


# --- tools --------------------------------------------------------------------------------------


def _tools() -> list[types.Tool]:
    from . import contract

    return [
        types.Tool(
            name=tool.name,
            title=tool.title,
            description=tool.description,
            input_schema=contract.input_schema(tool),
            output_schema=contract.output_schema(tool),
            annotations=types.ToolAnnotations(
                read_only_hint=tool.read_only,
                destructive_hint=tool.destructive,
                idempotent_hint=tool.idempotent,
                open_world_hint=False,
            ),
        )
        for tool in contract.TOOLS
    ]


def _tool(name: str) -> contract.Tool:
    """An unknown tool is a protocol error, -32602: the specification names it as its first example."""
    from . import contract

    known = {tool.name: tool for tool in contract.TOOLS}
    if name not in known:
        raise MCPError(types.INVALID_PARAMS, f"Unknown tool {name!r}: use {', '.join(known)}.")
    return known[name]


def _call(
    library: Library, tool: contract.Tool, given: dict[str, Any], where: str | None
) -> types.CallToolResult:
    """Run one operation, in a worker thread; every outcome is a result."""
    from . import contract, operations

    try:
        arguments = contract.parse(tool.arguments, given)
        return _answer(getattr(operations, tool.name)(library, arguments, where))
    except SedimentError as error:
        return _failure(str(error))
    except BaseException:  # a panic in a Rust extension is no Exception, and must not end the process
        log.exception("%s failed", tool.name)
        return _failure(BROKEN)


def _answer(result: Any) -> types.CallToolResult:
    """The result as text and, read back from that very text, as structured content."""
    text = to_json(result)
    content = types.TextContent(type="text", text=text)
    return types.CallToolResult(content=[content], structured_content=json.loads(text))


def _failure(sentence: str) -> types.CallToolResult:
    content = types.TextContent(type="text", text=valid_text(sentence))
    return types.CallToolResult(content=[content], is_error=True)


# --- project ------------------------------------------------------------------------------------


class _Project:
    """Which project the calls belong to: what the user has set, else the client's root, else the git work
    tree around the working directory. Found at the first call, because starting must cost nothing."""

    def __init__(self, given: str | None) -> None:
        self._given = given
        self._lock = anyio.Lock()
        self._roots_asked = self._tree_sought = False
        self._root: str | None = None
        self._tree: str | None = None

    async def of(self, session: ServerSession) -> str | None:
        from .project import project_of_folder

        if self._given is not None:
            return valid_text(self._given) or None
        async with self._lock:
            if not self._roots_asked:
                self._roots_asked = True
                self._root = await _ask_for_root(session)
            if self._root is None and not self._tree_sought:
                self._tree = await anyio.to_thread.run_sync(project_of_folder, Path())
                self._tree_sought = True
            return self._root or self._tree

    def forget_roots(self) -> None:
        self._roots_asked = False


async def _ask_for_root(session: ServerSession) -> str | None:
    """Ask a client of the handshake era that says it has roots; one that stays mute has none."""
    from .project import project_of_roots

    capabilities = session.client_capabilities
    if capabilities is None or capabilities.roots is None or not session.can_send_request:
        return None
    try:
        answer = await session.send_request(
            types.ListRootsRequest(), types.ListRootsResult, request_read_timeout_seconds=ROOTS_TIMEOUT
        )
    except (MCPError, ValidationError) as error:
        log.debug("the client names no roots: %s", error)
        return None
    uris = [str(root.uri) for root in answer.roots]
    return await anyio.to_thread.run_sync(project_of_roots, uris)


# --- transport ----------------------------------------------------------------------------------


class _End:
    """What the SDK's streams have in common: the transport closes itself, so there is nothing to do."""

    async def aclose(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        pass


class _Incoming(_End):
    """The transport's dictionaries as the SDK's messages, until it has no more."""

    def __init__(self, transport: StdioTransport) -> None:
        self._transport = transport

    async def receive(self) -> SessionMessage | Exception:
        while (message := await self._transport.receive()) is not None:
            try:
                return SessionMessage(_typed(message))
            except ValidationError:
                log.exception("the SDK refuses a message")
                if is_request(message):
                    refusal = error_message(message["id"], INVALID_REQUEST, "The message is not valid.")
                    self._transport.send(refusal)
        raise anyio.EndOfStream

    def __aiter__(self) -> _Incoming:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None


def _typed(message: Message) -> types.JSONRPCMessage:
    """Not the SDK's union, which may take a request with a stray "result" for a response."""
    if is_request(message):
        return types.JSONRPCRequest.model_validate(message)
    if not is_response(message):
        return types.JSONRPCNotification.model_validate(message)
    kind = types.JSONRPCError if "error" in message else types.JSONRPCResponse
    return kind.model_validate(message)


class _Outgoing(_End):
    def __init__(self, transport: StdioTransport) -> None:
        self._transport = transport

    async def send(self, item: SessionMessage, /) -> None:
        self._transport.send(item.message.model_dump(by_alias=True, exclude_unset=True))


async def _serve(config: Config, wire: Wire) -> int:
    library = Library(config)
    server = build_server(config, library)
    transport = StdioTransport(wire)
    options = server.create_initialization_options()
    session = asyncio.create_task(server.run(_Incoming(transport), _Outgoing(transport), options))
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
    logging.getLogger(__package__).setLevel(config.log_level)
    for warning in unknown_variables():
        log.warning(warning)
