"""Split and compose the YAML front matter of notes: a block between two lines of dashes.

The files may come from anybody, so YAML aliases are refused: a few lines of them can stand for
gigabytes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from sediment_mcp.system.text import format_value

MAX_FRONT_MATTER_CHARS = 65_536  # what is longer is no front matter
_BLOCK = re.compile(r"---[ \t]*\r?\n(?P<yaml>.*?)(?:^|(?<=\n))(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
MAX_FIELDS = 500  # of front matter that is no valid YAML; what has more is left out whole
MAX_DEPTH = 40  # of YAML
_BRACKETS = re.compile(r"[\[{}\]]")
_DEEP_BLOCK = re.compile(rf"(?:[-?>|]\s){{{MAX_DEPTH}}}|^\s{{400}}", re.MULTILINE)
MAX_LOST = 5  # fields that a note names
_FIELD = re.compile(
    r"(?P<name>[^\s:#\[\]{}\"'&*!|>%@`-][^:\n]*):(?:[ \t]+(?P<value>.*)|[ \t]*$)", re.MULTILINE
)
_YAML_SIGNS = tuple("&*!|>[{")  # a value that begins so means something else than text
_YAML_BREAKS = re.compile(
    r"\\x85|\\u2028|\\u2029|\\ufeff"
)  # line ends to YAML, as `str` of a container writes them


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """A text without its front matter, and what that says.

    Attributes:
        fields: what the front matter says; empty if there is none.
        text: the text after it.
        notes: ends of sentences on what could not be read.
    """

    fields: dict[str, Any]
    text: str
    notes: tuple[str, ...] = ()


def split_front_matter(text: str) -> FrontMatter:
    """Split a text; of front matter that is no valid YAML, each field that can be read is."""
    block = _BLOCK.match(text, 0, MAX_FRONT_MATTER_CHARS)
    if block is None:
        return FrontMatter({}, text)
    rest = text[block.end() :]
    try:
        value = load_yaml(block["yaml"])
    except BadYaml:
        return _read_by_field(block["yaml"], rest)
    if not isinstance(value, dict):
        return FrontMatter({}, rest if value is None else text)
    fields = cast("dict[Any, Any]", value)
    return FrontMatter({str(name): field for name, field in fields.items()}, rest)


def _read_by_field(block: str, rest: str) -> FrontMatter:
    """Read each field by itself: as YAML, or as text if it is one line, as "title: a: b"."""
    fields: dict[str, Any] = {}
    lost: list[str] = []
    for number, part in islice(_split_fields(block), MAX_FIELDS):
        match = _FIELD.match(part)
        value: object = None
        try:
            value = load_yaml(part)
        except BadYaml:
            value = (_read_as_text(part, match) or _read_as_list(part, match)) if match else None
            value = value or BadYaml
        if isinstance(value, dict):
            fields |= {str(name): field for name, field in cast("dict[Any, Any]", value).items()}
        elif value is not None:
            lost.append(f"line {number} ({format_value(part.strip())})")
    if not lost:
        return FrontMatter(fields, rest)
    note = f"has front matter that is no valid YAML: {'; '.join(lost[:MAX_LOST])} left out, the rest is read."
    return FrontMatter(fields, rest, (note,))


def _read_as_text(part: str, field: re.Match[str]) -> dict[str, str] | None:
    """Return a field of one line whose value is plain text, else None."""
    plain = (field["value"] or "").strip()
    is_text = "\n" not in part.strip() and plain[:1] not in _YAML_SIGNS
    return {field["name"].strip(): plain} if is_text else None


def _read_as_list(part: str, field: re.Match[str]) -> dict[str, list[str]] | None:
    """Return a field that only items follow, however each is indented, else None."""
    items = [line.strip() for line in part.splitlines()[1:] if line.strip()]
    if field["value"] or not items or not all(item.startswith("- ") for item in items):
        return None
    return {field["name"].strip(): [item[2:].strip().strip("\"'") for item in items]}


def _split_fields(block: str) -> Iterator[tuple[int, str]]:
    """Yield (line number in the file, lines) of each field; what is indented belongs to it."""
    start, lines = 2, list[str]()
    for number, line in enumerate(block.splitlines(keepends=True), start=2):
        is_new = line.strip() and not line[0].isspace() and not line.startswith(("-", "#", "]", "}"))
        if is_new and lines:
            yield start, "".join(lines)
            lines = []
        start = start if lines else number
        lines.append(line)
    if lines:
        yield start, "".join(lines)


def compose_front_matter(fields: Mapping[str, Any], text: str) -> str:
    """Put front matter before the text; the inverse of `split_front_matter` for plain JSON."""
    import yaml

    is_plain = _YAML_BREAKS.search(str(fields)) is None
    block = yaml.safe_dump(dict(fields), allow_unicode=is_plain, sort_keys=False, width=1000)
    return f"---\n{block}---\n{text}"


class BadYaml(ValueError):
    """A text that is no valid YAML, or that is refused."""


def load_yaml(text: str) -> object:
    """Return the value of a YAML text.

    Raises:
        BadYaml: it is no valid YAML, or holds an alias.
    """
    import yaml

    if _is_deep(text):
        raise BadYaml
    try:
        return yaml.load(text, Loader=_build_alias_free_loader())  # noqa: S506 - it is a safe one
    except (yaml.YAMLError, RecursionError):
        raise BadYaml from None
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError):  # such as "!!bool foo"
        raise BadYaml from None


def _is_deep(text: str) -> bool:
    """Return True if the text is nested so deeply that parsing it would take long, or fail."""
    depth = deepest = 0
    for sign in _BRACKETS.findall(text):
        depth += 1 if sign in "[{" else -1
        deepest = max(deepest, depth)
    return deepest > MAX_DEPTH or _DEEP_BLOCK.search(text) is not None


@functools.cache
def _build_alias_free_loader() -> Any:
    import yaml

    class AliasFreeLoader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError
            return super().compose_node(parent, index)

    return AliasFreeLoader
