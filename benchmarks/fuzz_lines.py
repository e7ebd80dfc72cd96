"""The lines that the fuzzer sends: requests good and bad, notifications, responses, and what is no JSON."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from fuzz_values import (
    WORDS,
    Members,
    odd_id,
    odd_query,
    odd_string,
    odd_time,
    odd_value,
    sentence,
    write,
)

MODERN = "2026-07-28"
HANDSHAKES = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
METHODS = (
    "initialize", "ping", "tools/list", "tools/call", "resources/list", "resources/read",
    "resources/subscribe", "resources/templates/list", "prompts/list", "prompts/get",
    "completion/complete", "logging/setLevel", "sampling/createMessage", "roots/list",
    "elicitation/create", "server/discover", "subscriptions/listen", "tasks/list", "tasks/get",
    "notifications/cancelled", "notifications/initialized", "rpc.discover", "", "\0", "tools",
    "tools/call ", "TOOLS/CALL", "__init__", "no/such/method",
)  # fmt: skip
NOTIFICATIONS = (
    "notifications/initialized", "notifications/progress", "notifications/message", "notifications/unknown",
    "notifications/roots/list_changed", "tools/call", "ping", "",
)  # fmt: skip
SHAPES = (
    b"", b" ", b"\r", b"\t\r", b"\xef\xbb\xbf", b"\0", b"[]", b"[[]]", b"{}", b"null", b"true", b"1", b'"x"',
    b"nan", b"GET / HTTP/1.1\r", b"Content-Length: 52\r", b"\xff\xfe{\0}\0", b"\x1f\x8b\x08\0", b"}{", b"{",
    b'{"', b"//", b'{"jsonrpc":"2.0"', b"\xe2\x80\xa8", b"\xc2\x85", b"\x1c", b"<?xml?>", b"\xff" * 99,
    b'{"jsonrpc":"2.0","id":1}',
)  # fmt: skip
READINGS: dict[str, Callable[[Random], dict[str, Any]]] = {
    "resources/read": lambda rng: {
        "uri": "memory://" + rng.choice(("recent", "stats", "project", "unknown", odd_string(rng) * 20))
    },
    "resources/list": lambda rng: {"cursor": odd_string(rng)},
    "prompts/get": lambda rng: {
        "name": rng.choice(("project", "topic", odd_string(rng) * 20)),
        "arguments": {rng.choice(("topic", "tag", odd_string(rng))): odd_string(rng)},
    },
    "completion/complete": lambda rng: {
        "ref": {"type": "ref/prompt", "name": odd_string(rng)},
        "argument": {"name": rng.choice(("tag", "session", odd_string(rng))), "value": odd_string(rng)},
    },
}
CALLED_OFF = 0.06  # share of requests for which a cancellation is sent
ODD_ID = 0.06  # share of requests with an id from the pool
LONG = 0.0004  # share of lines of megabytes


class Generator:
    """Draws lines. ``known`` are ids of memories that exist, which the caller keeps up to date."""

    def __init__(self, rng: Random, era: str, schemas: dict[str, dict[str, Any]]) -> None:
        """``schemas`` are the tools' input schemas by name."""
        self.known: list[str] = []
        self._rng, self._era, self._schemas = rng, era, schemas
        self._number = 0
        self._kinds: dict[Callable[[], list[bytes]], int] = {
            self._call: 40, self._other_request: 14, self._broken_envelope: 10, self._notification: 8,
            self._mangled: 12, self._shape: 6, self._response: 4, self._batch: 2,
        }  # fmt: skip

    def round(self, count: int) -> list[bytes]:
        """At least so many lines, without their line feeds."""
        lines: list[bytes] = []
        kinds, weights = list(self._kinds), list(self._kinds.values())
        while len(lines) < count:
            drawn = self._rng.choices(kinds, weights)[0]()
            place = self._rng.randint(max(0, len(lines) - 20), len(lines))
            lines[place:place] = drawn
        return lines

    def request(self, method: str, params: dict[str, Any] | None = None) -> tuple[int, bytes]:
        """A sound request of the era: its id, and its line."""
        id = self._next()
        return id, self._line(self._message(method, params, id))

    def notification(self, method: str) -> bytes:
        return self._line({"jsonrpc": "2.0", "method": method})

    # --- requests ---------------------------------------------------------------------------------

    def _call(self) -> list[bytes]:
        return self._with_cancellation(self._call_message())

    def _call_message(self) -> dict[str, Any]:
        tool = self._rng.choice(list(self._schemas))
        params: dict[str, Any] = {"name": tool, "arguments": self._arguments(self._schemas[tool])}
        if self._rng.random() < 0.05:
            params[self._rng.choice(("name", "arguments", "task"))] = odd_value(self._rng)
        return self._message("tools/call", params, self._id())

    def _other_request(self) -> list[bytes]:
        method = self._rng.choice(METHODS) if self._rng.random() < 0.95 else odd_string(self._rng) * 50
        names = self._rng.sample(("cursor", "uri", "name", "level", "ref", "requestId", "protocolVersion"), 2)
        params = {name: odd_value(self._rng) for name in names} if self._rng.random() < 0.5 else None
        if method in READINGS and self._rng.random() < 0.7:
            params = READINGS[method](self._rng)
        if method == "initialize" and self._rng.random() < 0.7:
            params = handshake(self._rng.choice((*HANDSHAKES, MODERN, "1999-01-01", "")))
        return self._with_cancellation(self._message(method, params, self._id()))

    def _message(self, method: str, params: dict[str, Any] | None, id: Any) -> dict[str, Any]:
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": id, "method": method}
        if self._era == MODERN or (params and self._rng.random() < 0.1):
            params = {**(params or {}), "_meta": self._meta()}
        return message if params is None else message | {"params": params}

    def _meta(self) -> dict[str, Any]:
        meta = envelope() if self._era == MODERN else {}
        if self._rng.random() < 0.2:
            meta["progressToken"] = self._rng.choice((1, "token", 10**30, "", "\ud800"))
        return meta

    def _arguments(self, schema: dict[str, Any]) -> dict[str, Any]:
        rng, properties = self._rng, schema["properties"]
        needed = set(schema.get("required", ()))
        names = [name for name in properties if name in needed or rng.random() < 0.25]
        given = {name: self._sound(name, properties[name]) for name in names}
        oddness = rng.random()
        if oddness < 0.35:
            given[rng.choice(list(properties))] = odd_value(rng)
        elif oddness < 0.42:
            given = {name: odd_value(rng) for name in names}
        elif oddness < 0.45:
            given |= {odd_string(rng)[:5000]: odd_value(rng) for _ in range(rng.choice((1, 50)))}
        elif oddness < 0.48:
            given.pop(rng.choice(names or [""]), None)
        return given

    def _sound(self, name: str, schema: dict[str, Any]) -> Any:
        rng = self._rng
        if "enum" in schema:
            return rng.choice(schema["enum"])
        if schema.get("format") == "date-time":
            return odd_time(rng) if rng.random() < 0.3 else f"20{rng.randint(10, 40)}-05-0{rng.randint(1, 9)}"
        match name, schema.get("type"):
            case "content", _:
                return sentence(rng) if rng.random() < 0.8 else odd_string(rng) or "x"
            case "query", _:
                return sentence(rng) if rng.random() < 0.3 else odd_query(rng) or "x"
            case (("ids" | "replaces"), _):
                return rng.sample(self.known, min(len(self.known), rng.randint(1, 3))) or ["unknown"]
            case _, "array":
                return rng.sample(WORDS, rng.randint(0, 3))
            case _, "integer":
                return rng.randint(schema["minimum"], schema["maximum"])
            case _, "number":
                return rng.random()
            case _, "boolean":
                return rng.random() < 0.1
            case _, "object":
                return {"source": sentence(rng), "n": rng.random()}
            case _:
                return rng.choice(WORDS)

    def _with_cancellation(self, message: dict[str, Any]) -> list[bytes]:
        """The request; some with their cancellation before, after, or twice, some under a look-alike id."""
        lines = [self._line(message)]
        if self._rng.random() < CALLED_OFF:
            id = message["id"]
            if self._rng.random() < 0.3:
                id = str(id) if isinstance(id, int) else odd_id(self._rng)
            elif self._rng.random() < 0.1:
                id = self._rng.choice((None, [id], {"id": id}, 1.5, -7))
            order = self._rng.choice(((0, 1), (1, 0), (0, 1, 1), (1, 0, 1)))
            lines = [self._cancellation(id) if which else lines[0] for which in order]
        return lines

    def _cancellation(self, id: Any) -> bytes:
        params = {"requestId": id, "reason": self._rng.choice(("no need", 5, None, "\ud800"))}
        if self._rng.random() < 0.05:
            params.pop("requestId")
        return self._line({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})

    # --- what is no sound request -----------------------------------------------------------------

    def _broken_envelope(self) -> list[bytes]:
        rng, message = self._rng, self._call_message()
        for _ in range(rng.randint(1, 2)):
            match rng.randrange(5):
                case 0:
                    message.pop(rng.choice(list(message)), None)
                case 1:
                    message[rng.choice(("jsonrpc", "method", "params", "id"))] = odd_value(rng)
                case 2:
                    message[rng.choice(("result", "error", "extra", odd_string(rng)))] = odd_value(rng)
                case 3 if isinstance(message.get("params"), dict):
                    message["params"]["_meta"] = self._broken_meta()
                case _:
                    pairs = (*message.items(), ("id", self._next()), ("method", "ping"))
                    return [self._line(Members(pairs))]
        return [self._line(message)]

    def _broken_meta(self) -> Any:
        meta = envelope() | {"progressToken": odd_value(self._rng)}
        meta[self._rng.choice(list(meta))] = odd_value(self._rng)
        return meta if self._rng.random() < 0.9 else odd_value(self._rng)

    def _notification(self) -> list[bytes]:
        rng = self._rng
        if rng.random() < 0.4:
            return [self._cancellation(odd_id(rng))]
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": rng.choice(NOTIFICATIONS)}
        if rng.random() < 0.6:
            message["params"] = {
                "progressToken": odd_id(rng),
                "progress": odd_value(rng),
                "_meta": odd_value(rng),
            }
        return [self._line(message)]

    def _mangled(self) -> list[bytes]:
        """A sound line with some of its bytes changed, lost or doubled."""
        rng, line = self._rng, bytearray(self._line(self._call_message()))
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(line) + 1)
            match rng.randrange(5):
                case 0:
                    del line[place:]
                case 1:
                    del line[place : place + rng.randint(1, 8)]
                case 2:
                    line[place:place] = rng.choice(
                        (b"\xff", b"\xed\xa0\x80", b"\xc3", b"\0", b"\r", b'"', b"\\", b"{")
                    )
                case 3:
                    line[place : place + 1] = bytes([rng.randrange(256)])
                case _:
                    line[place:place] = line[place : place + rng.randint(1, 30)]
        return [bytes(line).replace(b"\n", b" ")]

    def _shape(self) -> list[bytes]:
        if self._rng.random() < LONG * 20:
            _, line = self.request("ping", {"filler": "x" * self._rng.choice((10**6, 8 * 1024 * 1024))})
            return [line]
        if self._rng.random() < 0.2:
            return [self._rng.randbytes(self._rng.randint(1, 200)).replace(b"\n", b"")]
        return [self._rng.choice(SHAPES)]

    def _response(self) -> list[bytes]:
        message = {"jsonrpc": "2.0", "id": odd_id(self._rng)}
        body = self._rng.choice(
            ({"result": {}}, {"result": odd_value(self._rng)}, {"error": {"code": -1, "message": "no"}},
             {"error": odd_value(self._rng)}, {"result": {}, "error": {}}, {"result": {"roots": [{"uri": "file:///"}]}})
        )  # fmt: skip
        return [self._line(message | body)]

    def _batch(self) -> list[bytes]:
        return [self._line([self._call_message() for _ in range(self._rng.choice((1, 3, 30)))])]

    # --- ids and text -----------------------------------------------------------------------------

    def _id(self) -> Any:
        if self._rng.random() < ODD_ID:
            return odd_id(self._rng)
        return self._next() if self._rng.random() < 0.8 else f"r{self._next()}"

    def _next(self) -> int:
        self._number += 1
        return 1000 + self._number  # the pool's small numbers are not among them

    def _line(self, value: Any) -> bytes:
        return write(value, self._rng).encode("utf-8", "surrogatepass").replace(b"\n", b" ")


def handshake(version: str) -> dict[str, Any]:
    capabilities = {"roots": {"listChanged": True}}
    return {
        "protocolVersion": version,
        "capabilities": capabilities,
        "clientInfo": {"name": "fuzz", "version": "1"},
    }


def envelope() -> dict[str, Any]:
    """What every request of the modern era carries."""
    return {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "fuzz", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
