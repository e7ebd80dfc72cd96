"""What the benchmarks ask of a real server again and again, and how long a new one takes to answer."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent / "speed"))

from sentences import TOPICS, Writer
from stdio_client import Server, close_input


def question(writer: Writer) -> str:
    """A question that some memory answers."""
    return writer.question(writer.chance.choice(TOPICS))


def sentence(writer: Writer) -> str:
    """A sentence that no memory says yet."""
    text = writer.sentence(writer.chance.randrange(900))
    return f"{text[:-1]}, noted with {writer.name()} {writer.chance.randrange(10**9)}."


def answer_by_both(server: Server) -> float:
    """Ask until an answer is by words and by meaning; returns the second of the first answer."""
    first = 0.0
    while True:
        _, answer = server.call("query_memory", {"query": "When do releases go out?"})
        first = first or time.perf_counter() - server.started
        if answer.get("mode", "hybrid") == "hybrid":
            return first


def start_to_both(server: Server) -> tuple[float, float]:
    """Seconds from the start of the process to its first answer, and to one by words and by meaning."""
    server.initialize()
    first = answer_by_both(server)
    both = time.perf_counter() - server.started
    server.end(close_input)
    return first, both
