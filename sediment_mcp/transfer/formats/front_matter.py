"""The block of YAML between two lines of dashes that notes begin with: the only module that imports yaml."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, cast

MAX_FRONT_MATTER = 65_536  # characters; what is longer is no front matter
_BLOCK = re.compile(r"---[ \t]*\r?\n(?P<yaml>.*?)(?:^|(?<=\n))(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_BREAKS = re.compile(
    r"\\x85|\\u2028|\\u2029|\\ufeff"
)  # line ends to YAML, as `str` of a container shows them


class BadFrontMatter(ValueError):
    """What stands between the dashes is no YAML that can be read; the message is the end of a sentence."""


def divide(text: str) -> tuple[dict[str, Any], str]:
    """(what the front matter says, the text after it to the last character); without one, ({}, text).

    Raises:
        BadFrontMatter: there is one, and it cannot be read.
    """
    block = _BLOCK.match(text, 0, MAX_FRONT_MATTER)
    if block is None:
        return {}, text
    value = _loaded(block["yaml"])
    if not isinstance(value, dict):
        return ({}, text[block.end() :]) if value is None else ({}, text)
    return {str(name): said for name, said in cast("dict[Any, Any]", value).items()}, text[block.end() :]


def compose(fields: Mapping[str, Any], text: str) -> str:
    """The inverse of `divide`, for fields that are plain JSON."""
    import yaml

    is_plain = _BREAKS.search(str(fields)) is None
    block = yaml.safe_dump(dict(fields), allow_unicode=is_plain, sort_keys=False, width=1000)
    return f"---\n{block}---\n{text}"


def _loaded(block: str) -> object:
    import yaml

    try:
        return yaml.load(block, Loader=_loader())  # noqa: S506 - it is a safe one
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2026-13-45
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = f" (line {line + 2})" if line is not None else ""
        raise BadFrontMatter(f"has front matter that is no valid YAML{where}.") from None


@functools.cache
def _loader() -> Any:
    """YAML without references: a few lines of them can stand for gigabytes."""
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError
            return super().compose_node(parent, index)

    return Loader
