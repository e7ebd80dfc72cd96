"""What the fuzzer puts into messages: values that parsers stumble over, and JSON that `json` does not write.

Everything is drawn from a `random.Random`, so a seed repeats a run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

WORDS = (
    "database", "port", "staging", "Tuesday", "release", "Ann", "Bern", "pool", "retry", "cache", "token",
    "deploy", "review", "lunch", "index",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Raw:
    """JSON text, or what only looks like it, that is written as it stands."""

    text: str


@dataclass(frozen=True, slots=True)
class Members:
    """An object whose names may come twice."""

    pairs: tuple[tuple[str, Any], ...]


def write(value: Any, rng: Random) -> str:
    """The value as JSON text; how strings are escaped and where spaces stand is up to chance."""
    space = " " if rng.random() < 0.1 else ""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        value = Members(tuple(value.items()))
    if isinstance(value, Members):
        members = (f"{write(name, rng)}:{space}{write(inner, rng)}" for name, inner in value.pairs)
        return "{" + f",{space}".join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + f",{space}".join(write(inner, rng) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=rng.random() < 0.5)


def deep(depth: int, kind: str = "list") -> Raw:
    opening, closing = ("[", "]") if kind == "list" else ('{"a":', "}")
    return Raw(opening * depth + "1" + closing * depth)


def sentence(rng: Random) -> str:
    """A text like those that are really stored."""
    return f"{' '.join(rng.choices(WORDS, k=rng.randint(3, 12)))} {rng.getrandbits(32):08x}."


def odd_string(rng: Random) -> str:
    return rng.choice(_STRINGS)(rng)


def odd_query(rng: Random) -> str:
    """Text that would be syntax to a parser of queries."""
    return rng.choice(_QUERIES)(rng)


def odd_time(rng: Random) -> str:
    return rng.choice(_TIMES)


def odd_value(rng: Random) -> Any:
    """Anything but what was asked for."""
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(_SCALARS)
    if kind < 0.6:
        return odd_string(rng)
    if kind < 0.7:
        return odd_time(rng)
    return rng.choice(_STRUCTURES)(rng)


def odd_id(rng: Random) -> Any:
    """Ids from all over JSON; from a small pool, so that they meet each other in flight."""
    return rng.choice(_IDS)


def _soup(rng: Random, alphabet: str, length: int) -> str:
    return "".join(rng.choices(alphabet, k=length))


_SCALARS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 101, 1.5, -0.0, 5e-324, 1e308, 10**30, -(10**30), 2**31, 2**53 + 1, 2**63,
    2**64, -(2**63) - 1, Raw("1e400"), Raw("-1e400"), Raw("NaN"), Raw("Infinity"), Raw("-Infinity"),
    Raw("1" + "0" * 5000), Raw("0x10"), Raw("01"), Raw("1."), Raw("+1"), Raw("'a'"), Raw("undefined"),
    Raw(""),    Raw("1E2"), Raw("-0"), Raw("1.0"),
)  # fmt: skip

_STRINGS: tuple[Callable[[Random], str], ...] = (
    lambda _: "",
    lambda _: " \t\r\n\u00a0\u2003",
    lambda _: "\0",
    lambda rng: "\0".join(rng.choices(WORDS, k=3)),
    lambda _: "\ud800",
    lambda _: "half \udfff\ud800 pair",
    lambda _: "\x1b[31mred\x07\x9b",
    lambda _: "\u202eright\u200bto\ufeffleft",
    lambda _: "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 3,
    lambda _: "e" + "\u0301" * 500,
    lambda _: "\uffff\ufffe\U0010ffff",
    lambda _: "\u2028\u2029\x85\x0b\x0c",
    lambda rng: "x" * rng.choice((63, 64, 65, 255, 256, 257, 1000, 1001)),
    lambda rng: "long " * rng.choice((2000, 2001, 20_000)) if rng.random() < 0.1 else "short",
    lambda rng: "\u6f22" * (100_001 if rng.random() < 0.05 else 30),
    lambda _: "[]",
    lambda _: "{}",
    lambda _: "null",
    lambda _: "[1,",
    lambda _: '["\\ud800"]',
    lambda _: '{"a": NaN}',
    lambda _: '[["nested"]]',
    lambda _: "[" * 3000,
    lambda _: '{"a":' * 3000,
    lambda _: "../../../etc/passwd",
    lambda _: "'; DROP TABLE memories; --",
    lambda _: "%s%n{0}{__class__}${HOME}$(id)`id`",
    lambda _: "<script>alert(1)</script>",
    lambda _: "true",
    lambda _: "1",
    lambda rng: _soup(rng, "\x00\x01\x1f\x7f\x80\xff\u0130\u1e9e\ufb03 ", 40),
    sentence,
)

_QUERIES: tuple[Callable[[Random], str], ...] = (
    lambda rng: _soup(rng, '()[]{}"', rng.choice((10, 1000, 9999))),
    lambda rng: rng.choice('([{"<') * rng.choice((10, 3000, 10_000)),
    lambda rng: " ".join(rng.choices(("AND", "OR", "NOT", "&&", "||", "!", "+", "-", "release"), k=40)),
    lambda rng: " AND ".join(rng.choices(WORDS, k=rng.choice((3, 900)))),
    lambda rng: f"{rng.choice(('content', 'tags', 'id', 'seq', '*', '_'))}:{rng.choice(WORDS)}",
    lambda _: "title:(release AND NOT (port OR staging)^2.5)~3",
    lambda _: "release~2 port* ?ort *",
    lambda _: "/(a+)+$/ /[/ .*",
    lambda _: "(a|a)*" * 800,
    lambda _: "[2020-01-01 TO *} {a TO b]",
    lambda _: "IN [a b c] < > <= >=",
    lambda rng: "\\" * rng.choice((1, 7, 5000)),
    lambda _: '"' * 9999,
    lambda _: "release\\",
    lambda _: "?" * 10_000,
    lambda _: "* " * 5000,
    lambda _: "a " * 5000,
    lambda rng: " ".join(f"{rng.getrandbits(24):x}" for _ in range(1200)),
    lambda rng: _soup(rng, "()[]\"'", 100_000) if rng.random() < 0.2 else "(" * 500,
    lambda _: "SELECT * FROM memories WHERE '1'='1' UNION ALL",
    lambda _: "\u6771\u4eac\u306e\u5929\u6c17 " * 500,
    lambda _: "the of and a to in is you that it",
    lambda _: "\u202e\u200b\u200d\ufeff",
    lambda _: "-1 +1 --release -- -",
    lambda _: "what happened on 2026-02-30, 31 April and 9999-99-99, yesterday or last next week",
    odd_string,
)

_TIMES: tuple[str, ...] = (
    "2026-02-30", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01", "9999-12-31",
    "10000-01-01", "-0001-01-01", "2026-05-08T14:30:00.123456789Z", "now", "yesterday", "2026-W01-1",
    "20260508", "2026-05-08T24:00:00", "2026-05-08T14:30:60Z", "2026-05-08T14:30:00+99:99", "1e9",
    "1767225600", "2026-05-08T14:30:00Z", " 2026-05-08 ", "2026-05-08T14:30:00+00:00:00.000001",
    "\u0661\u0669\u0669\u0669-01-01", "2026-05-08T14:30:00Z\0",
)  # fmt: skip

_STRUCTURES: tuple[Callable[[Random], Any], ...] = (
    lambda _: [],
    lambda _: {},
    lambda _: [[]],
    lambda _: [None, 1, {}, "a"],
    lambda rng: [odd_string(rng) for _ in range(rng.choice((1, 20, 21, 101)))],
    lambda rng: list(range(rng.choice((100, 20_000)))),
    lambda rng: {f"k{number}": number for number in range(rng.choice((3, 3000)))},
    lambda rng: {odd_string(rng): rng.choice(_SCALARS) for _ in range(3)},
    lambda _: {"": {"": {"": None}}, "__class__": 1, "$ref": "#/a", "__proto__": {}},
    lambda _: Members((("a", 1), ("a", 2), ("id", 3), ("jsonrpc", "1.0"))),
    lambda rng: deep(rng.choice((5, 60, 110, 124, 130, 1000, 20_000)), rng.choice(("list", "object"))),
)

_IDS: tuple[Any, ...] = (
    0, 1, 2, 3, 5, "5", " 5 ", "05", "5_0", 50, -1, -5, "-5", 10**30, -(10**30), 2**53, 2**63, 1.5, None,
    True, False, Raw("1.0"), Raw("1e3"), Raw("1e400"), Raw("NaN"), Raw("9" * 4300), Raw("9" * 4301), "", "a",
    "\0", "\ud800", "\ufffd", "\u0665", "id", "null", "x" * 300, "x" * 20_000, '"quoted\\', [], [1], {},
    {"id": 1},
)  # fmt: skip
