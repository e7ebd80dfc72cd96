"""The contract of configuration formats: each reads, puts and takes one entry, and keeps all else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sediment_mcp.errors import UnusableFile
from sediment_mcp.hosts.config_format import JSON, JSONC, ConfigFormat, InvalidConfig
from sediment_mcp.hosts.registry import HOSTS
from sediment_mcp.hosts.toml_format import TOML_LIST, TOML_TABLES
from sediment_mcp.hosts.yaml_format import YAML_LIST, YAML_MAPPING

ENTRY: dict[str, Any] = {"command": "uvx", "args": ["sediment-mcp", "--x", "a: b"], "env": {"A": "yes"}}
FORMATS: dict[str, ConfigFormat] = {
    "json": JSON,
    "jsonc": JSONC,
    "toml": TOML_TABLES,
    "toml list": TOML_LIST,
    "yaml": YAML_MAPPING,
    "yaml list": YAML_LIST,
}
JSON_OTHER = '{\n  "theme": "dark",\n  "servers": {\n    "other": {"command": "x"}\n  }\n}\n'
TOML_OTHER = """\
# mine
model = "m"   # the best

[servers.other]
command = "x"  # keep me

# about the profile
[profile]
text = '''
[servers.sediment]
'''
"""
TOML_LIST_OTHER = """\
# mine
model = "m"

[[servers]]
name = "other"
command = "x"  # keep me

# about the profile
[profile]
x = 1
"""
YAML_OTHER = """\
# mine
model: "m"   # the best
servers:
    other:  # keep me
        command: x
        text: |
          several

          lines
        args:
        - a

# about the profile
profile: {x: 1, y: 'z'}
"""
YAML_LIST_OTHER = """\
model: m
servers:
# the first one
- command: x
  name: other   # keep me

profile:
  x: 1
"""
OTHERS = {
    "json": JSON_OTHER,
    "jsonc": JSON_OTHER.replace("{\n", "{ // mine\n", 1),
    "toml": TOML_OTHER,
    "toml list": TOML_LIST_OTHER,
    "yaml": YAML_OTHER,
    "yaml list": YAML_LIST_OTHER,
}
EMPTY = {
    "json": ["{}\n", '{"servers": {}}'],
    "jsonc": ["{}\n", '{"servers": {} /* none */}'],
    "toml": ["# c\n", "a = 1", "[servers]\n", "servers = {}\n", "a = 1\r\n"],
    "toml list": ["# c\n", "a = 1", "servers = []\n"],
    "yaml": ["# c\n", "a: 1", "servers:\n", "servers: {}  # none\nz: 1\n", "servers: null", "---\na: 1\n"],
    "yaml list": ["# c\n", "a: 1", "servers:\n", "servers: []  # none\nz: 1\n", "a: 1\r\nservers:\r\n"],
}
formats = pytest.mark.parametrize("name", FORMATS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (name, text)
        for name in FORMATS
        for text in (None, "", " \n", "\r\n", OTHERS[name], OTHERS[name].replace("\n", "\r\n"), *EMPTY[name])
    ],
)
def test_an_entry_that_was_put_is_read_back(name: str, text: str | None) -> None:
    config_format = FORMATS[name]
    before = config_format.read_entries(text, "servers")
    assert before.get("ours") is None
    after = config_format.put_entry(text, "servers", "ours", ENTRY)
    assert config_format.read_entries(after, "servers") == {**before, "ours": ENTRY}
    assert config_format.put_entry(after, "servers", "ours", ENTRY) == after
    again = config_format.put_entry(after, "servers", "ours", {"command": "y"})
    assert config_format.read_entries(again, "servers") == {**before, "ours": {"command": "y"}}
    assert config_format.read_entries(config_format.take_entry(after, "servers", "ours"), "servers") == before
    assert "\r\n" not in after or "\n" not in after.replace("\r\n", "")


@formats
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_an_entry_that_is_taken_leaves_every_byte_of_before(name: str, line_break: str) -> None:
    config_format, text = FORMATS[name], OTHERS[name].replace("\n", line_break)
    after = config_format.put_entry(text, "servers", "ours", ENTRY)
    assert config_format.read_entries(after, "servers")["other"]["command"] == "x"
    assert config_format.take_entry(after, "servers", "ours") == text
    assert config_format.take_entry(text, "servers", "ours") == text


@formats
def test_an_entry_among_others_is_replaced_and_taken_where_it_stands(name: str) -> None:
    config_format = FORMATS[name]
    text = config_format.put_entry(OTHERS[name], "servers", "ours", {"command": "y"})
    last = config_format.put_entry(text, "servers", "last", {"command": "z"})
    changed = config_format.put_entry(last, "servers", "ours", ENTRY)
    assert list(config_format.read_entries(changed, "servers")) == ["other", "ours", "last"]
    assert config_format.take_entry(changed, "servers", "ours") == config_format.take_entry(
        last, "servers", "ours"
    )


@formats
def test_a_section_that_holds_no_servers_can_be_taken(name: str) -> None:
    config_format = FORMATS[name]
    only = config_format.put_entry(None, "servers", "ours", ENTRY)
    emptied = config_format.take_entry(only, "servers", "ours")
    if config_format.has_section(emptied, "servers"):
        emptied = config_format.take_section(emptied, "servers")
    assert not config_format.has_section(emptied, "servers")
    assert emptied.strip() in ("", "{}", "{\n}")
    assert not config_format.has_section(None, "servers")
    assert config_format.has_section(OTHERS[name], "servers")


@formats
def test_the_lines_of_others_stay_as_they_are(name: str) -> None:
    after = FORMATS[name].put_entry(OTHERS[name], "servers", "ours", ENTRY).splitlines()
    missing = [line for line in OTHERS[name].splitlines() if line not in after]
    assert missing == (['    "other": {"command": "x"}'] if "json" in name else [])  # which gets a comma


INVALID = {
    "json": ["{", "[]", "null", '{"servers": []}', '{"servers": 1}', '{"a": NaN}'],
    "jsonc": ["{", "[]", "null", '{"servers": []}', '{"servers": 1}', '{"a": NaN}'],
    "toml": ["[", "a = ", "servers = 1", "servers = []", "[[servers]]", "a = 1\na = 2"],
    "toml list": ["[", "servers = 1", "[servers]\n", "[[servers]]\nx = 1", "servers = [1]"],
    "yaml": ["{", "- 1", "text", "a: 1\na: 2", "servers: 1", "servers: []", "a: 1\n---\nb: 2", "a: &x [*x"],
    "yaml list": ["{", "- 1", "servers: 1", "servers: {}", "servers: [1]", "servers:\n- x: 1"],
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in INVALID.items() for text in texts]
)
def test_a_text_of_another_shape_is_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidConfig):
        FORMATS[name].read_entries(text, "servers").get("ours")
    with pytest.raises(InvalidConfig):
        FORMATS[name].put_entry(text, "servers", "ours", ENTRY)


@pytest.mark.parametrize("text", ["servers: {a: {b: 1}}\n", "{a: 1}\n", '{"servers": {"a": {"b": 1}}}'])
def test_yaml_in_flow_style_is_refused_rather_than_written_anew(text: str) -> None:
    assert YAML_MAPPING.read_entries(text, "servers").get("ours") is None
    with pytest.raises(InvalidConfig, match="cannot be edited safely"):
        YAML_MAPPING.put_entry(text, "servers", "ours", ENTRY)


def test_servers_within_braces_of_toml_stay_within_them() -> None:
    text = 'servers = { other = {command = "x"} }\n'
    after = TOML_TABLES.put_entry(text, "servers", "ours", ENTRY)
    assert after.startswith('servers = { other = {command = "x"}, ours = {command = "uvx"')
    text = 'servers = [{name = "other", command = "x"}]\n'
    after = TOML_LIST.put_entry(text, "servers", "ours", ENTRY)
    assert after.startswith('servers = [{name = "other", command = "x"}, {name = "ours", command = "uvx"')


toml_lines = st.sampled_from(
    [
        "",
        "# c",
        "a = 1",
        "b = [\n  1,\n]",
        "[servers.x]",
        "[servers]",
        'k = "v" # w',
        "[z]",
        "servers.y.k = 1",
    ]
)
yaml_lines = st.sampled_from(
    [
        "",
        "# c",
        "a: 1",
        "servers:",
        "  x:",
        "    k: v # w",
        "  # d",
        "z:",
        "- 1",
        "  y: {}",
        "\t",
        "b: |",
        "  t",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["toml", "yaml"]), st.data(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_whatever_the_file_others_are_kept_or_it_is_refused(
    name: str, data: st.DataObject, line_break: str, ends: bool
) -> None:
    lines = data.draw(st.lists(toml_lines if name == "toml" else yaml_lines, max_size=8))
    text = line_break.join(lines) + (line_break if ends else "")
    config_format = FORMATS[name]
    try:
        before = config_format.read_entries(text, "servers")
        after = config_format.put_entry(text, "servers", "ours", ENTRY)
    except InvalidConfig:
        return
    assert config_format.read_entries(after, "servers") == {**before, "ours": ENTRY}
    taken = config_format.take_entry(after, "servers", "ours")
    assert config_format.read_entries(taken, "servers") == before
    if before:
        assert taken.rstrip("\r\n") == text.rstrip("\r\n")


def test_only_jsonc_reads_comments_and_trailing_commas() -> None:
    text = '{\n  // mine\n  "servers": {},\n}\n'
    assert JSONC.read_entries(text, "servers").get("ours") is None
    with pytest.raises(InvalidConfig, match="line 2"):
        JSON.read_entries(text, "servers").get("ours")


def test_a_refusal_is_an_unusable_file_and_every_format_has_a_host() -> None:
    assert issubclass(InvalidConfig, UnusableFile)
    assert {host.format for host in HOSTS} == set(FORMATS.values())
