"""The plan, the recoveries, the audits, and the table at the end."""

from __future__ import annotations

import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from .audit import audit
from .backend import Backend
from .checker import Checker
from .history import History
from .injuries import KILL, Scene
from .slot import NOT_COPIED, Common, Machine, Slot

LAUNCH = Path(__file__).with_name("launch.py")
HUMAN = 120.0  # seconds without a right answer after which a person would have to look
BETWEEN_AUDITS = 100  # injuries
AFTERMATH = "audits"


@dataclass
class Options:
    kills: int
    damage: int
    processes: int
    seconds: float
    seed: int
    model: bool
    only: list[str]
    keep: Path | None


@dataclass
class Row:
    """What is told of one injury."""

    times: int = 0
    acknowledged: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    human: int = 0
    longest: float = 0.0  # seconds until a right answer
    slowest: float = 0.0  # seconds that a call took


@dataclass
class Wait:
    name: str
    slot: Slot
    since: float
    right: Future[float]
    told: float = field(default_factory=time.time)


class Campaign:
    def __init__(self, options: Options, make_backend: Callable[[Path], Backend]) -> None:
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="sediment-faults-"))
        self.history = History(self.folder / "history.jsonl", Checker())
        self.chance = random.Random(options.seed)
        self.rows: dict[str, Row] = {}
        self._current, self._told, self._written = AFTERMATH, 0, 0
        self._waits: list[Wait] = []
        self.backend = make_backend(self.folder)
        self.common = self._common(self.backend.machines, self.history)
        self.slots = [Slot(number, self.common) for number in range(options.processes)]
        self.scene = Scene(self.common, self.slots, self.backend.shim, self.chance, self.paused)

    def _common(self, machines: Sequence[Machine], history: History) -> Common:
        command = [sys.executable, "-P", str(LAUNCH)]
        return Common(machines, history, command, self.folder, self.options.seed, self.options.model)

    # --- the course ---------------------------------------------------------------------------

    def run(self) -> int:
        """The exit status."""
        say(f"seed {self.options.seed}, history {self.folder / 'history.jsonl'}")
        for name, why in self.backend.skipped.items():
            say(f"skipped: {name}: {why}")
        self.backend.prepare(self._common)
        for slot in self.slots:
            slot.start()
        try:
            self._course()
            self._finish()
        finally:
            self.common.ending = True
            for slot in self.slots:
                slot.join(30)
                slot.kill()
            self.history.close()
            self.backend.remove()
        return self._tell()

    def plan(self) -> list[str]:
        names = [name for name in self.backend.injuries if not self.options.only or name in self.options.only]
        names = [name for name in names if name not in self.backend.skipped]
        counts = {name: self.options.kills if name == KILL else self.options.damage for name in names}
        plan = [name for name, count in counts.items() for _ in range(count)]
        self.chance.shuffle(plan)
        return plan

    def _course(self) -> None:
        plan, started = self.plan(), time.monotonic()
        for number, name in enumerate(plan, start=1):
            if self.options.seconds and time.monotonic() - started > self.options.seconds:
                say(f"the time is over after {number - 1} of {len(plan)} injuries")
                break
            self._injure(name)
            if number % 10 == 0:
                say(f"{number} of {len(plan)} injuries, {len(self.history.violations)} promises broken")
            if number % BETWEEN_AUDITS == 0:
                self._audit()

    def _injure(self, name: str) -> None:
        if name == KILL:  # some at a time: the others go on
            self._wait_while(lambda: len(self._waits) >= max(1, min(3, len(self.slots) - 1)))
        else:
            self._wait_while(lambda: bool(self._waits))
        self._attribute(name)
        self.rows[name].times += 1
        busy = [wait.slot for wait in self._waits]
        slot = self.chance.choice([slot for slot in self.slots if slot not in busy])
        self.history.add("fault", name=name, slot=slot.number)
        hit = self.backend.injuries[name](self.scene, slot)
        self.history.add("lifted", name=name)
        for one in hit.slots:
            self._waits.append(Wait(name, one, hit.since, one.right_answer(hit.since)))
        time.sleep(self.chance.random() * 0.2)

    def _attribute(self, name: str) -> None:
        """What has happened since the last injury belongs to that one."""
        row = self.rows.setdefault(self._current, Row())
        violations = self.history.violations
        for violation, _ in violations[self._told :]:
            row.broken[violation.kind] = row.broken.get(violation.kind, 0) + 1
        written = self.common.counts.get("writes", 0)
        row.acknowledged += written - self._written
        row.slowest, self.common.longest = max(row.slowest, self.common.longest), 0.0
        self._told, self._written, self._current = len(violations), written, name
        self.rows.setdefault(name, Row())

    def _wait_while(self, condition: object) -> None:
        assert callable(condition)
        self._look_at_waits()
        while condition():
            time.sleep(0.005)
            self._look_at_waits()

    def _look_at_waits(self) -> None:
        for wait in list(self._waits):
            row = self.rows[wait.name]
            if wait.right.done():
                row.longest = max(row.longest, wait.right.result() - wait.since)
                self._waits.remove(wait)
            elif time.time() - wait.told > HUMAN:
                row.human += 1
                self.history.complain("human", f"slot {wait.slot.number}: no right answer after {wait.name}")
                wait.slot.kill()
                self._waits.remove(wait)
        for slot in self.slots:
            asked_at = slot.asked_at
            if asked_at is not None and time.monotonic() - asked_at > self.backend.longest_call:
                limit = self.backend.longest_call
                self.history.complain("hang", f"slot {slot.number} has not answered for {limit:.0f} s")
                slot.kill()

    @contextlib.contextmanager
    def paused(self) -> Generator[None]:
        """Nobody asks anything inside."""
        self.common.paused = True
        limit = time.monotonic() + self.backend.longest_call
        for slot in self.slots:
            while not (slot.is_idle.is_set() and slot.asked_at is None):
                if time.monotonic() > limit:
                    self.history.complain("hang", f"slot {slot.number} does not come to rest")
                    slot.kill()
                    limit += 10
                time.sleep(0.002)
        try:
            yield
        finally:
            self.common.paused = False

    def _audit(self) -> None:
        self._wait_while(lambda: bool(self._waits))
        self._attribute(AFTERMATH)
        self.rows[AFTERMATH].times += 1
        with self.paused():
            audit(self.common, self.backend, self.slots)

    def _finish(self) -> None:
        self._audit()
        self._attribute(AFTERMATH)

    # --- the report ---------------------------------------------------------------------------

    def _tell(self) -> int:
        say("")
        counted = f"{'times':>7}{'acked':>8}{'lost':>6}{'wrong':>7}{'human':>7}"
        print(f"{'fault':<32}{counted}{'right after':>13}{'longest call':>14}")
        order = [*self.backend.injuries, AFTERMATH]
        for name, row in sorted(self.rows.items(), key=lambda item: order.index(item[0])):
            if not row.times:
                continue
            wrong = sum(count for kind, count in row.broken.items() if kind not in ("lost", "human"))
            print(
                f"{name:<32}{row.times:>7}{row.acknowledged:>8}{row.broken.get('lost', 0):>6}{wrong:>7}"
                f"{row.human:>7}{row.longest:>11.1f} s{row.slowest:>12.1f} s"
            )
        for name, why in self.backend.skipped.items():
            print(f"{name:<32}skipped: {why}")
        print(f"{self._written} writes")
        for what, count in sorted(self.common.counts.items()):
            print(f"{count:>7} {what}")
        return self._tell_violations()

    def _tell_violations(self) -> int:
        violations = self.history.violations
        for violation, around in violations[:5]:
            print(f"\nBROKEN {violation}\n  the history around it:")
            for event in around:
                print(f"    {_brief(event, violation.word)}")
        if not violations and self.options.keep is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            return 0
        if self.options.keep is not None:
            shutil.copytree(self.folder, self.options.keep, ignore=NOT_COPIED, dirs_exist_ok=True)
        where = self.options.keep or self.folder
        print(
            f"\n{len(violations)} promises broken; history and logs in {where}; "
            f"--seed {self.options.seed} repeats the plan"
        )
        return 1 if violations else 0


def _brief(event: dict[str, object], word: str) -> str:
    results = event.get("results")
    if isinstance(results, list):
        event = {
            **event,
            "results": [r["word"] for r in results if r["word"] == word] or f"{len(results)} others",
        }
    return str(event)[:300]


def say(sentence: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {sentence}", file=sys.stderr, flush=True)
