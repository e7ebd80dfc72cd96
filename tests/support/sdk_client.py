"""The SDK's own client on the server, in this process or over stdio, in both eras of the protocol."""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import jsonschema
import pytest
from mcp import Client, StdioServerParameters
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage
from mcp.types import CallToolResult, jsonrpc_message_adapter

from sediment_mcp.app import Application
from sediment_mcp.config import Config
from sediment_mcp.server.connection import Connection
from sediment_mcp.server.jsonrpc import Message
from sediment_mcp.server.requests import Requests
from support.stdio_peer import REPOSITORY

Way = tuple[Literal["memory", "stdio"], Literal["auto", "legacy"]]


STARTS_A_SERVER = (pytest.mark.slow, pytest.mark.process)
WAYS: list[Any] = [
    ("memory", "auto"),
    ("memory", "legacy"),
    pytest.param(("stdio", "auto"), marks=STARTS_A_SERVER),
    pytest.param(("stdio", "legacy"), marks=STARTS_A_SERVER),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=WAYS, ids="-".join)
def way(request: pytest.FixtureRequest) -> Way:
    return request.param


@asynccontextmanager
async def connected(way: Way, folder: Path) -> AsyncGenerator[Client]:
    """Connect a client to a server without project and model, so that nothing has to be loaded."""
    place, mode = way
    if place == "stdio":
        async with Client(over_stdio(folder), mode=mode) as client:
            yield client
    else:
        config = Config(data_dir=folder / "data", project="", model="none")
        app = Application(config)
        try:
            async with Client(in_memory(config, app), mode=mode) as client:
                yield client
        finally:
            app.close()


class BuiltParts:
    """Parts with an application that is there already."""

    def __init__(self, app: Application) -> None:
        self.app = app

    def start_model(self) -> None:
        self.app.model.start()

    def answer_hooks(self) -> None:
        """Answer none: no hook asks a server in this process."""


@asynccontextmanager
async def in_memory(config: Config, app: Application) -> AsyncGenerator[TransportStreams]:
    """Connect the streams of the SDK's client to the server in this process."""
    loop = asyncio.get_running_loop()
    to_client, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](math.inf)
    to_server, from_client = anyio.create_memory_object_stream[SessionMessage](math.inf)

    def send(message: Message) -> None:
        item = SessionMessage(jsonrpc_message_adapter.validate_python(message))
        loop.call_soon_threadsafe(to_client.send_nowait, item)

    async def deliver(connection: Connection) -> None:
        async for item in from_client:
            connection.receive(item.message.model_dump(by_alias=True, exclude_unset=True, mode="json"))

    with ThreadPoolExecutor() as calls:
        connection = Connection(Requests(config, BuiltParts(app)), send, calls.submit)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(deliver, connection)
            yield from_server, to_server
            tasks.cancel_scope.cancel()


def over_stdio(folder: Path) -> StdioServerParameters:
    settings = {"SEDIMENT_DATA_DIR": str(folder / "data"), "SEDIMENT_PROJECT": "", "SEDIMENT_MODEL": "none"}
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "sediment_mcp"],
        env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(REPOSITORY), **settings},
    )


async def succeeds(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool and check what every successful result promises; returns its structured content."""
    result = await client.call_tool(tool, arguments)
    assert isinstance(result, CallToolResult)
    assert not result.is_error, result.content
    (text,) = result.content
    assert text.type == "text"
    assert json.loads(text.text) == result.structured_content
    schema = next(listed.output_schema for listed in (await client.list_tools()).tools if listed.name == tool)
    assert schema is not None
    jsonschema.validate(result.structured_content, schema)
    assert result.structured_content is not None
    return result.structured_content
