"""The guidance in a project's files: our block changes, nothing else does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sediment_mcp.errors import UnusableFile
from sediment_mcp.hosts.agent_instructions import BEGIN, END, KINDS, TEXT, state_of, taken_out, written
from sediment_mcp.hosts.registry import NAME
from sediment_mcp.operations.arguments import TOOLS

lines = st.sampled_from(["# Title", "", "text", "- point", "<!-- mine -->", "---"])
texts = st.builds(
    lambda lines, line_break, end: line_break.join(lines) + end,
    st.lists(lines, max_size=6),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\n", "\n\n"]),
)


@settings(deadline=None)
@given(texts.filter(bool), st.sampled_from(sorted(KINDS)))
def test_written_and_taken_out_leaves_every_byte(text: str, kind: str) -> None:
    if text == KINDS[kind].head:
        return
    with_block = written(text, KINDS[kind])
    assert with_block.startswith(text)
    assert state_of(with_block) == "written"
    assert written(with_block, KINDS[kind]) == with_block
    assert taken_out(with_block, KINDS[kind]) == text


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_our_own_goes_again(kind: str) -> None:
    for before in (None, ""):
        assert taken_out(written(before, KINDS[kind]), KINDS[kind]) is None
    assert taken_out(None, KINDS[kind]) is None


def test_an_old_block_is_brought_up_to_date_in_its_place() -> None:
    old = f"# A\n\n{BEGIN}\nold words\n{END}\n\n# B\n"
    assert state_of(old) == "outdated"
    new = written(old, KINDS["claude"])
    assert new == f"# A\n\n{BEGIN}\n{TEXT}\n{END}\n\n# B\n"
    assert taken_out(new, KINDS["claude"]) == "# A\n\n# B\n"


@pytest.mark.parametrize(
    "text", [BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}", f"{BEGIN}{BEGIN}{END}"]
)
def test_marks_that_do_not_match_are_left_alone(text: str) -> None:
    for change in (written, taken_out):
        with pytest.raises(UnusableFile, match="do not match"):
            change(text, KINDS["claude"])


def test_it_speaks_of_real_things() -> None:
    named = set(re.findall(r"`([a-z_]+)`", TEXT))
    parameters = {name for tool in TOOLS for name in tool.arguments.model_fields}
    assert {NAME, "query_memory", "store_memory"} <= named
    assert named <= {NAME} | parameters | {tool.name for tool in TOOLS}


def test_cursor_s_rule_has_the_front_matter_that_always_applies() -> None:
    _, front, rest = written(None, KINDS["cursor"]).split("---\n", 2)
    assert dict(line.split(": ", 1) for line in front.splitlines())["alwaysApply"] == "true"
    assert BEGIN in rest
