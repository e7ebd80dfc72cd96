"""Edits of JSON with comments: one member changes, every other byte stays."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sediment_mcp.hosts.jsonc import InvalidJson, get_member, parse, put_member, remove_member

ENTRY = {"command": "uvx", "args": ["sediment-mcp"], "env": {"UV_TORCH_BACKEND": "cpu"}}
PATH = ("mcpServers", "sediment")

# --- whole files, as people keep them -----------------------------------------------------------

ZED = """\
// Zed settings
{
  "theme": "One Dark", // at night
  /* servers
     of mine */
  "context_servers": {
    "other": { "command": "x" }, // keep me
  },
  "vim_mode": true,
}
"""
ZED_AFTER = """\
// Zed settings
{
  "theme": "One Dark", // at night
  /* servers
     of mine */
  "context_servers": {
    "other": { "command": "x" }, // keep me
    "sediment": {
      "command": "uvx",
      "args": [
        "sediment-mcp"
      ]
    },
  },
  "vim_mode": true,
}
"""


def test_a_member_joins_the_others_in_their_style() -> None:
    value = {"command": "uvx", "args": ["sediment-mcp"]}
    assert put_member(ZED, ("context_servers", "sediment"), value) == ZED_AFTER
    assert remove_member(ZED_AFTER, ("context_servers", "sediment")) == ZED


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{\n  "a": 1\n}'),
        ("{}\n", '{\n  "a": 1\n}\n'),
        ("{\n}\n", '{\n  "a": 1\n}\n'),
        ("{ // empty\n}", '{ // empty\n  "a": 1\n}'),
        ('{"b": 2}', '{"b": 2, "a": 1}'),
        ('{\n\t"b": 2\n}', '{\n\t"b": 2,\n\t"a": 1\n}'),
        ('{\r\n    "b": 2\r\n}\r\n', '{\r\n    "b": 2,\r\n    "a": 1\r\n}\r\n'),
        ('{\n  "b": 2 // two\n}', '{\n  "b": 2, // two\n  "a": 1\n}'),
        ('{\n  "b": 2, // two\n}', '{\n  "b": 2, // two\n  "a": 1,\n}'),
        ('{\n  "b": 2}', '{\n  "b": 2,\n  "a": 1}'),
        ('{\n  "a" : /* old */ 7, "b": 2}', '{\n  "a" : /* old */ 1, "b": 2}'),
        ('{"\\u0061": 7}', '{"\\u0061": 1}'),
    ],
)
def test_it_is_written_as_the_owner_would(before: str, after: str) -> None:
    assert put_member(before, ("a",), 1) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"a": 1, "b": 2}', '{ "b": 2}'),
        ('{"b": 2, "a": 1}', '{"b": 2}'),
        ('{\n  "b": 2, // two\n  "a": 1\n}', '{\n  "b": 2 // two\n}'),
        ('{\n  "b": 2, // two\n  "a": 1, "c": 3\n}', '{\n  "b": 2, // two\n   "c": 3\n}'),
        ('{ // one\n"a": 1}', "{ // one\n}"),
        ('{"a": {"a": 1}, "b": {"a": 1}}', '{ "b": {"a": 1}}'),
        ('{"b": 2}', '{"b": 2}'),
    ],
)
def test_it_is_taken_out_with_its_comma(before: str, after: str) -> None:
    assert remove_member(before, ("a",)) == after


def test_objects_on_the_way_are_made() -> None:
    assert put_member("{}", PATH, 1) == '{\n  "mcpServers": {\n    "sediment": 1\n  }\n}'


def test_a_long_file_in_one_line_stays_in_one_line() -> None:
    assert (
        put_member('{"mcpServers":{"x":{}}}', PATH, {"a": [1]})
        == '{"mcpServers":{"x":{}, "sediment": {"a": [1]}}}'
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1"),
        ("{", "line 1"),
        ('{\n "a": }', "line 2, column 7"),
        ("// only a comment", "is no JSON"),
        ("[1]", "is no JSON object"),
        ('{"mcpServers": []}', "holds no object in “mcpServers”"),
        ('{"mcpServers": null}', "holds no object"),
        ('{"mcpServers": {"sediment": 1, "sediment": 2}}', "names “sediment” twice"),
        ('{"a": 1, "mcpServers": {}, "mcpServers": {}}', "names “mcpServers” twice"),
        ('{"a": NaN}', "NaN"),
        ("{,}", "is no JSON"),
        ('{"a": [,]}', "is no JSON"),
        ('{"a": 1,,}', "is no JSON"),
        ("{'a': 1}", "is no JSON"),
        ("[" * 100_000, "too deeply"),
    ],
)
def test_what_cannot_be_edited_is_refused(text: str, words: str) -> None:
    def edit() -> None:
        get_member(parse(text), PATH)
        put_member(text, PATH, ENTRY)

    with pytest.raises(InvalidJson, match=words):
        edit()


def test_comments_are_none_where_the_host_reads_none() -> None:
    assert parse('{"a": [1,], // one\n}') == {"a": [1]}
    with pytest.raises(InvalidJson, match="line 1, column 10"):
        parse('{"a": [1,], // one\n}', comments=False)


def test_what_looks_like_a_comment_in_a_string_is_none() -> None:
    text = '{"url": "https://example.com/*", "b": ",}" }'
    assert parse(text) == {"url": "https://example.com/*", "b": ",}"}
    assert remove_member(put_member(text, PATH, ENTRY), PATH[:1]) == text


# --- over all documents -------------------------------------------------------------------------

names = st.text(max_size=5) | st.sampled_from(["mcpServers", "sediment", "a//b", "/*", '"', "\\"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
servers = st.dictionaries(names.filter(lambda name: name != "sediment"), values, min_size=1, max_size=3)
trivia = st.sampled_from(
    ["", "", " ", "\n", "\r\n", "\n\t", "/* , } */", '// ] " :\n', " // x\r\n  ", "\n    "]
)


@st.composite
def written(draw: Any, value: Any) -> str:
    """The value as some person or program might have written it."""

    def gap() -> str:
        return draw(trivia)

    def comma(place: int, of: Any) -> str:
        return "," + gap() if place < len(of) - 1 or draw(st.booleans()) else ""

    def key(name: str) -> str:
        return json.dumps(name, ensure_ascii=draw(st.booleans()))

    def write(value: Any) -> str:
        if isinstance(value, dict):
            pieces = [
                "".join((gap(), key(name), gap(), ":", gap(), write(inner), gap(), comma(place, value)))
                for place, (name, inner) in enumerate(value.items())
            ]
            return "{" + (gap() + "".join(pieces) if pieces else gap()) + "}"
        if isinstance(value, list):
            pieces = [
                "".join((gap(), write(inner), gap(), comma(place, value)))
                for place, inner in enumerate(value)
            ]
            return "[" + (gap() + "".join(pieces) if pieces else gap()) + "]"
        return json.dumps(value, ensure_ascii=draw(st.booleans()))

    return gap() + write(value) + gap()


documents = st.dictionaries(names.filter(lambda name: name != "mcpServers"), values, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_put_and_take_leaves_every_byte_as_it_was(data: st.DataObject) -> None:
    value = {**data.draw(documents), "mcpServers": data.draw(servers)}
    text = data.draw(written(value))
    added = put_member(text, PATH, ENTRY)
    assert parse(added) == {**value, "mcpServers": {**value["mcpServers"], "sediment": ENTRY}}
    assert remove_member(added, PATH) == text


@settings(max_examples=60, deadline=None)
@given(st.data(), values)
def test_an_edit_changes_one_member_and_nothing_else(data: st.DataObject, new: Any) -> None:
    value = data.draw(
        documents
        | st.builds(
            lambda d, s: {**d, "mcpServers": s}, documents, st.dictionaries(names, values, max_size=3)
        )
    )
    text = data.draw(written(value))
    assert parse(text) == value
    known = value.get("mcpServers", {})
    added = put_member(text, PATH, new)
    assert parse(added) == {**value, "mcpServers": {**known, "sediment": new}}
    assert parse(put_member(added, PATH, new)) == parse(added)
    rest = {name: inner for name, inner in known.items() if name != "sediment"}
    if new is not None:
        assert parse(remove_member(added, PATH)) == {**value, "mcpServers": rest}


@settings(deadline=None)
@given(st.text(alphabet='{}[]",:/*\\ \n\r\ta1é', max_size=30))
def test_any_text_is_edited_or_refused(text: str) -> None:
    try:
        value = parse(text)
        added = put_member(text, PATH, ENTRY)
    except InvalidJson:
        return
    assert get_member(parse(added), PATH) == ENTRY
    assert parse(remove_member(added, PATH[:1])) == {
        name: inner for name, inner in value.items() if name != "mcpServers"
    }


@pytest.mark.parametrize("text", ['{"a": "x', '{"a": 1} /* x', '{"a": "x\\', '{"a": 1 /*/', '{"a": "b\nc"}'])
def test_a_string_or_comment_without_an_end_is_no_json(text: str) -> None:
    with pytest.raises(InvalidJson):
        parse(text)


def test_a_line_comment_before_a_member_is_seen_after_a_comment_with_a_quote() -> None:
    text = '{\n /* 5"\n 6" */ "a": 1, // say "b"\n "b": 2 }'
    assert parse(remove_member(text, ("b",))) == {"a": 1}
