"""Agent instructions in a project's files: our block changes, nothing else does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sediment_mcp.errors import UnusableFile
from sediment_mcp.hosts.agent_instructions import (
    BEGIN,
    END,
    INSTRUCTIONS,
    INSTRUCTIONS_FILES,
    get_block_state,
    put_block,
    take_block,
)
from sediment_mcp.hosts.registry import SERVER_NAME
from sediment_mcp.server.tools import TOOLS

lines = st.sampled_from(["# Title", "", "text", "- point", "<!-- mine -->", "---"])
texts = st.builds(
    lambda lines, line_break, end: line_break.join(lines) + end,
    st.lists(lines, max_size=6),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\n", "\n\n"]),
)


@settings(deadline=None)
@given(texts.filter(bool), st.sampled_from(sorted(INSTRUCTIONS_FILES)))
def test_a_block_put_and_taken_again_leaves_every_byte(text: str, kind: str) -> None:
    if text == INSTRUCTIONS_FILES[kind].front_matter:
        return
    with_block = put_block(text, INSTRUCTIONS_FILES[kind])
    assert with_block.startswith(text)
    assert get_block_state(with_block) == "written"
    assert put_block(with_block, INSTRUCTIONS_FILES[kind]) == with_block
    assert take_block(with_block, INSTRUCTIONS_FILES[kind]) == text


@pytest.mark.parametrize("kind", INSTRUCTIONS_FILES)
def test_a_file_that_holds_only_the_block_is_removed_with_it(kind: str) -> None:
    for before in (None, ""):
        assert take_block(put_block(before, INSTRUCTIONS_FILES[kind]), INSTRUCTIONS_FILES[kind]) is None
    assert take_block(None, INSTRUCTIONS_FILES[kind]) is None


def test_an_outdated_block_is_replaced_in_its_place() -> None:
    old = f"# A\n\n{BEGIN}\nold words\n{END}\n\n# B\n"
    assert get_block_state(old) == "outdated"
    new = put_block(old, INSTRUCTIONS_FILES["claude"])
    assert new == f"# A\n\n{BEGIN}\n{INSTRUCTIONS}\n{END}\n\n# B\n"
    assert take_block(new, INSTRUCTIONS_FILES["claude"]) == "# A\n\n# B\n"


@pytest.mark.parametrize(
    "text", [BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}", f"{BEGIN}{BEGIN}{END}"]
)
def test_a_file_with_unmatched_marks_is_refused(text: str) -> None:
    for change in (put_block, take_block):
        with pytest.raises(UnusableFile, match="do not match"):
            change(text, INSTRUCTIONS_FILES["claude"])


def test_the_instructions_name_only_tools_and_parameters_that_exist() -> None:
    named = set(re.findall(r"`([a-z_]+)`", INSTRUCTIONS))
    parameters = {name for tool in TOOLS for name in tool.arguments.parameters}
    assert {SERVER_NAME, "query_memory", "store_memory"} <= named
    assert named <= {SERVER_NAME} | parameters | {tool.name for tool in TOOLS}


def test_the_cursor_rule_starts_with_front_matter_that_always_applies() -> None:
    _, front, rest = put_block(None, INSTRUCTIONS_FILES["cursor"]).split("---\n", 2)
    assert dict(line.split(": ", 1) for line in front.splitlines())["alwaysApply"] == "true"
    assert BEGIN in rest
