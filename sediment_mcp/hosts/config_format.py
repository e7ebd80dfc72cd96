"""Configuration formats: how one server's entry is read from and edited in a host's file.

A `ConfigFormat` knows the syntax of a file and nothing of hosts, so that a new host is one entry of the
registry, and a new syntax one class: JSON is here, the others are in `toml_format` and `yaml_format`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from sediment_mcp.errors import UnusableFile
from sediment_mcp.hosts import jsonc

_EMPTY_OBJECT = "{}\n"


class InvalidConfig(UnusableFile):
    """A configuration is not of its format.

    The message is half a sentence that follows the file's name.
    """


class ConfigFormat(Protocol):
    """Read and edit one server's entry in the text of a configuration.

    A text that is None or blank is a configuration that does not exist yet. ``section`` is the name under
    which the host lists its servers, ``name`` that of the server. Each method raises `InvalidConfig` where
    the text is not of this format, or not of the shape that hosts read.
    """

    def read_entries(self, text: str | None, section: str) -> dict[str, Any]:
        """Return all servers' entries by their names, in the order of the file."""
        ...

    def put_entry(self, text: str | None, section: str, name: str, entry: Mapping[str, Any]) -> str:
        """Return the text with the entry, replaced or added; all else in it is unchanged."""
        ...

    def take_entry(self, text: str, section: str, name: str) -> str:
        """Return the text without the entry; all else in it is unchanged."""
        ...

    def has_section(self, text: str | None, section: str) -> bool:
        """Return whether the text has a section for servers, empty or not."""
        ...

    def take_section(self, text: str, section: str) -> str:
        """Return the text without the section, which is there and holds no servers."""
        ...


@dataclass(frozen=True, slots=True)
class JsonFormat:
    """JSON in which servers are members of one top-level object; edits keep comments and layout."""

    comments: bool
    """Whether the host reads comments and trailing commas."""

    def read_entries(self, text: str | None, section: str) -> dict[str, Any]:
        """Return all servers' entries by their names, in the order of the file."""
        if text is None or not text.strip():
            return {}
        with _report_invalid_json():
            document = jsonc.parse(text, comments=self.comments)
            servers = jsonc.get_member(document, (section,))
            if servers is None and section in (jsonc.to_object(document) or {}):  # null
                raise jsonc.InvalidJson(f"holds no object in “{section}”")
            if servers is None:
                return {}
            if (entries := jsonc.to_object(servers)) is None:
                raise jsonc.InvalidJson(f"holds no object in “{section}”")
            return entries

    def put_entry(self, text: str | None, section: str, name: str, entry: Mapping[str, Any]) -> str:
        """Return the text with the entry, replaced or added as the last one."""
        with _report_invalid_json():
            document = text if text and text.strip() else _EMPTY_OBJECT
            return jsonc.put_member(document, (section, name), dict(entry))

    def take_entry(self, text: str, section: str, name: str) -> str:
        """Return the text without the entry."""
        with _report_invalid_json():
            return jsonc.remove_member(text, (section, name))

    def has_section(self, text: str | None, section: str) -> bool:
        """Return whether the text has a section for servers, empty or not."""
        if text is None or not text.strip():
            return False
        with _report_invalid_json():
            return section in (jsonc.to_object(jsonc.parse(text, comments=self.comments)) or {})

    def take_section(self, text: str, section: str) -> str:
        """Return the text without the section."""
        with _report_invalid_json():
            return jsonc.remove_member(text, (section,))


def index_by_name(items: Any, section: str) -> dict[str, Any]:
    """Return a list of servers that say their names as entries by name.

    Raises:
        InvalidConfig: It is no list of such servers.
    """
    entries: dict[str, Any] = {}
    for item in cast("list[Any]", items) if isinstance(items, list) else [items]:
        found = jsonc.to_object(item)
        if found is None or not isinstance(found.get("name"), str):
            raise InvalidConfig(f"holds no list of servers with names in “{section}”")
        if found["name"] in entries:
            raise InvalidConfig(f"names “{found['name']}” twice")
        entries[found["name"]] = {key: value for key, value in found.items() if key != "name"}
    return entries


def name_item(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry as the item of a list that says its name."""
    return {"name": name, **entry}


JSON: ConfigFormat = JsonFormat(comments=False)
"""JSON as its standard has it: no comments, no trailing commas."""

JSONC: ConfigFormat = JsonFormat(comments=True)
"""JSON with comments and trailing commas."""


@contextlib.contextmanager
def _report_invalid_json() -> Generator[None]:
    try:
        yield
    except jsonc.InvalidJson as problem:
        raise InvalidConfig(str(problem)) from None
