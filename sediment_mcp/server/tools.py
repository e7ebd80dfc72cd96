"""The four tools at the protocol's edge."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from mcp import types
from mcp.shared.exceptions import MCPError

from sediment_mcp.errors import SedimentError, shown
from sediment_mcp.server.jsonrpc import to_json, valid_text

if TYPE_CHECKING:
    from sediment_mcp.app import Library
    from sediment_mcp.operations import arguments

BROKEN = (
    "Something went wrong inside sediment-mcp, and not because of the arguments: "
    "run `sediment-mcp doctor`, and look into this server's log."
)

log = logging.getLogger(__name__)


def listing() -> list[types.Tool]:
    from sediment_mcp.operations import arguments

    return [
        types.Tool(
            name=tool.name,
            title=tool.title,
            description=tool.description,
            input_schema=arguments.input_schema(tool),
            output_schema=arguments.output_schema(tool),
            annotations=types.ToolAnnotations(
                read_only_hint=tool.read_only,
                destructive_hint=tool.destructive,
                idempotent_hint=tool.idempotent,
                open_world_hint=False,
            ),
        )
        for tool in arguments.TOOLS
    ]


def named(name: str) -> arguments.Tool:
    """An unknown tool is a protocol error, -32602: the specification names it as its first example."""
    from sediment_mcp.operations import arguments

    known = {tool.name: tool for tool in arguments.TOOLS}
    if name not in known:
        raise MCPError(types.INVALID_PARAMS, f"Unknown tool {shown(name)}: use {', '.join(known)}.")
    return known[name]


def call(
    library: Library, tool: arguments.Tool, given: dict[str, Any], where: str | None
) -> types.CallToolResult:
    """Run one operation, in a worker thread; every outcome is a result."""
    from sediment_mcp.operations import tools
    from sediment_mcp.operations.arguments import parse

    try:
        return _answer(getattr(tools, tool.name)(library, parse(tool.arguments, given), where))
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
