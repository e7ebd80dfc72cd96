"""Does a history keep the promises? Pure: events go in, violations come out.

Every memory has a word of its own. What has been answered holds from the answer on, in every process: a
memory whose store was answered before a question began must be found, one whose removal was answered must
not. While a change is under way either is right. A change whose process died without an answer, or whose
refusal says that nobody knows, has happened or has not: the first question asked afterwards decides, and
everything later must agree, in all its parts (a store that replaces is one change: the new one is there
exactly if the old one is history). A change that was refused in other words has not happened.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SLACK = 0.3  # seconds around an expiry in which both are right
LOST, ZOMBIE, STALE, EXPIRED, HALF, REFUSED, WRONG = (
    "lost", "zombie", "stale", "expired", "half", "never happened, yet there", "wrong",
)  # fmt: skip
IDENTICAL = 0.99  # cosine of a text and itself, kept as float16
UNCLEAR = re.compile(r"Something went wrong inside|Traceback|psycopg|sqlite3|Error\b|\n")
MAX_SENTENCE = 400  # characters of a refusal
UNKNOWN = "not known whether"  # words of the one refusal after which a change may have been made
Event = Mapping[str, Any]


@dataclass(frozen=True)
class Violation:
    kind: str
    word: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.sentence}"


@dataclass
class Change:
    """One act that changes something. ``happened`` is None while nobody knows; ``certain`` is the event from
    which on it is known to have happened, ``ended`` the one from which on it cannot happen any more."""

    ended: int | None = None
    happened: bool | None = None
    certain: int | None = None

    def has_happened(self, event: int) -> bool:
        """Whether it certainly had happened before the event."""
        return self.certain is not None and self.certain < event

    def is_over(self, event: int) -> bool:
        return self.ended is not None and self.ended < event

    def decide(self, happened: bool, event: int) -> None:
        self.happened = happened
        if happened and self.certain is None:
            self.certain = event


@dataclass
class Removal:
    change: Change
    kind: Literal["deleted", "erased", "replaced"]


@dataclass
class Known:
    """What is known of the memory that belongs to a word. ``is_embedded``: the process that stored it had its
    model by then, so that the embedding was committed with it."""

    word: str
    store: Change
    is_embedded: bool
    id: str = ""
    expires: float | None = None
    removals: list[Removal] = field(default_factory=list)

    def gone(self, history: bool) -> list[Removal]:
        """What takes it out of sight; history stays visible where it is asked for."""
        return [one for one in self.removals if not (history and one.kind == "replaced")]

    @property
    def is_live(self) -> bool:
        return bool(self.store.happened and self.id and self.expires is None and not self.removals)


@dataclass
class Call:
    event: Event
    known: Known | None = None
    change: Change | None = None


class Checker:
    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self.live: dict[str, Known] = {}  # what certainly is there, and nobody is removing
        self._calls: dict[int, Call] = {}
        self._hybrid: set[tuple[int, int]] = set()  # processes that have answered by meaning
        self._clock_is_true = True
        self._settled = False  # nothing is under way, and the background has had its time
        self._kept: dict[str, Known] = {}

    def feed(self, event: Event) -> list[Violation]:
        """Take the next event; what it breaks."""
        match event["what"]:
            case "begin":
                self._begin(event)
            case "end":
                return self._end(event)
            case "clock":
                self._clock_is_true = event["true"]
            case "settled":
                self._settled = event["value"]
            case "kept":
                self._kept = copy.deepcopy(self.known)
            case "set back":
                self._set_back()
        return []

    def _set_back(self) -> None:
        """The database is that of the copy again; what came later has never happened."""
        later = {word: known for word, known in self.known.items() if word not in self._kept}
        for known in later.values():
            known.store = Change(ended=0, happened=False)
        self.known = copy.deepcopy(self._kept) | later
        self.live = {word: known for word, known in self.known.items() if known.is_live}

    # --- acts ---------------------------------------------------------------------------------

    def _begin(self, event: Event) -> None:
        call = self._calls[event["call"]] = Call(event)
        if event["act"] == "store":
            call.change = Change()
            is_embedded = (event["slot"], event["life"]) in self._hybrid
            call.known = Known(event["word"], call.change, is_embedded, expires=event.get("expires"))
            self.known[call.known.word] = call.known
            for old in event["replaces"]:
                self._remove(old, Removal(call.change, "replaced"))
        elif event["act"] in ("delete", "erase"):
            call.change = Change()
            call.known = self.known[event["word"]]
            kind: Literal["deleted", "erased"] = "deleted" if event["act"] == "delete" else "erased"
            self._remove(event["word"], Removal(call.change, kind))

    def _remove(self, word: str, removal: Removal) -> None:
        self.known[word].removals.append(removal)
        self.live.pop(word, None)

    def _end(self, event: Event) -> list[Violation]:
        call = self._calls.pop(event["call"])
        found = list(_unclear(call, event))
        if call.change is not None and call.known is not None:
            return found + self._change_ended(call, call.known, call.change, event)
        if event["outcome"] == "ok":
            found += self._seen(call.event, event)
        return found

    def _change_ended(self, call: Call, known: Known, change: Change, event: Event) -> list[Violation]:
        change.ended = event["n"]
        act = f"{call.event['act']} of {known.word}"
        if event["outcome"] == "none" or UNKNOWN in event.get("error", ""):
            return []
        if event["outcome"] == "error":
            if change.happened:
                return [
                    Violation(REFUSED, known.word, f"{act} was refused ({event['error']}), but it was seen")
                ]
            change.happened = False
            return []
        change.decide(True, event["n"])
        if call.event["act"] == "store":
            return self._stored(known, call, event)
        if not event["deleted"]:
            return [Violation(LOST, known.word, f"{act} found nothing to delete")]
        return []

    def _stored(self, known: Known, call: Call, event: Event) -> list[Violation]:
        known.id = event["id"]
        self._note(known)
        wrong = [] if event["status"] == "stored" else [f"its status is {event['status']}"]
        expected = {self.known[old].id for old in call.event["replaces"]}
        if set(event["superseded"]) != expected:
            wrong.append(f"superseded {event['superseded']} instead of {sorted(expected)}")
        return [Violation(WRONG, known.word, f"store of {known.word}: {one}") for one in wrong]

    # --- questions ----------------------------------------------------------------------------

    def _seen(self, asked: Event, event: Event) -> list[Violation]:
        """Everything that is shown must be allowed and whole; everything asked for must be shown."""
        found: list[Violation] = []
        if event.get("mode") == "hybrid":
            self._hybrid.add((asked["slot"], asked["life"]))
        seen: dict[str, Event] = {}
        for result in event["results"]:
            known = self.known.get(result["word"])
            if known is None:
                found.append(Violation(WRONG, result["word"], f"{result} was never stored"))
                continue
            if known.word in seen:
                found.append(Violation(HALF, known.word, f"{known.word} is there twice"))
            seen[known.word] = result
            found += self._is_whole(known, result, asked)
            found += self._observe(known, True, asked, event)
        for word in self.known if asked["how"] == "all" else asked["words"]:
            if not (word in seen and _counts(asked, seen[word])) and self._should_count(
                self.known[word], asked, event
            ):
                found += self._observe(self.known[word], False, asked, event)
        return found

    def _should_count(self, known: Known, asked: Event, event: Event) -> bool:
        """Whether it says anything that the memory is missing: an embedding may follow later."""
        if asked["how"] != "meaning":
            return True
        return event["mode"] == "hybrid" and (self._settled or known.is_embedded)

    def _is_whole(self, known: Known, result: Event, asked: Event) -> list[Violation]:
        found = [
            Violation(HALF, known.word, f"the {name} of {known.word} is not what was stored")
            for name in ("content", "tags", "metadata")
            if not result[name]
        ]
        if known.id and known.id != result["id"]:
            found.append(Violation(HALF, known.word, f"{known.word} is {known.id}, and {result['id']} too"))
        known.id = known.id or result["id"]
        replaced = [one.change for one in known.removals if one.kind == "replaced"]
        if any(change.has_happened(asked["n"]) for change in replaced) and not result["superseded"]:
            found.append(Violation(STALE, known.word, f"{known.word} does not say what has replaced it"))
        if result["superseded"] and not any(change.happened is not False for change in replaced):
            found.append(Violation(HALF, known.word, f"{known.word} is history, and nothing replaced it"))
        return found

    def _observe(self, known: Known, found: bool, asked: Event, event: Event) -> list[Violation]:
        """A look has found a memory, or has not."""
        gone = known.gone(history=asked["how"] in ("ids", "history"))
        if found:
            broken = self._why_not_to_be_found(known, gone, asked)
        else:
            broken = self._why_to_be_found(known, gone, asked, event)
        if broken is not None:
            sentence = (
                f"{known.word} ({known.id}) was {'' if found else 'not '}found by {asked['how']} "
                f"in slot {asked['slot']}, asked at {asked['n']}, answered at {event['n']}"
            )
            return [Violation(broken, known.word, sentence)]
        _decide(known, gone, found, asked, event)
        self._note(known)
        return []

    def _note(self, known: Known) -> None:
        if known.is_live:
            self.live[known.word] = known

    def _why_not_to_be_found(self, known: Known, gone: list[Removal], asked: Event) -> str | None:
        if known.store.happened is False:
            return REFUSED
        for one in gone:
            if one.change.has_happened(asked["n"]):
                return STALE if one.kind == "replaced" else ZOMBIE
        if known.expires is not None and self._clock_is_true and asked["at"] > known.expires + SLACK:
            return EXPIRED
        return None

    def _why_to_be_found(self, known: Known, gone: list[Removal], asked: Event, event: Event) -> str | None:
        if not known.store.has_happened(asked["n"]):
            return None
        if known.expires is not None and not (self._clock_is_true and event["at"] < known.expires - SLACK):
            return None
        return None if any(one.change.happened is not False for one in gone) else LOST


def _decide(known: Known, gone: list[Removal], found: bool, asked: Event, event: Event) -> None:
    """What nobody knew is known now."""
    if found:
        known.store.decide(True, event["n"])
        for one in gone:
            if one.change.happened is None and one.change.is_over(asked["n"]):
                one.change.decide(False, event["n"])
    elif known.expires is None:
        if known.store.happened is None and known.store.is_over(asked["n"]) and not gone:
            known.store.decide(False, event["n"])
        possible = [one.change for one in gone if one.change.happened is not False]
        if known.store.has_happened(asked["n"]) and len(possible) == 1:
            possible[0].decide(True, event["n"])


def _counts(asked: Event, result: Event) -> bool:
    """Whether the result is there for the reason that was asked for."""
    if asked["how"] == "meaning":
        return bool(result["semantic"] and result["semantic"] > IDENTICAL)
    return asked["how"] != "words" or bool(result["lexical"])


def _unclear(call: Call, event: Event) -> Iterable[Violation]:
    sentence = event.get("error", "")
    if sentence and (UNCLEAR.search(sentence) or ":" not in sentence or len(sentence) > MAX_SENTENCE):
        act = f"{call.event['act']} {call.event.get('how', '')}"
        yield Violation(WRONG, "", f"{act} failed without a reason and a remedy: {sentence[:MAX_SENTENCE]}")
