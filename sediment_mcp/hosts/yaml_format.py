"""YAML configurations: the lines of one server's entry are edited, every other byte stays.

ruamel.yaml tells where each node stands and writes the entry. It could write the whole file with its
comments, too, but in a layout of its own (indents, line lengths, quotes), so only the entry's lines are
put into the text. Each edited text is read again before it is returned, to verify that it changed that one
entry only. The library is imported with the first file that is YAML.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from sediment_mcp.hosts.config_file import detect_line_break
from sediment_mcp.hosts.config_format import InvalidConfig, index_by_name, name_item
from sediment_mcp.hosts.jsonc import to_object

_INDENT = 2  # columns
_LONGEST_LINE = 2**16  # columns; a value is never folded
_UNSAFE = "is written in a way that cannot be edited safely"


class _Lines(NamedTuple):
    """Lines of a text, as numbers from 0; ``end`` is the one after them."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class YamlFormat:
    """YAML in which servers are members of one mapping, or items of one sequence with a name."""

    is_list: bool
    """Whether servers stand in a sequence, each with its name."""

    def read_entries(self, text: str | None, section: str) -> dict[str, Any]:
        """Return all servers' entries by their names, in the order of the file."""
        servers = _load(text or "").get(section)
        if self.is_list:
            return index_by_name([] if servers is None else servers, section)
        if (entries := to_object({} if servers is None else servers)) is None:
            raise InvalidConfig(f"holds no mapping in “{section}”")
        return {str(name): entry for name, entry in entries.items()}

    def put_entry(self, text: str | None, section: str, name: str, entry: Mapping[str, Any]) -> str:
        """Return the text with the entry, replaced or added as the last one."""
        text = text or ""
        before = self.read_entries(text, section)
        if before.get(name) == entry:
            return text
        key, servers = _find_section(text, section)
        value = [name_item(name, entry)] if self.is_list else {name: dict(entry)}
        if key is None:
            edited = _insert(text, _count_lines(text), _write({section: value}, _get_root_column(text)))
        elif _is_empty(servers):
            opened = text[: key.end_mark.index] + ":" + _cut_value(text, key, servers)
            edited = _insert(opened, key.start_mark.line + 1, _write(value, key.start_mark.column + _INDENT))
        else:
            edited = self._put_in_block(text, servers, name, value)
        return self._verify(text, edited, section, {**before, name: dict(entry)})

    def take_entry(self, text: str, section: str, name: str) -> str:
        """Return the text without the entry."""
        before = self.read_entries(text, section)
        if name not in before:
            return text
        key, servers = _find_section(text, section)
        lines = self._find_lines(text, servers, name)
        edited = _replace(text, lines, "")
        if len(before) == 1:  # a section without a value is null, which is no list and no mapping
            end = key.end_mark.index
            colon = text.index(":", end) + 1
            empty = " []" if self.is_list else " {}"
            edited = _replace(text[:colon] + empty + text[colon:], lines, "")
        return self._verify(
            text, edited, section, {other: entry for other, entry in before.items() if other != name}
        )

    def has_section(self, text: str | None, section: str) -> bool:
        """Return whether the text has a section for servers, empty or not."""
        return section in _load(text or "")

    def take_section(self, text: str, section: str) -> str:
        """Return the text without the section."""
        key, servers = _find_section(text, section)
        lines = _Lines(key.start_mark.line, _find_last_line(servers) + 1)
        return self._verify(text, _replace(text, lines, ""), section, {})

    def _put_in_block(self, text: str, servers: Any, name: str, value: Any) -> str:
        if servers.flow_style:
            raise InvalidConfig(_UNSAFE)
        written = _write(value, servers.start_mark.column)
        lines = self._find_lines(text, servers, name)
        if lines.start < lines.end:
            return _replace(text, lines, written)
        return _insert(text, _find_last_line(servers) + 1, written)

    def _find_lines(self, text: str, servers: Any, name: str) -> _Lines:
        """Return the lines of an entry; none where it is not there."""
        if servers.flow_style:
            raise InvalidConfig(_UNSAFE)
        for node in servers.value:
            key, value = (_get_name(node), node) if self.is_list else node
            if key is not None and key.value == name:
                start = (node if self.is_list else key).start_mark
                if text[_get_line_start(text, start.index) : start.index].strip(" -"):
                    raise InvalidConfig(_UNSAFE)
                return _Lines(start.line, max(_find_last_line(value), start.line) + 1)
        return _Lines(0, 0)

    def _verify(self, before: str, edited: str, section: str, entries: Mapping[str, Any]) -> str:
        """Return the edited text if it says what it should."""
        rest, expected = _load(edited), _load(before)
        rest.pop(section, None)
        expected.pop(section, None)
        if self.read_entries(edited, section) != entries or rest != expected:
            raise InvalidConfig(_UNSAFE)
        return edited


YAML_MAPPING = YamlFormat(is_list=False)
"""YAML with a mapping of servers."""

YAML_LIST = YamlFormat(is_list=True)
"""YAML with a sequence of servers that say their names."""


# --- reading ------------------------------------------------------------------------------------


def _load(text: str) -> dict[str, Any]:
    """Return what the text stands for."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise InvalidConfig(f"is no YAML ({_get_reason(error)})") from None
    if (found := to_object({} if document is None else document)) is None:
        raise InvalidConfig("is no YAML mapping")
    return found


def _get_reason(error: Exception) -> str:
    problem = getattr(error, "problem", None) or type(error).__name__
    mark = getattr(error, "problem_mark", None)
    return f"{problem} at line {mark.line + 1}" if mark is not None else str(problem)


def _compose(text: str) -> Any:
    """Return the root node of a text that `_load` has read; None for an empty one."""
    from ruamel.yaml import YAML

    return YAML(pure=True).compose(text)


def _find_section(text: str, section: str) -> tuple[Any, Any]:
    """Return the nodes of the section's name and value; None and None without one."""
    for key, value in _list_nodes(_compose(text)):
        if key.value == section:
            return key, value
    return None, None


def _get_root_column(text: str) -> int:
    root = _compose(text)
    if not _list_nodes(root):
        return 0
    if root.flow_style:
        raise InvalidConfig(_UNSAFE)
    return root.start_mark.column


def _get_name(item: Any) -> Any:
    return next((value for key, value in _list_nodes(item) if key.value == "name"), None)


def _is_empty(node: Any) -> bool:
    """Return whether a node is null, or a list or mapping without members."""
    return not node.value or (isinstance(node.value, str) and node.tag.endswith(":null"))


def _find_last_line(node: Any) -> int:
    """Return the last line of a node, without the comments and blank lines after it."""
    children = _list_nodes(node)
    if children and not node.flow_style:
        last = children[-1]
        return _find_last_line(last[1] if isinstance(last, tuple) else last)
    start, end = node.start_mark, node.end_mark
    return end.line - 1 if end.column == 0 and end.line > start.line else end.line


def _list_nodes(node: Any) -> list[Any]:
    """Return what a mapping (pairs) or a sequence holds; nothing for a scalar or None."""
    value: Any = None if node is None else node.value
    return cast("list[Any]", value) if isinstance(value, list) else []


# --- editing ------------------------------------------------------------------------------------


def _write(value: Any, column: int) -> str:
    """Write a value in block style, each line indented to the column."""
    from ruamel.yaml import YAML

    writer = YAML(pure=True)
    writer.default_flow_style = False
    writer.width = _LONGEST_LINE
    writer.indent(mapping=_INDENT, sequence=2 * _INDENT, offset=_INDENT)
    stream = io.StringIO()
    writer.dump(value, stream)
    lines = stream.getvalue().splitlines()
    surplus = len(lines[0]) - len(lines[0].lstrip(" "))
    return "".join(f"{' ' * column}{line[surplus:]}\n" for line in lines)


def _cut_value(text: str, key: Any, value: Any) -> str:
    """Return what follows a section's name, without its colon and its empty value."""
    rest = text[text.index(":", key.end_mark.index) + 1 :]
    written = text[value.start_mark.index : value.end_mark.index]
    head, _, tail = rest.partition(written) if written.strip() else (rest, "", "")
    return (head.rstrip(" ") if not tail.startswith(" ") else head) + tail


def _insert(text: str, line: int, block: str) -> str:
    """Return the text with a block before the line of this number."""
    return _replace(text, _Lines(line, line), block)


def _replace(text: str, lines: _Lines, block: str) -> str:
    line_break = detect_line_break(text)
    parts = _split_lines(text)
    before, after = "".join(parts[: lines.start]), "".join(parts[lines.end :])
    if before and block and not before.endswith("\n"):
        before += line_break
    return before + block.replace("\n", line_break) + after


def _count_lines(text: str) -> int:
    return len(_split_lines(text))


def _split_lines(text: str) -> list[str]:
    """Return the lines with their ends; only a line feed ends a line."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _get_line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1
