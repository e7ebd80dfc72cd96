"""Streams for the SDK's session.

They convert the transport's dictionaries to the SDK's messages, and back.
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Any, Self, cast

import anyio
from mcp import types
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from sediment_mcp.server.jsonrpc import INVALID_REQUEST, Message, build_error, is_request, is_response
from sediment_mcp.server.stdio import StdioTransport

WRAPPED = "arguments"  # the one member of an object in the place of arguments that are none
NO_CURSOR = "no text"  # in the place of a cursor that is none; no list gives it

log = logging.getLogger(__name__)


class _Stream:
    """One of the two streams of the SDK's session.

    Closing it does nothing, because the transport closes itself.
    """

    async def aclose(self) -> None:
        """Do nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        pass


class IncomingMessages(_Stream):
    """The client's messages, until the transport has no more."""

    def __init__(self, transport: StdioTransport) -> None:
        self._transport = transport

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message that the SDK accepts.

        Raises:
            anyio.EndOfStream: there are no more.
        """
        while (message := await self._transport.receive()) is not None:
            try:
                return SessionMessage(_to_sdk_message(message))
            except ValidationError:
                log.exception("the SDK refuses a message")
                if is_request(message):
                    refusal = build_error(message["id"], INVALID_REQUEST, "The message is not valid.")
                    self._transport.send(refusal)
        raise anyio.EndOfStream

    def __aiter__(self) -> IncomingMessages:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None


def _to_sdk_message(message: Message) -> types.JSONRPCMessage:
    """Return the message in the SDK's class for its kind.

    The class is chosen here because the SDK may take a request with a stray "result" for a response.
    """
    if is_request(message):
        return types.JSONRPCRequest.model_validate(_repair_params(message))
    if not is_response(message):
        return types.JSONRPCNotification.model_validate(message)
    response_type = types.JSONRPCError if "error" in message else types.JSONRPCResponse
    return response_type.model_validate(message)


def _repair_params(message: Message) -> Message:
    """Return a request with parameters of the types that the SDK demands.

    It would refuse others with an error that says nothing; so they are answered in a sentence where they are
    read. Some models send a tool's arguments as JSON text; `server.tools` looks into what is wrapped here.
    """
    params = message.get("params")
    if not isinstance(params, dict):
        return message
    fields = cast("dict[str, Any]", params)
    arguments, cursor = fields.get("arguments"), fields.get("cursor")
    if message["method"] == "tools/call" and not isinstance(arguments, dict | None):
        return message | {"params": fields | {"arguments": {WRAPPED: arguments}}}
    if message["method"].endswith("/list") and not isinstance(cursor, str | None):
        return message | {"params": fields | {"cursor": NO_CURSOR}}
    return message


class OutgoingMessages(_Stream):
    """The server's messages."""

    def __init__(self, transport: StdioTransport) -> None:
        self._transport = transport

    async def send(self, item: SessionMessage, /) -> None:
        """Queue a message for the client."""
        self._transport.send(item.message.model_dump(by_alias=True, exclude_unset=True))
