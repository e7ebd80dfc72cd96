"""The tools' public face: names, parameters, results, schemas and their price."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from jsonschema import Draft202012Validator

from sediment_mcp.server.tool_calls import OPERATIONS
from sediment_mcp.server.tool_schemas import build_input_schema, build_output_schema
from sediment_mcp.server.tools import TOOLS, Tool, list_tools


def input_schema(tool: Tool):
    return build_input_schema(tool.arguments)


def output_schema(tool: Tool):
    return build_output_schema(tool.result)


PARAMETERS = {
    "store_memory": "content kind tags scope session importance occurred_at expires_at replaces metadata",
    "query_memory": "query limit scope tags kind session since until include_superseded max_chars explain",
    "list_memories": "ids related_to scope tags kind session since until include_superseded order limit "
    "cursor",
    "delete_memory": "ids permanent",
}
MEMORY = (
    "id content truncated kind tags scope project session importance metadata occurred_at created_at "
    "expires_at superseded_by"
)
ALWAYS = {"id", "content", "occurred_at"}
RESULTS = {
    "store_memory": "id status superseded similar expires_at warnings",
    "query_memory": "results mode notes",
    "list_memories": "memories total next_cursor not_found notes",
    "delete_memory": "deleted not_found recoverable_until",
}


def by_name(name: str):
    return next(tool for tool in TOOLS if tool.name == name)


def test_there_are_four_tools_with_these_parameters_and_results():
    assert {tool.name: set(input_schema(tool)["properties"]) for tool in TOOLS} == {
        name: set(parameters.split()) for name, parameters in PARAMETERS.items()
    }
    assert {tool.name: set(output_schema(tool)["properties"]) for tool in TOOLS} == {
        name: set(fields.split()) for name, fields in RESULTS.items()
    }


def test_a_listed_memory_has_these_fields_and_a_ranked_one_says_why():
    listed = output_schema(by_name("list_memories"))["properties"]["memories"]["items"]
    ranked = output_schema(by_name("query_memory"))["properties"]["results"]["items"]
    assert set(listed["properties"]) == {*MEMORY.split(), "related"}
    assert set(ranked["properties"]) == {*MEMORY.split(), "score", "signals", "match"}
    assert set(listed["required"]) == ALWAYS
    assert set(ranked["required"]) == {*ALWAYS, "score", "match"}


def test_only_what_is_required_is_required():
    assert {tool.name: input_schema(tool).get("required", []) for tool in TOOLS} == {
        "store_memory": ["content"],
        "query_memory": ["query"],
        "list_memories": [],
        "delete_memory": ["ids"],
    }
    assert {tool.name: set(output_schema(tool)["required"]) for tool in TOOLS} == {
        "store_memory": {"id", "status"},
        "query_memory": {"results"},
        "list_memories": {"memories", "total"},
        "delete_memory": {"deleted"},
    }


def test_what_a_model_reads_stays_within_its_price():
    schemas = [json.dumps(input_schema(tool)) for tool in TOOLS]
    read = sum(len(t.name) + len(t.description) + len(s) for t, s in zip(TOOLS, schemas, strict=True))
    assert read < 4_400
    assert read + sum(len(t.title) + len(json.dumps(output_schema(t))) for t in TOOLS) < 7_200


def listed_price(*, has_team: bool) -> int:
    """The characters that a model reads of the list of tools."""
    tools = list_tools(has_team=has_team)["tools"]
    return sum(len(t["name"]) + len(t["description"]) + len(json.dumps(t["inputSchema"])) for t in tools)


def test_what_a_model_reads_stays_within_its_price_with_a_team_too():
    assert listed_price(has_team=False) < 4_400
    assert listed_price(has_team=True) < 4_400


def test_only_a_caller_with_a_team_is_told_of_one():
    alone = json.dumps(list_tools())
    assert "team" not in alone
    assert alone == json.dumps(list_tools(has_team=False))


def test_what_a_caller_with_a_team_is_told_differs_in_the_scopes_and_is_as_short():
    ours, alone = (list_tools(has_team=has_team)["tools"] for has_team in (True, False))
    for with_team, without in zip(ours, alone, strict=True):
        changed = [
            path for path, value in leaves(with_team).items() if leaves(without).get(path, MISSING) != value
        ]
        assert all("scope" in path or path == ("description",) for path in changed)
    scopes = {t["name"]: t["inputSchema"]["properties"].get("scope", {}).get("enum") for t in ours}
    assert scopes == {
        "store_memory": ["project", "global", "team"],
        "query_memory": ["all", "project", "global", "team"],
        "list_memories": ["all", "project", "global", "team"],
        "delete_memory": None,
    }
    found = ours[1]["outputSchema"]["properties"]["results"]["items"]["properties"]
    assert found["scope"]["enum"] == ["project", "team"]
    assert "team" in ours[0]["inputSchema"]["properties"]["scope"]["description"]


MISSING = object()


def leaves(node: object, path: tuple[object, ...] = ()) -> dict[tuple[object, ...], object]:
    """Every value in a JSON document that holds no other, by its place."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if items is None:
        return {path: node}
    return {place: leaf for key, value in items for place, leaf in leaves(value, (*path, key)).items()}


def nodes(schema: object):
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from nodes(value)


@pytest.mark.parametrize("schema", [make(tool) for tool in TOOLS for make in (input_schema, output_schema)])
def test_schemas_are_flat_objects(schema):
    assert schema["type"] == "object"
    for node in nodes(schema):
        assert not {"$ref", "$defs", "oneOf", "anyOf", "allOf"} & node.keys()


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_no_parameter_has_a_null_default_or_goes_without_a_type(tool):
    for parameter in input_schema(tool)["properties"].values():
        assert parameter["type"] in ("string", "integer", "number", "boolean", "array", "object")
        assert parameter.get("default", "") is not None


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_making_a_schema_twice_gives_the_same(tool):
    assert input_schema(tool) == input_schema(tool)
    assert output_schema(tool) == output_schema(tool)


def test_no_field_of_an_answer_may_be_null():
    for tool in TOOLS:
        assert all(isinstance(node.get("type", ""), str) for node in nodes(output_schema(tool)))
        assert "null" not in json.dumps(output_schema(tool))


def test_hints_tell_the_tools_apart():
    assert {t.name for t in TOOLS if t.hints.read_only} == {"query_memory", "list_memories"}
    assert {t.name for t in TOOLS if t.hints.destructive} == {"delete_memory"}


def test_what_a_conversation_begins_with_is_shown_by_hosts_that_defer_tools():
    always = {tool["name"]: tool.get("_meta") for tool in list_tools()["tools"]}
    assert always == {
        "store_memory": {"anthropic/alwaysLoad": True},
        "query_memory": {"anthropic/alwaysLoad": True},
        "list_memories": None,
        "delete_memory": None,
    }


def test_each_tool_has_an_operation():
    assert list(OPERATIONS) == [tool.name for tool in TOOLS]


def test_the_list_is_built_once():
    assert list_tools() is list_tools()


def test_an_empty_answer_is_a_valid_answer():
    empty = {
        "query_memory": {"results": []},
        "list_memories": {"memories": [], "total": 0},
        "delete_memory": {"deleted": [], "not_found": ["x"]},
    }
    for name, answer in empty.items():
        Draft202012Validator(output_schema(by_name(name))).validate(answer)


def test_the_schemas_need_nothing_heavy():
    """A host waits for them, in a process that has done nothing else yet."""
    script = (
        "import sys; import sediment_mcp.operations.arguments, sediment_mcp.operations.results;"
        "import sediment_mcp.server.tool_schemas; print(*sys.modules)"
    )
    loaded = set(subprocess.check_output([sys.executable, "-c", script], text=True).split())
    assert not {"pydantic", "pydantic_core", "typing_extensions", "numpy", "mcp", "anyio"} & loaded
