"""What is done to the servers, to their clock and to their derived files, whatever keeps the memories."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from stdio_client import Server, close_input

from . import derived
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
    shim: Shim | None
    chance: random.Random
    pause: Callable[[], AbstractContextManager[None]]


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


# --- what excuses refusals ----------------------------------------------------------------------


def excused(scene: Scene, seconds: float, fault: AbstractContextManager[object]) -> Hit:
    """While the fault lasts, calls may be refused."""
    with scene.common.excusing(), fault:
        time.sleep(seconds)
    return Hit(scene.slots, time.time())


def all_dead(scene: Scene) -> None:
    for slot in scene.slots:
        server = slot.server
        slot.kill()
        if server is not None:
            server.process.wait(10)


# --- clock and derived files ---------------------------------------------------------------------


def clock(scene: Scene, _: Slot) -> Hit:
    assert scene.shim is not None
    history, chance = scene.common.history, scene.chance
    history.add("clock", true=False)
    with scene.common.excusing():  # an end may lie in the past of a wrong clock
        for _ in range(chance.randrange(1, 4)):
            days = chance.choice((1 / 86400, 1 / 24, 3, 12))
            scene.shim.shift_clock(chance.choice((-1, 1)) * days * DAYS)
            time.sleep(chance.uniform(0.1, 0.6))
        scene.shim.shift_clock(0)
        time.sleep(0.5)  # calls that still saw the wrong time
    history.add("clock", true=True)
    return Hit(scene.slots, time.time())


def _damaging(damage: derived.Damage) -> Injury:
    def injury(scene: Scene, _: Slot) -> Hit:
        if scene.chance.random() < 0.5:  # beside running servers
            damage(scene.chance.choice(scene.common.machines).directory, scene.chance)
            return Hit(scene.slots, time.time())
        with scene.pause():
            all_dead(scene)
            damage(scene.chance.choice(scene.common.machines).directory, scene.chance)
            return Hit(scene.slots, time.time())

    return injury


KILL = "kill -9 of one"
PROCESSES: Mapping[str, Injury] = {
    KILL: kill,
    "kill -9 of all": kill_all,
    "end of input in a call": end_of_input,
    "stopped for a while": stop,
}
CLOCK: Mapping[str, Injury] = {"clock jumps": clock}
DERIVED: Mapping[str, Injury] = {name: _damaging(damage) for name, damage in derived.DAMAGES.items()}
