"""How a tool is called: its arguments checked, its operation run, its failure told.

Error results carry no structured content: hosts that enforce output schemas exempt them (the specification
binds results only, and both official clients follow it).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from sediment_mcp.domain.caller import assert_may_write
from sediment_mcp.errors import SedimentError
from sediment_mcp.operations.argument_names import find_host_names
from sediment_mcp.operations.arguments import DeleteMemory, parse_arguments, unwrap_arguments
from sediment_mcp.operations.delete_memory import delete_memory
from sediment_mcp.operations.list_memories import list_memories
from sediment_mcp.operations.query_memory import query_memory
from sediment_mcp.operations.store_memory import store_memory
from sediment_mcp.recall.digest import add_digest
from sediment_mcp.server.jsonrpc import INVALID_PARAMS, Message
from sediment_mcp.server.protocol import ProtocolError, build_text
from sediment_mcp.server.protocol_errors import INTERNAL_FAILURE
from sediment_mcp.server.tools import TOOLS, Tool
from sediment_mcp.system.text import format_value, list_names, to_json, valid_text

if TYPE_CHECKING:
    from sediment_mcp.app import Application

WRAPPED = "arguments"  # the one member of an object in the place of arguments that are none

MAX_TOLD_NAMES = 1_000  # beyond which a client that makes up names is told of no more

log = logging.getLogger(__name__)

Operation = Callable[["Application", Any, str | None], Mapping[str, Any]]


def _delete_memory(app: Application, arguments: DeleteMemory, project: str | None) -> Mapping[str, Any]:
    """Delete memories by their ids, whatever project the call belongs to."""
    return delete_memory(app, arguments)


OPERATIONS: dict[str, Operation] = {
    "store_memory": store_memory,
    "query_memory": query_memory,
    "list_memories": list_memories,
    "delete_memory": _delete_memory,
}
"""By tool, the function that runs: with the application, the arguments, and the project of the call."""


def find_tool(name: str) -> Tool[Any]:
    """Return the tool of that name.

    Raises:
        ProtocolError: there is none; the specification names this as its first example of a protocol error.
    """
    tools = {tool.name: tool for tool in TOOLS}
    if name not in tools:
        raise ProtocolError(INVALID_PARAMS, f"Unknown tool {format_value(name)}: use {', '.join(tools)}.")
    return tools[name]


def call_tool(
    app: Application,
    tool: Tool[Any],
    arguments: object,
    project: str | None,
    told_names: set[str],
    *,
    with_digest: bool = False,
) -> Message:
    """Run one operation in a worker thread; a failure is returned as a result too.

    ``arguments`` are what the client has sent, which may be no object: some models send JSON text.
    ``told_names`` are the names that were ignored, and told of, in earlier calls; new ones are added.
    ``with_digest`` adds to a query's answer how much is known.
    """
    try:
        if tool.hints.read_only:
            app.before_query(project)
        else:
            assert_may_write()
        given = unwrap_arguments(tool.arguments, _take_object(arguments))
        answer = OPERATIONS[tool.name](app, parse_arguments(tool.arguments, given), project)
        if with_digest:
            answer = add_digest(app, project, answer)
        ignored = find_host_names(given, tool.arguments.parameters)
        return _build_result(_tell_of_ignored_names(tool, answer, ignored, told_names))
    except SedimentError as error:
        return _build_error(str(error))
    except BaseException:  # a panic in a Rust extension is no Exception, and must not end the process
        log.exception("%s failed", tool.name)
        return _build_error(INTERNAL_FAILURE)


def _take_object(arguments: object) -> Mapping[str, Any]:
    if isinstance(arguments, dict):
        return cast("dict[str, Any]", arguments)
    return {} if arguments is None else {WRAPPED: arguments}


def _tell_of_ignored_names(
    tool: Tool[Any], answer: Mapping[str, Any], ignored: Sequence[str], told_names: set[str]
) -> Mapping[str, Any]:
    """Tell once of each ignored name, in an answer that may have notes or warnings."""
    place = next((name for name in ("notes", "warnings") if name in tool.result.__annotations__), None)
    new = [name for name in ignored if name not in told_names]
    if place is None or not new or len(told_names) + len(new) > MAX_TOLD_NAMES:
        return answer
    told_names.update(new)
    sentence = f"Ignored, as hosts add it to calls: {list_names(new)}."
    return {**answer, place: [*answer.get(place, []), sentence]}


def _build_result(answer: Mapping[str, object]) -> Message:
    """Return the answer as JSON text and, parsed from this text, as structured content."""
    text = to_json(answer)
    return {"content": [build_text(text)], "isError": False, "structuredContent": json.loads(text)}


def _build_error(sentence: str) -> Message:
    return {"content": [build_text(valid_text(sentence))], "isError": True}
