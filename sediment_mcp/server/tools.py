"""The four tools at the protocol's edge."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from mcp import types
from mcp.shared.exceptions import MCPError

from ..errors import SedimentError, shown
from ..jsonrpc import to_json, valid_text

if TYPE_CHECKING:
    from .. import contract
    from ..library import Library

BROKEN = (
    "Something went wrong inside sediment-mcp, and not because of the arguments: "
    "run `sediment-mcp doctor`, and look into this server's log."
)

log = logging.getLogger(__name__)


def listing() -> list[types.Tool]:
    from .. import contract

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


def named(name: str) -> contract.Tool:
    """An unknown tool is a protocol error, -32602: the specification names it as its first example."""
    from .. import contract

    known = {tool.name: tool for tool in contract.TOOLS}
    if name not in known:
        raise MCPError(types.INVALID_PARAMS, f"Unknown tool {shown(name)}: use {', '.join(known)}.")
    return known[name]


def call(
    library: Library, tool: contract.Tool, given: dict[str, Any], where: str | None
) -> types.CallToolResult:
    """Run one operation, in a worker thread; every outcome is a result."""
    from .. import contract, operations

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
