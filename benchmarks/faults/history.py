"""What was asked and what was answered, in one order, kept in a file line by line.

An event is a JSON object. ``n`` is its place in the order, ``at`` its time (seconds since 1970).

    {"what": "begin", "call": 7, "slot": 0, "life": 3, "act": "store", "word": "…", "replaces": ["…"]}
    {"what": "begin", "call": 8, "slot": 1, "life": 1, "act": "look", "how": "words", "words": ["…"]}
    {"what": "end", "call": 7, "outcome": "ok" | "error" | "none", …}      "none": its process has ended
    {"what": "fault" | "lifted", "name": "…", …}
    {"what": "kept"} and {"what": "set back"}          the database was copied, and put back
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from .checker import Checker, Violation

Event = dict[str, Any]
AROUND = 25  # events shown before a violation


class History:
    """Records events and lets them be checked at once. May be used from any thread."""

    def __init__(self, file: Path, checker: Checker) -> None:
        self.checker = checker
        self.violations: list[tuple[Violation, list[Event]]] = []
        self.lock = threading.RLock()
        self._file = file.open("w", encoding="utf-8")
        self._recent: deque[Event] = deque(maxlen=AROUND)
        self._calls = self._events = 0

    def begin(self, **event: Any) -> int:
        with self.lock:
            self._calls += 1
            self.add("begin", call=self._calls, **event)
            return self._calls

    def add(self, what: str, **event: Any) -> list[Violation]:
        with self.lock:
            self._events += 1
            whole = {"n": self._events, "at": round(time.time(), 4), "what": what, **event}
            self._file.write(json.dumps(whole, ensure_ascii=False) + "\n")
            self._recent.append(whole)
            found = self.checker.feed(whole)
            for violation in found:
                self._file.write(json.dumps({"VIOLATION": str(violation)}) + "\n")
                self.violations.append((violation, list(self._recent)))
            if found:
                self._file.flush()
            return found

    def complain(self, kind: str, sentence: str) -> None:
        """A promise was broken that the checker cannot see in answers."""
        with self.lock:
            self.violations.append((Violation(kind, "", sentence), list(self._recent)))
            self._file.write(json.dumps({"VIOLATION": f"{kind}: {sentence}"}) + "\n")
            self._file.flush()

    def close(self) -> None:
        self._file.close()


def read(file: Path) -> list[Event]:
    """The events of a history; for `Checker.feed`."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if "what" in line]
