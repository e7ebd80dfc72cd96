"""The SDK's own client on the server, in this process or over stdio, in both eras of the protocol."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult

from sediment_mcp.app import Application
from sediment_mcp.config import Config
from sediment_mcp.server.app import build_server
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
            async with Client(build_server(config, app), mode=mode) as client:
                yield client
        finally:
            app.close()


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
