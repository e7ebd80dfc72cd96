"""JSON-RPC 2.0 as pure functions: one message a line, decoded from bytes and encoded.

Everything that a client can get wrong in a line is decided here, so that each line with a request in it
gets an answer: a line that is dropped in silence makes the client wait for its whole time limit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, cast

from sediment_mcp.errors import SedimentError
from sediment_mcp.system.text import to_json, valid_text

Message = dict[str, Any]
Id = str | int

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

MAX_LINE_BYTES = 8 * 1024 * 1024
"""The longest line, without its line feed, in bytes: eighty times what the longest memory needs."""

MAX_METHOD_CHARS = 200
"""The longest name of a method, because the answer repeats a name that is not found."""

MAX_DEPTH = 128
"""The deepest nesting, in levels. Parsers and serialisers fail somewhere between 250 and 1,000, each in its
own way; a bound of our own refuses the same message on every platform, and nothing deeper gets stored."""

_HEAD_BYTES, _TAIL_BYTES = 4096, 256  # what is kept of a line that is too long, to find its id

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_BRACKET_OR_STRING = re.compile(
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL
)  # a string may be open
_ID = rb'"id"\s*:\s*(-?\d{1,20}|"(?:[^"\\]|\\.){0,200}")'
_ID_IN_HEAD = re.compile(
    rb'\s*\{\s*(?:"(?:jsonrpc|method)"\s*:\s*"[^"\\]{0,200}"\s*,\s*)*' + _ID + rb"\s*[,}]"
)
_ID_IN_TAIL = re.compile(rb'[,{]\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)' + _ID + rb"\s*\}\s*\Z")


class InvalidMessage(SedimentError):
    """A line that is not a message; ``answer`` is the error response to it."""

    def __init__(self, code: int, sentence: str, id: Id | None = None) -> None:
        super().__init__(sentence)
        self.answer = build_error(id, code, sentence)


class LineSplitter:
    """Cuts a stream of bytes into lines, and holds no more of a line than `MAX_LINE_BYTES`."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._length = 0

    def feed(self, data: bytes) -> Iterator[bytes | InvalidMessage]:
        """Yield the lines that ``data`` completes, without their line feeds.

        A line that is too long is yielded as an `InvalidMessage`.
        """
        *pieces, rest = data.split(b"\n")
        for piece in pieces:
            self._add(piece)
            yield self._take()
        self._add(rest)

    def finish(self) -> Iterator[bytes | InvalidMessage]:
        """Yield the last line, if the stream has ended without a line feed."""
        if self._line:
            yield self._take()

    def _add(self, piece: bytes) -> None:
        self._line += piece
        self._length += len(piece)
        if self._length > MAX_LINE_BYTES:
            del self._line[_HEAD_BYTES:-_TAIL_BYTES]

    def _take(self) -> bytes | InvalidMessage:
        line, length = bytes(self._line), self._length
        self._line.clear()
        self._length = 0
        if length <= MAX_LINE_BYTES:
            return line
        sentence = f"The message is longer than {MAX_LINE_BYTES} bytes and was not read: send a shorter one."
        return InvalidMessage(INVALID_REQUEST, sentence, find_id(line))


def find_id(line: bytes) -> Id | None:
    """Find the request's id in a line that cannot be parsed; None if it is not found.

    Only the very beginning and the very end of the line are searched, where clients put the id, and only with
    plain members around it, so that an "id" inside the parameters is never taken for the request's.
    """
    match = _ID_IN_HEAD.match(line[:_HEAD_BYTES]) or _ID_IN_TAIL.search(line[-_TAIL_BYTES:])
    try:
        return json.loads(match.group(1)) if match else None
    except ValueError:
        return None


def decode(line: bytes) -> Message | None:
    """Parse one line into a request, a notification or a response; None for a blank line.

    A byte order mark is skipped; what is not UTF-8, and half a surrogate pair, becomes U+FFFD.

    Raises:
        InvalidMessage: the line is no JSON, or no JSON-RPC 2.0 message.
    """
    text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace").strip()
    return _check_message(_parse(text, line)) if text else None


def encode(message: Message) -> bytes:
    """Write a message as one line of UTF-8; half a surrogate pair becomes U+FFFD.

    Raises:
        ValueError: the message holds a NaN, an infinity or itself.
        TypeError: the message holds something that JSON cannot express.
    """
    return (to_json(message) + "\n").encode()


def build_error(id: Id | None, code: int, sentence: str, data: Any = None) -> Message:
    """Build a JSON-RPC error response; ``data`` of None is left out."""
    more = {} if data is None else {"data": data}
    return {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": sentence, **more}}


def is_request(message: Message) -> bool:
    """Return whether the message expects an answer."""
    return "method" in message and "id" in message


def is_response(message: Message) -> bool:
    """Return whether the message is an answer."""
    return "method" not in message


def _parse(text: str, line: bytes) -> Any:
    if _is_too_deep(text):
        raise InvalidMessage(
            PARSE_ERROR, f"The message is nested deeper than {MAX_DEPTH} levels.", find_id(line)
        )
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        # json.loads joins valid pairs, so what is left of surrogates is lone. They only come from escapes.
        # A number too large for a float (1e400) is an infinity now: the argument it stands for is refused.
        return (
            json.loads(valid_text(json.dumps(value, ensure_ascii=False)))
            if _SURROGATE_ESCAPE.search(text)
            else value
        )
    except (ValueError, RecursionError) as error:
        sentence = f"The line is not valid JSON: {error}. Send one message per line."
        raise InvalidMessage(PARSE_ERROR, sentence) from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _is_too_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _BRACKET_OR_STRING.finditer(text):
        first = text[token.start()]
        depth += (first in "[{") - (first in "]}")
        if depth > MAX_DEPTH:
            return True
    return False


def _check_message(value: Any) -> Message:
    if not isinstance(value, dict):
        raise InvalidMessage(
            INVALID_REQUEST, "A message is one JSON object per line; batches are not supported."
        )
    message = cast("Message", value)
    id = message.get("id")
    is_call = "method" in message
    usable_id = id if _is_id(id) and (is_call or not {"result", "error"} & message.keys()) else None
    if message.get("jsonrpc") != "2.0":
        raise InvalidMessage(INVALID_REQUEST, 'The message lacks "jsonrpc": "2.0".', usable_id)
    if is_call:
        return _check_call(message, usable_id)
    return _check_response(message, usable_id)


def _is_id(id: object) -> bool:
    return isinstance(id, str | int) and not isinstance(id, bool)


def _check_call(message: Message, id: Id | None) -> Message:
    if not isinstance(message["method"], str) or len(message["method"]) > MAX_METHOD_CHARS:
        raise InvalidMessage(
            INVALID_REQUEST, f"method must be a string of at most {MAX_METHOD_CHARS} characters.", id
        )
    if "id" in message and not _is_id(message["id"]):
        raise InvalidMessage(INVALID_REQUEST, "id must be a string or an integer.")
    params = message.get("params")
    if params is None:  # some clients write null for "none"
        return {name: value for name, value in message.items() if name != "params"}
    if not isinstance(params, dict):
        raise InvalidMessage(INVALID_REQUEST, "params must be an object.", id)
    return message


def _check_response(message: Message, id: Id | None) -> Message:
    """Check a response.

    The error about an invalid one never carries its id: that id is the server's, and the client may use the
    same number for a request of its own.
    """
    answered = _is_id(message.get("id"))
    if answered and isinstance(message.get("result"), dict) and "error" not in message:
        return message
    if _is_error(message.get("error")):
        return message | {"id": message.get("id") if answered else None}
    raise InvalidMessage(INVALID_REQUEST, "The message is no request, no notification and no response.", id)


def _is_error(value: object) -> bool:
    match value:
        case {"code": int(), "message": str()}:
            return True
        case _:
            return False
