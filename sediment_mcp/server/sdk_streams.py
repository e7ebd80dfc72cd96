"""The transport's dictionaries as the SDK's messages, and back."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

import anyio
from mcp import types
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from sediment_mcp.server.jsonrpc import INVALID_REQUEST, Message, error_message, is_request, is_response
from sediment_mcp.server.stdio import StdioTransport

log = logging.getLogger(__name__)


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


class Incoming(_End):
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

    def __aiter__(self) -> Incoming:
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


class Outgoing(_End):
    def __init__(self, transport: StdioTransport) -> None:
        self._transport = transport

    async def send(self, item: SessionMessage, /) -> None:
        self._transport.send(item.message.model_dump(by_alias=True, exclude_unset=True))
