"""The form that the parameters of each request must have, in both eras of the protocol.

A shape is a predicate. The shapes follow the protocol's schemas, with the leniency of the official SDK: a
number may be given as text where nothing but a number can stand, unknown members are left aside, and null
stands for an optional member that is not given. What a sentence can explain better is not refused here:
`server.tools` looks into the arguments of a tool, and a list refuses a cursor that is no text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from sediment_mcp.server.protocol import CAPABILITIES_KEY, REVISION_KEY, Params, refuse_method, refuse_params

Shape = Callable[[Any], bool]

_INTEGER = r"\s*[+-]?[0-9]+(?:_[0-9]+)*(?:\.0+)?\s*"
_MAX_DIGITS = 4300  # of a number given as text
_MAX_FLOAT = 2.0**63  # below which a whole float counts as an integer
_FLAGS = frozenset({"0", "1", "f", "t", "n", "y", "no", "yes", "off", "on", "false", "true"})


# --- shapes -------------------------------------------------------------------------------------


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_integer(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _MAX_DIGITS and re.fullmatch(_INTEGER, value) is not None
    if isinstance(value, float):
        return abs(value) < _MAX_FLOAT and value.is_integer()
    return isinstance(value, int)


def _is_flag(value: object) -> bool:
    if isinstance(value, str):
        return value.lower() in _FLAGS
    return isinstance(value, int | float) and value in (0, 1)


def _is_token(value: object) -> bool:
    return isinstance(value, str) or _is_integer(value)


def _one_of(*words: str) -> Shape:
    return lambda value: isinstance(value, str) and value in words


def _list_of(item: Shape) -> Shape:
    return lambda value: isinstance(value, list) and all(map(item, cast("list[Any]", value)))


def _map_of(item: Shape) -> Shape:
    return lambda value: isinstance(value, dict) and all(map(item, cast("dict[str, Any]", value).values()))


def _object_of(
    required: Mapping[str, Shape] | None = None,
    given: Mapping[str, Shape] | None = None,
    /,
    **optional: Shape,
) -> Shape:
    """Return the shape of an object with these members, and any others.

    Null stands for an optional member that is not given, but not for one of ``given``.
    """
    needed, not_null = required or {}, given or {}

    def has_shape(value: object) -> bool:
        if not isinstance(value, dict):
            return False
        members = cast("dict[str, Any]", value)
        return (
            all(name in members and shape(members[name]) for name, shape in needed.items())
            and all(name not in members or shape(members[name]) for name, shape in not_null.items())
            and all(members.get(name) is None or shape(members[name]) for name, shape in optional.items())
        )

    return has_shape


def _either(*shapes: Shape) -> Shape:
    return lambda value: any(shape(value) for shape in shapes)


# --- members ------------------------------------------------------------------------------------

_LOG_LEVEL = _one_of("alert", "critical", "debug", "emergency", "error", "info", "notice", "warning")
_ICON = _object_of(
    {"src": _is_text}, mimeType=_is_text, sizes=_list_of(_is_text), theme=_one_of("light", "dark")
)
_IMPLEMENTATION = _object_of(
    {"name": _is_text, "version": _is_text},
    description=_is_text,
    icons=_list_of(_ICON),
    title=_is_text,
    websiteUrl=_is_text,
)
_COMMON_CAPABILITIES: dict[str, Shape] = {
    "elicitation": _object_of(form=_is_object, url=_is_object),
    "experimental": _map_of(_is_object),
    "extensions": _map_of(_is_object),
    "sampling": _object_of(context=_is_object, tools=_is_object),
}
_TASK_REQUESTS = _object_of(
    elicitation=_object_of(create=_is_object), sampling=_object_of(createMessage=_is_object)
)
_HANDSHAKE_CAPABILITIES = _object_of(
    **_COMMON_CAPABILITIES,
    roots=_object_of(listChanged=_is_flag),
    tasks=_object_of(cancel=_is_object, list=_is_object, requests=_TASK_REQUESTS),
)
_ENVELOPE_CAPABILITIES = _object_of(**_COMMON_CAPABILITIES, roots=_is_object)
_PROGRESS: dict[str, Shape] = {"progressToken": _is_token}
_HANDSHAKE_META: dict[str, Shape] = {"_meta": _object_of({}, _PROGRESS)}
_ENVELOPE_META: dict[str, Shape] = {
    "_meta": _object_of(
        {CAPABILITIES_KEY: _ENVELOPE_CAPABILITIES, REVISION_KEY: _is_text},
        _PROGRESS,
        **{
            "io.modelcontextprotocol/clientInfo": _IMPLEMENTATION,
            "io.modelcontextprotocol/logLevel": _LOG_LEVEL,
        },
    )
}
_ANSWERS_TO_SERVER: dict[str, Shape] = {"inputResponses": _is_object, "requestState": _is_text}
"""What a client sends back when it was asked for something. This server asks for nothing."""

_COMPLETION: dict[str, Shape] = {
    "argument": _object_of({"name": _is_text, "value": _is_text}),
    "ref": _either(
        _object_of({"name": _is_text, "type": _one_of("ref/prompt")}, title=_is_text),
        _object_of({"type": _one_of("ref/resource"), "uri": _is_text}),
    ),
}
_COMPLETION_CONTEXT = _object_of(arguments=_map_of(_is_text))
_SUBSCRIPTIONS = _object_of(
    promptsListChanged=_is_flag,
    resourceSubscriptions=_list_of(_is_text),
    resourcesListChanged=_is_flag,
    toolsListChanged=_is_flag,
)

# --- methods ------------------------------------------------------------------------------------

_LISTS = ("prompts/list", "resources/list", "resources/templates/list", "tools/list")
_NAME: dict[str, Shape] = {"name": _is_text}
_URI: dict[str, Shape] = {"uri": _is_text}

HANDSHAKE_SHAPES: dict[str, Shape] = {
    **{method: _object_of(**_HANDSHAKE_META) for method in ("ping", *_LISTS)},
    "completion/complete": _object_of(_COMPLETION, **_HANDSHAKE_META, context=_COMPLETION_CONTEXT),
    "initialize": _object_of(
        {"capabilities": _HANDSHAKE_CAPABILITIES, "clientInfo": _IMPLEMENTATION, "protocolVersion": _is_text},
        **_HANDSHAKE_META,
    ),
    "logging/setLevel": _object_of({"level": _LOG_LEVEL}, **_HANDSHAKE_META),
    "prompts/get": _object_of(_NAME, **_HANDSHAKE_META, **_ANSWERS_TO_SERVER, arguments=_map_of(_is_text)),
    "resources/read": _object_of(_URI, **_HANDSHAKE_META, **_ANSWERS_TO_SERVER),
    "resources/subscribe": _object_of(_URI, **_HANDSHAKE_META),
    "resources/unsubscribe": _object_of(_URI, **_HANDSHAKE_META),
    "tools/call": _object_of(
        _NAME, **_HANDSHAKE_META, **_ANSWERS_TO_SERVER, task=_object_of(ttl=_is_integer)
    ),
}
ENVELOPE_SHAPES: dict[str, Shape] = {
    **{method: _object_of(_ENVELOPE_META) for method in ("server/discover", *_LISTS)},
    "completion/complete": _object_of(_COMPLETION | _ENVELOPE_META, context=_COMPLETION_CONTEXT),
    "prompts/get": _object_of(_NAME | _ENVELOPE_META, **_ANSWERS_TO_SERVER, arguments=_map_of(_is_text)),
    "resources/read": _object_of(_URI | _ENVELOPE_META, **_ANSWERS_TO_SERVER),
    "subscriptions/listen": _object_of({"notifications": _SUBSCRIPTIONS} | _ENVELOPE_META),
    "tools/call": _object_of(_NAME | _ENVELOPE_META, **_ANSWERS_TO_SERVER, task=_object_of(ttl=_is_integer)),
}
"""By era, the methods of the protocol and the shapes of their parameters."""

PROTOCOL_METHODS = HANDSHAKE_SHAPES.keys() | ENVELOPE_SHAPES.keys()

_NOTICE = _object_of(_meta=_is_object)
_ROOT = _object_of({"uri": _is_text}, _meta=_is_object, name=_is_text)
_ROOTS = _object_of({"roots": _list_of(_ROOT)}, _meta=_is_object)


def check_params(method: str, params: Params, shapes: Mapping[str, Shape]) -> None:
    """Check the parameters of a request of one era.

    They are checked before it is asked who answers the method, so that the protocol's own methods are
    refused alike whether this server has them or not.

    Raises:
        ProtocolError: the parameters have the wrong form, or the method belongs to the other era.
    """
    if method in PROTOCOL_METHODS:
        if method not in shapes:
            raise refuse_method(method)
        if not shapes[method](params):
            raise refuse_params()


def is_notice(params: Params) -> bool:
    """Return whether a notification that carries nothing but ``_meta`` has the right form."""
    return _NOTICE(params)


def is_list_of_roots(result: Params) -> bool:
    """Return whether a client's result of ``roots/list`` has the right form."""
    return _ROOTS(result)
