"""The protocol edge answers what the official SDK's server answers, in each revision of both eras.

Both are asked the same, and both let the same functions answer. What differs on purpose is in decision 14.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import types
from mcp.types import methods
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, ValidationError
from support.sdk_client import BuiltParts
from support.sdk_server import ask_edge, ask_sdk
from support.stdio_peer import initialize_params, modern_params

from sediment_mcp.app import Application
from sediment_mcp.config import Config
from sediment_mcp.operations.arguments import StoreMemory, parse_arguments
from sediment_mcp.operations.store_memory import store_memory
from sediment_mcp.server.jsonrpc import Message
from sediment_mcp.server.protocol import ENVELOPE_REVISIONS, HANDSHAKE_REVISIONS, ProtocolError
from sediment_mcp.server.request_shapes import (
    ENVELOPE_SHAPES,
    HANDSHAKE_SHAPES,
    PROTOCOL_METHODS,
    check_params,
)
from sediment_mcp.server.requests import Requests

REVISIONS = (*HANDSHAKE_REVISIONS, *ENVELOPE_REVISIONS)
ENVELOPE = modern_params()["_meta"]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """An application with a few memories, which nothing here changes."""
    folder = tmp_path_factory.mktemp("parity")
    app = Application(Config(data_dir=folder / "data", model="none"), is_resident=False)
    for number in range(60):
        values = {"content": f"The port of service {number} is {8000 + number}.", "tags": ["ports"]}
        store_memory(app, parse_arguments(StoreMemory, values), None)
    yield app
    app.close()


def reply_with_roots(request: Message) -> Message:
    return {"jsonrpc": "2.0", "id": request["id"], "result": {"roots": [{"uri": "file:///", "name": "all"}]}}


def compare(app: Application, messages: Sequence[Message], reply: Any = reply_with_roots) -> list[Message]:
    """Ask both; return what the edge has answered."""

    def handlers() -> Requests:
        return Requests(app.config, BuiltParts(app))

    edge = ask_edge(handlers(), messages, reply)
    sdk = ask_sdk(handlers(), messages, reply)
    assert edge == sdk
    assert [order(message) for message in edge] == [order(message) for message in sdk]
    return edge


def order(value: Any) -> Any:
    """Return the order of all keys outside of schemas, whose own the SDK changes from era to era."""
    if isinstance(value, dict):
        return [(key, None if key.endswith("Schema") else order(inner)) for key, inner in value.items()]
    return [order(inner) for inner in value] if isinstance(value, list) else None


# --- exchanges ----------------------------------------------------------------------------------


def number_requests(calls: Sequence[tuple[str, Any]]) -> list[Message]:
    return [
        {"jsonrpc": "2.0", "method": method}
        | ({} if method.startswith("notifications/") else {"id": number})
        | ({} if params is None else {"params": params})
        for number, (method, params) in enumerate(calls, 1)
    ]


def open_session(revision: str, capabilities: Message | None = None) -> list[tuple[str, Any]]:
    """Return what a client of this revision sends first."""
    if revision in ENVELOPE_REVISIONS:
        return [("server/discover", modern_params())]
    return [("initialize", initialize_params(revision, capabilities)), ("notifications/initialized", None)]


def envelop(revision: str, params: Any) -> Any:
    if revision in HANDSHAKE_REVISIONS:
        return params
    params = params or {}
    given = params.get("_meta", {})
    return params | {"_meta": ENVELOPE | given if isinstance(given, dict) else given}


PROMPT, RESOURCE = {"type": "ref/prompt", "name": "x"}, {"type": "ref/resource", "uri": "x"}
CALLS: list[tuple[str, Any]] = [
    ("ping", None),
    ("ping", {"_meta": {"progressToken": 5}}),
    ("server/discover", None),
    ("tools/list", None),
    ("tools/list", {}),
    ("tools/list", {"cursor": ""}),
    ("tools/list", {"cursor": "two"}),
    ("tools/list", {"cursor": 5}),
    ("tools/list", {"_meta": {"progressToken": "p"}}),
    ("tools/list", {"_meta": 5}),
    ("prompts/list", None),
    ("prompts/list", {"cursor": False}),
    ("resources/list", None),
    ("resources/list", {"cursor": "nobody's"}),
    ("resources/list", {"cursor": []}),
    ("resources/templates/list", None),
    ("resources/templates/list", {"cursor": "x"}),
    ("resources/read", {"uri": "memory://recent"}),
    ("resources/read", {"uri": "memory://project"}),
    ("resources/read", {"uri": "file:///etc/passwd"}),
    ("resources/read", {"uri": 5}),
    ("resources/read", None),
    ("prompts/get", {"name": "review_topic", "arguments": {"topic": "port"}}),
    ("prompts/get", {"name": "review_topic", "arguments": {"topic": 5}}),
    ("prompts/get", {"name": "review_topic", "arguments": None}),
    ("prompts/get", {"name": "nobody's"}),
    ("completion/complete", {"ref": PROMPT, "argument": {"name": "tag", "value": "p"}}),
    ("completion/complete", {"ref": RESOURCE, "argument": {"name": "id", "value": ""}}),
    ("completion/complete", {"ref": {"type": "ref/other"}, "argument": {"name": "id", "value": ""}}),
    ("tools/call", {"name": "query_memory", "arguments": {"query": "port of service 7"}}),
    ("tools/call", {"name": "query_memory", "arguments": {"query": "port", "toolCallId": "x"}}),
    ("tools/call", {"name": "query_memory", "arguments": '{"query": "port"}'}),
    ("tools/call", {"name": "query_memory", "arguments": [1]}),
    ("tools/call", {"name": "query_memory", "arguments": {}}),
    ("tools/call", {"name": "query_memory"}),
    ("tools/call", {"name": "list_memories", "arguments": {"limit": 2}, "_meta": {"timezone": "Asia/Tokyo"}}),
    ("tools/call", {"name": "list_memories", "arguments": None, "task": {"ttl": "5"}}),
    ("tools/call", {"name": "list_memories", "task": 5}),
    ("tools/call", {"name": "recall"}),
    ("tools/call", {"arguments": {}}),
    ("tools/call", None),
    ("logging/setLevel", {"level": "debug"}),
    ("logging/setLevel", {"level": "loud"}),
    ("resources/subscribe", {"uri": "memory://recent"}),
    ("resources/subscribe", {}),
    ("resources/unsubscribe", {"uri": "memory://recent"}),
    ("subscriptions/listen", {"notifications": {"toolsListChanged": True}}),
    ("subscriptions/listen", {}),
    ("tasks/list", None),
    ("roots/list", None),
    ("notifications/initialized", None),
    ("notifications/progress", {"progressToken": 1, "progress": 0.5}),
    ("notifications/roots/list_changed", None),
    ("notifications/nobody's", {"a": 1}),
    ("no/such/method", {"a": 1}),
    ("", None),
]  # fmt: skip


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_method_is_answered_as_by_the_sdk(app: Application, revision: str) -> None:
    calls = [(method, envelop(revision, params)) for method, params in CALLS]
    answers = compare(app, number_requests(open_session(revision) + calls))
    assert sum("result" in answer for answer in answers) > 15


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]} {json.dumps(call[1])[:40]}")
def test_every_method_is_answered_alike_before_anything_else(
    app: Application, revision: str, call: tuple[str, Any]
) -> None:
    compare(app, number_requests([(call[0], envelop(revision, call[1])), *open_session(revision)]))


@pytest.mark.parametrize("requested", [*REVISIONS, "2024-10-07", "2099-01-01", "", "x" * 500])
def test_the_handshake_settles_on_the_same_revision(app: Application, requested: str) -> None:
    first, *_ = compare(app, number_requests([*open_session("2025-03-26"), ("ping", None)]))
    again = compare(app, number_requests([("initialize", initialize_params(requested))] * 2))
    assert first["result"]["protocolVersion"] == "2025-03-26"
    assert again[0]["result"] == again[1]["result"]


ENVELOPES: list[Any] = [
    None,
    5,
    {},
    {"progressToken": 1},
    {key: ENVELOPE[key] for key in ENVELOPE if "protocolVersion" in key},
    {key: ENVELOPE[key] for key in ENVELOPE if "clientCapabilities" in key},
    ENVELOPE | {"io.modelcontextprotocol/protocolVersion": "2099-01-01"},
    ENVELOPE | {"io.modelcontextprotocol/protocolVersion": "2025-11-25"},
    ENVELOPE | {"io.modelcontextprotocol/protocolVersion": 5},
    ENVELOPE | {"io.modelcontextprotocol/protocolVersion": None},
    ENVELOPE | {"io.modelcontextprotocol/clientCapabilities": None},
    ENVELOPE | {"io.modelcontextprotocol/clientCapabilities": {"roots": {}}},
    ENVELOPE | {"io.modelcontextprotocol/clientInfo": None},
    ENVELOPE | {"io.modelcontextprotocol/clientInfo": {"name": 5}},
    ENVELOPE | {"io.modelcontextprotocol/logLevel": "loud"},
    ENVELOPE | {"io.modelcontextprotocol/logLevel": "debug", "other": [1]},
]


@pytest.mark.parametrize("first", [None, "2025-11-25", "2026-07-28"])
@pytest.mark.parametrize("meta", ENVELOPES, ids=range(len(ENVELOPES)))
def test_each_envelope_is_judged_as_by_the_sdk_in_each_era(
    app: Application, first: str | None, meta: Any
) -> None:
    session = open_session(first) if first else []
    wanted = [("tools/list", {"_meta": meta}), ("no/such", {"_meta": meta}), ("ping", {"_meta": meta})]
    initialize = ("initialize", initialize_params() | {"_meta": meta})
    compare(app, number_requests([*session, *wanted, initialize, *wanted]))
    compare(app, number_requests([*session, initialize, *wanted]))


@pytest.mark.parametrize("count", [7, 8, 9])
def test_messages_before_the_first_request_count_as_with_the_sdk(app: Application, count: int) -> None:
    early: list[Message] = [{"jsonrpc": "2.0", "id": 9, "result": {}}] * count
    early[0] = {"jsonrpc": "2.0", "method": "notifications/nobody's"}
    early[-1] = {"jsonrpc": "2.0", "method": "notifications/initialized", "params": {}}
    compare(app, [*early, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}])


@pytest.mark.parametrize("meta", [None, {}, 5, {"a": 1}])
def test_a_malformed_notification_initializes_nothing(app: Application, meta: Any) -> None:
    calls = [("ping", None), ("notifications/initialized", {"_meta": meta}), ("tools/list", None)]
    compare(app, number_requests(calls))


# --- the server's own requests ------------------------------------------------------------------

ROOTS_REPLIES: list[Message | None] = [
    {"result": {"roots": [{"uri": "file:///"}]}},
    {"result": {"roots": [{"uri": "file:///tmp", "name": "x", "_meta": {"a": 1}}], "_meta": {}}},
    {"result": {"roots": []}},
    {"result": {"roots": [{"uri": "file:///tmp", "name": 5}]}},
    {"result": {"roots": [{"uri": 5}]}},
    {"result": {"roots": {}}},
    {"result": {}},
    {"error": {"code": -32601, "message": "no roots"}},
]


@pytest.mark.parametrize("reply", ROOTS_REPLIES, ids=range(len(ROOTS_REPLIES)))
@pytest.mark.parametrize("revision", REVISIONS)
def test_the_client_is_asked_for_its_roots_as_by_the_sdk(
    app: Application, revision: str, reply: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    calls = [("prompts/list", None), ("tools/call", {"name": "list_memories", "arguments": {"limit": 1}})]
    changed = [*calls, ("notifications/roots/list_changed", None), *calls]
    session = [*open_session(revision, {"roots": {}}), *((m, envelop(revision, p)) for m, p in changed)]

    def answer(request: Message) -> Message:
        return {"jsonrpc": "2.0", "id": request["id"], **reply}

    asked = [message for message in compare(app, number_requests(session), answer) if "method" in message]
    assert len(asked) == (2 if revision in HANDSHAKE_REVISIONS else 0)


def test_a_client_that_answers_with_the_id_as_text_is_understood(app: Application) -> None:
    def answer(request: Message) -> Message:
        return reply_with_roots(request) | {"id": str(request["id"])}

    calls = [*open_session("2025-11-25", {"roots": {}}), ("prompts/list", None)]
    compare(app, number_requests(calls), answer)


def test_a_client_that_does_not_answer_is_told_that_nobody_waits(app: Application) -> None:
    calls = [*open_session("2025-11-25", {"roots": {}}), ("prompts/list", None), ("prompts/list", None)]
    answers = compare(app, number_requests(calls), lambda _: None)
    assert [message["method"] for message in answers if "method" in message] == [
        "roots/list",
        "notifications/cancelled",
    ]


# --- the form of parameters ---------------------------------------------------------------------


def test_the_revisions_are_those_of_the_sdk() -> None:
    assert HANDSHAKE_REVISIONS == HANDSHAKE_PROTOCOL_VERSIONS
    assert ENVELOPE_REVISIONS == MODERN_PROTOCOL_VERSIONS


def test_the_methods_of_each_era_are_those_of_the_sdk() -> None:
    for revision in REVISIONS:
        served = {method for method, version in methods.CLIENT_REQUESTS if version == revision}
        assert served == set(HANDSHAKE_SHAPES if revision in HANDSHAKE_REVISIONS else ENVELOPE_SHAPES)
    assert PROTOCOL_METHODS == methods.SPEC_CLIENT_METHODS


PARAMS_TYPES: dict[str, type[BaseModel]] = {
    "completion/complete": types.CompleteRequestParams,
    "initialize": types.InitializeRequestParams,
    "logging/setLevel": types.SetLevelRequestParams,
    "prompts/get": types.GetPromptRequestParams,
    "resources/read": types.ReadResourceRequestParams,
    "resources/subscribe": types.SubscribeRequestParams,
    "resources/unsubscribe": types.UnsubscribeRequestParams,
    "tools/call": types.CallToolRequestParams,
}
ICON = {"src": "x", "mimeType": "image/png", "sizes": ["48x48"], "theme": "dark"}
IMPLEMENTATION = {
    "name": "n", "version": "1", "title": "t", "description": "d", "websiteUrl": "u", "icons": [ICON],
}  # fmt: skip
CAPABILITIES = {
    "elicitation": {"form": {}, "url": {}},
    "experimental": {"x": {"y": 1}},
    "extensions": {"x": {"y": [None]}},
    "roots": {"listChanged": True},
    "sampling": {"context": {}, "tools": {}},
    "tasks": {
        "cancel": {}, "list": {},
        "requests": {"elicitation": {"create": {}}, "sampling": {"createMessage": {}}},
    },
}  # fmt: skip
FULL_PARAMS: dict[str, Any] = {
    "completion/complete": {
        "ref": {"type": "ref/prompt", "name": "n", "title": "t", "uri": "u"},
        "argument": {"name": "n", "value": "v"},
        "context": {"arguments": {"a": "b"}},
    },
    "initialize": {"protocolVersion": "x", "capabilities": CAPABILITIES, "clientInfo": IMPLEMENTATION},
    "logging/setLevel": {"level": "info"},
    "prompts/get": {"name": "n", "arguments": {"a": "b"}, "requestState": "s"},
    "prompts/list": {"cursor": "c"},
    "resources/read": {"uri": "u", "requestState": "s"},
    "resources/subscribe": {"uri": "u"},
    "subscriptions/listen": {
        "notifications": {
            "promptsListChanged": True, "resourceSubscriptions": ["u"], "toolsListChanged": False,
        }
    },
    "tools/call": {"name": "n", "arguments": {"a": 1}, "task": {"ttl": 5}, "requestState": "s"},
}  # fmt: skip
ODD = [
    None, True, False, 0, 1, 2, -1, 0.0, 1.0, 1.5, 1e300, 2.0**63, -(2.0**63), float("inf"), 10**30,
    "", " ", "x", "1", " 1 ", "1.", "1.0", "1.5", "1_0", "_1", "+1", "-1", "٣", "\u20031", "0", "2",
    "true", "YES", "on", "oN", "tru", "dark", "debug",
    [], {}, [1], ["x"], [[]], {"x": 1}, {"x": {}}, RESOURCE, {"src": "x"},
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to every member and item."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in inner:
        yield (*path, key)
        yield from places(member, (*path, key))


def change(params: Any, path: tuple[Any, ...], value: Any, *, is_removed: bool = False) -> Any:
    """Return the parameters with another value in this place, or with none."""
    changed = copy.deepcopy(params)
    *steps, last = path
    place = changed
    for step in steps:
        place = place[step]
    if is_removed:
        del place[last]
    else:
        place[last] = value
    return changed


def is_accepted_by_sdk(method: str, revision: str, params: Any) -> bool:
    kind = PARAMS_TYPES.get(method, types.PaginatedRequestParams if "list" in method else types.RequestParams)
    try:
        methods.validate_client_request(method, revision, params)
        kind.model_validate(params, by_name=False)
    except ValidationError:
        return False
    return True


def is_accepted(method: str, revision: str, params: Any) -> bool:
    shapes = HANDSHAKE_SHAPES if revision in HANDSHAKE_REVISIONS else ENVELOPE_SHAPES
    try:
        check_params(method, params, shapes)
    except ProtocolError:
        return False
    return True


ASKED_OF_BOTH = [
    (method, revision, params | ({"_meta": meta} if meta else {}))
    for method, params in FULL_PARAMS.items()
    for revision, meta in (
        ("2025-11-25", {"progressToken": 5, "x": 1}),
        ("2024-11-05", None),
        (
            "2026-07-28",
            ENVELOPE
            | {
                "io.modelcontextprotocol/clientCapabilities": CAPABILITIES,
                "io.modelcontextprotocol/clientInfo": IMPLEMENTATION,
                "io.modelcontextprotocol/logLevel": "info",
                "progressToken": "p",
            },
        ),
    )
    if (method, revision) in methods.CLIENT_REQUESTS
]


def has_other_form_on_purpose(method: str, path: tuple[Any, ...]) -> bool:
    """Return whether this place may hold what the SDK refuses: a sentence of our own says what is wrong."""
    return path == ("cursor",) or (method == "tools/call" and path == ("arguments",))


@pytest.mark.parametrize(
    ("method", "revision", "params"), ASKED_OF_BOTH, ids=[f"{case[0]} {case[1]}" for case in ASKED_OF_BOTH]
)
def test_each_member_is_accepted_or_refused_as_by_the_sdk(method: str, revision: str, params: Any) -> None:
    assert is_accepted_by_sdk(method, revision, params)
    assert is_accepted(method, revision, params)
    for path in places(params):
        if has_other_form_on_purpose(method, path):
            continue
        for value in ODD:
            odd = change(params, path, value)
            assert is_accepted(method, revision, odd) == is_accepted_by_sdk(method, revision, odd), odd
        less = change(params, path, None, is_removed=True)
        assert is_accepted(method, revision, less) == is_accepted_by_sdk(method, revision, less), less


JSON = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_any_change_of_parameters_is_judged_as_by_the_sdk(data: st.DataObject) -> None:
    method, revision, params = data.draw(st.sampled_from(ASKED_OF_BOTH))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(params)) or [("_meta",)]))
        if not has_other_form_on_purpose(method, path):
            params = change(params, path, data.draw(JSON))
    assert is_accepted(method, revision, params) == is_accepted_by_sdk(method, revision, params)


# --- whole sessions -----------------------------------------------------------------------------

CHEAP = [call for call in CALLS if call[0] not in ("prompts/get", "resources/read", "resources/list")]


@st.composite
def sessions(draw: st.DrawFn) -> list[Message]:
    """Draw what a client might send that mixes the eras, and changes some members."""
    calls: list[tuple[str, Any]] = []
    for _ in range(draw(st.integers(1, 6))):
        method, params = draw(
            st.sampled_from([*CHEAP, *open_session("2025-06-18"), *open_session("2026-07-28")])
        )
        params = draw(st.sampled_from([params, envelop("2026-07-28", params)]))
        if params and draw(st.booleans()):
            path = draw(st.sampled_from(list(places(params))))
            if not has_other_form_on_purpose(method, path) and path[0] != "arguments":
                params = change(params, path, draw(JSON))
        calls.append((method, params))
    return number_requests(calls)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages=sessions())
def test_any_session_is_answered_as_by_the_sdk(app: Application, messages: list[Message]) -> None:
    compare(app, messages)


def test_what_is_compared_has_changed_no_memory(app: Application) -> None:
    listed = compare(
        app,
        number_requests([*open_session("2025-11-25"), ("tools/call", {"name": "list_memories"})]),
    )
    assert listed[-1]["result"]["structuredContent"]["total"] == 60
