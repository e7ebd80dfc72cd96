"""What is done to the servers, to the disk, to the clock and to the files."""

from __future__ import annotations

import errno
import random
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

from stdio_client import Server, close_input

from . import derived, shim
from .disk import Disk
from .shim import Shim
from .slot import Common, Order, Slot

IN_A_CALL = 0.6  # the share of kills that come in the middle of a change
MOST_INTO = 0.02  # seconds after the change was asked for
DAYS = 86_400.0
TIMEOUT = 5.0


@dataclass
class Scene:
    """What an injury has to work with."""

    common: Common
    slots: list[Slot]
    disk: Disk
    shim: Shim | None
    chance: random.Random
    foreign: Path
    pause: Callable[[], AbstractContextManager[None]]
    other: Path | None = None
    older: Path | None = None
    copy: Path | None = None


@dataclass
class Hit:
    """Who was hit, and the moment from which right answers count."""

    slots: Sequence[Slot]
    since: float


Injury = Callable[[Scene, Slot], Hit]


# --- processes ----------------------------------------------------------------------------------


def _in_a_call(scene: Scene, slot: Slot, act: Callable[[Server], None]) -> Hit:
    order = Order(scene.chance.random() * MOST_INTO, act)
    slot.order = order
    if order.done.wait(TIMEOUT):
        return Hit([slot], order.at)
    slot.order = None
    return kill_now(scene, slot)


def kill(scene: Scene, slot: Slot) -> Hit:
    if scene.chance.random() < IN_A_CALL:
        return _in_a_call(scene, slot, lambda server: server.process.kill())
    return kill_now(scene, slot)


def kill_now(scene: Scene, slot: Slot) -> Hit:
    hit = Hit([slot], time.time())
    slot.kill()
    return hit


def kill_all(scene: Scene, _: Slot) -> Hit:
    hit = Hit(scene.slots, time.time())
    for slot in scene.slots:
        slot.kill()
    return hit


def end_of_input(scene: Scene, slot: Slot) -> Hit:
    return _in_a_call(scene, slot, lambda server: close_input(server.process))


def stop(scene: Scene, slot: Slot) -> Hit:
    """Stop a process wherever it is, let the others read meanwhile, and let it go on."""
    server = slot.server
    if server is None:
        return kill_now(scene, slot)
    since = time.time()
    server.process.send_signal(signal.SIGSTOP)
    others = [(other, other.right_answer(since)) for other in scene.slots if other is not slot]
    time.sleep(scene.chance.uniform(0.3, 2.5))
    if scene.chance.random() < 0.3:  # it never wakes up again
        slot.kill()
    server.process.send_signal(signal.SIGCONT)
    for other, right in others:
        try:
            right.result(TIMEOUT)
        except TimeoutError:
            scene.common.history.complain(
                "wrong", f"slot {other.number} could not read beside a stopped process"
            )
    return Hit([slot], time.time())


# --- disk and clock -----------------------------------------------------------------------------


def _excused(scene: Scene, fault: AbstractContextManager[None], seconds: float) -> Hit:
    """While the fault lasts, calls may be refused."""
    scene.common.excused = True
    try:
        with fault:
            time.sleep(seconds)
        return Hit(scene.slots, time.time())
    finally:
        scene.common.excused = False


def full_disk(scene: Scene, _: Slot) -> Hit:
    return _excused(scene, scene.disk.full(), scene.chance.uniform(0.5, 1.5))


def full_disk_and_kill(scene: Scene, slot: Slot) -> Hit:
    scene.common.excused = True
    with scene.disk.full():
        time.sleep(scene.chance.uniform(0.2, 0.8))
        slot.kill()
        time.sleep(1.0)
    hit = Hit(scene.slots, time.time())
    scene.common.excused = False
    return hit


def _failing(error: int, *sets: int) -> Injury:
    def injury(scene: Scene, slot: Slot) -> Hit:
        assert scene.shim is not None
        calls, share = scene.chance.choice(sets), scene.chance.choice((0.02, 0.2, 1.0))
        hit = _excused(scene, scene.shim.failing(calls, error, share), scene.chance.uniform(0.3, 1.2))
        if scene.chance.random() < 0.4:
            for one in scene.slots:
                one.kill()
        return hit

    return injury


def read_only_disk(scene: Scene, _: Slot) -> Hit:
    """Nobody can be started on it and write; reading is tried, and refused in a clear sentence at worst."""
    scene.common.excused = True
    with scene.pause():
        _all_dead(scene)
        with scene.disk.read_only():
            for future in [slot.job(lambda slot: slot.try_everything()) for slot in scene.slots]:
                future.result(60)
            _all_dead(scene)
    hit = Hit(scene.slots, time.time())
    scene.common.excused = False
    return hit


def _all_dead(scene: Scene) -> None:
    for slot in scene.slots:
        server = slot.server
        slot.kill()
        if server is not None:
            server.process.wait(10)


def clock(scene: Scene, _: Slot) -> Hit:
    assert scene.shim is not None
    history, chance = scene.common.history, scene.chance
    history.add("clock", true=False)
    scene.common.excused = True  # an end may lie in the past of a wrong clock
    for _ in range(chance.randrange(1, 4)):
        days = chance.choice((1 / 86400, 1 / 24, 3, 12))
        scene.shim.shift_clock(chance.choice((-1, 1)) * days * DAYS)
        time.sleep(chance.uniform(0.1, 0.6))
    scene.shim.shift_clock(0)
    time.sleep(0.5)  # calls that still saw the wrong time
    scene.common.excused = False
    history.add("clock", true=True)
    return Hit(scene.slots, time.time())


# --- files --------------------------------------------------------------------------------------


def _damaging(damage: derived.Damage) -> Injury:
    def injury(scene: Scene, _: Slot) -> Hit:
        if scene.chance.random() < 0.5:  # beside running servers
            damage(scene.common.directory, scene.chance)
            return Hit(scene.slots, time.time())
        with scene.pause():
            _all_dead(scene)
            damage(scene.common.directory, scene.chance)
            return Hit(scene.slots, time.time())

    return injury


def transplant(scene: Scene, _: Slot) -> Hit:
    with scene.pause():
        if scene.chance.random() < 0.5:
            _all_dead(scene)
        derived.transplant(scene.foreign, scene.common.directory)
        return Hit(scene.slots, time.time())


def set_back(scene: Scene, _: Slot) -> Hit:
    """Copy the database, let everybody go on, and put the copy back while the indexes are newer."""
    database, copy = scene.common.directory / "memories.db", scene.common.logs / "copy.db"
    with scene.pause():
        copy.unlink(missing_ok=True)
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        scene.common.history.add("kept")
    time.sleep(scene.chance.uniform(0.5, 3.0))
    with scene.pause():
        _all_dead(scene)
        for suffix in ("-wal", "-shm"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
        shutil.copy(copy, database)
        scene.common.history.add("set back")
        return Hit(scene.slots, time.time())


# --- versions -----------------------------------------------------------------------------------


def other_version(scene: Scene, slot: Slot) -> Hit:
    """For a while one slot runs another version of the package with the same schema."""
    slot.variables = {"PYTHONPATH": str(scene.other)}
    slot.kill()
    try:
        slot.right_answer(time.time()).result(45)
        time.sleep(scene.chance.uniform(0.5, 1.5))
    except TimeoutError:
        scene.common.history.complain("wrong", "the other version gives no right answer")
    finally:
        slot.variables = {}
    return kill_now(scene, slot)


def older_version(scene: Scene, slot: Slot) -> Hit:
    """A version that knows only an older schema refuses, in a clear sentence, and harms nothing."""
    common = scene.common
    variables = {**common.variables, "PYTHONPATH": str(scene.older)}
    server = Server(common.command, common.directory, **variables)
    server.initialize()
    for tool, arguments in (
        ("store_memory", {"content": "An older version wrote this."}),
        ("query_memory", {"query": "older"}),
        ("list_memories", {}),
        ("delete_memory", {"ids": ["abc"], "permanent": True}),
    ):
        _, result = server.request("tools/call", {"name": tool, "arguments": arguments})
        sentence = result["content"][0]["text"]
        if not result.get("isError") or "newer sediment-mcp" not in sentence:
            common.history.complain("wrong", f"an older version answers {tool}: {sentence[:200]}")
    server.end(close_input)
    return Hit([slot], time.time())


WRITING = (
    shim.SYNC,
    shim.WRITE,
    shim.RENAME,
    shim.WRITE | shim.SYNC | shim.RENAME | shim.OPEN,
    shim.EVERYTHING,
)
INJURIES: dict[str, Injury] = {
    "kill -9 of one": kill,
    "kill -9 of all": kill_all,
    "end of input in a call": end_of_input,
    "stopped for a while": stop,
    "disk full": full_disk,
    "disk full, and kill -9": full_disk_and_kill,
    "input/output errors": _failing(errno.EIO, *WRITING),
    "no space, from any call": _failing(errno.ENOSPC, *WRITING),
    "files turn read-only": _failing(errno.EROFS, shim.EVERYTHING),
    "started on a read-only disk": read_only_disk,
    "clock jumps": clock,
    **{name: _damaging(damage) for name, damage in derived.DAMAGES.items()},
    "indexes of another directory": transplant,
    "database set back": set_back,
    "another version beside": other_version,
    "an older schema beside": older_version,
}
KILL = "kill -9 of one"
NEED_SHIM = ("input/output errors", "no space, from any call", "files turn read-only", "clock jumps")
NEED_DISK = ("disk full", "disk full, and kill -9", "started on a read-only disk")
NEED_OTHER, NEED_OLDER = "another version beside", "an older schema beside"
