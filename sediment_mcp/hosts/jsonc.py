"""Edit JSON with comments (JSONC) one member or item at a time; every other byte stays.

Editors keep their settings as JSONC: comments, trailing commas, the owner's order and indentation. A parser
that writes the whole file anew would lose all of it, so this module finds the place of a member and edits the
text there.

This is own code because no library does it: json-five keeps comments, but accepts JSON5 (single quotes, bare
names) that VS Code refuses to read, and leaves the white space around an inserted member to its caller. Here
each edited text is parsed again before it is returned, to verify that it changed that one member only.

    put_member(text, ("servers", "sediment"), value)     add or replace a member
    put_member(text, ("hooks", "Stop", 0), value)        add or replace an item of an array
    remove_member(text, ("servers", "sediment"))         remove it
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from sediment_mcp.errors import UnusableFile
from sediment_mcp.hosts.config_file import detect_line_break

_TOKEN = re.compile(
    r"""
    (?P<string>"[^"\\\r\n]*+(?:\\.[^"\\\r\n]*+)*+")
    | (?P<comment>//[^\r\n]*|/\*.*?\*/)
    | (?P<space>[ \t\r\n]+)
    | (?P<sign>[{}\[\],:])
    | (?P<word>[^\s{}\[\],:"/]+)
    | (?P<other>/\*.*|"[^\r\n]*|.)  # a comment or a string without an end
    """,
    re.VERBOSE | re.DOTALL,
)
_DEFAULT_INDENT = "  "

Step = str | int
"""One step of a path: the name of a member, or the index of an item."""


class InvalidJson(UnusableFile):
    """A text is no JSON, or not of the shape that an edit needs.

    The message is half a sentence that follows the file's name.
    """


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a member of an object, or an item of an array, stands, as offsets into the text."""

    name: Step
    start: int
    value: int  # where its value starts
    end: int
    previous_end: int  # end of the last token or comment before it
    comma_end: int | None  # end of the comma after it


@dataclass(frozen=True, slots=True)
class _Object:
    """The braces and members of an object, or the brackets and items of an array, as offsets."""

    start: int
    end: int
    members: tuple[_Member, ...]
    content_end: int  # end of the last token or comment before the closing brace


def parse(text: str, *, comments: bool = True) -> Any:
    """Return the value that the text stands for.

    Args:
        text: The whole document.
        comments: Whether comments and trailing commas are accepted.

    Raises:
        InvalidJson: The text is no such document.
    """
    try:
        return json.loads(_blank_out_comments(text) if comments else text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InvalidJson(f"is no JSON at line {error.lineno}, column {error.colno} ({error.msg})") from None
    except RecursionError:
        raise InvalidJson("is nested too deeply") from None


def to_object(value: Any) -> dict[str, Any] | None:
    """Return the value if it is a JSON object, else None."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def get_member(value: Any, path: Sequence[Step]) -> Any:
    """Return the value at the path, or None if there is none.

    Raises:
        InvalidJson: Something on the path is no object, or no array.
    """
    for depth, step in enumerate(path):
        members = _list_members(value, step)
        if members is None:
            where, kind = ".".join(map(str, path[:depth])), "array" if isinstance(step, int) else "object"
            raise InvalidJson(f"holds no {kind} in “{where}”" if where else f"is no JSON {kind}")
        if step not in members:
            return None
        value = members[step]
    return value


def _list_members(value: Any, step: Step) -> dict[Step, Any] | None:
    """Return the members of an object, or the items of an array, whichever the step leads into."""
    if isinstance(step, int):
        return dict(enumerate(cast("list[Any]", value))) if isinstance(value, list) else None
    found = to_object(value)
    return None if found is None else {**found}


def put_member(text: str, path: Sequence[Step], value: Any) -> str:
    """Return the text with this value at the path, replaced or added as the last member or item.

    Raises:
        InvalidJson: The text is no JSON, or something on the path is no object, or no array.
    """
    expected = _set_value(parse(text), path, value)
    parent, names = _find_innermost_object(text, path)
    member = _find_member(parent, names[0])
    if member is not None:
        edited = text[: member.value] + _render(text, value, member.start) + text[member.end :]
    else:
        for name in reversed(names[1:]):
            value = [value] if isinstance(name, int) else {name: value}
        edited = _append_member(text, parent, names[0], value)
    return _verify(edited, expected)


def remove_member(text: str, path: Sequence[Step]) -> str:
    """Return the text without the member at the path; unchanged if there is none.

    Raises:
        InvalidJson: The text is no JSON, or something on the path is no object.
    """
    value = parse(text)
    if get_member(value, path) is None:
        return text
    parent, names = _find_innermost_object(text, path)
    member = _find_member(parent, names[-1])
    assert member is not None
    return _verify(_cut_member(text, parent, member), _drop_value(value, path))


# --- edits --------------------------------------------------------------------------------------


def _append_member(text: str, parent: _Object, name: Step, value: Any) -> str:
    last = parent.members[-1] if parent.members else None
    key = "" if isinstance(name, int) else json.dumps(name, ensure_ascii=False) + ": "
    if last is not None and not _has_line_break(text[parent.start : parent.end]):
        entry = " " + key + json.dumps(value, ensure_ascii=False)
        closing = ""
    else:
        entry = detect_line_break(text) + _get_member_indent(text, parent)
        entry += key + _render(text, value, None, _get_member_indent(text, parent))
        closing = _render_closing_line(text, parent)
    if last is None:
        return text[: parent.content_end] + entry + closing + text[parent.content_end :]
    if last.comma_end is not None:
        return text[: parent.content_end] + entry + "," + text[parent.content_end :]
    return text[: last.end] + "," + text[last.end : parent.content_end] + entry + text[parent.content_end :]


def _render_closing_line(text: str, parent: _Object) -> str:
    """Return a line break and indent for the brace of an empty one-line object, else nothing."""
    if parent.members or _has_line_break(text[parent.content_end : parent.end]):
        return ""
    return detect_line_break(text) + _get_line_indent(text, parent.start)


def _cut_member(text: str, parent: _Object, member: _Member) -> str:
    """Cut the member with its own comma, or, for the last one, with the comma before it."""
    if member.comma_end is not None:
        rest = text[member.comma_end :]
        glued = _has_line_comment_before(text, member.previous_end) and not _has_leading_line_end(rest)
        return text[: member.start if glued else member.previous_end] + rest
    index = parent.members.index(member)
    kept = text[: member.previous_end]
    if index:
        comma_end = parent.members[index - 1].comma_end
        assert comma_end is not None
        kept = text[: comma_end - 1] + text[comma_end : member.previous_end]
    rest = text[member.end :]
    if _has_line_comment_before(text, member.previous_end) and not _has_leading_line_end(rest):
        kept += detect_line_break(text)
    return kept + rest


def _has_line_comment_before(text: str, end: int) -> bool:
    return any(token.end == end and token.text.startswith("//") for token in _tokenize(text))


def _has_leading_line_end(text: str) -> bool:
    return re.match(r"[ \t]*(\r?\n|$)", text) is not None


def _verify(edited: str, expected: Any) -> str:
    """Return the edited text if it stands for the expected value."""
    if parse(edited) != expected:
        raise InvalidJson("is written in a way that cannot be edited safely")
    return edited


def _set_value(value: Any, path: Sequence[Step], new_value: Any) -> Any:
    if not path:
        return new_value
    if value is None:
        value = [] if isinstance(path[0], int) else {}
    members = _list_members(value, path[0])
    if members is None or (isinstance(path[0], int) and path[0] > len(members)):
        raise InvalidJson("holds something else where an object or an array belongs")
    return _join_members(value, {**members, path[0]: _set_value(members.get(path[0]), path[1:], new_value)})


def _drop_value(value: Any, path: Sequence[Step]) -> Any:
    members = _list_members(value, path[0]) or {}
    if len(path) == 1:
        return _join_members(value, {step: inner for step, inner in members.items() if step != path[0]})
    return _join_members(value, {**members, path[0]: _drop_value(members[path[0]], path[1:])})


def _join_members(value: Any, members: dict[Step, Any]) -> Any:
    return list(members.values()) if isinstance(value, list) else members


# --- structure ----------------------------------------------------------------------------------


def _find_innermost_object(text: str, path: Sequence[Step]) -> tuple[_Object, Sequence[Step]]:
    """Return the innermost object or array on the path, and the rest of the path within it."""
    tokens = [token for token in _tokenize(text) if token.kind != "space"]
    start = next(index for index, token in enumerate(tokens) if token.kind != "comment")
    while True:
        if tokens[start].text != ("[" if isinstance(path[0], int) else "{"):
            raise InvalidJson("holds something else where an object or an array belongs")
        parent = _scan_object(tokens, start)
        member = _find_member(parent, path[0])
        if member is None or len(path) == 1:
            return parent, path
        start = next(index for index, token in enumerate(tokens) if token.start == member.value)
        path = path[1:]


def _find_member(parent: _Object, name: Step) -> _Member | None:
    found = [member for member in parent.members if member.name == name]
    if len(found) > 1:
        raise InvalidJson(f"names “{name}” twice")
    return found[0] if found else None


def _scan_object(tokens: Sequence[_Token], start: int) -> _Object:
    """Return the object or array whose opening sign is the token ``start`` of a valid document."""
    members: list[_Member] = []
    is_array = tokens[start].text == "["
    index, previous_end = start + 1, tokens[start].end
    while tokens[index].text != ("]" if is_array else "}") or tokens[index].kind != "sign":
        if tokens[index].kind == "comment":
            index += 1
        else:
            name = len(members) if is_array else json.loads(tokens[index].text)
            member, index = _scan_member(tokens, index, previous_end, name)
            members.append(member)
        previous_end = tokens[index - 1].end
    return _Object(tokens[start].start, tokens[index].start, tuple(members), previous_end)


def _scan_member(tokens: Sequence[_Token], first: int, previous_end: int, name: Step) -> tuple[_Member, int]:
    """Return the member that starts with the token ``first``, and the index of what follows."""
    value = first
    if not isinstance(name, int):
        value = _skip_comments(tokens, _skip_comments(tokens, first + 1) + 1)
    last = _find_end_of_value(tokens, value)
    after = _skip_comments(tokens, last + 1)
    has_comma = tokens[after].text == ","
    member = _Member(
        name=name,
        start=tokens[first].start,
        value=tokens[value].start,
        end=tokens[last].end,
        previous_end=previous_end,
        comma_end=tokens[after].end if has_comma else None,
    )
    return member, after + 1 if has_comma else last + 1


def _find_end_of_value(tokens: Sequence[_Token], start: int) -> int:
    depth = 0
    for index in range(start, len(tokens)):
        if tokens[index].kind == "sign":
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(tokens[index].text, 0)
        if depth == 0:
            return index
    raise AssertionError("the document has been parsed before")


def _skip_comments(tokens: Sequence[_Token], index: int) -> int:
    """Return the index of the first token from here on that is no comment."""
    while tokens[index].kind == "comment":
        index += 1
    return index


# --- text ---------------------------------------------------------------------------------------


def _tokenize(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        yield _Token(match.lastgroup or "", match.group(), match.start(), match.end())


def _blank_out_comments(text: str) -> str:
    """Replace comments and trailing commas by blanks, so that every offset stays valid."""
    pieces: list[str] = []
    comma: int | None = None  # index of the piece that might be a trailing comma
    for token in _tokenize(text):
        if token.kind == "comment":
            pieces.append(re.sub(r"[^\r\n]", " ", token.text))
            continue
        if comma is not None and token.text in ("}", "]") and _is_after_value(pieces, comma):
            pieces[comma] = " "
        if token.kind != "space":
            comma = len(pieces) if token.text == "," else None
        pieces.append(token.text)
    return "".join(pieces)


def _is_after_value(pieces: Sequence[str], comma: int) -> bool:
    """Return True if a value stands before the comma: ``[,]`` is no array with a trailing comma."""
    before = (pieces[index] for index in range(comma - 1, -1, -1))
    return next((piece not in ("{", "[", ",", ":") for piece in before if piece.strip()), False)


def _render(text: str, value: Any, offset: int | None, indent: str | None = None) -> str:
    """Write the value in this text's style, indented so or like the line that holds ``offset``."""
    if offset is not None:
        indent = _get_line_indent(text, offset)
    lines = json.dumps(value, ensure_ascii=False, indent=_detect_indent_step(text)).split("\n")
    return (detect_line_break(text) + (indent or "")).join(lines)


def _has_line_break(text: str) -> bool:
    return "\n" in text or "\r" in text


def _get_line_indent(text: str, offset: int) -> str:
    line_start = text.rfind("\n", 0, offset) + 1
    return re.match(r"[ \t]*", text[line_start:offset]).group()  # type: ignore[union-attr]


def _get_member_indent(text: str, parent: _Object) -> str:
    for member in parent.members:
        line_start = text.rfind("\n", 0, member.start) + 1
        if line_start > parent.start and not text[line_start : member.start].strip(" \t"):
            return text[line_start : member.start]
    return _get_line_indent(text, parent.start) + _detect_indent_step(text)


def _detect_indent_step(text: str) -> str:
    """Return one step of indentation, as the first indented line has it."""
    found = re.search(r"^([ \t]+)[\"}\]]", text, re.MULTILINE)
    return found.group(1) if found else _DEFAULT_INDENT


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJson(f"holds {name}, which is no JSON")
