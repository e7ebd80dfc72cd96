"""JSON with comments, changed by one member at a time; every other byte stays as it is.

Editors keep their settings as JSONC: comments, trailing commas, the owner's order and indentation. A parser
that writes the whole file anew would lose all of it, so this one finds the place of a member and edits the
text there. Each edit is read again before it is handed out: it changed that member and nothing else.

    put(text, ("servers", "sediment"), value)     add or replace a member
    take(text, ("servers", "sediment"))           remove it
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from sediment_mcp.errors import BadArgument

_TOKEN = re.compile(
    r"""
    (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<comment>//[^\r\n]*|/\*.*?\*/)
    | (?P<space>[ \t\r\n]+)
    | (?P<sign>[{}\[\],:])
    | (?P<word>[^\s{}\[\],:"/]+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_DEFAULT_INDENT = "  "


class NotJson(BadArgument):
    """A text is no JSON, or not of the shape that an edit needs; the message is half a sentence."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a member of an object stands; ``before`` and ``comma`` are the ends of what surrounds it."""

    name: str
    start: int
    value: int  # where its value starts
    end: int
    before: int  # end of the last token or comment before it
    comma: int | None  # end of the comma after it


@dataclass(frozen=True, slots=True)
class _Object:
    """An object's braces and members; ``tail`` is the end of the last token or comment before its end."""

    start: int
    end: int
    members: tuple[_Member, ...]
    tail: int


def read(text: str, *, comments: bool = True) -> Any:
    """The value that the text stands for.

    Raises:
        NotJson: it is no JSON; with ``comments`` False, comments and trailing commas are none either.
    """
    try:
        return json.loads(_plain(text) if comments else text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise NotJson(f"is no JSON at line {error.lineno}, column {error.colno} ({error.msg})") from None
    except RecursionError:
        raise NotJson("is nested too deeply") from None


def as_object(value: Any) -> dict[str, Any] | None:
    """The value if it is a JSON object."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def member(value: Any, path: Sequence[str]) -> Any:
    """The value at the path, None if there is none.

    Raises:
        NotJson: something on the way is no object.
    """
    for place, name in enumerate(path):
        known = as_object(value)
        if known is None:
            where = ".".join(path[:place])
            raise NotJson(f"holds no object in “{where}”" if where else "is no JSON object")
        if name not in known:
            return None
        value = known[name]
    return value


def put(text: str, path: Sequence[str], value: Any) -> str:
    """The text with this value at the path: replaced where there is one, else added as the last member.

    Raises:
        NotJson: the text is none, or something on the path is no object.
    """
    wanted = _with(read(text), path, value)
    place, rest = _deepest(text, path)
    found = _find(place, rest[0])
    if found is not None:
        changed = text[: found.value] + _render(text, value, found.start) + text[found.end :]
    else:
        for name in reversed(rest[1:]):
            value = {name: value}
        changed = _append(text, place, rest[0], value)
    return _checked(changed, wanted)


def take(text: str, path: Sequence[str]) -> str:
    """The text without the member at the path; as it is if there is none.

    Raises:
        NotJson: the text is none, or something on the path is no object.
    """
    value = read(text)
    if member(value, path) is None:
        return text
    place, rest = _deepest(text, path)
    found = _find(place, rest[-1])
    assert found is not None
    return _checked(_cut(text, place, found), _without(value, path))


# --- edits --------------------------------------------------------------------------------------


def _append(text: str, place: _Object, name: str, value: Any) -> str:
    last = place.members[-1] if place.members else None
    key = json.dumps(name, ensure_ascii=False) + ": "
    if last is not None and not _has_line_break(text[place.start : place.end]):
        entry = " " + key + json.dumps(value, ensure_ascii=False)
        closing = ""
    else:
        entry = _line_break(text) + _indent_within(text, place)
        entry += key + _render(text, value, None, _indent_within(text, place))
        closing = "" if _has_line_break(text[place.tail : place.end]) else _closing(text, place)
    if last is None:
        return text[: place.tail] + entry + closing + text[place.tail :]
    if last.comma is not None:
        return text[: place.tail] + entry + "," + text[place.tail :]
    return text[: last.end] + "," + text[last.end : place.tail] + entry + text[place.tail :]


def _closing(text: str, place: _Object) -> str:
    return "" if place.members else _line_break(text) + _indent_of_line(text, place.start)


def _cut(text: str, place: _Object, found: _Member) -> str:
    """Take the member with what joins it to the one before it, or, in the last line of all, to its own."""
    if found.comma is not None:
        rest = text[found.comma :]
        glued = _in_line_comment(text, found.before) and not re.match(r"[ \t]*(\r?\n|$)", rest)
        return text[: found.start if glued else found.before] + rest
    position = place.members.index(found)
    before = text[: found.before]
    if position:
        comma = place.members[position - 1].comma
        assert comma is not None
        before = text[: comma - 1] + text[comma : found.before]
    rest = text[found.end :]
    if _in_line_comment(text, found.before) and not re.match(r"[ \t]*(\r?\n|$)", rest):
        before += _line_break(text)
    return before + rest


def _in_line_comment(text: str, end: int) -> bool:
    line = max(text.rfind("\n", 0, end), text.rfind("\r", 0, end)) + 1
    tokens = list(_tokens(text[line:end]))
    return bool(tokens) and tokens[-1].kind == "comment" and tokens[-1].text.startswith("//")


def _checked(changed: str, wanted: Any) -> str:
    if read(changed) != wanted:
        raise NotJson("is written in a way that cannot be edited safely")
    return changed


def _with(value: Any, path: Sequence[str], new: Any) -> Any:
    if not path:
        return new
    known = as_object(value)
    if known is None:
        raise NotJson("is no JSON object")
    return {**known, path[0]: _with(known.get(path[0], {}), path[1:], new)}


def _without(value: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    if len(path) == 1:
        return {name: inner for name, inner in value.items() if name != path[0]}
    return {**value, path[0]: _without(value[path[0]], path[1:])}


# --- places -------------------------------------------------------------------------------------


def _deepest(text: str, path: Sequence[str]) -> tuple[_Object, Sequence[str]]:
    """The innermost object on the path that is there, and the rest of the path within it."""
    tokens = [token for token in _tokens(text) if token.kind != "space"]
    start = next(place for place, token in enumerate(tokens) if token.kind != "comment")
    while True:
        if tokens[start].text != "{":
            raise NotJson("holds something else where an object belongs")
        place = _object(tokens, start)
        found = _find(place, path[0])
        if found is None or len(path) == 1:
            return place, path
        start = next(index for index, token in enumerate(tokens) if token.start == found.value)
        path = path[1:]


def _find(place: _Object, name: str) -> _Member | None:
    found = [member for member in place.members if member.name == name]
    if len(found) > 1:
        raise NotJson(f"names “{name}” twice")
    return found[0] if found else None


def _object(tokens: Sequence[_Token], start: int) -> _Object:
    """The object whose opening brace is the token ``start`` of a valid document."""
    members: list[_Member] = []
    place, before = start + 1, tokens[start].end
    while tokens[place].text != "}" or tokens[place].kind != "sign":
        if tokens[place].kind == "string":
            one, place = _member(tokens, place, before)
            members.append(one)
        else:  # a comment
            place += 1
        before = tokens[place - 1].end
    return _Object(tokens[start].start, tokens[place].start, tuple(members), before)


def _member(tokens: Sequence[_Token], key: int, before: int) -> tuple[_Member, int]:
    """The member that starts with the token ``key``, and the index of the token after it and its comma."""
    value = _next(tokens, _next(tokens, key + 1) + 1)
    last = _end_of_value(tokens, value)
    after = _next(tokens, last + 1)
    has_comma = tokens[after].text == ","
    found = _Member(
        name=json.loads(tokens[key].text),
        start=tokens[key].start,
        value=tokens[value].start,
        end=tokens[last].end,
        before=before,
        comma=tokens[after].end if has_comma else None,
    )
    return found, after + 1 if has_comma else last + 1


def _end_of_value(tokens: Sequence[_Token], start: int) -> int:
    depth = 0
    for place in range(start, len(tokens)):
        if tokens[place].kind == "sign":
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(tokens[place].text, 0)
        if depth == 0:
            return place
    raise AssertionError("the document has been read before")


def _next(tokens: Sequence[_Token], place: int) -> int:
    """The first token from here on that is no comment."""
    while tokens[place].kind == "comment":
        place += 1
    return place


# --- text ---------------------------------------------------------------------------------------


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        yield _Token(match.lastgroup or "", match.group(), match.start(), match.end())


def _plain(text: str) -> str:
    """The same with blanks in the place of comments and trailing commas, so that places stay true."""
    pieces: list[str] = []
    comma: int | None = None  # where the piece is that might be a trailing comma
    for token in _tokens(text):
        if token.kind == "comment":
            pieces.append(re.sub(r"[^\r\n]", " ", token.text))
            continue
        if comma is not None and token.text in ("}", "]") and _ends_value(pieces, comma):
            pieces[comma] = " "
        if token.kind != "space":
            comma = len(pieces) if token.text == "," else None
        pieces.append(token.text)
    return "".join(pieces)


def _ends_value(pieces: Sequence[str], comma: int) -> bool:
    """Whether a value stands before the comma: ``[,]`` is no array with a trailing comma."""
    before = (pieces[place] for place in range(comma - 1, -1, -1))
    return next((piece not in ("{", "[", ",", ":") for piece in before if piece.strip()), False)


def _render(text: str, value: Any, at: int | None, indent: str | None = None) -> str:
    """The value as it is written in this text, in a line that is indented so or that holds ``at``."""
    if at is not None:
        indent = _indent_of_line(text, at)
    lines = json.dumps(value, ensure_ascii=False, indent=_unit(text)).split("\n")
    return (_line_break(text) + (indent or "")).join(lines)


def _line_break(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _has_line_break(text: str) -> bool:
    return "\n" in text or "\r" in text


def _indent_of_line(text: str, place: int) -> str:
    line = text.rfind("\n", 0, place) + 1
    return re.match(r"[ \t]*", text[line:place]).group()  # type: ignore[union-attr]


def _indent_within(text: str, place: _Object) -> str:
    for one in place.members:
        line = text.rfind("\n", 0, one.start) + 1
        if line > place.start and not text[line : one.start].strip(" \t"):
            return text[line : one.start]
    return _indent_of_line(text, place.start) + _unit(text)


def _unit(text: str) -> str:
    """One step of indentation, as the first indented line has it."""
    found = re.search(r"^([ \t]+)[\"}\]]", text, re.MULTILINE)
    return found.group(1) if found else _DEFAULT_INDENT


def _refuse_constant(name: str) -> NoReturn:
    raise NotJson(f"holds {name}, which is no JSON")
