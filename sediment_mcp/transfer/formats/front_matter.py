"""Split and compose the YAML front matter of notes: a block between two lines of dashes.

The files may come from anybody, so YAML aliases are refused: a few lines of them can stand for
gigabytes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, cast

MAX_FRONT_MATTER_CHARS = 65_536  # what is longer is no front matter
_BLOCK = re.compile(r"---[ \t]*\r?\n(?P<yaml>.*?)(?:^|(?<=\n))(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_YAML_BREAKS = re.compile(
    r"\\x85|\\u2028|\\u2029|\\ufeff"
)  # line ends to YAML, as `str` of a container writes them


class BadFrontMatter(ValueError):
    """Front matter that is no valid YAML; the message is the end of a sentence."""


def split_front_matter(text: str) -> tuple[dict[str, Any], str]:
    """Return (the fields of the front matter, the text after it); ({}, text) if there is none.

    Raises:
        BadFrontMatter: there is one, and it cannot be read.
    """
    block = _BLOCK.match(text, 0, MAX_FRONT_MATTER_CHARS)
    if block is None:
        return {}, text
    value = _load_yaml(block["yaml"])
    if not isinstance(value, dict):
        return ({}, text[block.end() :]) if value is None else ({}, text)
    fields = cast("dict[Any, Any]", value)
    return {str(name): field for name, field in fields.items()}, text[block.end() :]


def compose_front_matter(fields: Mapping[str, Any], text: str) -> str:
    """Put front matter before the text; the inverse of `split_front_matter` for plain JSON."""
    import yaml

    is_plain = _YAML_BREAKS.search(str(fields)) is None
    block = yaml.safe_dump(dict(fields), allow_unicode=is_plain, sort_keys=False, width=1000)
    return f"---\n{block}---\n{text}"


def _load_yaml(block: str) -> object:
    import yaml

    try:
        return yaml.load(block, Loader=_build_alias_free_loader())  # noqa: S506 - it is a safe one
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2026-13-45
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = f" (line {line + 2})" if line is not None else ""
        raise BadFrontMatter(f"has front matter that is no valid YAML{where}.") from None


@functools.cache
def _build_alias_free_loader() -> Any:
    import yaml

    class AliasFreeLoader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError
            return super().compose_node(parent, index)

    return AliasFreeLoader
