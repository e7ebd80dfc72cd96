"""Hostile strings made from a regular expression itself, and how the time over them grows.

A backtracking expression takes more than linear time only over strings in which something that a part of it
matches is repeated, and that do not match as a whole. So every part is sampled from the parse tree, and the
samples, and pairs of them, are repeated ("pumped") with an end that fits nothing.
"""

from __future__ import annotations

import itertools
import random
import re
import re._constants as ops  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

MAX_GROWTH = 2.6  # times, where the text is twice as long: linear is 2, quadratic 4
SCREENED_CHARS = 3_000
MAX_WORDS = 40  # samples of one expression
MAX_PAIRS = 150
SLOWEST = 3  # candidates that are measured precisely
MIN_SECONDS = 0.02  # a run that is measured takes at least so long, where the text is not too long
MAX_CHARS = 400_000
ATTEMPTS = 10
SUSPECT_SECONDS = 0.05  # for a tenth of the text
POOL = "a1 A_-.\"'`\\/<>{}[]():=,;\n\t\r#é\u0300漢😀~|"

HOSTILE_WORDS = (
    "a", "A", "aA", "1", "-", "_", " ", "\t", "\n", "\r\n", "a ", "a\n", "\n\n", "/", "//", "/*", "*/",
    "\\", '\\"', '"', "'", "`", "```", "```\n", "~~~\n", "# ", "# a\n", "- ", "---\n", "...\n", ": ",
    "a: ", "a:\n", "{", "}", "[", "]", "[]", "{},", "[1,", '{"a":', '"a":1,', "(", ")", "<", "<|", "&a ",
    "*a ", "!!a ", "%", "://", "a://b:", "@", "=", "==", "password", "db_password_", "password`",
    "secret=", "sk-", "eyJ", "eyJa.", "may ", "may-", "in ", "8 may 2024 ", "last ", "note that ",
    "ignore all previous ", "\u200d", "\u0301", "\u0316\u0301", "\u0301\u0316", "\ufe0f", "\U000e0041",
    "漢", "。", "가", "😀", "😀\u200d", "é", "\x00", "\x85", "\u2028", "\x0b", "0123456789abcdef", "aB1",
    "bcdfg", ". ", ".\" ", "!?", "#", ",", "|", "| a ",
)  # fmt: skip


def pump(words: Sequence[str], seed: int = 0) -> Iterator[Callable[[int], str]]:
    """Yield makers of strings of a given length: each word, and pairs of words, repeated."""
    for word in words:
        yield _repeat("", word, "")
        yield _repeat("", word, "\x00")
        yield _repeat(word, " ", "\x00")
    pairs = list(itertools.permutations(words, 2))
    for first, second in random.Random(seed).sample(pairs, min(len(pairs), MAX_PAIRS)):
        yield _repeat("", first + second, "\x00")
        yield _repeat(first, second, "\x00")


def _repeat(start: str, word: str, end: str) -> Callable[[int], str]:
    def make(chars: int) -> str:
        return start + (word * (chars // len(word) + 1))[:chars] + end

    return make


# --- samples of an expression -------------------------------------------------------------------


def sample_words(pattern: str | bytes, flags: int = 0) -> list[str]:
    """Return texts that the parts of an expression match, shortest first."""
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    words: set[str] = set()
    words.add(_sample(parser.parse(text, flags & ~re.UNICODE), words))
    kept = sorted((word for word in words if 0 < len(word) <= 60), key=lambda word: (len(word), word))
    return kept[:MAX_WORDS]


def _sample(sequence: Any, words: set[str]) -> str:
    pieces = ""
    for op, value in sequence:
        piece = _sample_node(op, value, words)
        words.update({piece, pieces + piece})
        pieces += piece
    return pieces


def _sample_node(op: Any, value: Any, words: set[str]) -> str:
    if op is ops.LITERAL:
        return chr(value)
    if op in (ops.NOT_LITERAL, ops.ANY, ops.IN):
        node = [(op, value)]
        found = [char for char in POOL if _matches_class(node[0], char)]
        words.update(found[:6])
        return found[0] if found else _first_of(value)
    if op is ops.BRANCH:
        return next(_sample(branch, words) for branch in value[1])
    if op is ops.SUBPATTERN:
        return _sample(value[3], words)
    if op is ops.ATOMIC_GROUP:
        return _sample(value, words)
    if op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
        low, _, body = value
        once = _sample(body, words)
        words.add(once * 2)
        return once * max(1, min(low, 50))
    if op in (ops.ASSERT, ops.ASSERT_NOT):
        _sample(value[1], words)
    return ""  # an anchor, a reference


def _first_of(value: Any) -> str:
    op, inner = value[0] if value[0][0] is not ops.NEGATE else value[1]
    return chr(inner if op is ops.LITERAL else inner[0])


def _matches_class(node: Any, char: str) -> bool:
    op, value = node
    if op is ops.ANY:
        return char != "\n"
    if op is ops.NOT_LITERAL:
        return ord(char) != value
    negated = value[0][0] is ops.NEGATE
    return negated != any(_matches_item(item, char) for item in value[negated:])


CATEGORIES = {
    ops.CATEGORY_DIGIT: r"\d", ops.CATEGORY_NOT_DIGIT: r"\D", ops.CATEGORY_SPACE: r"\s",
    ops.CATEGORY_NOT_SPACE: r"\S", ops.CATEGORY_WORD: r"\w", ops.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip


def _matches_item(item: Any, char: str) -> bool:
    op, value = item
    if op is ops.LITERAL:
        return ord(char) == value
    if op is ops.RANGE:
        return value[0] <= ord(char) <= value[1]
    return re.match(CATEGORIES[value], char) is not None


# --- how time grows -----------------------------------------------------------------------------


def find_growth(
    run: Callable[[str], object],
    makers: Iterable[Callable[[int], str]],
    chars: int = SCREENED_CHARS,
    *,
    attempts: int = ATTEMPTS,
) -> tuple[float, str]:
    """Return by how much the worst string's time grows where it is twice as long, and that string's start.

    All strings are tried once at a short length; those that took longest are measured.
    """
    timed: list[tuple[float, int, Callable[[int], str]]] = []
    for number, make in enumerate(makers):
        for length in (chars // 100, chars // 10):  # else what is worse than quadratic would take hours
            if _measure(run, make(length)) > SUSPECT_SECONDS:
                growth = _measure_growth(run, make, length, attempts)
                if growth > MAX_GROWTH:
                    return growth, make(24)
        timed.append((_measure(run, make(chars)), number, make))
    slowest = sorted(timed, reverse=True)[:SLOWEST]
    return max((_measure_growth(run, make, chars, attempts), make(24)) for _, _, make in slowest)


def _measure_growth(
    run: Callable[[str], object], make: Callable[[int], str], chars: int, attempts: int
) -> float:
    """Return the growth, the least of some attempts while it is too much: a busy machine only adds."""
    while _measure(run, make(chars)) < MIN_SECONDS:
        chars *= 2
        if chars > MAX_CHARS:
            return 0.0
    growth = _compare_lengths(run, make, chars, attempts)
    # A bound that is crossed is a step and no growth, which goes on at the next doubling.
    return growth if growth < MAX_GROWTH else min(growth, _compare_lengths(run, make, 2 * chars, attempts))


def _compare_lengths(
    run: Callable[[str], object], make: Callable[[int], str], chars: int, attempts: int
) -> float:
    """Return the time for twice the length over that for the length, the least of some attempts."""
    growth = float("inf")
    short, long = make(chars), make(chars * 2)
    for _ in range(attempts):
        first, second = (min(_measure(run, text) for _ in range(2)) for text in (short, long))
        growth = min(growth, second / first)
        if growth < MAX_GROWTH:
            break
    return growth


def _measure(run: Callable[[str], object], text: str) -> float:
    """Return the processor time of this thread, in seconds."""
    start = time.thread_time()
    run(text)
    return time.thread_time() - start
