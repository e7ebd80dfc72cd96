"""What every line must lead to, and whether it did.

`expected` says it of one line, from JSON-RPC 2.0 and MCP alone: it shares no code with the server. `Judge`
keeps the books: what was sent, what came back, and at the end of a round whether each request was answered
once, each broken line was refused once, and nothing else was said.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MAX_LINE = 8 * 1024 * 1024  # bytes; what the server promises to read
MAX_DEPTH = 128  # levels of nesting, likewise
LONGEST_SENTENCE = 2000  # characters of an error
LONGEST_ERROR = 6000  # bytes of a whole error answer, its id not counted
UNREAD = (-32700, -32600)  # codes of a refusal of what was not even read
SHOWN = 300  # characters of a line in a report

Id = tuple[type, Any]
Message = dict[str, Any]

_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{\]}]', re.DOTALL)
_INTERNALS = re.compile(
    r"Traceback|File \"|site-packages|sediment_mcp[/.]|\.py\b|pydantic|sqlite3\.|0x[0-9a-f]{6,}|Error\(|\n"
)


@dataclass(frozen=True, slots=True)
class Expectation:
    """``id`` is what the answer carries; where it is not ``exact``, null will do. ``wild``: any id that
    stands in the line. With ``answers`` 0 nothing may come. ``cancels``: that request may stay unanswered."""

    answers: int
    id: Id | None = None
    exact: bool = False
    wild: bool = False
    cancels: Id | None = None


def expected(line: bytes) -> Expectation:
    if len(line) > MAX_LINE:
        return Expectation(1, wild=True)
    text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace").strip()
    if not text:
        return Expectation(0)
    if _depth(text) > MAX_DEPTH:
        return Expectation(1, wild=True)
    try:
        message = json.loads(text, parse_constant=_not_json)
    except ValueError:
        return Expectation(1)
    return _expected_of(message) if isinstance(message, dict) else Expectation(1)


def _not_json(name: str) -> None:
    raise ValueError(name)


def _depth(text: str) -> int:
    depth = deepest = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.group()[0], 0)
        deepest = max(deepest, depth)
    return deepest


def _expected_of(message: Message) -> Expectation:
    id, params = key_of(message.get("id")), message.get("params")
    is_call = isinstance(message.get("method"), str) and (params is None or isinstance(params, dict))
    if message.get("jsonrpc") != "2.0" or not is_call:
        return Expectation(0) if _is_response(message, id) else Expectation(1, id)
    if "id" in message:
        return Expectation(1, id, exact=id is not None)
    cancels = (params or {}).get("requestId") if message["method"] == "notifications/cancelled" else None
    return Expectation(0, cancels=key_of(cancels))


def key_of(id: Any) -> Id | None:
    """What tells ids apart: 5 is not "5". Half a surrogate pair comes back as U+FFFD."""
    if isinstance(id, str):
        return str, re.sub("[\ud800-\udfff]", "\ufffd", id)
    return (int, id) if isinstance(id, int) and not isinstance(id, bool) else None


def _is_response(message: Message, id: Id | None) -> bool:
    if message.get("jsonrpc") != "2.0" or "method" in message:
        return False
    error = message.get("error")
    if isinstance(error, dict):
        return isinstance(error.get("code"), int) and isinstance(error.get("message"), str)
    return id is not None and isinstance(message.get("result"), dict) and "error" not in message


@dataclass(slots=True)
class _Asked:
    """What was sent under one id in a round, and how much of it has been answered."""

    sent: int = 0
    answered: int = 0
    exact: bool = True
    cancelled: bool = False

    @property
    def missing(self) -> int:
        return self.sent - self.answered


class Judge:
    """The books of one connection; what is wrong is appended to ``defects``."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        """``secrets`` are texts that no error may hold, such as the paths of the installation."""
        self.defects: list[str] = []
        self.sent = self.answered = self.refused = 0
        self._secrets = tuple(secrets)
        self._asked: dict[Id, _Asked] = {}
        self._late: Counter[Id] = Counter()
        self._wild: list[bytes] = []
        self._refusals = 0
        self._checks: dict[Id, Callable[[Message], bool]] = {}

    def line_sent(self, line: bytes) -> None:
        self.sent += 1
        wanted = expected(line)
        if wanted.cancels in self._asked:
            self._asked[wanted.cancels].cancelled = True
        if wanted.wild:
            self._wild.append(line)
        elif wanted.answers and wanted.id is None:
            self._refusals += 1
        elif wanted.answers and wanted.id is not None:
            asked = self._asked.setdefault(wanted.id, _Asked())
            asked.sent += 1
            asked.exact &= wanted.exact and not self._late[wanted.id]

    def expect(self, id: Any, check: Callable[[Message], bool]) -> None:
        """The answer to this request must satisfy ``check`` too."""
        key = key_of(id)
        assert key is not None
        self._checks[key] = check

    def line_received(self, line: bytes) -> Message | None:
        """The message; None if it is none."""
        try:
            message = json.loads(line.decode("utf-8"), parse_constant=_not_json)
            fault = _fault_of(message)
        except ValueError as error:
            message, fault = None, str(error)
        if fault:
            self._tell(f"no JSON-RPC on stdout ({fault})", line)
        elif "method" not in message:
            self._answer(message, line)
        return None if fault else message

    def settled(self) -> bool:
        """Whether everything has come that must come."""
        strict = (a for a in self._asked.values() if a.exact and a.sent == 1 and not a.cancelled)
        return self._unexplained() <= 0 and all(asked.missing == 0 for asked in strict)

    def close_round(self) -> None:
        """Say what is missing or too much, once a barrier has been answered or the timeout has passed."""
        for (_, id), asked in self._asked.items():
            if asked.exact and asked.sent == 1 and asked.missing and not asked.cancelled:
                self._tell("a request without an answer", repr(id).encode())
        spare = sum(asked.missing for asked in self._asked.values() if asked.cancelled) + self._late.total()
        if not -spare <= self._unexplained() <= 0:
            self._tell(f"{self._unexplained()} more lines were to be refused than have been", b"")
        for key, asked in self._asked.items():
            # One of them may still be at work. The refusal of a cancelled one that shares its id may also
            # have been taken for that of another one, and the round was over before this one was answered.
            if asked.sent > 1 and (asked.cancelled or spare > 0):
                self._late[key] += asked.missing
        self._asked.clear()
        self._wild.clear()
        self._refusals = 0
        for _, id in self._checks:
            self._tell("a good call in between was not answered", repr(id).encode())
        self._checks.clear()

    def _unexplained(self) -> int:
        """Broken lines and requests with an id that was taken, less the refusals that carry no id."""
        doubtful = (a for a in self._asked.values() if not a.cancelled and (a.sent > 1 or not a.exact))
        return self._refusals + len(self._wild) + sum(asked.missing for asked in doubtful)

    def _answer(self, message: Message, line: bytes) -> None:
        key = key_of(message["id"])
        self.answered += 1
        self.refused += "error" in message or bool(message["result"].get("isError"))
        for fault in self._faults(message, line):
            self._tell(fault, line)
        if key is None:
            self._refusals -= 1
        elif key in self._asked and self._asked[key].missing > 0:
            unread = self._asked[key].cancelled and message.get("error", {}).get("code") in UNREAD
            if not (unread and self._was_wild(message["id"])):
                self._asked[key].answered += 1
        elif self._was_wild(message["id"]):
            pass  # or late, where both are possible: then what comes for this line will count as late
        elif self._late[key] > 0:
            self._late[key] -= 1
        else:
            self._tell("an answer that nobody waits for", line)
        check = self._checks.pop(key, None) if key else None
        if check and not check(message):
            self._tell("a good call in between was answered wrongly", line)

    def _was_wild(self, id: Any) -> bool:
        """Whether a line too long or too deep held this id."""
        written = re.compile(rb'"id"\s*:\s*' + re.escape(json.dumps(id).encode()) + rb"\s*[,}]")
        for place, line in enumerate(self._wild):
            if written.search(line) or not str(id).isascii():
                del self._wild[place]
                return True
        return False

    def _faults(self, message: Message, line: bytes) -> Iterator[str]:
        if "error" in message:
            yield from self._faults_in_sentence(message["error"]["message"])
            if len(line) - len(json.dumps(message["id"], ensure_ascii=False).encode()) > LONGEST_ERROR:
                yield f"an error of {len(line)} bytes"
        elif "content" in message["result"]:
            text = message["result"]["content"][0]["text"]
            if message["result"].get("isError"):
                yield from self._faults_in_sentence(text)
            elif json.loads(text) != message["result"].get("structuredContent"):
                yield "text and structured content differ"

    def _faults_in_sentence(self, sentence: str) -> Iterator[str]:
        if len(sentence) > LONGEST_SENTENCE:
            yield f"an error sentence of {len(sentence)} characters"
        if found := _INTERNALS.search(sentence):
            yield f"an error with internals in it ({found.group()!r})"
        if any(secret in sentence for secret in self._secrets):
            yield "an error with a path in it"
        if "Something went wrong inside" in sentence or not sentence.strip():
            yield "a failure by accident"

    def _tell(self, what: str, line: bytes) -> None:
        self.defects.append(f"{what}: {line[:SHOWN].decode(errors='replace')}")


def _fault_of(message: Any) -> str:
    """Why this is no JSON-RPC message of a server; empty if it is one."""
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return "no object with jsonrpc 2.0"
    if "method" in message:
        return (
            "" if isinstance(message["method"], str) and not {"result", "error"} & message.keys() else "both"
        )
    if ("result" in message) == ("error" in message) or "id" not in message:
        return "neither a result nor an error with an id"
    error = message.get("error")
    if error is None:
        known = key_of(message["id"]) is not None and isinstance(message["result"], dict)
        return "" if known else "a result without an id, or no object"
    sound = isinstance(error, dict) and isinstance(error.get("code"), int)
    sound = sound and isinstance(error.get("message"), str)
    return "" if sound and (message["id"] is None or key_of(message["id"])) else "an error of another shape"
