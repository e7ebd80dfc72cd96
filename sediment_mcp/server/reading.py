"""Resources, prompts and completion at the protocol's edge: what a person chooses in a host."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from mcp import types
from mcp.shared.exceptions import MCPError

from sediment_mcp.errors import BadArgument, SedimentError
from sediment_mcp.server.jsonrpc import to_json, valid_text
from sediment_mcp.server.tools import BROKEN

if TYPE_CHECKING:
    from sediment_mcp.app import Library

JSON = "application/json"
LONGEST_URI = 500  # characters of one that is repeated
MOST_COMPLETIONS = 100  # the protocol allows no more in one answer

log = logging.getLogger(__name__)


@contextlib.contextmanager
def _told(**about: str) -> Generator[None]:
    """Whatever goes wrong becomes a protocol error of one sentence: these requests have no other way."""
    try:
        yield
    except SedimentError as error:
        code = types.INVALID_PARAMS if isinstance(error, BadArgument) else types.INTERNAL_ERROR
        raise MCPError(code, valid_text(str(error)), about or None) from error
    except (
        BaseException
    ) as error:  # a panic in a Rust extension is no Exception, and must not end the process
        log.exception("reading failed")
        raise MCPError(types.INTERNAL_ERROR, BROKEN) from error


# --- resources ----------------------------------------------------------------------------------


def resources(library: Library, project: str | None, cursor: str | None) -> types.ListResourcesResult:
    from sediment_mcp.server.resources import listed

    with _told():
        page, next_cursor = listed(library, project, cursor)
    found = [
        types.Resource(
            uri=one.uri,
            name=one.name,
            title=one.title,
            description=one.description,
            mime_type=JSON,
            annotations=types.Annotations(last_modified=one.changed) if one.changed else None,
        )
        for one in page
    ]
    return types.ListResourcesResult(resources=found, next_cursor=next_cursor)


def templates() -> types.ListResourceTemplatesResult:
    from sediment_mcp.server.resources import TEMPLATE

    template = types.ResourceTemplate(
        uri_template=TEMPLATE,
        name="memory",
        title="A memory",
        description="One memory, whole, by its id.",
        mime_type=JSON,
    )
    return types.ListResourceTemplatesResult(resource_templates=[template])


def resource(library: Library, uri: str, project: str | None) -> types.ReadResourceResult:
    from sediment_mcp.server.resources import read

    with _told(uri=valid_text(uri[:LONGEST_URI])):
        text = to_json(read(library, uri, project))
    return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, mime_type=JSON, text=text)])


# --- prompts ------------------------------------------------------------------------------------


def prompts() -> types.ListPromptsResult:
    from sediment_mcp.server.prompts import PROMPTS

    found = [
        types.Prompt(
            name=prompt.name,
            title=prompt.title,
            description=prompt.description,
            arguments=[
                types.PromptArgument(name=one.name, description=one.description, required=one.required)
                for one in prompt.arguments
            ],
        )
        for prompt in PROMPTS
    ]
    return types.ListPromptsResult(prompts=found)


def prompt(
    library: Library, name: str, given: Mapping[str, str], project: str | None
) -> types.GetPromptResult:
    from sediment_mcp.server.prompts import message

    with _told():
        said = message(library, name, given, project)
    texts = [said.text] if said.memories is None else [said.text, to_json(said.memories)]
    return types.GetPromptResult(messages=[_of_user(text) for text in texts])


def _of_user(text: str) -> types.PromptMessage:
    return types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))


# --- completion ---------------------------------------------------------------------------------


def completion(library: Library, params: types.CompleteRequestParams) -> types.CompleteResult:
    from sediment_mcp.server.prompts import completions

    with _told():
        found = completions(library, params.argument.name, params.argument.value)
    shown = found[:MOST_COMPLETIONS]
    more: dict[str, Any] = {"total": len(found), "has_more": len(shown) < len(found)}
    return types.CompleteResult(completion=types.Completion(values=shown, **more))
