"""TOML configurations: one server's table is edited, every other byte stays.

tomlkit writes the entry and edits those that stand in braces, with all comments. Tables under a header are
put into the text as lines: tomlkit would move a table of an array that does not stand beside the others, and
put a new one between the last one and the comment about what follows. Each edited text is read again before
it is returned, to verify that it changed that one entry only. The library is imported with the first file
that is TOML.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from sediment_mcp.hosts.config_file import detect_line_break
from sediment_mcp.hosts.config_format import InvalidConfig, index_by_name, name_item
from sediment_mcp.hosts.jsonc import to_object

_HEADER = re.compile(r"^[ \t]*\[.*\][ \t]*(#.*)?\r?$", re.MULTILINE)
_BLANK_LINE = re.compile(r"\n[ \t]*\r?\n\Z")


class _Block(NamedTuple):
    """A table under a header, as offsets into the text; without the comments about the next one."""

    path: tuple[str, ...]
    is_item: bool  # of an array
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TomlFormat:
    """TOML in which servers are tables of one table, or tables of one array that have a name."""

    is_list: bool
    """Whether servers stand in an array (``[[section]]``), each with its name."""

    def read_entries(self, text: str | None, section: str) -> dict[str, Any]:
        """Return all servers' entries by their names, in the order of the file."""
        servers = _load(text or "").get(section, [] if self.is_list else {})
        if self.is_list:
            return index_by_name(servers, section)
        if (entries := to_object(servers)) is None:
            raise InvalidConfig(f"holds no table “{section}”")
        return entries

    def put_entry(self, text: str | None, section: str, name: str, entry: Mapping[str, Any]) -> str:
        """Return the text with the entry, replaced or added as the last one."""
        text = text or ""
        before = self.read_entries(text, section)
        if before.get(name) == entry:
            return text
        value = name_item(name, entry) if self.is_list else dict(entry)
        if blocks := self._find_blocks(text, section, name, list(before)):
            edited = self._replace_block(text, blocks, section, name, value)
        elif name in before or _is_in_braces(text, section):
            edited = self._put_in_braces(text, section, name, value)
        else:
            edited = self._append(text, section, name, value)
        return self._verify(text, edited, section, {**before, name: dict(entry)})

    def take_entry(self, text: str, section: str, name: str) -> str:
        """Return the text without the entry."""
        before = self.read_entries(text, section)
        if name not in before:
            return text
        if blocks := self._find_blocks(text, section, name, list(before)):
            edited = _cut(text, blocks)
        else:
            document = _parse(text)
            del document[section][list(before).index(name) if self.is_list else name]
            edited = _to_text(document, text)
        rest = {other: entry for other, entry in before.items() if other != name}
        return self._verify(text, edited, section, rest)

    def has_section(self, text: str | None, section: str) -> bool:
        """Return whether the text has a section for servers, empty or not."""
        return section in _load(text or "")

    def take_section(self, text: str, section: str) -> str:
        """Return the text without the section."""
        if blocks := _list_blocks(text, section):
            return self._verify(text, _cut(text, blocks), section, {})
        document = _parse(text)
        del document[section]
        return self._verify(text, _to_text(document, text), section, {})

    def _find_blocks(self, text: str, section: str, name: str, names: list[str]) -> list[_Block]:
        """Return the table of an entry and those below it; none where it is not under a header."""
        blocks = _list_blocks(text, section)
        if not self.is_list:
            return [block for block in blocks if block.path[:2] == (section, name)]
        starts = [number for number, block in enumerate(blocks) if block.is_item and len(block.path) == 1]
        if name not in names or len(starts) != len(names):
            return []
        index = names.index(name)
        return blocks[starts[index] : starts[index + 1] if index + 1 < len(starts) else None]

    def _replace_block(self, text: str, blocks: list[_Block], section: str, name: str, value: Any) -> str:
        """Return the text with the entry of these tables, whose comments stay, given this value."""
        inner = text[blocks[0].start : blocks[0].end]
        document = _parse(inner)
        _update(document[section][0 if self.is_list else name], value)
        rest = _cut(text, blocks[1:])
        return rest[: blocks[0].start] + _to_text(document, text) + rest[blocks[0].end :]

    def _put_in_braces(self, text: str, section: str, name: str, value: Mapping[str, Any]) -> str:
        document = _parse(text)
        servers = document[section]
        names = list(self.read_entries(text, section))
        if name in names:
            _update(servers[names.index(name) if self.is_list else name], value)
        elif self.is_list:
            servers.append(_build(value, is_inline=True))
        else:
            servers[name] = _build(value, is_inline=_is_in_braces(text, section))
        return _to_text(document, text)

    def _append(self, text: str, section: str, name: str, value: Mapping[str, Any]) -> str:
        """Return the text with a table of this server behind it, after a blank line."""
        from tomlkit import aot, document, table

        new = document()
        if self.is_list:
            servers = aot()
            servers.append(_build(value))
            new[section] = servers
            if self.has_section(text, section) and not self.read_entries(text, section):
                text = self.take_section(text, section)  # an empty array, beside which no table can stand
        else:
            new[section] = table(is_super_table=True).append(name, _build(value))
        line_break = detect_line_break(text)
        start = text + line_break if text and not text.endswith("\n") else text
        return start + (line_break if text.strip() else "") + new.as_string().replace("\n", line_break)

    def _verify(self, before: str, edited: str, section: str, entries: Mapping[str, Any]) -> str:
        """Return the edited text if it says what it should."""
        rest, expected = _load(edited), _load(before)
        rest.pop(section, None)
        expected.pop(section, None)
        if self.read_entries(edited, section) != entries or rest != expected:
            raise InvalidConfig("is written in a way that cannot be edited safely")
        return edited


TOML_TABLES = TomlFormat(is_list=False)
"""TOML with a table of servers: ``[section.NAME]``."""

TOML_LIST = TomlFormat(is_list=True)
"""TOML with an array of servers: ``[[section]]``."""


# --- reading ------------------------------------------------------------------------------------


def _load(text: str) -> dict[str, Any]:
    """Return what the text stands for."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidConfig(f"is no TOML ({str(error).rstrip('.')})") from None


def _parse(text: str) -> Any:
    """Return the document of a text that `_load` has read."""
    from tomlkit import parse
    from tomlkit.exceptions import TOMLKitError

    try:
        return parse(text)
    except (TOMLKitError, ValueError) as error:
        raise InvalidConfig(f"is no TOML ({str(error).rstrip('.')})") from None


def _list_blocks(text: str, section: str) -> list[_Block]:
    """Return the tables under headers that begin with the section's name."""
    headers = list(_find_headers(text))
    ends = [start for start, _, _ in (*headers[1:], (len(text), (), False))]
    return [
        _Block(path, is_item, start, _trim(text, start, end))
        for (start, path, is_item), end in zip(headers, ends, strict=False)
        if path[0] == section
    ]


def _find_headers(text: str) -> Iterator[tuple[int, tuple[str, ...], bool]]:
    """Yield where each header stands, its path, and whether it is that of an item of an array."""
    previous = 0
    for match in _HEADER.finditer(text):
        header = match.group().strip()
        try:
            path = _read_path(tomllib.loads(header))
            tomllib.loads(text[previous : match.start()])
        except tomllib.TOMLDecodeError:  # the line is part of a longer value
            continue
        previous = match.start()
        yield previous, path, header.startswith("[[")


def _read_path(table: Any) -> tuple[str, ...]:
    """Return the names on the way to the only table within a table."""
    found: dict[str, Any] = (cast("list[Any]", table)[0] if isinstance(table, list) else table) or {}
    return tuple(step for name, inner in found.items() for step in (name, *_read_path(inner)))


def _trim(text: str, start: int, end: int) -> int:
    """Return where a table ends that is followed by comments and blank lines up to ``end``."""
    lines = re.split(r"(?<=\n)", text[start:end])
    while len(lines) > 1 and not lines[-1].partition("#")[0].strip():
        lines.pop()
    return start + sum(map(len, lines))


def _is_in_braces(text: str, section: str) -> bool:
    """Return whether the section is an inline table, or an inline array with servers in it."""
    from tomlkit.items import Array, InlineTable

    servers = _parse(text).get(section)
    return isinstance(servers, InlineTable) or (isinstance(servers, Array) and bool(servers))


# --- editing ------------------------------------------------------------------------------------


def _cut(text: str, blocks: Sequence[_Block]) -> str:
    """Return the text without these tables, and without the blank line before each."""
    for block in reversed(blocks):
        before = text[: block.start]
        if blank := _BLANK_LINE.search(before):
            before = before[: blank.start() + 1]
        text = before + text[block.end :]
    return text


def _to_text(document: Any, before: str) -> str:
    """Return the text of an edited document, in the line breaks of before if they are alike."""
    text = str(document.as_string())
    if "\n" in before.replace("\r\n", ""):
        return text
    return text.replace("\r\n", "\n").replace("\n", detect_line_break(before))


def _build(value: Mapping[str, Any], *, is_inline: bool = False) -> Any:
    """Return a table; the tables in it are inline."""
    from tomlkit import inline_table, table

    new = inline_table() if is_inline else table()
    _update(new, value)
    return new


def _update(table: Any, value: Mapping[str, Any]) -> None:
    """Make a table hold this value; what stays equal keeps its layout and comments."""
    for name in [name for name in table if name not in value]:
        del table[name]
    for name, inner in value.items():
        if name not in table or table[name] != inner:
            nested = to_object(inner)
            table[name] = inner if nested is None else _build(nested, is_inline=True)
